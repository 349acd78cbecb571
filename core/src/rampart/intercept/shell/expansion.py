"""Expansion of words: braces, tilde, parameters, substitutions, splitting into fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, Protocol

from rampart.intercept.shell.braces import expand_braces
from rampart.intercept.shell.model import Word
from rampart.intercept.shell.state import State
from rampart.intercept.shell.syntax import (
    Arithmetic,
    Literal,
    Parameter,
    Part,
    Process,
    RawWord,
    Substitution,
    Unparsable,
)
from rampart.limits import EXPANSION_WORDS_MAX

_LONE_DOLLAR: Final = Literal("$", False)
_GLOB: Final = re.compile(r"[*?\[(]")
_GLOB_IN_VALUE: Final = re.compile(r"[*?\[]")
_TILDE: Final = re.compile(r"((?:[A-Za-z_][A-Za-z0-9_]*=)?)~([^/:]*)(?=[/:]|\Z)")
_TILDE_VALUE: Final = re.compile(r"(?:^|(?<=:))~([^/:]*)(?=[/:]|\Z)")
_HIDDEN: Final = re.compile(r"\$\(|`|\$\{")


class Shell(Protocol):
    """What expansion needs from the evaluator."""

    state: State
    home: str

    def directory(self) -> str:
        """Return the current directory, or nothing where it is not known."""

    def substitute(self, node: Substitution) -> tuple[str | None, tuple[int, ...]]:
        """Run a substitution: its output where known, and the commands that produce it."""

    def process(self, node: Process) -> tuple[int, ...]:
        """Run a process substitution: its commands."""

    def hidden(self, word: Word) -> None:
        """List the substitutions in a text that the shell would expand once more."""

    def assign(self, name: str, value: Word) -> None:
        """Set a variable."""

    def spend(self, characters: int, words: int = 0) -> None:
        """Count expanded text; raises Unparsable over the limit."""

    def parameter(self, node: Parameter, fields: Fields) -> None:
        """Expand a parameter into ``fields``."""

    def arithmetic(self, parts: tuple[Part, ...]) -> tuple[str | None, tuple[int, ...]]:
        """Return the value of an expression, if it is known, and the commands it runs."""


class Fields:
    """Collects the fields of one word."""

    __slots__ = ("done", "glob", "ifs", "known", "open", "pieces", "splits", "substitutions")

    def __init__(self, ifs: str | None, *, splits: bool) -> None:
        self.ifs = ifs
        self.splits = splits
        self.done: list[tuple[str, bool, bool, tuple[int, ...]]] = []
        self._clear()

    def _clear(self) -> None:
        self.pieces: list[str] = []
        self.known = True
        self.glob = False
        self.open = False
        self.substitutions: tuple[int, ...] = ()

    def close(self) -> None:
        """End the current field, if one is open."""
        if self.open:
            text = "".join(self.pieces)
            self.done.append((text, self.known, self.glob, self.substitutions))
            self._clear()

    def add(self, text: str, *, quoted: bool) -> None:
        """Add text that is not split; empty text opens a field only if it was quoted."""
        self.pieces.append(text)
        if quoted or text:
            self.open = True
        if not quoted and not self.glob and _GLOB.search(text):
            self.glob = True

    def add_unknown(self, text: str) -> None:
        """Add text that stands for something only known at run time."""
        self.pieces.append(text)
        self.open = True
        self.known = False

    def add_value(self, text: str, *, quoted: bool) -> None:
        """Add the result of an expansion, which is split unless it was quoted."""
        if quoted or not self.splits:
            self.add(text, quoted=True) if quoted else self._unsplit(text)
            return
        if self.ifs is None:
            self.add_unknown(text)
            return
        pieces = split_fields(text, self.ifs)
        for index, piece in enumerate(pieces):
            if index:
                self.close()
            if piece is not None:
                self.pieces.append(piece)
                self.open = True
                self.glob = self.glob or _GLOB_IN_VALUE.search(piece) is not None

    def _unsplit(self, text: str) -> None:
        self.pieces.append(text)
        self.open = self.open or bool(text)

    def add_substitutions(self, indexes: Sequence[int]) -> None:
        """Note the commands whose output is part of the current field."""
        if not indexes:
            return
        new = tuple(index for index in indexes if index not in self.substitutions)
        self.substitutions += new


@lru_cache(maxsize=64)
def _separators(ifs: str) -> re.Pattern[str]:
    blank = "".join(char for char in ifs if char in " \t\n")
    other = re.escape("".join(char for char in ifs if char not in " \t\n"))
    if not other:
        return re.compile(f"[{blank}]+")
    if not blank:
        return re.compile(f"[{other}]")
    return re.compile(f"[{blank}]*[{other}][{blank}]*|[{blank}]+")


def split_fields(text: str, ifs: str) -> list[str | None]:
    """Split by IFS. None at an end says that the text starts or ends with a separator.

    Between two entries a field ends. An empty text yields one None: nothing is added.
    """
    if not text:
        return [None]
    if not ifs:
        return [text]
    pieces: list[str | None] = list(_separators(ifs).split(text))
    if pieces[0] == "" and text[0] in " \t\n":
        pieces[0] = None
    if pieces[-1] == "":
        pieces[-1] = None
    return pieces


class Expander:
    """Expands words in the current state of a shell."""

    __slots__ = ("_shell",)

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def words(self, word: Word | RawWord) -> list[Word]:
        """Return the words that one word as written becomes."""
        if isinstance(word, Word):
            return [word]
        found: list[Word] = []
        try:
            choices = expand_braces(word.parts)
        except Unparsable:
            # WHY: too many words of one brace must not hide the commands that follow
            return [Word(word.source, False, word.source)]
        if _splits_differ(word.parts):
            # WHY: bash does not split what stands in front of a lone dollar; others do
            return [self._unsettled(word)]
        if _escaped_brace(word.parts) and ("," in word.source or ".." in word.source):
            return [Word(word.source, False, word.source)]
        for parts in choices:
            fields = Fields(self.ifs(), splits=True)
            self.add_parts(self._tilde(parts), fields)
            fields.close()
            for text, known, glob, substitutions in fields.done:
                self._shell.spend(len(text), 2)
                found.append(Word(text, known, word.source, glob, substitutions))
        return found

    def _unsettled(self, word: RawWord) -> Word:
        found = self.joined(word.parts, word.source)
        found.known = False
        return found

    def single(self, word: Word | RawWord, *, assignment: bool = False) -> Word:
        """Return a word that is neither split nor brace-expanded."""
        if isinstance(word, Word):
            return word
        parts = self._tilde_in_value(word.parts) if assignment else self._tilde(word.parts)
        return self.joined(parts, word.source)

    def joined(self, parts: tuple[Part, ...], source: str = "") -> Word:
        """Return the text that ``parts`` expand to, without splitting."""
        fields = Fields(self.ifs(), splits=False)
        self.add_parts(parts, fields)
        fields.open = True
        fields.close()
        text, known, glob, substitutions = fields.done[0]
        self._shell.spend(len(text))
        return Word(text, known, source, glob, substitutions)

    def ifs(self) -> str | None:
        """Return the field separators, or None if they are not known."""
        value = self._shell.state.variables.get("IFS")
        if value is None:
            return " \t\n"
        return value.text if value.known else None

    def add_parts(
        self, parts: tuple[Part, ...], fields: Fields, *, split_literals: bool = False
    ) -> None:
        """Expand ``parts`` into ``fields``. Literals of a default value are split like values."""
        for part in parts:
            if isinstance(part, Literal):
                if part.quoted or not split_literals:
                    fields.add(part.text, quoted=part.quoted)
                else:
                    fields.add_value(part.text, quoted=False)
            elif isinstance(part, Parameter):
                self._shell.parameter(part, fields)
            elif isinstance(part, Substitution):
                text, indexes = self._shell.substitute(part)
                self._add_result(part, text, indexes, fields)
            elif isinstance(part, Arithmetic):
                text, indexes = self._shell.arithmetic(part.expression)
                self._add_result(part, text, indexes, fields)
            else:
                fields.add_substitutions(self._shell.process(part))
                fields.add_unknown(part.source)

    @staticmethod
    def _add_result(
        part: Substitution | Arithmetic, text: str | None, indexes: tuple[int, ...], fields: Fields
    ) -> None:
        fields.add_substitutions(indexes)
        if text is None:
            fields.add_unknown(part.source)
        else:
            fields.add_value(text, quoted=part.quoted)

    def _tilde(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        first = parts[0] if parts else None
        if not isinstance(first, Literal) or first.quoted or "~" not in first.text:
            return parts
        match = _TILDE.match(first.text)
        if match is None or (match.end() == len(first.text) and len(parts) > 1):
            return parts
        if match.group(1):
            return (Literal(match.group(1), False), *self._tilde_in_value(
                (Literal(first.text[match.end(1) :], False), *parts[1:])
            ))  # fmt: skip
        return self._home(match.group(2), first.text[match.end() :], parts[1:])

    def _home(self, user: str, rest: str, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        source = f"~{user}"
        name = {"": "HOME", "+": "PWD", "-": "OLDPWD"}.get(user)
        # WHY: the result of a tilde is not split, so it is expanded like a quoted parameter
        start: Part = Parameter(source, True, name) if name else Parameter(source, True, source)
        return (start, Literal(rest, False), *parts) if rest else (start, *parts)

    def _tilde_in_value(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        found: list[Part] = []
        for index, part in enumerate(parts):
            if not isinstance(part, Literal) or part.quoted or "~" not in part.text:
                found.append(part)
                continue
            at = 0
            if part.text.count("~") > EXPANSION_WORDS_MAX:
                raise Unparsable("too many home directories in one word")
            for match in _TILDE_VALUE.finditer(part.text):
                if index and match.start() == 0:
                    continue
                if match.end() == len(part.text) and index + 1 < len(parts):
                    continue
                found.append(Literal(part.text[at : match.start()], False))
                found += self._home(match.group(1), "", ())
                at = match.end()
            found.append(Literal(part.text[at:], False))
        return tuple(found)


def _splits_differ(parts: tuple[Part, ...]) -> bool:
    """Tell whether a lone dollar, or ``$!`` (mostly empty), stands next to what is split."""
    lone = _LONE_DOLLAR in parts
    split = 0
    for part in parts:
        if isinstance(part, Parameter | Substitution | Arithmetic) and not part.quoted:
            split += 1
            lone = lone or (isinstance(part, Parameter) and part.name == "!")
    return lone and split > 0


def _escaped_brace(parts: tuple[Part, ...]) -> bool:
    """Tell whether an escaped dollar stands in front of a brace: shells differ in what it is."""
    return any(
        isinstance(one, Literal) and one.quoted and one.text.endswith("$")
        and isinstance(two, Literal) and not two.quoted and two.text.startswith("{")
        for one, two in pairwise(parts)
    )  # fmt: skip


def has_hidden(text: str) -> bool:
    """Tell whether a text holds what a second expansion would run."""
    return _HIDDEN.search(text) is not None
