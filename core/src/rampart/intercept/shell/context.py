"""What every part of the evaluator shares: the state, the commands found, and the limits."""

from __future__ import annotations

from typing import Final

from rampart.intercept.shell import arithmetic
from rampart.intercept.shell.cursor import Budget
from rampart.intercept.shell.expansion import Expander, Fields, has_hidden
from rampart.intercept.shell.model import Command, Redirect, Word
from rampart.intercept.shell.parameters import Parameters
from rampart.intercept.shell.parser import Parser, parse_text
from rampart.intercept.shell.state import State
from rampart.intercept.shell.syntax import (
    FunctionValue,
    Literal,
    Node,
    Parameter,
    Part,
    Process,
    Substitution,
    Unparsable,
)
from rampart.limits import (
    SHELL_COMMANDS_MAX,
    SHELL_DEPTH_MAX,
    SHELL_EXPANDED_CHARS_MAX,
    SHELL_WORDS_MAX,
)

_STEPS_MAX: Final = (
    2 * SHELL_COMMANDS_MAX
)  # LIMIT: functions that call functions double at each level
_TEXT_COST: Final = 4  # reading a text takes as long as following this many nodes
_LEVELS_MAX: Final = 2 * SHELL_DEPTH_MAX  # LIMIT: nesting of the text plus nesting of calls
_EXPANDED_LATER: Final = frozenset({"PS0", "PS1", "PS2", "PS4"})


