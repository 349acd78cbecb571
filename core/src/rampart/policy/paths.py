"""Path patterns: what ``~``, ``${workspace}`` and relative ones mean, and fast tests for them.

Each pattern has two readings. The *wide* one is for restrictions, and for what a grant excludes:
``~`` is any user's home, a relative pattern stands in any directory, and ``dir/**`` holds ``dir``
itself. The *narrow* one is for grants, and for what a restriction excludes: the given home, the
workspace, and only what is below ``dir``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rampart import budget
from rampart.limits import MATCH_WORK_US_MAX
from rampart.policy.literals import END
from rampart.policy.path_glob import (
    GLOB_CHARACTERS,
    GLOBSTAR,
    STAR,
    PathAutomaton,
    Wildcard,
    tokenize,
)

_HOME: Final = re.compile(r"(?:~|\$HOME|\$\{HOME\})(?=/|\Z)")
_WORKSPACE: Final = re.compile(r"\$\{workspace\}(?=/|\Z)")
_VARIABLE: Final = re.compile(r"\$\{[^}]*\}?|\$HOME\b")
_ANY_HOME: Final = ("/root", "/home/*", "/Users/*", "~*")
_DOTS_GLOB: Final = re.compile(r"/\.[.*?\[][^/]*(?=/|\Z)")

_CUT_US: Final = 2  # what it costs to cut a shell glob, for each of its characters
_AUTOMATON_US: Final = 3  # what an automaton costs, for each character of a shell glob

# Directories that most systems link to each other: both ends are one place.
_LINKED: Final = (
    ("/System/Volumes/Data/", "/"),
    ("/private/", "/"),
    ("/var/run/", "/run/"),
    ("/usr/bin/", "/bin/"),
    ("/usr/sbin/", "/sbin/"),
    ("/usr/lib/", "/lib/"),
)


@dataclass(frozen=True, slots=True)
class Places:
    """What ``~`` and ``${workspace}`` stand for on one machine; empty when unknown."""

    home: str
    workspace: str


def path_pattern_problem(pattern: str) -> str:
    """Return why ``pattern`` cannot be a path pattern, or an empty text."""
    head = _HOME.match(pattern) or _WORKSPACE.match(pattern)
    rest = pattern[head.end() :] if head else pattern
    if pattern.startswith("~") and not _HOME.match(pattern):
        return "`~name` is not supported: write the directory out"
    if found := _VARIABLE.search(rest):
        known = "`~`, `$HOME` or `${workspace}` at the start"
        return f"unknown variable `{found.group()}`: expected {known}"
    if any(segment == ".." for segment in pattern.split("/")):
        return "a path with `..` is never matched: paths are compared in their absolute form"
    return ""


def expand(pattern: str, places: Places, *, wide: bool) -> tuple[str, ...]:
    """Return the globs that ``pattern`` stands for in its wide or narrow reading."""
    heads: Sequence[str]
    if found := _HOME.match(pattern):
        home = (_escape(places.home),) if places.home else ()
        others = tuple(head for head in _ANY_HOME if wide)
        # WHY: a home inside /home is one of them already
        heads = (
            others
            if wide and re.fullmatch(r"/root|/(?:home|Users)/[^/]+", places.home)
            else home + others
        )
        rest = pattern[found.end() :]
    elif found := _WORKSPACE.match(pattern):
        heads, rest = _workspace_heads(places, wide=wide), pattern[found.end() :]
    elif pattern.startswith(("/", "**")):
        heads, rest = ("",), pattern
    else:
        heads = ("**",) if wide else _workspace_heads(places, wide=False)
        rest = "/" + pattern
    return tuple(_normal(head + rest) for head in heads)


def same_place(path: str) -> str:
    """Return ``path`` with directories that most systems link to each other in one spelling."""
    for head, link in _LINKED:
        if path.startswith(head):
            path = link + path[len(head) :]
    return path


def could_climb(path: str) -> bool:
    """True if a shell glob in ``path`` could denote ``..``."""
    return bool(_DOTS_GLOB.search(path)) and not GLOB_CHARACTERS.isdisjoint(path)


def _workspace_heads(places: Places, *, wide: bool) -> tuple[str, ...]:
    if places.workspace:
        return (_escape(places.workspace),)
    return ("**",) if wide else ()


def _escape(folder: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", folder.rstrip("/"))


def _normal(pattern: str) -> str:
    if pattern.endswith("/") and pattern != "/":
        pattern += "**"  # a directory is everything below it
    pattern = re.sub(r"/(?:\.?/)+", "/", pattern)
    return re.sub(r"(?:\*\*/)+", "**/", pattern) or "/"


class PathGlob:
    """One expanded glob."""

    __slots__ = (
        "_automaton",
        "_head",
        "_middle",
        "_places",
        "_tail",
        "literals",
        "matches",
        "names",
        "pattern",
        "segments",
    )

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        runs = _literal_runs(pattern)
        self._head, self._middle, self._tail = runs[0], runs[1:-1], runs[-1]
        self._automaton: PathAutomaton | None = None
        self.literals = [run for run in (*runs[:-1], self._tail and self._tail + END) if run]
        self.segments = _segments_with_heads(pattern)
        self.names = tuple(prefix for prefix, whole in self.segments if whole)
        self._places = _places_of_names(pattern)
        self.matches: Callable[[str], bool] = _direct_test(pattern) or self._run

    def overlaps(self, path: ShellGlob, *, evidence: bool) -> bool:
        """True if ``path`` could denote a path that matches; see ``PathAutomaton.overlaps``."""
        for place, name in self._places:  # WHY: loops, as this is asked hundreds of times a call
            if not path.could_be_at(place, name):
                return False
        if not (path.head.startswith(self._head) or self._head.startswith(path.head)):
            return False
        if not (path.tail.endswith(self._tail) or self._tail.endswith(path.tail)):
            return False
        for prefix, whole in self.segments:
            if not path.could_be(prefix, whole=whole):
                return False
        if evidence and not any(path.shows(prefix, whole=whole) for prefix, whole in self.segments):
            return False
        path.budget.spend(len(path.text) * _AUTOMATON_US)
        return self._automatic().overlaps(path.text, evidence=evidence)

    def _run(self, path: str) -> bool:
        if not path.startswith(self._head):
            return False
        rooted = "/" + path  # WHY: `**/name` matches a relative `name` too
        for literal in self._middle:
            if literal not in rooted:
                return False
        return self._automatic().matches(path)

    def _automatic(self) -> PathAutomaton:
        if self._automaton is None:
            self._automaton = PathAutomaton(self.pattern)
        return self._automaton


class Budget(budget.Budget):
    """What comparing one call with a policy may cost.

    WHY: a command line may hold thousands of wildcards, and each is compared with every path
    pattern that it could meet.
    """

    __slots__ = ()

    def __init__(self, work_us: int = MATCH_WORK_US_MAX) -> None:
        self._left = work_us
        self._message = "too much to compare with the policy: make it several calls"


class WildSegment(NamedTuple):
    """A segment with shell wildcards: its literal ends, and how many characters it may have."""

    start: str
    end: str
    chars_min: int
    chars_max: float

    def could_be(self, name: str) -> bool:
        """True if the segment could be ``name``."""
        if not self.start and name.startswith("."):
            return False  # a shell's wildcard leaves dot files alone
        if not self.chars_min <= len(name) <= self.chars_max:
            return False
        return name.startswith(self.start) and name.endswith(self.end)

    def could_begin(self, prefix: str) -> bool:
        """True if the segment could begin with ``prefix``."""
        if not self.start and prefix.startswith("."):
            return False
        if len(prefix) > self.chars_max:
            return False
        return self.start.startswith(prefix) or prefix.startswith(self.start)


def _segment(text: str) -> str | WildSegment:
    """Return a segment without wildcards as it is, and what is known of one with them."""
    if GLOB_CHARACTERS.isdisjoint(text):
        return text
    tokens = list(tokenize(text))
    if all(isinstance(token, str) for token in tokens):
        return text
    stars = tokens.count(STAR) + tokens.count(GLOBSTAR)
    runs = _literal_runs(text)
    least = len(tokens) - stars
    return WildSegment(runs[0], runs[-1], least, math.inf if stars else least)


class ShellGlob:
    """A path that holds shell wildcards, cut into what can be compared quickly."""

    __slots__ = (
        "_fixed",
        "_segments",
        "budget",
        "crosses",
        "head",
        "names",
        "tail",
        "text",
        "try_us",
        "wild",
    )

    def __init__(self, text: str, budget: Budget) -> None:
        self.text = text
        self.budget = budget
        budget.spend(len(text) * _CUT_US)
        runs = _literal_runs(text)
        self.head, self.tail = runs[0], runs[-1]
        self.crosses = "**" in text
        self.names: set[str] = set()
        self.wild: list[WildSegment] = []
        self._segments = [_segment(segment) for segment in text.split("/")]
        for segment in self._segments:
            if isinstance(segment, str):
                self.names.add(segment)
            else:
                self.wild.append(segment)
        cut = text.find("**")
        self._fixed = text.count("/", 0, cut) if cut >= 0 else len(self._segments)
        self.try_us = 2 + len(self._segments) // 4

    def could_be_at(self, place: int, name: str) -> bool:
        """True if the segment at ``place`` could be named ``name``."""
        if place >= self._fixed:
            return self.crosses
        segment = self._segments[place]
        return segment == name if isinstance(segment, str) else segment.could_be(name)

    def shows(self, prefix: str, *, whole: bool) -> bool:
        """True if a segment could be ``prefix``, and its first letter is no wildcard.

        Or begin with ``prefix`` if not ``whole``.
        """
        return self._is_named(prefix, whole=whole) or any(
            wild.start and (wild.start.startswith(prefix) or prefix.startswith(wild.start))
            for wild in self.wild
        )

    def could_be(self, prefix: str, *, whole: bool) -> bool:
        """True if a segment could be named ``prefix``, or begin with it if not ``whole``."""
        if self.crosses or self._is_named(prefix, whole=whole):
            return True
        if whole:
            return any(wild.could_be(prefix) for wild in self.wild)
        return any(wild.could_begin(prefix) for wild in self.wild)

    def _is_named(self, prefix: str, *, whole: bool) -> bool:
        return prefix in self.names or (
            not whole and any(name.startswith(prefix) for name in self.names)
        )


def compile_path_globs(
    patterns: Sequence[str], places: Places, *, wide: bool
) -> tuple[PathGlob, ...]:
    """Return the globs of a list of patterns."""
    globs: dict[str, PathGlob] = {}
    for pattern in patterns:
        for glob in expand(pattern, places, wide=wide):
            globs.setdefault(glob, PathGlob(glob))
            if wide and glob.endswith("/**"):
                folder = glob[:-3] or "/"
                globs.setdefault(folder, PathGlob(folder))
    return tuple(globs.values())


def _literal_runs(pattern: str) -> list[str]:
    """Return the literal texts around wildcards, the first and last of them possibly empty."""
    runs = [""]
    for token in tokenize(pattern):
        if isinstance(token, str):
            runs[-1] += token
        else:
            runs.append("")
    return runs


def _places_of_names(pattern: str) -> tuple[tuple[int, str], ...]:
    """Return which segments before the first ``**`` are literal, and what they are."""
    found = []
    for place, segment in enumerate(pattern.split("/")):
        if "**" in segment:
            break
        if segment and len(_literal_runs(segment)) == 1:
            found.append((place, segment))
    return tuple(found)


def _segments_with_heads(pattern: str) -> tuple[tuple[str, bool], ...]:
    """Return the literal start of each segment that has one, and whether it is all of it."""
    found: dict[tuple[str, bool], None] = {}
    for segment in pattern.split("/"):
        runs = _literal_runs(segment)
        if runs[0]:
            # WHY: `a**` may end in another segment, and so is not a start of one name only
            found[runs[0], len(runs) == 1] = None
    return tuple(found)


def _direct_test(pattern: str) -> Callable[[str], bool] | None:
    """Return a test without an automaton for the shapes that most patterns have."""
    if any(not isinstance(t, str | Wildcard) for t in tokenize(pattern)) or "?" in pattern:
        return None
    stars = pattern.count("*")
    if stars == 0:
        return pattern.__eq__
    if pattern == "**":
        return lambda _path: True
    if stars == 2 and pattern.endswith("/**"):
        below = pattern[:-2]
        return lambda path: path.startswith(below)
    if stars == 1 and pattern.endswith("*"):
        stem, size = pattern[:-1], len(pattern) - 1
        return lambda path: path.startswith(stem) and path.find("/", size) < 0
    if pattern.startswith("**/"):
        return _direct_test_anywhere(pattern[3:], stars - 2)
    return None


def _direct_test_anywhere(rest: str, stars: int) -> Callable[[str], bool] | None:
    if stars == 0:
        tail = "/" + rest
        return lambda path: path.endswith(tail) or path == rest
    if stars == 1 and rest.startswith("*") and "/" not in rest:
        suffix = rest[1:]
        return lambda path: path.endswith(suffix)
    if stars == 1 and rest.endswith("*") and "/" not in rest:
        stem = rest[:-1]
        return lambda path: path.startswith(stem, path.rfind("/") + 1)
    if stars == 2 and rest.endswith("/**"):
        inside, start = "/" + rest[:-2], rest[:-2]
        return lambda path: inside in path or path.startswith(start)
    return None
