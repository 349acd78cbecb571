"""Text globs: ``*`` is any text, ``?`` one character. Linear in the text, whatever it is.

A glob is cut at its stars into chunks. The first and last are anchored; the others are searched
from left to right with ``str.find``, which is exact because the leftmost place leaves the most text
for the rest. Chunks with ``?`` use the Shift-And algorithm (Baeza-Yates and Gonnet 1992), one step
of integer arithmetic per character.
"""

from __future__ import annotations

from collections.abc import Callable

TextTest = Callable[[str], bool]


def compile_text_glob(pattern: str) -> TextTest:
    """Return the test for a whole text."""
    if "?" in pattern:
        return _Chunked(pattern).matches
    return _compile_plain(pattern.split("*"))


def is_catch_all(pattern: str) -> bool:
    """True if the glob matches every text."""
    return pattern.strip("*") == "" and pattern != ""


def _compile_plain(chunks: list[str]) -> TextTest:
    first, last = chunks[0], chunks[-1]
    middle = [chunk for chunk in chunks[1:-1] if chunk]
    if len(chunks) == 1:
        return first.__eq__
    if middle:
        return _ordered(first, tuple(middle), last)
    if not last:
        return lambda text: text.startswith(first)
    if not first:
        return lambda text: text.endswith(last)
    size = len(first) + len(last)
    return lambda text: len(text) >= size and text.startswith(first) and text.endswith(last)


def _ordered(first: str, middle: tuple[str, ...], last: str) -> TextTest:
    def test(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for chunk in middle:
            at = text.find(chunk, at, end)
            if at < 0:
                return False
            at += len(chunk)
        return at <= end

    return test


class _Chunked:
    """A glob with ``?``."""

    def __init__(self, pattern: str) -> None:
        self._exact = "*" not in pattern
        chunks = [_Chunk(chunk) for chunk in pattern.split("*")]
        self._first, self._last = chunks[0], chunks[-1]
        self._middle = [chunk for chunk in chunks[1:-1] if chunk.size]

    def matches(self, text: str) -> bool:
        if self._exact:
            return len(text) == self._first.size and self._first.stands_at(text, 0)
        end = len(text) - self._last.size
        at = self._first.size
        if at > end or not self._first.stands_at(text, 0) or not self._last.stands_at(text, end):
            return False
        for chunk in self._middle:
            at = chunk.end_of_first(text, at, end)
            if at < 0:
                return False
        return at <= end


class _Chunk:
    """Literal characters and ``?``, no star."""

    def __init__(self, text: str) -> None:
        self.size = len(text)
        self._text = text
        self._runs = [
            (index, part) for index, part in _runs_with_places(text) if part
        ]  # what must stand where
        self._masks: dict[str, int] = {}
        self._any = 0
        for place, character in enumerate(text):
            if character == "?":
                self._any |= 1 << place
            else:
                self._masks[character] = self._masks.get(character, 0) | 1 << place

    def stands_at(self, text: str, at: int) -> bool:
        return all(text.startswith(run, at + place) for place, run in self._runs)

    def end_of_first(self, text: str, start: int, end: int) -> int:
        """Return where the first occurrence inside ``text[start:end]`` ends, or -1."""
        if not self._any:
            found = text.find(self._text, start, end)
            return -1 if found < 0 else found + self.size
        if any(text.find(run, start, end) < 0 for _, run in self._runs):
            return -1
        masks, any_mask, done, state = self._masks, self._any, 1 << (self.size - 1), 0
        for place in range(start, end):
            state = (state << 1 | 1) & (masks.get(text[place], 0) | any_mask)
            if state & done:
                return place + 1
        return -1


def _runs_with_places(text: str) -> list[tuple[int, str]]:
    found, at = [], 0
    for part in text.split("?"):
        found.append((at, part))
        at += len(part) + 1
    return found
