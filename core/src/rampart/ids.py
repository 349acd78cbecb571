"""Monotonic ULIDs.

26 characters that sort in the order they were made, even if the clock steps back.

Format: https://github.com/ulid/spec (48 bits of milliseconds, 80 bits of randomness, Crockford base
32).
"""

from __future__ import annotations

import os
import threading
from typing import Final

from rampart.clock import Clock, SystemClock

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS: Final = 80
_LENGTH: Final = 26
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


class UlidFactory:
    """Makes ids that are strictly increasing within one factory. Safe to share between threads."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        """Return the next id."""
        with self._lock:
            stamp = int(self._clock.now() * 1000)
            value = (stamp << _RANDOM_BITS) | int.from_bytes(os.urandom(10), "big")
            # INVARIANT: strictly increasing. Within one millisecond, or after the clock stepped
            # back, count up.
            self._last = value = value if stamp > self._last >> _RANDOM_BITS else self._last + 1
        return encode(value)

    def advance_past(self, ulid: str) -> None:
        """Never again return an id that sorts at or before ``ulid``, such as the newest on disk."""
        with self._lock:
            self._last = max(self._last, decode(ulid))


def encode(value: int) -> str:
    """Return a 128-bit number as a ULID."""
    # WHY: two characters at a time is three times as fast, and an id is made for every record
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def decode(ulid: str) -> int:
    """Return a ULID as a number. Raises ValueError for anything that is not one."""
    if len(ulid) != _LENGTH or ulid[0] > "7":
        raise ValueError(f"not a ULID: {ulid!r}")
    value = 0
    for character in ulid:
        value = value << 5 | _ALPHABET.index(character)
    return value
