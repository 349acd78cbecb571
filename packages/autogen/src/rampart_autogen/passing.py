"""A call that an outer layer let through, on its way to the layer inside: one thing, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class _Let:
    subject: object
    arguments: object
    used: bool = False


_let: ContextVar[_Let | None] = ContextVar("rampart_autogen_let", default=None)


@contextmanager
def letting(subject: object, arguments: object = None) -> Iterator[None]:
    """Let the next call of ``subject`` with these arguments pass undecided: it was decided."""
    token = _let.set(_Let(subject, arguments))
    try:
        yield
    finally:
        _let.reset(token)


def was_let(subject: object, arguments: object = None) -> bool:
    """True, once, for a call that ``letting`` is about."""
    let = _let.get()
    if let is None or let.used or let.subject is not subject or let.arguments != arguments:
        return False
    let.used = True
    return True
