"""The grammar: from text to a syntax tree, by recursive descent with a counted depth.

It accepts what bash accepts (and `sh`, as far as that is a part of it). What it does not
understand raises :class:`Unparsable`; nothing is skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from rampart.intercept.shell.conditional import Conditionals
from rampart.intercept.shell.cursor import Budget
from rampart.intercept.shell.heredoc import read_documents
from rampart.intercept.shell.layout import BLANKS, KEYWORD, OPENERS, RESERVED
from rampart.intercept.shell.model import Word
from rampart.intercept.shell.simple import EMPTY_LIST
from rampart.intercept.shell.syntax import (
    AndOr,
    ArithmeticFor,
    Block,
    Case,
    Coprocess,
    Evaluation,
    For,
    Function,
    If,
    Node,
    Pipeline,
    RawWord,
    Redirection,
    Sequence,
    Simple,
    Unparsable,
    While,
)

_COMPOUNDS: Final = OPENERS - {"!", "time"}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?=(?:\\\n)*(?:[ \t\n;&|<>()]|\Z))")
_TIME_OPTION: Final = re.compile(r"(?:-p|--)(?=[ \t\n;&|<>()]|\Z)")
_OTHER_TIME: Final = re.compile(r"[ \t]+-(?!(?:p|-)(?:[ \t\n;&|<>()]|\Z))")
_IN: Final = re.compile(r"in(?=(?:\\\n)*[ \t\n;(])")


class Parser(Conditionals):
    """Reads commands."""

    __slots__ = ()

    # lists

    def script(self) -> Sequence:
        """Read commands up to the end of the text."""
        found = self.top
        self.sequence(frozenset(), found)
        if self.pos < len(self.text):
            raise Unparsable(f"unexpected `{self.text[self.pos]}`")
        if self.pending:
            read_documents(self)
        return found

    def sequence_until(self, closer: str) -> Sequence:
        """Read commands up to ``closer`` and move behind it."""
        found = self.sequence(frozenset({closer}) if closer == "}" else frozenset())
        self.expect(closer)
        return found

    def sequence(self, stops: frozenset[str], found: Sequence | None = None) -> Sequence:
        """Read commands up to a keyword of ``stops``, a closing parenthesis, ``;;`` or the end."""
        text = self.text
        if found is None:
            found = Sequence()
        while self.next_item(stops):
            node = self.and_or()
            self.skip_blanks()
            char = text[self.pos : self.pos + 1]
            background = char == "&" and text[self.pos + 1 : self.pos + 2] != "&"
            found.items.append((node, background))
            if found is self.top:
                self.complete = len(self.budget.simples)
            if background or (char == ";" and text[self.pos + 1 : self.pos + 2] not in (";", "&")):
                self.pos += 1
                self.no_joined_operator("&;")
            elif char and char not in ";\n)#" and not self.keyword_in(stops):
                raise Unparsable(f"unexpected `{char}`")
        return found

    def next_item(self, stops: frozenset[str]) -> bool:
        """Skip to the next command; False where the list ends."""
        self.skip_lines()
        char = self.text[self.pos : self.pos + 1]
        if not char or char == ")" or self.keyword_in(stops):
            return False
        return not (char == ";" and self.text[self.pos + 1 : self.pos + 2] in (";", "&"))

    def and_or(self) -> Node:
        """Read pipelines joined by ``&&`` and ``||``."""
        first = self.pipeline()
        items: list[tuple[str, Node]] = [("", first)]
        while True:
            self.skip_blanks()
            operator = self.text[self.pos : self.pos + 2]
            if operator not in ("&&", "||"):
                return first if len(items) == 1 else AndOr(items)
            self.pos += 2
            self.skip_lines()
            items.append((operator, self.pipeline()))

    def pipeline(self) -> Node:
        """Read commands joined by ``|``, with ``!`` and ``time`` in front."""
        first = self._prefixed()
        items = [first]
        text = self.text
        while True:
            self.skip_blanks()
            if not text.startswith("|", self.pos) or text.startswith("||", self.pos):
                return first if len(items) == 1 else Pipeline(items)
            self.pos += 2 if text.startswith("|&", self.pos) else 1
            self.no_joined_operator("|&")
            self.skip_lines()
            items.append(self._prefixed())

    def _prefixed(self) -> Node:
        """Read a command behind any ``!`` and ``time``; those may also stand alone."""
        start = self.pos
        while True:
            match = KEYWORD.match(self.text, self.pos)
            if match is None or match.group() not in ("!", "time"):
                break
            if match.group() == "time" and _OTHER_TIME.match(self.text, match.end()):
                break  # WHY: a shell without this keyword runs the program of that name
            self.pos = match.end()
            self.skip_blanks()
            if match.group() == "time":
                while (option := _TIME_OPTION.match(self.text, self.pos)) is not None:
                    self.pos = option.end()
                    self.skip_blanks()
        if self.pos > start and self.text[self.pos : self.pos + 1] in "\n;&|)#":
            return Simple([], [], [], self.text[start : self.pos])
        return self.command()

    # commands

    def command(self) -> Node:
        """Read one simple or compound command with its redirections."""
        text, start = self.text, self.pos
        if text.startswith("(", start):
            return self._parenthesised(start)
        match = KEYWORD.match(text, start)
        if match is None:
            return self.simple()
        keyword = match.group()
        if keyword not in _COMPOUNDS:
            if keyword == "time":
                return self.simple(keyword)
            raise Unparsable(f"unexpected `{keyword}`")
        self.pos = match.end()
        self.deeper()
        self.skip_blanks()
        body = self._compound(keyword, start)
        self.depth -= 1
        if isinstance(body, Function | Coprocess):
            return body
        return self._redirected(body, start)

    def _redirected(self, body: Node, start: int, *, subshell: bool = False) -> Node:
        redirects: list[Redirection] = []
        source = self.text[start : self.pos]
        self.skip_blanks()
        while (found := self.redirection()) is not None:
            redirects.append(found)
            self.skip_blanks()
        if redirects or subshell:
            return Block(body, redirects, subshell, source)
        return body

    def _parenthesised(self, start: int) -> Node:
        self.deeper()
        if self.text.startswith("((", start):
            found = self.arithmetic(start + 2)
            if found is not None:
                self.depth -= 1
                return self._redirected(Evaluation(found, self.text[start : self.pos]), start)
        self.pos = start + 1
        body = self.sequence_until(")")
        self.depth -= 1
        return self._redirected(body, start, subshell=True)

    def _compound(self, keyword: str, start: int) -> Node:
        match keyword:
            case "{":
                return self.sequence_until("}")
            case "if":
                return self._if()
            case "while" | "until":
                condition = self.sequence(frozenset({"do"}))
                self.expect("do")
                return While(condition, self._until("done"))
            case "for" | "select":
                return self._for(keyword == "select")
            case "case":
                return self._case()
            case "function":
                return self._function_keyword(start)
            case "coproc":
                return self._coproc()
            case _:
                return self.test(start)

    def _until(self, closer: str) -> Sequence:
        body = self.sequence(frozenset({closer}))
        self.expect(closer)
        return body

    def _if(self) -> If:
        found = If([], None)
        while True:
            condition = self.sequence(frozenset({"then"}))
            self.expect("then")
            found.clauses.append((condition, self.sequence(frozenset({"elif", "else", "fi"}))))
            if self.keyword_in(frozenset({"elif"})):
                self.pos += 4
                continue
            if self.keyword_in(frozenset({"else"})):
                self.pos += 4
                found.otherwise = self.sequence(frozenset({"fi"}))
            self.expect("fi")
            return found

    def _for(self, select: bool) -> Node:
        if self.text.startswith("((", self.pos) and not select:
            header = self.arithmetic(self.pos + 2)
            if header is None:
                raise Unparsable("a `for ((` that cannot be read")
            self._separator()
            return ArithmeticFor(header, self._loop_body())
        match = _NAME.match(self.text, self.pos)
        if match is None:
            raise Unparsable("a loop without a variable")
        self.pos = match.end()
        self.skip_lines()
        words: list[Word | RawWord] | None = None
        if _IN.match(self.text, self.pos):
            self.pos += 2
            words = self._words()
        self._separator()
        return For(match.group(), words, self._loop_body(), select)

    def _words(self) -> list[Word | RawWord]:
        words: list[Word | RawWord] = []
        while True:
            self.skip_blanks()
            if self.text[self.pos : self.pos + 1] in ("#", ""):
                return words
            word = self.word()
            if word is None:
                return words
            words.append(word)

    def _separator(self) -> None:
        self.skip_blanks()
        if self.text.startswith(";", self.pos):
            self.pos += 1
        self.skip_lines()

    def _loop_body(self) -> Sequence:
        closer = "}" if self.keyword_in(frozenset({"{"})) else "done"
        self.expect("{" if closer == "}" else "do")
        return self._until(closer)

    def _case(self) -> Case:
        word = self.word()
        if word is None:
            raise Unparsable("a `case` without a word")
        self.skip_lines()
        if not _IN.match(self.text, self.pos):
            raise Unparsable("`in` is missing")
        self.pos += 2
        found = Case(word, [])
        while True:
            self.skip_lines()
            if self.keyword_in(frozenset({"esac"})):
                self.pos += 4
                return found
            found.arms.append((self._patterns(), self.sequence(frozenset({"esac"}))))
            self.skip_lines()
            for operator in (";;&", ";;", ";&"):
                if self.text.startswith(operator, self.pos):
                    self.pos += len(operator)
                    break
            else:
                self.expect("esac")
                return found

    def _patterns(self) -> list[Word | RawWord]:
        if self.text.startswith("(", self.pos):
            self.pos += 1
        patterns: list[Word | RawWord] = []
        while True:
            self.skip_blanks()
            word = self.word()
            if word is None:
                raise Unparsable("a `case` pattern that cannot be read")
            patterns.append(word)
            self.skip_blanks()
            char = self.text[self.pos : self.pos + 1]
            self.pos += 1
            if char == ")":
                return patterns
            if char != "|":
                raise Unparsable("a `case` pattern that cannot be read")

    def _function_keyword(self, start: int) -> Function:
        name = self.word()
        if not isinstance(name, Word):
            raise Unparsable("a function whose name is not known")
        self.skip_blanks()
        empty = EMPTY_LIST.match(self.text, self.pos)
        if empty is not None:
            self.pos = empty.end()
        return self.function_body(name.text, start)

    def function_body(self, name: str, start: int) -> Function:
        """Read the body of a function."""
        self.skip_lines()
        self.deeper()
        body = self.command()
        self.depth -= 1
        return Function(name, body, self.text[start : self.pos])

    def _coproc(self) -> Coprocess:
        match = _NAME.match(self.text, self.pos)
        name = "COPROC"
        if match is not None and match.group() not in RESERVED:
            after = BLANKS.match(self.text, match.end())
            at = after.end() if after else match.end()
            keyword = KEYWORD.match(self.text, at)
            if self.text.startswith("(", at) or (keyword and keyword.group() in OPENERS):
                name, self.pos = match.group(), at
        return Coprocess(name, self.command())


@dataclass(slots=True)
class Parsed:
    """A syntax tree; ``problem`` says why not all was understood, ``loose`` is read of the rest."""

    tree: Sequence
    problem: str = ""
    loose: list[Simple] = field(default_factory=list)


def parse_text(text: str, depth: int, *, posix: bool = False) -> Parsed:
    """Parse ``text`` as far as it can be understood; ``posix`` reads quotes as `sh` does."""
    budget = Budget(posix=posix)
    try:
        parser = Parser(text, depth, budget)
    except Unparsable as problem:
        return Parsed(Sequence(), str(problem))
    try:
        return Parsed(parser.script())
    except Unparsable as problem:
        return Parsed(parser.top, str(problem), budget.simples[parser.complete :])
