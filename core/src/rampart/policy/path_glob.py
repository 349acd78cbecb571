"""Path globs: ``*`` stays in one segment, ``**`` crosses, ``?`` and ``[…]`` are one character.

A pattern becomes an automaton whose set of states is the bits of one integer: a step per character
of the path, linear whatever the pattern (Navarro and Raffinot, Flexible Pattern Matching in
Strings, 2002, §4). Frequent shapes (a literal, ``dir/**``, ``**/name``) have a direct test in
``paths``; this module is what they must agree with.

The same automaton answers whether a path that itself holds shell globs *could* denote a path that
the pattern matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rampart.limits import GLOB_MOVES_MAX

GLOB_CHARACTERS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class CharacterClass:
    """``[abc]``, ``[a-z]``, ``[!abc]``: one character, never ``/``."""

    singles: frozenset[str]
    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def holds(self, character: str) -> bool:
        """True if the class takes ``character``."""
        inside = character in self.singles or any(
            low <= character <= high for low, high in self.ranges
        )
        return inside != self.negated and character != "/"


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``?``: any character but ``/``. ``*`` and ``**`` are loops, not characters."""

    text: str


ANY: Final = Wildcard("?")
STAR: Final = Wildcard("*")
GLOBSTAR: Final = Wildcard("**")

Token = str | CharacterClass | Wildcard


def tokenize(pattern: str) -> Iterator[Token]:
    """Yield literal characters, classes and wildcards. An unclosed ``[`` is a literal one."""
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            stars = len(pattern) - at - len(pattern[at:].lstrip("*"))
            at += stars
            yield STAR if stars == 1 else GLOBSTAR
            continue
        if character == "[" and (end := _class_end(pattern, at)):
            yield _class(pattern[at + 1 : end])
            at = end + 1
            continue
        yield ANY if character == "?" else character
        at += 1


def _class_end(pattern: str, at: int) -> int:
    """Return the index of the closing bracket of a class that starts at ``at``, or 0."""
    start = at + 1
    if pattern[start : start + 1] in ("!", "^"):
        start += 1
    end = pattern.find("]", start + 1)  # WHY: a bracket right after the opening one is a member
    return 0 if end < 0 or "/" in pattern[at:end] else end


def _class(body: str) -> CharacterClass:
    negated = body[0] in "!^"
    body = body[1:] if negated else body
    singles, ranges, at = set(), [], 0
    while at < len(body):
        if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
            ranges.append((body[at], body[at + 2]))
            at += 3
        else:
            singles.add(body[at])
            at += 1
    return CharacterClass(frozenset(singles), tuple(ranges), negated)


class _Moves(dict[str, "_Moves"]):
    """A set of states, and where each character leads that was met there before.

    WHY: working a step out takes ten times as long as looking it up.
    """

    __slots__ = ("_automaton", "states")

    def __init__(self, automaton: PathAutomaton, states: int) -> None:
        self._automaton = automaton
        self.states = states

    def __missing__(self, character: str) -> _Moves:
        found = self[character] = self._automaton.moves_after(self.states, character)
        return found


