"""The Merkle tree over a log's lines, as whoever checks it sees it. Pure.

RFC 9162 section 2.1 (the tree of RFC 6962): a leaf is ``SHA-256(0x00 || line)``, a node
``SHA-256(0x01 || left || right)``. Hashes are 32 bytes. The writer has its own, smaller one in
``frontier``: neither can excuse a mistake of the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(line: bytes) -> bytes:
    """Return the hash of one leaf."""
    return hashlib.sha256(b"\0" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two others."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that grows by leaves and keeps only its right edge: one hash for each bit of its size.

    INVARIANT: ``_edge`` holds the roots of the complete subtrees, the largest first.
    """

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf's hash."""
        edge, size, sha256 = self._edge, self.size, hashlib.sha256
        while size & 1:
            leaf = sha256(b"\1" + edge.pop() + leaf).digest()
            size >>= 1
        edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root."""
        if not self._edge:
            return EMPTY_ROOT
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        return root

    def edge(self) -> tuple[bytes, ...]:
        """Return the roots of the complete subtrees, the largest first."""
        return tuple(self._edge)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the proof that leaf ``index`` is in the tree over ``leaves`` (RFC 9162, 2.1.3.1).

    Raises: IndexError.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path: list[bytes] = []
    level, at = list(leaves), index
    while len(level) > 1:
        if at ^ 1 < len(level):
            path.append(level[at ^ 1])
        level, at = _above(level), at >> 1
    return path


def consistency_path(leaves: Sequence[bytes], earlier: int) -> list[bytes]:
    """Return the proof that the tree over ``leaves`` continues the one over the first ``earlier``.

    RFC 9162, 2.1.4.1. Raises: IndexError for an earlier tree that is empty or larger.
    """
    if not 1 <= earlier <= len(leaves):
        raise IndexError(earlier)
    return _subproof(earlier, list(leaves), whole=True)


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """True if ``path`` proves that ``leaf`` is number ``index`` of the tree (``size``, ``root``).

    RFC 9162, 2.1.3.2. Never raises for what a proof holds.
    """
    if not 0 <= index < size or not _are_hashes([leaf, root, *path]):
        return False
    at, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(step, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    earlier: tuple[int, bytes], later: tuple[int, bytes], path: Sequence[bytes]
) -> bool:
    """True if ``path`` proves that tree ``later`` (size, root) continues tree ``earlier``.

    RFC 9162, 2.1.4.2. Every tree continues the empty one, and needs no proof of it.
    """
    (first, first_root), (second, second_root) = earlier, later
    if not 0 <= first <= second or not _are_hashes([first_root, second_root, *path]):
        return False
    if first == second:
        return not path and first_root == second_root
    if first == 0:
        return not path and first_root == EMPTY_ROOT
    steps = list(path) if first & (first - 1) else [first_root, *path]
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _above(level: list[bytes]) -> list[bytes]:
    sha256, pairs = hashlib.sha256, len(level) // 2 * 2
    above = [sha256(b"\1" + level[at] + level[at + 1]).digest() for at in range(0, pairs, 2)]
    return above + level[pairs:]


def _subproof(earlier: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    size = len(leaves)
    if earlier == size:
        return [] if whole else [root_of(leaves)]
    split = 1 << (size - 1).bit_length() - 1
    if earlier <= split:
        return [*_subproof(earlier, leaves[:split], whole=whole), root_of(leaves[split:])]
    return [*_subproof(earlier - split, leaves[split:], whole=False), root_of(leaves[:split])]


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
