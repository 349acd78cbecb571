"""Tree: where each part of a policy file stands."""

from __future__ import annotations

from rampart.policy import PolicyDocument
from rampart.policy.composer import Mapping, Node, Sequence, compose, decode

Step = str | int


class Tree:
    """The nodes of a document that was parsed before. A position is ``file:line:column``."""

    def __init__(self, document: PolicyDocument) -> None:
        self._file = document.filename
        text, _ = decode(document.source, document.filename)
        self._top: Node | None = compose(text, document.filename) if text.strip() else None

    def where(self, *path: Step) -> str:
        """Return the position of the part at ``path``, or of the nearest part around it."""
        node = self._top
        place = f"{self._file}:1:1" if node is None else node.where
        for step in path:
            node = _child(node, step)
            if node is None:
                break
            place = node.where
        return place

    def node(self, *path: Step) -> Node | None:
        """Return the part at ``path``, or None if it is not there."""
        node = self._top
        for step in path:
            node = _child(node, step)
        return node

    def entry(self, path: tuple[Step, ...], name: str, index: int) -> str:
        """Return the position of one entry of a list, which may be written as a single text."""
        node = self.node(*path, name)
        return (
            self.where(*path, name, index)
            if isinstance(node, Sequence)
            else self.where(*path, name)
        )


def _child(node: Node | None, step: Step) -> Node | None:
    match node:
        case Mapping(entries) if isinstance(step, str):
            return next((item for key, item in entries if key.text == step), None)
        case Sequence(items) if isinstance(step, int) and step < len(items):
            return items[step]
    return None


def line_and_column(where: str) -> tuple[int, int]:
    """Return the numbers of a position."""
    parts = where.rsplit(":", 2)
    known = len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal()
    return (int(parts[1]), int(parts[2])) if known else (1, 1)
