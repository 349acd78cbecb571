"""A position in the text, and how much may be read of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rampart.intercept.shell.syntax import HereDocument, Sequence, Simple, Unparsable
from rampart.limits import SHELL_COMMANDS_MAX, SHELL_DEPTH_MAX, SHELL_WORDS_MAX


@dataclass(slots=True)
class Budget:
    """What all readers of one script share: how much was read, and every simple command so far."""

    words: int = 0  # words, and the quotes, expansions and redirections that cost as much
    posix: bool = False  # read `$'` as `sh` does, to which it is a dollar and a quote
    simples: list[Simple] = field(default_factory=list)

    def count(self, cost: int = 1) -> None:
        """Count a word of the text, or something that takes as long to read."""
        self.words += cost
        if self.words > SHELL_WORDS_MAX:
            raise Unparsable(f"more than {SHELL_WORDS_MAX} words")

    def add(self, simple: Simple) -> None:
        """Remember a simple command."""
        self.simples.append(simple)
        if len(self.simples) > SHELL_COMMANDS_MAX:
            raise Unparsable(f"more than {SHELL_COMMANDS_MAX} commands")


class Cursor:
    """A position in a text. Words and commands are read by its subclasses."""

    __slots__ = ("budget", "complete", "depth", "failed", "pending", "pos", "text", "top")

    def __init__(self, text: str, depth: int, budget: Budget) -> None:
        self.text = text
        self.pos = 0
        self.depth = depth
        self.budget = budget
        self.pending: list[HereDocument] = []
        self.failed: set[int] = set()
        self.top = Sequence()  # what script() has read
        self.complete = 0  # simple commands up to the end of the last finished command of ``top``
        if depth > SHELL_DEPTH_MAX:
            raise Unparsable(f"nested deeper than {SHELL_DEPTH_MAX} levels")

    def sequence_until(self, closer: str) -> Sequence:
        """Read commands up to ``closer`` and move behind it; the grammar provides this."""
        raise AssertionError(closer)

    def script(self) -> Sequence:
        """Read commands up to the end of the text; the grammar provides this."""
        raise AssertionError

    def deeper(self) -> None:
        """Enter one more level of nesting; the caller leaves it by ``self.depth -= 1``."""
        self.depth += 1
        if self.depth > SHELL_DEPTH_MAX:
            raise Unparsable(f"nested deeper than {SHELL_DEPTH_MAX} levels")
