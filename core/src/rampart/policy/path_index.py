"""Path patterns filed for lookup: the rules that could match a path.

A path is looked up by the literal text in it. A path that is a shell glob itself (``~/.ssh/id*``)
has little of that, so it is looked up by its segments: every literal segment of a pattern must meet
a segment of the path, as it stands or through the path's own wildcards.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
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
        self._by_head: dict[tuple[str, bool], list[_Filed]] = {}
        self._heads: list[str] = []
        self._head_chars_max = 0
        self._names: list[str] = []
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
            for head in glob.segments:
                self._by_head.setdefault(head, []).append((glob, rule))
        self._heads = sorted({text for text, _ in self._by_head})
        self._head_chars_max = max(map(len, self._heads), default=0)
        self._filed = []
        self._names = sorted(self._by_segment)
        self._reversed_names = sorted(name[::-1] for name in self._by_segment)

    def find(self, paths: Sequence[str], budget: Budget, found: set[CompiledRule]) -> None:
        """Add the rules that could match one of a path's spellings to ``found``.

        Raises: InputTooLarge if a shell glob takes more than ``budget``.
        """
        if self._others:
            found.update(self._others)
        joined = "".join([(path if path[:1] == "/" else "/" + path) + END for path in paths])
        # WHY: one look-up for all spellings; what two of them hold together is sorted out here
        for glob, rule in self._index.find(joined):
            if rule not in found and any(map(glob.matches, paths)):
                found.add(rule)
        for path in paths:
            if not GLOB_CHARACTERS.isdisjoint(path):
                self._find_shell_glob(ShellGlob(path, budget), found)

    def _find_shell_glob(self, path: ShellGlob, found: set[CompiledRule]) -> None:
        # WHY: what could be any name is told from all others by evidence alone
        if path.crosses or any(not wild.start and not wild.end for wild in path.wild):
            self._try(self._shown_by(path), path, found)
            return
        names = self._by_segment.keys() & path.names
        for wild in path.wild:
            names |= self._names_like(wild)
        for name in names:
            self._try(self._by_segment[name], path, found)
        self._try(self._by_none, path, found)

    def _shown_by(self, path: ShellGlob) -> list[_Filed]:
        """Return the globs for which a path holds evidence, see ``ShellGlob.shows``."""
        found: set[_Filed] = set()
        for name in path.names:
            found.update(self._by_head.get((name, True), ()))
            for at in range(min(len(name), self._head_chars_max)):
                found.update(self._by_head.get((name[: at + 1], False), ()))
        for start in {wild.start for wild in path.wild if wild.start}:
            heads = set(_with_prefix(self._heads, start))
            heads.update(start[: at + 1] for at in range(min(len(start), self._head_chars_max)))
            for head in heads:
                found.update(self._by_head.get((head, True), ()))
                found.update(self._by_head.get((head, False), ()))
        return list(found)

    def _names_like(self, wild: WildSegment) -> set[str]:
        """Return the names that one segment of a shell glob could be: all, or all and some more."""
        if wild.start:
            return {name for name in _with_prefix(self._names, wild.start) if wild.could_be(name)}
        reverse = _with_prefix(self._reversed_names, wild.end[::-1])
        return {name for each in reverse if wild.could_be(name := each[::-1])}

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