class PathAutomaton:
    """A compiled pattern. ``matches`` is exact; ``overlaps`` reads the path as a shell glob too."""

    def __init__(self, pattern: str) -> None:
        self._masks: dict[str, int] = {}  # character → cells that take it
        self._classes: list[tuple[CharacterClass, int]] = []
        self._any = 0  # cells that take every character but `/`
        self._loop = 0  # states that stay on every character but `/`
        self._loop_all = 0  # states that stay on every character
        self._skip = 0  # slashes after `/**`: no segment in between is fine too
        self._heads = 0  # literal cells at the start of a segment
        self._cells = 0
        self._build(list(tokenize(pattern)))
        self._unknown = self._any  # cells that some character but `/` can take
        for character, bits in self._masks.items():
            self._unknown |= 0 if character == "/" else bits
        self._accept = 1 << self._cells
        self._start = self._enter(1)
        self._forget_moves()

    def matches(self, path: str) -> bool:
        """True if the pattern matches the text as it stands."""
        moves = self._moves
        for character in path:
            moves = moves[character]
            if not moves.states:
                return False
        return bool(moves.states & self._accept)

    def moves_after(self, states: int, character: str) -> _Moves:
        """Work out one move that was not made before."""
        if self._moves_left == 0:
            self._forget_moves()
        self._moves_left -= 1
        after = self._step(states, character)
        moves = self._rows.get(after)
        if moves is None:
            moves = self._rows[after] = _Moves(self, after)
        return moves

    def _forget_moves(self) -> None:
        self._moves_left = GLOB_MOVES_MAX
        self._moves = _Moves(self, self._start)
        self._rows = {self._start: self._moves}

    def overlaps(self, path: str, *, evidence: bool) -> bool:
        """True if ``path``, read as a shell glob, could denote a path that the pattern matches.

        As in a shell, a wildcard at the start of a segment denotes no leading dot. With
        ``evidence`` a literal character of the path must meet the first one of a segment of the
        pattern: ``*`` alone in a directory of which the pattern says nothing could be any file, and
        is no reason to refuse.
        """
        plain, proven = self._start, 0
        previous: Token = "/"
        for token in tokenize(path):
            if isinstance(token, str):
                met = self._masks.get(token, 0) & self._heads if previous == "/" else 0
                proven = self._step(proven, token) | self._advance(plain, met)
                plain = self._step(plain, token)
            else:
                hidden = previous == "/"  # WHY: a shell's wildcard leaves dot files alone
                plain = self._step_wildcard(plain, token, hidden)
                proven = self._step_wildcard(proven, token, hidden)
            previous = token
            if not plain:
                return False
        return bool((proven if evidence else plain | proven) & self._accept)

    def _build(self, tokens: list[Token]) -> None:
        for index, token in enumerate(tokens):
            bit = 1 << self._cells
            if token is STAR:
                self._loop |= bit
            elif token is GLOBSTAR:
                self._loop |= bit
                self._loop_all |= bit
                alone = tokens[index - 1 : index] in ([], ["/"])
                if alone and tokens[index + 1 : index + 2] == ["/"]:
                    self._skip |= bit
            else:
                starts = tokens[index - 1 : index] in ([], ["/"])
                if starts and token != "/" and isinstance(token, str):  # noqa: S105 - a glob's token
                    self._heads |= bit
                self._add_cell(token, bit)
                self._cells += 1

    def _add_cell(self, token: Token, bit: int) -> None:
        if token is ANY:
            self._any |= bit
        elif isinstance(token, CharacterClass):
            self._classes.append((token, bit))
        elif isinstance(token, str):
            self._masks[token] = self._masks.get(token, 0) | bit

    def _takers(self, character: str) -> int:
        cells = self._masks.get(character, 0)
        if character != "/":
            cells |= self._any
            for members, bit in self._classes:
                if members.holds(character):
                    cells |= bit
        return cells

    def _enter(self, states: int) -> int:
        while skipped := (states & self._skip) << 1 & ~states:
            states |= skipped
        return states

    def _advance(self, states: int, cells: int) -> int:
        return self._enter((states & cells) << 1)

    def _step(self, states: int, character: str) -> int:
        if not states:
            return 0
        stay = self._loop_all if character == "/" else self._loop
        return self._advance(states, self._takers(character)) | states & stay

    def _step_wildcard(self, states: int, token: Token, hidden: bool) -> int:
        """Step by one shell wildcard: one character, or any number of them."""
        if not states:
            return 0
        after = self._step_unknown(states, token, hidden)
        if token is not STAR and token is not GLOBSTAR:
            return after
        while (more := after | self._step_unknown(after, token, hidden=False)) != after:
            after = more
        return states | after

    def _step_unknown(self, states: int, token: Token, hidden: bool) -> int:
        if isinstance(token, CharacterClass):
            cells = self._any
            for character, bits in self._masks.items():
                if token.holds(character) and not (hidden and character == "."):
                    cells |= bits
        else:
            cells = self._unknown & ~self._masks.get(".", 0) if hidden else self._unknown
            if token is GLOBSTAR:
                cells |= self._masks.get("/", 0)
        for _, bit in self._classes:
            cells |= bit  # LIMIT: two classes count as overlapping
        return self._advance(states, cells) | states & self._loop
