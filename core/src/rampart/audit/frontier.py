"""The Merkle tree over a log's lines, as the writer keeps it: only the right edge. Pure.

A compact range (RFC 9162 section 2.1): the roots of the complete subtrees, the largest first. For
*n* lines that is one hash for each bit set in *n*.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

from rampart.errors import AuditTampered


class Frontier:
    """The right edge of the tree over the first ``size`` lines of a log."""

    __slots__ = ("_subtrees", "size")

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        self.size = size
        self._subtrees = list(subtrees)

    @classmethod
    def parse(cls, size: object, hashes: object) -> Self:
        """Return what ``dump`` wrote for ``size`` lines. Raises: AuditTampered."""
        if not isinstance(size, int) or not isinstance(hashes, list) or size < 0:
            raise AuditTampered("the state of the tree is malformed")
        try:
            subtrees = [bytes.fromhex(text) for text in hashes]
        except (TypeError, ValueError):
            raise AuditTampered("the state of the tree is malformed") from None
        if len(subtrees) != size.bit_count() or any(len(one) != 32 for one in subtrees):
            raise AuditTampered("the state of the tree does not fit its size")
        return cls(size, subtrees)

    def dump(self) -> list[str]:
        """Return the hashes in hex, the largest subtree first."""
        return [subtree.hex() for subtree in self._subtrees]

    def copy(self) -> Frontier:
        """Return a tree that grows on its own."""
        return Frontier(self.size, self._subtrees)

    def add(self, line: bytes) -> None:
        """Add a line, without its newline."""
        top = hashlib.sha256(b"\x00" + line).digest()
        carries = (~self.size & (self.size + 1)).bit_length() - 1  # trailing ones of the size
        for _ in range(carries):
            top = hashlib.sha256(b"\x01" + self._subtrees.pop() + top).digest()
        self._subtrees.append(top)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree."""
        if self.size == 0:
            return hashlib.sha256().digest()
        *rest, root = self._subtrees
        while rest:
            root = hashlib.sha256(b"\x01" + rest.pop() + root).digest()
        return root
