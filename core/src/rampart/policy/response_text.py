"""A response as one text: what rules search, and where each piece of it came from.

A structure is read as its JSON text, with texts as they are (nothing in them is escaped), so that a
rule finds a value by its name, and a secret wherever it stands. Each text, number and key is a
leaf: what is found is taken out of the leaves, and the structure stays.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, Final

from rampart.errors import InputError, InputTooLarge
from rampart.limits import PARAMS_DEPTH_MAX, RESPONSE_BYTES_MAX, RESPONSE_ITEMS_MAX

_WORDS: Final = {None: b"null", True: b"true", False: b"false"}

Cut = Callable[[int, int], bytes | None]
"""From start and end of a leaf to what shall stand there, or None if it stays as it is."""


@dataclass(slots=True)
class ResponseText:
    """What a response says. ``leaves`` are the places of its texts in ``data``, in order."""

    data: bytes
    leaves: list[tuple[int, int]] = field(default_factory=list)


def read_response(response: object) -> ResponseText:
    """Return a response as text. Raises: InputTooLarge, or InputError for one yet to come."""
    if isinstance(response, str | bytes | bytearray):
        data = _bytes_of(response)
        _require_size(len(data))
        return ResponseText(data, [(0, len(data))])
    reader = _Reader()
    reader.read(response, 0)
    return ResponseText(b"".join(reader.parts), reader.leaves)


def rebuilt(response: object, leaves: Sequence[tuple[int, int]], cut: Cut) -> object:
    """Return a response with its leaves replaced as ``cut`` says, and its structure kept.

    ``leaves`` are those of ``read_response`` for the same, unchanged, response.
    """
    return _Builder(iter(leaves), cut).build(response)


class _Reader:
    """One pass over one response; bounded in depth, items and bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.leaves: list[tuple[int, int]] = []
        self._size = 0
        self._items = 0

    def read(self, value: object, depth: int) -> None:
        self._items += 1
        if self._items > RESPONSE_ITEMS_MAX:
            raise InputTooLarge(f"a response of more than {RESPONSE_ITEMS_MAX} values")
        if depth > PARAMS_DEPTH_MAX:
            raise InputTooLarge(f"a response nested deeper than {PARAMS_DEPTH_MAX}")
        if isinstance(value, Mapping):
            self._mapping(value, depth)
        elif isinstance(value, list | tuple | set | frozenset):
            self._sequence(value, depth)
        elif isinstance(value, str | bytes | bytearray):
            self._add(b'"')
            self._leaf(_bytes_of(value))
            self._add(b'"')
        elif value is None or isinstance(value, bool):
            self._add(_WORDS[value])
        elif isinstance(value, Generator | AsyncGenerator | Awaitable):
            raise InputError("a response that comes in pieces; review it as a stream")
        else:
            self._leaf(_bytes_of(str(value)))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> None:
        self._add(b"{")
        for count, (key, item) in enumerate(value.items()):
            self._add(b', "' if count else b'"')
            self._leaf(_bytes_of(key if isinstance(key, str | bytes) else str(key)))
            self._add(b'": ')
            self.read(item, depth + 1)
        self._add(b"}")

    def _sequence(
        self, value: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any], depth: int
    ) -> None:
        self._add(b"[")
        for count, item in enumerate(value):
            if count:
                self._add(b", ")
            self.read(item, depth + 1)
        self._add(b"]")

    def _leaf(self, data: bytes) -> None:
        self.leaves.append((self._size, self._size + len(data)))
        self._add(data)

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        _require_size(self._size)
        self.parts.append(data)


class _Builder:
    """The same pass again, with what is found taken out."""

    def __init__(self, leaves: Iterator[tuple[int, int]], cut: Cut) -> None:
        self._leaves = leaves
        self._cut = cut

    def build(self, value: object) -> object:
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple | set | frozenset):
            items = [self.build(item) for item in value]
            if isinstance(value, tuple):
                made = getattr(type(value), "_make", tuple)  # a named tuple stays one
                return made(items)
            return items if isinstance(value, list) else type(value)(items)
        if value is None or isinstance(value, bool):
            return value
        return self._leaf(value)

    def _mapping(self, value: Mapping[Any, Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, item in value.items():
            name = self._leaf(key)
            while name in found:  # two names that became one must not hide a value
                name = f"{name}'"
            found[name] = self.build(item)
        return found

    def _leaf(self, value: object) -> object:
        start, end = next(self._leaves)
        data = self._cut(start, end)
        if data is None:
            return value
        if isinstance(value, bytes | bytearray):
            return type(value)(data)
        return _text_of(data)


class Cuts:
    """Takes spans out of leaves. It is asked about leaf after leaf, in their order.

    ``spans`` are (start, end, mark), sorted and apart from each other.
    """

    def __init__(self, data: bytes, spans: Sequence[tuple[int, int, bytes]]) -> None:
        self._data = data
        self._spans = spans
        self._next = 0

    def __call__(self, start: int, end: int) -> bytes | None:
        """Return a leaf with marks in the place of what is cut, or None if nothing is."""
        spans = self._spans
        while self._next < len(spans) and spans[self._next][1] <= start:
            self._next += 1
        parts: list[bytes] = []
        at, number = start, self._next
        while number < len(spans) and spans[number][0] < end:
            first, last, mark = spans[number]
            parts += (self._data[at : max(at, first)], mark)
            at = min(last, end)
            number += 1
        return b"".join((*parts, self._data[at:end])) if parts else None


def _bytes_of(value: str | bytes | bytearray) -> bytes:
    if isinstance(value, str):
        # WHY: a lone surrogate is no character; its three bytes are, to the search, some other text
        return str.encode(value, "utf-8", "surrogatepass")
    return bytes(value)


def _text_of(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def _require_size(size_bytes: int) -> None:
    if size_bytes > RESPONSE_BYTES_MAX:
        raise InputTooLarge(f"a response of more than {RESPONSE_BYTES_MAX} bytes")
