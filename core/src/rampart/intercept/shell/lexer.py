"""Reading words: quotes, expansions and where a word ends.

INVARIANT: a position is read by at most one level of nesting at a time and nesting is bounded, so
reading is linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.shell import escapes
from rampart.intercept.shell.cursor import Cursor
from rampart.intercept.shell.model import Word
from rampart.intercept.shell.syntax import (
    Arithmetic,
    Literal,
    Parameter,
    Part,
    Process,
    RawWord,
    Sequence,
    Substitution,
    Unparsable,
)

_PLAIN: Final = re.compile(
    r"[A-Za-z0-9_./:@%+,\-^=\]\x80-\U0010ffff][A-Za-z0-9_./:@%+,\-^=\]#!\x80-\U0010ffff]*"
    r"(?=[ \t\n;&|)]|\Z)"
)
_MORE_PLAIN: Final = re.compile(r"[ \t]+(" + _PLAIN.pattern.replace("(?=", ")(?=", 1))
_QUOTED: Final = re.compile(r"""(?:'([^']*)'|"([^"$`\\]*)")(?=[ \t\n;&|)]|\Z)""")
_RUN: Final = re.compile(r"[^ \t\n;&|<>()\\'\"$`]+")
_INSIDE_DOUBLE: Final = re.compile(r'[^\\"$`]+')
_INSIDE_TEXT: Final = re.compile(r"[^\\$`]+")
_INSIDE_BRACES: Final = re.compile(r"[^\\'\"$`}<>]+")
_INSIDE_BRACES_QUOTED: Final = re.compile(r"[^\\'\"$`}]+")
_INSIDE_ARITHMETIC: Final = re.compile(r"[^\\'\"$`()]+")
_INSIDE_SUBSCRIPT: Final = re.compile(r"[^\\'\"$`\[\]]+")
_BACKTICKED: Final = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_ANSI_C: Final = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[@*#?$!0-9-]")
_BRACED_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_OPERATOR: Final = re.compile(r":[-=?+]|##|%%|//|/#|/%|\^\^|,,|@[A-Za-z]|[-=?+#%/^,:@*]")
_PATTERN_OPERATORS: Final = frozenset(
    {"#", "##", "%", "%%", "/", "//", "/#", "/%", "^", "^^", ",", ",,"}
)
_GLOB: Final = re.compile(r"[*?\[(]")
_JOINED: Final = "\\\n"
_PARTS_COST: Final = 3  # a word in parts takes as long to read and expand as this many plain ones
_READER_COST: Final = 6  # reading a substitution takes as long as this many words
_PARENTHESES_MAX: Final = 100  # LIMIT: of one expression; more than any person writes


class Lexer(Cursor):
    """Reads words. What stands in substitutions is read by the grammar, in subclasses."""

    __slots__ = ()

    def word(self) -> Word | RawWord | None:
        """Read the word at the current position, or None where none starts."""
        text, pos = self.text, self.pos
        match = _PLAIN.match(text, pos)
        self.budget.count()
        if match is not None:
            self.pos = match.end()
            found = match.group()
            return Word(found, True, found)
        match = _QUOTED.match(text, pos)
        if match is not None:
            self.pos = match.end()
            return Word(match.group(match.lastindex or 1), True, match.group())
        parts = self._word_parts()
        if self.pos == pos:
            return None
        self.budget.count(_PARTS_COST)
        source = text[pos : self.pos].replace(_JOINED, "")
        return _finished(source, parts)

    def plain_words(self, words: list[Word]) -> None:
        """Read as many words without anything special as stand here; for speed alone."""
        text, pos, count = self.text, self.pos, len(words)
        while (match := _MORE_PLAIN.match(text, pos)) is not None:
            found = match.group(1)
            words.append(Word(found, True, found))
            pos = match.end()
        self.pos = pos
        self.budget.count(len(words) - count)

    def _word_parts(self) -> list[Part]:
        text, parts = self.text, list[Part]()
        size = len(text)
        while self.pos < size:
            match = _RUN.match(text, self.pos)
            if match is not None:
                parts.append(Literal(match.group(), False))
                self.pos = match.end()
                if self.pos >= size:
                    break
            char = text[self.pos]
            if char in " \t\n;&|)":
                break
            if char == "(":
                if not (match and match.group()[-1] in "?*+@!"):
                    break
                self._extended_glob(parts)
            elif char in "<>":
                if not text.startswith("(", self.pos + 1):
                    break
                parts.append(self._process())
            else:
                self._special(char, parts)
        return parts

    def _special(self, char: str, parts: list[Part]) -> None:
        """Read a quote, escape or expansion outside double quotes."""
        self.budget.count()
        if char == "\\":
            following = self.text[self.pos + 1 : self.pos + 2]
            if not following:
                raise Unparsable("a backslash at the end")
            if following != "\n":
                parts.append(Literal(following, True))
            self.pos += 2
        elif char == "'":
            end = self.text.find("'", self.pos + 1)
            if end < 0:
                raise Unparsable("unclosed single quote")
            parts.append(Literal(self.text[self.pos + 1 : end], True))
            self.pos = end + 1
        elif char == '"':
            self._double(parts)
        elif char == "`":
            parts.append(self._backticks(False))
        else:
            self._dollar(parts, False)

    def _double(self, parts: list[Part]) -> None:
        self.deeper()
        self.pos += 1
        parts.append(Literal("", True))  # WHY: "" alone is an (empty) word
        start = len(parts)
        self._quoted_until('"', _INSIDE_DOUBLE, parts, "unclosed double quote")
        if len(parts) == start + 1 and _is_list(parts[start]):
            del parts[start - 1]  # WHY: "$@" without elements is no word at all
        self.depth -= 1

    def _quoted_until(
        self, closer: str, run: re.Pattern[str], parts: list[Part], problem: str
    ) -> None:
        """Read text with expansions up to ``closer``; an empty one is the end of the text."""
        text = self.text
        while True:
            match = run.match(text, self.pos)
            if match is not None:
                parts.append(Literal(match.group(), True))
                self.pos = match.end()
            char = text[self.pos : self.pos + 1]
            if char == closer:
                self.pos += len(closer)
                return
            if not char:
                raise Unparsable(problem)
            self._quoted_special(char, parts, '$`"\\\n' if closer else "$`\\\n")

    def _quoted_special(self, char: str, parts: list[Part], escapable: str) -> None:
        self.budget.count()
        if char == "\\":
            following = self.text[self.pos + 1 : self.pos + 2]
            if not following or following not in escapable:
                parts.append(Literal("\\" + following, True))
            elif following != "\n":
                parts.append(Literal(following, True))
            self.pos += 1 + len(following)
        elif char == "`":
            parts.append(self._backticks(True))
        elif char == "$":
            self._dollar(parts, True)
        else:
            parts.append(Literal(char, True))
            self.pos += 1

    def subscript(self) -> tuple[Part, ...]:
        """Read a subscript behind its opening bracket and move behind the closing one."""
        return self._nested_text("]", _INSIDE_SUBSCRIPT, "[")

    def _dollar(self, parts: list[Part], quoted: bool) -> None:
        self.budget.count()
        text, start = self.text, self.pos
        following = text[start + 1 : start + 2]
        if following == "(":
            parts.append(self._parenthesis(quoted))
        elif following == "{":
            parts.append(self._braced(quoted))
        elif following == "[":
            self.pos += 2
            inner = self._nested_text("]", _INSIDE_SUBSCRIPT, "[")
            parts.append(Arithmetic(text[start : self.pos], quoted, inner))
        elif following == "'" and not quoted and not self.budget.posix:
            match = _ANSI_C.match(text, start)
            if match is None:
                raise Unparsable("unclosed $' quote")
            parts.append(Literal(escapes.ansi_c(match.group(1)), True))
            self.pos = match.end()
        elif following == '"' and not quoted:
            self.pos += 1
            self._double(parts)
        else:
            self._plain_parameter(parts, quoted)

    def _plain_parameter(self, parts: list[Part], quoted: bool) -> None:
        text = self.text
        match = _NAME.match(text, self.pos + 1)
        if match is None:
            if text.startswith(_JOINED, self.pos + 1):
                raise Unparsable("line continuation inside an expansion")
            parts.append(Literal("$", quoted))
            self.pos += 1
            return
        self.pos = match.end()
        if (
            text.startswith(_JOINED, self.pos)
            and len(match.group())
            and match.group()[0] not in "@*#?$!-"
        ):
            raise Unparsable("line continuation inside an expansion")
        parts.append(Parameter("$" + match.group(), quoted, match.group()))

    def _parenthesis(self, quoted: bool) -> Part:
        start = self.pos
        if self.text.startswith("$((", start):
            found = self.arithmetic(start + 3)
            if found is not None:
                return Arithmetic(self.text[start : self.pos], quoted, found)
        self.pos = start + 2
        body = self._commands(")")
        return Substitution(self.text[start : self.pos], quoted, body)

    def _commands(self, closer: str) -> Sequence:
        """Read the commands of a substitution; here-documents must end inside it."""
        self.deeper()
        self.budget.count(_READER_COST)
        start, outer = self.pos, self.pending
        self.pending = []
        body = self.sequence_until(closer)
        if self.pending:
            raise Unparsable("a here-document does not end inside its substitution")
        if outer and "\n" in self.text[start : self.pos]:
            raise Unparsable("a line break between a here-document operator and its text")
        self.pending = outer
        self.depth -= 1
        return body

    def arithmetic(self, start: int) -> tuple[Part, ...] | None:
        """Read an arithmetic expression from ``start`` up to ``))``; None if it is not one."""
        if start in self.failed:
            return None
        self.pos, depth, simples = start, self.depth, len(self.budget.simples)
        try:
            inner = self._nested_text(")", _INSIDE_ARITHMETIC, "(")
            if self.text.startswith(")", self.pos):
                self.pos += 1
                return inner
        except Unparsable:
            # WHY: `((` may also open two subshells, whose text follows other rules
            self.depth = depth
        # INVARIANT: a position is tried once, or nested attempts would double at every level
        self.failed.add(start)
        del self.budget.simples[simples:]
        return None

    def _nested_text(self, closer: str, run: re.Pattern[str], opener: str) -> tuple[Part, ...]:
        """Read up to the ``closer`` that matches; quotes and expansions hide closers."""
        self.deeper()
        text, parts, level = self.text, list[Part](), 1
        while True:
            match = run.match(text, self.pos)
            if match is not None:
                parts.append(Literal(match.group(), True))
                self.pos = match.end()
            char = text[self.pos : self.pos + 1]
            if not char:
                raise Unparsable(f"unclosed `{opener}`")
            if char in (opener, closer):
                level += 1 if char == opener else -1
                if level > _PARENTHESES_MAX:
                    raise Unparsable(f"more than {_PARENTHESES_MAX} open `{opener}`")
                self.budget.count()
                self.pos += 1
                if not level:
                    break
                parts.append(Literal(char, True))
            else:
                self._special(char, parts)
        self.depth -= 1
        return tuple(parts)

    def _braced(self, quoted: bool) -> Part:
        text, start = self.text, self.pos
        if text[start + 2 : start + 3] in (" ", "\t", "\n", "|"):
            self.pos = start + 3  # ${ command; } of ksh and newer bash
            return Substitution(text[start : self.pos], quoted, self._commands("}"))
        self.deeper()
        found = self._braced_name(quoted)
        if text.startswith("[", self.pos):
            self.pos += 1
            found.subscript = self._nested_text("]", _INSIDE_SUBSCRIPT, "[")
        if text.startswith("}", self.pos):
            self.pos += 1
        else:
            operator = _OPERATOR.match(text, self.pos)
            if operator is None:
                raise Unparsable("an expansion that cannot be read")
            found.operator = operator.group()
            self.pos = operator.end()
            found.argument = self._argument(quoted, found.operator)
        self.depth -= 1
        found.source = text[start : self.pos]
        return found

    def _braced_name(self, quoted: bool) -> Parameter:
        """Read ``#name``, ``!name`` or ``name`` behind ``${``."""
        text, start = self.text, self.pos + 2
        prefix = text[start : start + 1]
        if prefix in ("#", "!"):
            match = _BRACED_NAME.match(text, start + 1)
            closed = match is not None and text[match.end() : match.end() + 1] in ("}", "[")
            if match is not None and (closed or (prefix == "!" and match.group() not in "#?$!-")):
                self.pos = match.end()
                return Parameter("", quoted, match.group(), prefix)
        match = _BRACED_NAME.match(text, start)
        if match is None:
            raise Unparsable("an expansion that cannot be read")
        self.pos = match.end()
        return Parameter("", quoted, match.group())

    def _argument(self, quoted: bool, operator: str) -> tuple[Part, ...]:
        """Read what follows the operator of ``${name…}``, up to its brace."""
        text, parts = self.text, list[Part]()
        plain_quotes = quoted and operator not in _PATTERN_OPERATORS
        run = _INSIDE_BRACES_QUOTED if plain_quotes else _INSIDE_BRACES
        while True:
            match = run.match(text, self.pos)
            if match is not None:
                parts.append(Literal(match.group(), plain_quotes))
                self.pos = match.end()
            char = text[self.pos : self.pos + 1]
            if char == "}":
                self.pos += 1
                return tuple(parts)
            if not char:
                raise Unparsable("unclosed `${`")
            if char in "<>":
                parts.append(self._process_or_text(char, quoted))
            elif char == "'" and plain_quotes:
                self._kept_quote(parts)
            elif char == '"' or not plain_quotes:
                self._special(char, parts)
            else:
                self._quoted_special(char, parts, '$`"\\\n}')

    def _backticks(self, quoted: bool) -> Substitution:
        match = _BACKTICKED.match(self.text, self.pos)
        if match is None:
            raise Unparsable("unclosed backtick")
        self.budget.count(_READER_COST)
        inner = re.sub(r"\\([$`\\\"])" if quoted else r"\\([$`\\])", r"\1", match.group(1))
        self.pos = match.end()
        reader = type(self)(inner, self.depth + 1, self.budget)
        return Substitution(match.group(), quoted, reader.script())

    def _process(self) -> Process:
        start = self.pos
        self.pos += 2
        body = self._commands(")")
        return Process(self.text[start : self.pos], self.text[start], body)

    def _kept_quote(self, parts: list[Part]) -> None:
        """Read a single quote of ``"${name:-'…'}"``, which is kept.

        Whether it hides a brace or a quote differs between shells.
        """
        end = self.text.find("'", self.pos + 1)
        if end < 0 or any(char in '}"`\\' for char in self.text[self.pos : end]):
            raise Unparsable("a quote inside a quoted expansion")
        while self.pos < end:
            match = _INSIDE_TEXT.match(self.text, self.pos, end)
            if match is None:
                self._dollar(parts, True)
            else:
                parts.append(Literal(match.group(), True))
                self.pos = match.end()
        if self.pos > end:
            raise Unparsable("a quote inside a quoted expansion")
        parts.append(Literal("'", True))
        self.pos += 1

    def _process_or_text(self, char: str, quoted: bool) -> Part:
        if self.text.startswith("(", self.pos + 1):
            return self._process()
        self.pos += 1
        return Literal(char, quoted)

    def _extended_glob(self, parts: list[Part]) -> None:
        """Read ``(…|…)`` of an extended pattern; expansions inside it stay parts."""
        self.pos += 1
        inner = self._nested_text(")", _INSIDE_ARITHMETIC, "(")
        parts += (Literal("(", False), *inner, Literal(")", False))

    def document_parts(self) -> tuple[Part, ...]:
        """Read the whole text as that of an unquoted here-document."""
        parts: list[Part] = []
        self._quoted_until("", _INSIDE_TEXT, parts, "")
        return tuple(parts)


def _is_list(part: Part) -> bool:
    """Tell whether a part is ``$@``, or all elements of an array."""
    if not isinstance(part, Parameter) or part.operator not in ("", ":") or part.prefix:
        return False
    return part.name == "@" or part.subscript == (Literal("@", True),)


def _finished(source: str, parts: list[Part]) -> Word | RawWord:
    """Return a finished word where nothing is left to expand."""
    text, glob, loose = "", False, ""
    for part in parts:
        if not isinstance(part, Literal):
            return RawWord(source, tuple(parts))
        text += part.text
        if not part.quoted:
            loose += part.text
    if "{" in loose or "~" in loose:
        return RawWord(source, tuple(parts))
    if loose and _GLOB.search(loose):
        glob = True
    return Word(text, True, source, glob)
