"""What the catalog knows about one program, in the form that the command reader uses."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

NONE: Final[frozenset[str]] = frozenset()

TAIL_ROLES: Final = frozenset({"command", "shell-words", "code-words"})
"""Roles of an operand together with all words that follow it."""

Matcher = Callable[[str], bool]

_STAR: Final = re.compile(r"\*(?![^\[\]]*\])")  # `[*]` is the star itself


@dataclass(slots=True)
class Option:
    """One option; ``role`` is empty for a flag.

    ``attached`` options take a value only in the same word.
    ``mode`` switches the entry to one of its modes. ``replaces`` is ``first`` or ``last`` when the
    option stands in for that operand (``grep -e``, ``cp -t``). ``inert`` is ``help`` or ``dry-run``
    when the program then does nothing.
    """

    role: str = ""
    effects: frozenset[str] = NONE
    values: tuple[tuple[Matcher, frozenset[str]], ...] = ()
    mode: str = ""
    replaces: str = ""
    inert: str = ""
    attached: bool = False


@dataclass(slots=True)
class Operands:
    """Roles of the operands: some at the start, one that repeats (or none), some at the end."""

    first: tuple[str, ...] = ()
    repeated: str = "text"
    last: tuple[str, ...] = ()
    inner_at: int = field(init=False)  # where the words of an inner command begin; -1: nowhere

    def __post_init__(self) -> None:
        roles = (*self.first, self.repeated)
        self.inner_at = next((at for at, role in enumerate(roles) if role in TAIL_ROLES), -1)

    def without(self, place: str) -> Operands:
        """Return the roles that are left when an option stands in for the first or last operand."""
        if place == "first" and self.first:
            return Operands(self.first[1:], self.repeated, self.last)
        if place == "last" and self.last:
            return Operands(self.first, self.repeated, self.last[:-1])
        return self


@dataclass(slots=True)
class Entry:
    """A program, a subcommand or a mode of one."""

    name: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    style: str = "gnu"
    options: dict[str, Option] = field(default_factory=dict)
    operands: Operands = field(default_factory=Operands)
    effects: frozenset[str] = NONE
    words: tuple[tuple[Matcher, frozenset[str]], ...] = ()
    subcommands: dict[str, Entry] = field(default_factory=dict)
    modes: dict[str, Entry] = field(default_factory=dict)
    language: str = ""
    stdin: str = ""  # "code": without other program text, standard input is the program
    inner: frozenset[str] = NONE  # what it adds to the effects of the command that it runs
    alone: frozenset[str] = NONE  # effects without any operand
    shares: bool = False  # shell text that it runs sees the variables of the shell around it
    fresh: bool = False  # what it runs sees another file system
    verbs: str = ""  # how unlisted subcommands are read: "", "local" or "remote"
    scheme: str = ""  # of the hosts that it contacts
    assignments: bool = False  # leading NAME=value operands set its environment
    reader: str = ""  # the name of a reader for a grammar of its own (find, parallel, …)
    examples: Mapping[str, object] = field(default_factory=dict)
    launches: bool = False  # some operand or option is a command: unknown options make it opaque
    keyed: bool = False  # has operands of the form name=value
    added: bool = False  # described by a policy or a plugin, not by the catalog itself
    readings: tuple[Entry, ...] = ()  # other descriptions of it: what any of them finds counts
    long_names: tuple[str, ...] = ()  # for abbreviations


def matcher(pattern: str) -> Matcher:
    """Compile a glob (``* ? […]``, case-insensitive) to a function that is linear in the text."""
    parts = _STAR.split(pattern)
    pieces = [re.compile(_piece(piece), re.DOTALL | re.IGNORECASE) for piece in parts]
    if len(pieces) == 1:
        whole = pieces[0]
        return lambda text: whole.fullmatch(text) is not None
    fixed = [_piece_length(piece) for piece in parts]
    return lambda text: _in_order(pieces, fixed[-1], text)


def _piece(piece: str) -> str:
    return re.sub(r"\A\(\?s:(.*)\)\\Z\Z", r"\1", fnmatch.translate(piece), flags=re.DOTALL)


def _piece_length(piece: str) -> int:
    return len(re.sub(r"\[[^]]*\]", "?", piece))


def _in_order(pieces: list[re.Pattern[str]], tail: int, text: str) -> bool:
    first = pieces[0].match(text)
    if first is None:
        return False
    position = first.end()
    for piece in pieces[1:-1]:
        found = piece.search(text, position)
        if found is None:
            return False
        position = found.end()
    start = len(text) - tail
    return start >= position and pieces[-1].fullmatch(text, start) is not None
