"""The past as a policy sees it: what it may ask about, and what a call leaves behind.

The engine keeps nothing between two calls. Whoever does hands in a ``Past``, and takes the
``Footprint`` of each call that was let run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Final, Literal, Protocol

By = Literal["session", "agent", "global"]
"""Whose past: one session's, one agent's in all its sessions, or everybody's."""

_KEY_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Mark:
    """That an earlier action matched a condition. ``key`` is made of the condition's content.

    ``name`` is what a person's approval forgets it by, if anything. ``decays`` says that some
    condition asks how long ago it was: then each match counts, not only the first.
    """

    key: str
    by: By
    name: str = ""
    decays: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """A count of calls. ``keep`` is the highest number that any condition asks for."""

    key: str
    by: By
    keep: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a call leaves behind once it is let run. ``turns``: whose calls are numbered."""

    marks: tuple[Mark, ...] = ()
    counters: tuple[Counter, ...] = ()
    turns: tuple[By, ...] = ()


NO_FOOTPRINT: Final = Footprint()


class Past(Protocol):
    """What happened before: calls that were let run, as far as their footprints tell."""

    def happened(self, mark: Mark, *, within_s: float | None, calls: int | None) -> bool:
        """True if ``mark`` was left in the last ``within_s`` seconds and ``calls`` calls."""
        ...

    def reached(self, counter: Counter, *, count: int, window_s: float | None) -> bool:
        """True if at least ``count`` calls were counted in the last ``window_s`` seconds."""
        ...

    def spent(self, rule: str) -> bool:
        """True if the rule with this key, which applies once, was used."""
        ...


def identity(*values: object) -> str:
    """Return a digest of the content of values: the same for the same rule after a reload.

    Fields that say nothing are left out, so that a new kind of condition changes no old digest.
    """
    text = json.dumps([_plain(value) for value in values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def _plain(value: Any) -> object:
    if is_dataclass(value):
        found = {each.name: (each, getattr(value, each.name)) for each in fields(value)}
        return {name: _plain(item) for name, (each, item) in found.items() if _says(each, item)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _says(field: Any, value: object) -> bool:
    if field.default is not MISSING:
        return bool(value != field.default)
    return field.default_factory is MISSING or bool(value != field.default_factory())
