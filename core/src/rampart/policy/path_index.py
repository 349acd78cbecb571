"""Path patterns filed for lookup: the rules that could match a path.

A path is looked up by the literal text in it. A path that is a shell glob itself (``~/.ssh/id*``)
has little of that, so it is looked up by its segments: every literal segment of a pattern must meet
a segment of the path, as it stands or through the path's own wildcards.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile

from rampart.policy.compiled import CompiledRule
from rampart.policy.literals import END, LiteralIndex
from rampart.policy.path_glob import GLOB_CHARACTERS
from rampart.policy.paths import Budget, PathGlob, Places, ShellGlob, WildSegment

_Filed = tuple[PathGlob, CompiledRule]


class PathFile:
    """Rules by the globs of their ``path_matches``, in the wide reading."""

    def __init__(self, places: Places) -> None:
        frequent = (places.home + "/", places.workspace + "/", "/root/", "/home/", "/Users/")
        self._index: LiteralIndex[_Filed] = LiteralIndex(frequent)
        self._others: list[CompiledRule] = []
        self._filed: list[_Filed] = []
        self._by_segment: dict[str, list[_Filed]] = {}
        self._by_none: list[_Filed] = []
        self._names: list[str] = []
        self._visible: set[str] = set()
        self._reversed_names: list[str] = []

    def add(self, globs: Sequence[PathGlob], rule: CompiledRule) -> None:
        """File a rule under each of its globs."""
        for glob in globs:
            if not self._index.add(glob.literals, (glob, rule)):
                self._others.append(rule)
            if (
                glob.segments
            ):  # WHY: without one there is never evidence, see PathAutomaton.overlaps
                self._filed.append((glob, rule))

    def build(self) -> None:
        """Choose the keys; call it once, after the last ``add``."""
        self._index.build()
        uses = Counter(name for glob, _ in self._filed for name in glob.names)
        for glob, rule in self._filed:
            if glob.names:
                key = min(glob.names, key=lambda name: (uses[name], name))
                self._by_segment.setdefault(key, []).append((glob, rule))
            else:
                self._by_none.append((glob, rule))
        self._filed = []
        self._names = sorted(self._by_segment)
        self._visible = {name for name in self._names if not name.startswith(".")}
        self._reversed_names = sorted(name[::-1] for name in self._by_segment)

    def find(self, texts: Iterable[str], budget: Budget, found: set[CompiledRule]) -> None:
        """Add the rules that could match one of a path's spellings to ``found``.

        Raises: InputTooLarge if a shell glob takes more than ``budget``.
        """
        found.update(self._others)
        for text in texts:
            self._find_one(text, budget, found)

    def _find_one(self, path: str, budget: Budget, found: set[CompiledRule]) -> None:
        text = path if path.startswith("/") else "/" + path
        for glob, rule in self._index.find(text + END):
            if rule not in found and glob.matches(path):
                found.add(rule)
        if not GLOB_CHARACTERS.isdisjoint(path):
            self._find_shell_glob(ShellGlob(path, budget), found)

    def _find_shell_glob(self, path: ShellGlob, found: set[CompiledRule]) -> None:
        names = self._by_segment.keys() & path.names
        for wild in path.wild:
            names |= self._names_like(wild)
        for name in self._by_segment if path.crosses else names:
            self._try(self._by_segment[name], path, found)
        self._try(self._by_none, path, found)

    def _names_like(self, wild: WildSegment) -> set[str]:
        """Return the names that one segment of a shell glob could be: all, or all and some more."""
        if wild.start:
            return {name for name in _with_prefix(self._names, wild.start) if wild.could_be(name)}
        if wild.end:
            reverse = _with_prefix(self._reversed_names, wild.end[::-1])
            return {name for each in reverse if wild.could_be(name := each[::-1])}
        # LIMIT: a lone wildcard could be any name, so here the cost grows with the rules
        return self._visible

    @staticmethod
    def _try(bucket: Sequence[_Filed], path: ShellGlob, found: set[CompiledRule]) -> None:
        path.budget.spend(len(bucket) * path.try_us)
        for glob, rule in bucket:
            if rule not in found and glob.overlaps(path, evidence=True):
                found.add(rule)


def _with_prefix(names: Sequence[str], prefix: str) -> Iterator[str]:
    return takewhile(
        lambda name: name.startswith(prefix), islice(names, bisect_left(names, prefix), None)
    )
