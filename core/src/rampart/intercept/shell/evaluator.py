"""From the syntax tree to the flat list of commands that would, or could, run.

Nothing is decided at run time: every branch is followed. What differs between branches, or changes
from one iteration of a loop to the next, is not known afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Final

from rampart.intercept.shell import effects
from rampart.intercept.shell.execution import Execution
from rampart.intercept.shell.model import Command, Redirect, Word
from rampart.intercept.shell.state import State, alias_key, function_key
from rampart.intercept.shell.syntax import (
    AndOr,
    ArithmeticFor,
    Block,
    Case,
    Coprocess,
    Evaluation,
    For,
    Function,
    FunctionValue,
    If,
    Node,
    Pipeline,
    Sequence,
    Simple,
    Test,
    While,
)
from rampart.limits import EXPANSION_WORDS_MAX

_PROGRAM: Final = re.compile(r"[A-Za-z_./][^=]*")
_NO_ARITHMETIC: Final = re.compile(
    r"[\w)]\s+[\w.$'\"/~]|(?<![-+])[-+*/%&|^<>=]\s*\Z|[;@{}]|[./~]\w"
)
_UNROLLED_MAX: Final = EXPANSION_WORDS_MAX  # words of nested loops that are followed one by one


class Evaluator(Execution):
    """Follows a syntax tree and collects commands."""

    def run(self, node: Node) -> None:
        """Follow one node."""
        if type(node) is Simple:
            self.simple(node)
            return
        self.step()
        self.deeper()
        self._runners[type(node)](self, node)
        self.level -= 1

    def _sequence(self, node: Sequence) -> None:
        for item, background in node.items:
            if background:
                self._apart(item)
            else:
                self.run(item)

    def _apart(self, node: Node) -> None:
        """Follow a node whose changes of state are lost."""
        saved, logged = self.state.copy(), len(self.log)
        self.run(node)
        self.restore(saved, logged)

    def _and_or(self, node: AndOr) -> None:
        before = self.state.copy()
        for index, (operator, item) in enumerate(node.items):
            if not operator:
                self.run(item)
                continue
            after = self.state.copy()
            previous = node.items[index - 1][1]
            if operator == "||":
                if effects.changes_directory(previous):
                    self.state.restore(before)
                else:
                    self.state.merge(before)
            before = after.copy()
            self.run(item)
            if operator == "||" and self._terminates(item):
                self.state.restore(after)
            elif operator == "||" or not effects.assumed_to_succeed(previous):
                self.state.merge(after)

    def _terminates(self, node: Node) -> bool:
        if isinstance(node, Block):
            return not node.subshell and self._terminates(node.body)
        if isinstance(node, Sequence):
            return bool(node.items) and self._terminates(node.items[-1][0])
        if not isinstance(node, Simple) or not node.words or not isinstance(node.words[0], Word):
            return False
        name = node.words[0].source
        if name not in ("exit", "return", "break", "continue"):
            return False
        variables = self.state.variables
        return function_key(name) not in variables and alias_key(name) not in variables

    def _pipeline(self, node: Pipeline) -> None:
        saved, stdin, inherited, out = self.state.copy(), self.stdin, self.inherited, self.out
        logged = len(self.log)
        for item in node.items[:-1]:
            self.out = []
            self.run(item)
            self.stdin, self.inherited = tuple(self.out), None
            self.restore(saved, logged)
        self.out = out
        self.run(node.items[-1])
        self.stdin, self.inherited = stdin, inherited
        self.state.merge(saved)  # WHY: some shells run the last command of a pipeline themselves

    def _block(self, node: Block) -> None:
        logged = len(self.log)
        saved, stdin, inherited, out = self.state.copy(), self.stdin, self.inherited, self.out
        redirects = self.redirects(node.redirects)
        if redirects:
            start = len(self.commands)
            self.emit(
                Command((), (), redirects, node.source, (), self.state.variables, self.state.cwd),
                silent=True,
            )
            self.link_readers(start)
            self.enter(redirects)
        self.run(node.body)
        self.stdin, self.inherited, self.out = stdin, inherited, out
        if node.subshell:
            self.restore(saved, logged)

    def _if(self, node: If) -> None:
        ends: list[State] = []
        for condition, body in node.clauses:
            self.run(condition)
            otherwise = self.state.copy()
            self.run(body)
            if not self._terminates(body):
                ends.append(self.state.copy())
            self.state.restore(otherwise)
        if node.otherwise is not None:
            otherwise = self.state.copy()
            self.run(node.otherwise)
            if self._terminates(node.otherwise):
                self.state.restore(ends.pop() if ends else otherwise)
        for end in ends:
            self.state.merge(end)

    def _case(self, node: Case) -> None:
        self.expander.single(node.word)
        saved = self.state.copy()
        for patterns, body in node.arms:
            for pattern in patterns:
                self.expander.single(pattern)
            before = self.state.copy()
            self.state.merge(saved)  # WHY: an arm follows no arm, or the one above by `;&`
            self.run(body)
            self.state.merge(before)

    def _while(self, node: While) -> None:
        def once() -> None:
            self.run(node.condition)
            self.run(node.body)

        self._loop(once)

    def _arithmetic_for(self, node: ArithmeticFor) -> None:
        self.arithmetic(node.header)

        def once() -> None:
            self.run(node.body)
            self.arithmetic(node.header)

        self._loop(once)

    def _loop(self, body: Callable[[], object]) -> None:
        """Follow a loop of unknown length: what it assigns is not known inside."""
        entry, start, logged, out = (
            self.state.copy(),
            len(self.commands),
            len(self.log),
            len(self.out),
        )
        trace = None if self.trace is None else len(self.trace)
        body()
        if len(self.log) > logged:
            del self.commands[start:]
            del self.out[out:]
            if trace is not None and self.trace is not None:
                del self.trace[trace:]
            self.forget_since(logged, entry)
            body()
        self.forget_since(logged, entry)

    def _for(self, node: For) -> None:
        if node.words is not None:
            words = [word for raw in node.words for word in self.expander.words(raw)]
        elif self.state.positional is not None:
            words = list(self.state.positional)
        else:
            words = [Word(f"${node.name}", False)]
        if node.select or len(words) * self._unrolled > _UNROLLED_MAX:
            # WHY: one word that is not known stands for all, and still shows what they are
            text = " ".join(word.text for word in words)
            sources = tuple(index for word in words for index in word.substitutions)
            words = [Word(text, False, "", False, sources)]
        unrolled = self._unrolled
        self._unrolled *= max(len(words), 1)
        entry, logged = self.state.copy(), len(self.log)
        for index, word in enumerate(words):
            if index:
                self.forget_since(logged, entry)
            self._iterate(node, word)
        self.forget_since(logged, entry)
        self._unrolled = unrolled

    def _iterate(self, node: For, word: Word) -> None:
        """Follow the body for one word; one that is not known may stand for many."""

        def once() -> None:
            self.assign(node.name, word)
            self.run(node.body)

        if word.known:
            once()
        else:
            self._loop(once)

    def _function(self, node: Function) -> None:
        value = FunctionValue(f"() {node.source}", True, name=node.name, body=node.body)
        start = node.source.find("{") if isinstance(node.body, Sequence) else -1
        value.text = f"() {node.source[start:]}" if start >= 0 else f"() {{ {node.source}; }}"
        self.log.append(function_key(node.name))
        self.state.define(value)
        self.defined[id(node)] = node
        self.functions.setdefault(id(node), value)  # WHY: a loop defines one function many times

    def _test(self, node: Test) -> None:
        words = tuple(self.expander.single(word) for word in node.words)
        for index, word in enumerate(words):
            if "[" in word.text:
                self.hidden(word)
            if word.source in effects.NUMERIC_TESTS:
                for side in (*words[max(index - 1, 0) : index], *words[index + 1 : index + 2]):
                    self._look_into(side)
        # WHY: to `sh`, which does not know `[[`, `>` is a redirection and `||` ends the command
        redirects = tuple(
            Redirect(">", words[index + 1])
            for index, word in enumerate(words[:-1])
            if word.source == ">"
        )
        ends = (Word("[[", True, "[["), *words, Word("]]", True, "]]"))
        state = self.state
        self.emit(
            Command(ends, (), redirects, node.source, (), state.variables, state.cwd), silent=True
        )
        for index, word in enumerate(words[:-1]):
            following = words[index + 1]
            if word.source == "||" and following.known and _PROGRAM.fullmatch(following.text):
                rest = (*words[index + 1 :], ends[-1])
                self.emit(Command(rest, (), (), node.source, (), state.variables, state.cwd))
        if any(word.source == "=~" for word in words):
            self.forget({"BASH_REMATCH"})

    def _evaluation(self, node: Evaluation) -> None:
        self.arithmetic(node.expression)
        text = node.source[2:-2]
        if _NO_ARITHMETIC.search(text):
            # WHY: bash refuses such an expression; `sh` reads `((` as two subshells
            self.run_text(text)

    def _coprocess(self, node: Coprocess) -> None:
        out, self.out = self.out, []
        self._apart(node.body)
        self.out = out
        self.forget({node.name, f"{node.name}_PID"})

    def release(self) -> None:
        """Let go of the parts that point back here, so that no cycle waits for the collector."""
        del self.expander, self.parameters

    def finish(self) -> None:
        """Follow what may still run: traps with what was assigned later, functions not called."""
        for text, logged in self.traps:
            later = set(self.log[logged:])
            if later:
                self.state.forget(later)
                self.run_text(text)
        followed = 0
        while followed < len(self.functions):  # WHY: following one may define others
            function = list(self.functions.values())[followed]
            followed += 1
            if id(function.body) not in self.called and function.body is not None:
                self.state.positional = None
                self.active.append(function.name)
                self.run(function.body)
                self.active.pop()

    _runners: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        Sequence: _sequence,
        AndOr: _and_or,
        Pipeline: _pipeline,
        Block: _block,
        If: _if,
        While: _while,
        For: _for,
        ArithmeticFor: _arithmetic_for,
        Case: _case,
        Function: _function,
        Test: _test,
        Evaluation: _evaluation,
        Coprocess: _coprocess,
    }
