"""Running one simple command: its words, assignments and redirections, and calls of functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rampart.intercept.shell import effects, output
from rampart.intercept.shell.context import Context
from rampart.intercept.shell.model import Command, Redirect, Word
from rampart.intercept.shell.parser import parse_text
from rampart.intercept.shell.simple import DECLARATIONS
from rampart.intercept.shell.state import alias_key, function_key
from rampart.intercept.shell.syntax import (
    ArrayLiteral,
    Assignment,
    Function,
    FunctionValue,
    HereDocument,
    Node,
    Pipeline,
    Process,
    RawWord,
    Redirection,
    Sequence,
    Simple,
    Substitution,
)

_TEXT_INPUTS: Final = ("<<", "<<-", "<<<")
_FILE_OUTPUTS: Final = (">", ">>", ">|", "&>", "&>>")
_LATER: Final = -1  # stands for the command whose words are being expanded


class Execution(Context):
    """Follows simple commands."""

    def simple(self, node: Simple) -> None:
        """Follow a simple command."""
        self.step()
        variables = self.state.variables
        if node.plain and not (variables and _is_replaced(node, variables)):
            words: tuple[Any, ...] = tuple(node.words)
            self.spend(0, len(words))
            command = Command(
                words, (), self._with_input(()), node.source, self.stdin,
                variables, self.state.cwd,
            )  # fmt: skip
            self.emit(command)
            if words and words[0].text in effects.WATCHED:
                effects.apply(self, words, command)
            return
        self._expanded(node)

    def _expanded(self, node: Simple) -> None:
        start = len(self.commands)
        words = self._expand_words(node)
        tail_at = self._tail_at
        self.spend(0, len(words))
        if words and self._alias(node, words[0]):
            return
        redirects = self.redirects(node.redirects)
        variables, cwd = self.state.variables, self.state.cwd
        assignments = [self._assignment(assignment) for assignment in node.assignments]
        if words:
            assigned, self.state.variables = self.state.variables, variables
        function = variables.get(function_key(words[0].text)) if words and variables else None
        if function is not None and words[0].known:
            command = None
            if redirects or assignments:
                command = Command(
                    (), tuple(assignments), redirects, node.source, (), variables, cwd
                )
                self.emit(command, silent=True)
            if assignments:
                self.state.variables = assigned
            self.link_readers(start)
            self.traced(None)
            self._call(words, redirects, function)
            return
        upstream = _upstream(redirects, self.stdin)
        command = Command(
            tuple(words), tuple(assignments), self._with_input(redirects), node.source, upstream,
            variables, cwd,
        )  # fmt: skip
        self.emit(command, silent=_leaves(redirects))
        self.link_readers(start)
        if node.tail:
            # WHY: `sh` reads `a &>f b` as two commands, `a &` and `>f b`
            tail = tuple(words[tail_at:])
            self.emit(Command(tail, (), redirects, node.source, (), variables, cwd))
        if words:
            effects.apply(self, tuple(words), command)

    def _expand_words(self, node: Simple) -> list[Word]:
        words: list[Word] = []
        for index, raw in enumerate(node.words):
            if index == node.tail:
                self._tail_at = len(words)
            if type(raw) is Word:
                words.append(raw)
            else:
                words += self._words_of(raw, words)
        return words

    def _words_of(self, raw: Word | RawWord | Assignment, before: list[Word]) -> list[Word]:
        if isinstance(raw, Word):
            return [raw]
        if isinstance(raw, Assignment):
            value = self._assignment(raw)[1]
            return [Word(raw.source, value.known, raw.source, False, value.substitutions)]
        if before and before[0].text in DECLARATIONS and effects.is_assignment(raw.source):
            return [self.expander.single(raw, assignment=True)]
        return self.expander.words(raw)

    def _assignment(self, node: Assignment) -> tuple[str, Word]:
        name = node.name
        if isinstance(node.value, ArrayLiteral):
            return name, self._assign_array(node, node.value)
        value = self.expander.single(node.value, assignment=True)
        if value.glob:
            value = Word(value.text, value.known, value.source, False, value.substitutions)
        if node.subscript is not None:
            subscript = self.expander.joined(node.subscript)
            self.hidden(subscript)
            self.log.append(name)
            effects.assign_element(self, name, subscript, value)
            return f"{name}[{subscript.text}]", value
        if node.append:
            old = self.state.variables.get(name)
            # WHY: `sh` knows no `+=`: there the variable keeps what it was
            if old is None or not old.known:
                value = Word(
                    f"${name}{value.text}", False, value.source, False, value.substitutions
                )
            else:
                value = Word(
                    old.text + value.text, not old.text and value.known, value.source, value.glob,
                    (*old.substitutions, *value.substitutions),
                )  # fmt: skip
                self.spend(len(value.text))
        self.assign(name, value)
        return name, value

    def _assign_array(self, node: Assignment, literal: ArrayLiteral) -> Word:
        items: list[Word] = []
        keyed = False
        for subscript, raw in literal.items:
            if subscript is not None:
                keyed = True
                key = self.expander.joined(subscript)
                self.hidden(key)
                items.append(self.expander.single(raw, assignment=True))
            else:
                items += self.expander.words(raw)
        old = effects.array_items(self, node.name) if node.append else ()
        self.log.append(node.name)
        settled = (
            not keyed and old is not None and all(item.known and not item.glob for item in items)
        )
        self.state.assign_array(node.name, (*(old or ()), *items) if settled else None)
        self.spend(0, len(items))
        substitutions = tuple(index for item in items for index in item.substitutions)
        return Word(literal.source, settled, literal.source, False, substitutions)

    def redirects(self, nodes: list[Redirection]) -> tuple[Redirect, ...]:
        """Expand the targets of redirections."""
        found: list[Redirect] = []
        for node in nodes:
            target = node.target
            if isinstance(target, HereDocument):
                word = self.expander.joined(target.body)
            else:
                word = self.expander.single(target)
            found.append(Redirect(node.op, word, node.fd))
        return tuple(found)

    def _with_input(self, redirects: tuple[Redirect, ...]) -> tuple[Redirect, ...]:
        """Add the here-document of an enclosing block, unless the command reads something else."""
        if self.inherited is None or any(r.op[0] == "<" and r.fd in (None, 0) for r in redirects):
            return redirects
        return (*redirects, self.inherited)

    def substitute(self, node: Substitution) -> tuple[str | None, tuple[int, ...]]:
        """Run a substitution: its output where known, and the commands that produce it."""
        saved, logged, out, trace = self.state.copy(), len(self.log), self.out, self.trace
        self.out, self.trace = [], []
        self.run(node.body)
        produced = tuple(self.out)
        text = self._output(node.body, self.trace)
        self.restore(saved, logged)
        self.out, self.trace = out, trace
        return text, produced

    @staticmethod
    def _output(body: Sequence, trace: list[Command | None]) -> str | None:
        pieces: list[str] = []
        at = 0
        for item, background in body.items:
            stages = item.items if isinstance(item, Pipeline) else [item]
            if background or not all(isinstance(stage, Simple) for stage in stages):
                return None
            text: str | None = None
            for _ in stages:
                command = trace[at] if at < len(trace) else None
                at += 1
                text = None if command is None else output.printed(command, text)
                if text is None:
                    return None
            pieces.append(text or "")
        return "".join(pieces).rstrip("\n") if at == len(trace) else None

    def process(self, node: Process) -> tuple[int, ...]:
        """Run a process substitution; the commands that write into it."""
        saved, stdin, inherited, out, trace = (
            self.state.copy(), self.stdin, self.inherited, self.out, self.trace,
        )  # fmt: skip
        start, logged = len(self.commands), len(self.log)
        self.trace, self.inherited = None, None
        if node.direction == "<":
            self.out, self.stdin = [], ()
        else:
            self.stdin = (_LATER,)
        self.run(node.body)
        produced = tuple(self.out) if node.direction == "<" else ()
        self.restore(saved, logged)
        self.stdin, self.inherited, self.out, self.trace = stdin, inherited, out, trace
        if node.direction == ">":
            self.readers.append((start, len(self.commands)))
        return produced

    def link_readers(self, start: int) -> None:
        """Give the commands of ``>(…)`` the command that was emitted last as their input."""
        if not self.readers:
            return
        last = len(self.commands) - 1
        kept: list[tuple[int, int]] = []
        for first, end in self.readers:
            if first < start:
                kept.append((first, end))
                continue
            for command in self.commands[first:end]:
                if _LATER in command.upstream:
                    command.upstream = (last,) if last >= end else ()
        self.readers = kept

    def _call(self, words: list[Word], redirects: tuple[Redirect, ...], found: Word) -> None:
        """Follow the body of a function with these arguments."""
        name = words[0].text
        active = self.active.count(name)
        if active > 1:
            return
        candidates = (
            [found] if found.known else [f for f in self.functions.values() if f.name == name]
        )
        stdin, inherited, out = self.stdin, self.inherited, self.out
        self.enter(redirects)
        positional, before = self.state.positional, self.state.copy()
        self.active.append(name)
        trace, self.trace = self.trace, None
        for candidate in candidates:
            body = self._body(candidate, name)
            if body is None:
                continue
            self.called[id(body)] = body
            logged = len(self.log)
            if active:
                # WHY: a second round stands for all later ones: nothing is known in it
                self.state.forget_all()
            else:
                steady = all(word.known and not word.glob for word in words[1:])
                self.state.positional = tuple(words[1:]) if steady else None
            self.frames.append({})
            self.run(body)
            self._leave_frame()
            if active:
                self.state.restore(before)
                self.forget_since(logged, before)
            elif len(candidates) > 1:
                self.state.merge(before)
        self.active.pop()
        self.trace = trace
        self.state.positional = positional
        self.stdin, self.inherited, self.out = stdin, inherited, out

    def _leave_frame(self) -> None:
        for name, old in self.frames.pop().items():
            if old is None:
                self.state.drop(name)
                self.state.drop(f"{name}[@]")
            else:
                self.state.set_many({name: old})

    def _body(self, function: Word, name: str) -> Node | None:
        if isinstance(function, FunctionValue) and function.body is not None:
            return function.body
        parsed = parse_text(f"_{function.text}", self.depth + self.level + 1)
        item = parsed.tree.items[0][0] if len(parsed.tree.items) == 1 else None
        if parsed.problem or not isinstance(item, Function):
            self.fail(f"the function `{name}` cannot be read")
            return None
        return item.body

    def _alias(self, node: Simple, first: Word) -> bool:
        """Follow the expansion of an alias; the command as written is followed too."""
        if not self.state.variables or first.source != first.text:
            return False
        key = alias_key(first.text)
        value = self.state.variables.get(key)
        if value is None or key in self.active:
            return False
        if not value.known:
            self.fail(f"the alias `{first.text}` is not known")
            return False
        at = node.source.find(first.source)
        self.active.append(key)
        self.run_text(node.source[:at] + value.text + node.source[at + len(first.source) :])
        self.active.pop()
        self.traced(None)
        return False

    def enter(self, redirects: tuple[Redirect, ...]) -> None:
        """Make the redirections of a block those of the commands inside."""
        self.stdin = _upstream(redirects, self.stdin)
        for redirect in redirects:
            if redirect.fd in (None, 0) and redirect.op[0] == "<":
                self.inherited = redirect if redirect.op in _TEXT_INPUTS else None
        if _leaves(redirects):
            self.out = []


def _is_replaced(node: Simple, variables: Mapping[str, Word]) -> bool:
    """Tell whether a function or an alias stands in place of the command's program."""
    if not node.words:
        return False
    name = node.words[0].text  # type: ignore[union-attr]  # a plain command has known words
    return function_key(name) in variables or alias_key(name) in variables


def _leaves(redirects: tuple[Redirect, ...]) -> bool:
    """Tell whether standard output goes to a file, and nothing else to the pipe."""
    for redirect in redirects:
        if redirect.op == ">&" and redirect.target.text == "1":
            return False
        if redirect.op in _FILE_OUTPUTS and redirect.fd in (None, 1):
            return redirect.target.known and not redirect.target.text.startswith(
                ("/dev/", "/proc/")
            )
    return False


def _upstream(redirects: tuple[Redirect, ...], stdin: tuple[int, ...]) -> tuple[int, ...]:
    """Return the commands that standard input comes from, after these redirections."""
    for redirect in redirects:
        if redirect.fd not in (None, 0) or redirect.op[0] != "<" or redirect.op == "<&":
            continue
        target = redirect.target
        if redirect.op in _TEXT_INPUTS or (
            target.known and not target.text.startswith(("/dev/", "/proc/"))
        ):
            stdin = ()
        elif target.text.startswith("<("):
            stdin = target.substitutions
    return stdin