class Context:
    """The state of the shell and what was found so far."""

    def __init__(self, state: State, *, home: str, cwd: str, depth: int) -> None:
        self.state = state
        self.home = home
        self.start = cwd
        self.depth = depth
        self.commands: list[Command] = []
        self.problem = ""
        self.log: list[str] = []  # every variable that was assigned, in order
        self.odd: set[str] = set()  # variables that do not simply keep what is assigned
        self.traps: list[tuple[str, int]] = []
        self.functions: dict[int, FunctionValue] = {}
        # WHY the nodes themselves: the tree of an `eval` is let go, and its ids are given to others
        self.called: dict[int, object] = {}  # bodies of functions that were followed
        self.defined: dict[int, object] = {}  # where functions are defined
        self.frames: list[dict[str, Word | None]] = []
        self.trace: list[Command | None] | None = None
        self.active: list[str] = []
        self.stdin: tuple[int, ...] = ()
        self.inherited: Redirect | None = None
        self.out: list[int] = []
        self.readers: list[tuple[int, int]] = []
        self.level = 0
        self._tail_at = 0
        self._unrolled = 1
        self._steps = self._words = self._spent = 0
        self.read = 0  # characters of texts inside the text
        self.expander = Expander(self)
        self.parameters = Parameters(self, self.expander)

    def run(self, node: Node) -> None:
        """Follow one node; the evaluator provides this."""
        raise AssertionError(node)

    def substitute(self, node: Substitution) -> tuple[str | None, tuple[int, ...]]:
        """Run a substitution; the evaluator provides this."""
        raise AssertionError(node)

    def process(self, node: Process) -> tuple[int, ...]:
        """Run a process substitution; the evaluator provides this."""
        raise AssertionError(node)

    def fail(self, reason: str) -> None:
        """Note why part of the text cannot be understood; the first reason stays."""
        self.problem = self.problem or reason

    def directory(self) -> str:
        """Return the current directory, or nothing where it is not known."""
        cwd = self.start if self.state.cwd == "" else self.state.cwd
        return cwd if cwd and cwd[0] == "/" else ""

    def spend(self, characters: int, words: int = 0) -> None:
        """Count expanded text."""
        self._spent += characters
        self._words += words
        if self._words > SHELL_WORDS_MAX:
            raise Unparsable(f"more than {SHELL_WORDS_MAX} words")
        if self._spent > SHELL_EXPANDED_CHARS_MAX:
            raise Unparsable(f"more than {SHELL_EXPANDED_CHARS_MAX} characters after expansion")

    def assign(self, name: str, value: Word) -> None:
        """Set a variable."""
        self.log.append(name)
        if name in self.odd:
            self.state.forget({name})
        else:
            self.state.assign(name, value)
        if name in _EXPANDED_LATER:
            self.hidden(value)
        if name == "PROMPT_COMMAND":
            self.run_text(value.text)

    def forget(self, names: set[str]) -> None:
        """Make variables unknown."""
        self.log.extend(sorted(names))
        self.state.forget(names)

    def forget_all(self) -> None:
        """Make everything unknown that running unknown text could change."""
        self.log.extend((*self.state.variables, "@", "/"))
        self.state.forget_all()

    def parameter(self, node: Parameter, fields: Fields) -> None:
        """Expand a parameter into ``fields``."""
        self.parameters.expand(node, fields)

    def arithmetic(self, parts: tuple[Part, ...]) -> tuple[str | None, tuple[int, ...]]:
        """Return the value of an expression, if it is known, and the commands it runs."""
        expression = self.expander.joined(parts)
        text = expression.text
        self._look_into(expression)
        for part in parts:
            if not expression.known and isinstance(part, Literal):
                self.hidden(Word(part.text))
        names = arithmetic.assigned_names(text)
        if names:
            self.forget(set(names))
        value = arithmetic.evaluate(text, self.parameters.text) if expression.known else None
        return None if value is None or names else str(value), expression.substitutions

    def _look_into(self, expression: Word) -> None:
        """List what evaluating an expression runs: subscripts in it and in its variables."""
        self.hidden(expression)
        variables = self.state.variables
        if variables:
            for name in arithmetic.names_in(expression.text):
                word = variables.get(name)
                if word is not None:
                    self.hidden(word)

    def hidden(self, word: Word) -> None:
        """List the substitutions in a known text that the shell would expand once more."""
        if not word.known or not has_hidden(word.text):
            return
        try:
            parts = Parser(word.text, self.depth + self.level + 1, Budget()).document_parts()
        except Unparsable as problem:
            self.fail(str(problem))
            return
        self.deeper()
        self.expander.joined(parts)
        self.level -= 1

    def run_text(self, text: str, *, separate: bool = True) -> None:
        """Run a text as commands; ``separate`` keeps its changes of state inside."""
        self._steps += _TEXT_COST
        self.read += len(text)
        self.spend(2 * len(text))  # WHY: it is read, and then followed
        found = parse_text(text, self.depth + self.level + 1)
        if found.problem:
            self.fail(found.problem)
        saved, out, trace = self.state.copy(), self.out, self.trace
        logged = len(self.log)
        self.trace = None
        self.run(found.tree)
        for simple in found.loose:
            self.run(simple)
        self.trace, self.out = trace, out
        if separate:
            self.restore(saved, logged)

    def dry_run(self, text: str) -> bool:
        """Run a text for its changes of state alone; False if it cannot be understood."""
        problem, count, called = self.problem, len(self.commands), self.called.copy()
        out, self.out = self.out, []
        self.problem = ""
        self.run_text(text, separate=False)
        understood = not self.problem
        self.problem, self.out, self.called = problem, out, called
        del self.commands[count:]
        return understood

    def emit(self, command: Command, *, silent: bool = False) -> None:
        """Add a command; a ``silent`` one writes nothing into the pipe it stands in."""
        if len(self.commands) >= SHELL_COMMANDS_MAX:
            raise Unparsable(f"more than {SHELL_COMMANDS_MAX} commands")
        if not silent:
            self.out.append(len(self.commands))
        self.commands.append(command)
        if self.trace is not None:
            self.trace.append(command)

    def traced(self, command: Command | None) -> None:
        """Note for the output of a substitution that what runs here is not one plain command."""
        if self.trace is not None:
            self.trace.append(command)

    def step(self) -> None:
        """Count one node."""
        self._steps += 1
        if self._steps > _STEPS_MAX:
            raise Unparsable(f"more than {_STEPS_MAX} steps")

    def deeper(self) -> None:
        """Enter one more level; the caller leaves it by ``self.level -= 1``."""
        self.level += 1
        if self.level > _LEVELS_MAX:
            raise Unparsable(f"nested deeper than {_LEVELS_MAX} levels")

    def restore(self, saved: State, logged: int) -> None:
        """Undo every change of state since ``saved`` was copied."""
        self.state.restore(saved)
        del self.log[logged:]

    def forget_since(self, logged: int, entry: State) -> None:
        """Forget what was assigned since; ``@`` and ``/`` stand for parameters and directory."""
        self.state.merge(entry)
        names = set(self.log[logged:])
        if "@" in names:
            self.state.positional = None
        if "/" in names:
            self.state.cwd = self.state.previous = None
            self.state.stack = ()
        names -= {"@", "/"}
        if names:
            self.state.forget(names)
