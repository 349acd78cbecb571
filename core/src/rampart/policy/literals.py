"""An index from the literal text inside a pattern to the pattern.

Every glob with literal text in it can only match a text that holds that literal. One group of four
(or fewer) characters of the literal is its key; a lookup takes the groups of the text and
asks a dictionary. The cost grows with the text and with what is found, not with the number of
patterns: 10,000 rules cost what 100 do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

START: Final = (
    "\x02"  # stands before and after a text, so that an anchored short literal has a key too
)
END: Final = "\x03"

_SIZES: Final = (4, 3, 2, 1)
_FEW_KEYS: Final = 16  # so many searches of a text cost less than cutting it into groups
_FREQUENT_USES: Final = 1000  # a text that every lookup holds counts as much as this many items

Group = tuple[str, ...]  # WHY: `zip` cuts a text into tuples three times as fast as slices do


class LiteralIndex(Generic[Item]):
    """Finds the items whose literal may stand in a text: all that do, and some that do not.

    ``frequent`` are texts that most lookups will hold (a home directory): poor keys.
    """

    def __init__(self, frequent: Sequence[str] = ()) -> None:
        self._waiting: list[tuple[set[str], Item]] = []
        self._uses = Counter(
            group
            for text in frequent
            for size in _SIZES
            for group in _groups(text.casefold(), size)
            for _ in range(_FREQUENT_USES)
        )
        self._by_size: list[tuple[int, dict[Group, list[Item]], frozenset[Group]]] = []
        self._few: list[tuple[str, list[Item]]] = []

    def add(self, literals: Iterable[str], item: Item) -> bool:
        """File ``item`` under the best of ``literals``, all of which it requires.

        Returns False if all are empty; the caller must then try the item on every text.
        """
        groups: set[str] = set()
        for literal in literals:
            folded = literal.casefold()
            size = next((size for size in _SIZES if len(folded) >= size), 0)
            groups |= _groups(folded, size)
        if not groups:
            return False
        self._uses.update(groups)
        self._waiting.append((groups, item))
        return True

    def build(self) -> None:
        """Choose the keys; call it after the last ``add`` and before the first ``find``."""
        sizes: dict[int, dict[str, list[Item]]] = {}
        for groups, item in self._waiting:
            # WHY: long groups are rare in texts, and what few items share keeps buckets short
            best = min(groups, key=lambda group: (-len(group), self._uses[group], group))
            sizes.setdefault(len(best), {}).setdefault(best, []).append(item)
        for size, buckets in sizes.items():
            if len(buckets) <= _FEW_KEYS:
                self._few += buckets.items()
            else:
                cut = {tuple(key): items for key, items in buckets.items()}
                self._by_size.append((size, cut, frozenset(cut)))
        self._waiting, self._uses = [], Counter()

    def find(self, text: str) -> list[Item]:
        """Return the candidates for ``text``.

        The caller adds START and END if its literals use them.
        """
        text = text.casefold()
        found: list[Item] = []
        for literal, items in self._few:
            if literal in text:
                found += items
        if self._by_size:
            tails = (text, text[1:], text[2:], text[3:])
            for size, buckets, keys in self._by_size:
                # WHY: a set, as a text may repeat one group 60,000 times
                for key in keys.intersection(zip(*tails[:size], strict=False)):
                    found += buckets[key]
        return found


def _groups(text: str, size: int) -> set[str]:
    return {text[at : at + size] for at in range(len(text) - size + 1)} if size else set()
