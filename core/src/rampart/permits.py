"""Calls that an outer layer of a tool was allowed to make, on their way to the layers inside.

MUST let exactly the call that was decided pass, once, and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rampart.toolmap import plain

if TYPE_CHECKING:
    from rampart.enforcement import EnforcementPoint

_INSIDE: Final = "__rampart_inside__"


@dataclass(slots=True)
class Permit:
    """An allowed call; ``used`` says that a layer inside has let it pass."""

    point: EnforcementPoint
    view: Mapping[str, Any]
    used: bool = False
    outer: Permit | None = None


@dataclass(frozen=True, slots=True)
class Inside:
    """The point of a function that is behind a guard, and the function itself."""

    point: EnforcementPoint
    function: Callable[..., Any]

    def view(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments as that point sees them."""
        return self.point.view(self.function, args, kwargs)


_permit: ContextVar[Permit | None] = ContextVar("rampart_permit", default=None)


@contextmanager
def let(permit: Permit) -> Iterator[Permit]:
    """Let one call pass inside the ``with`` block."""
    token = _permit.set(permit)
    try:
        yield permit
    finally:
        _permit.reset(token)


@contextmanager
def hand_on(
    point: EnforcementPoint, inside: Inside, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[Permit]:
    """Let one call pass the point inside, and what ``point`` lets pass already as well."""
    above = _permit.get()
    outer = above if above is not None and above.point is point else None
    with let(Permit(inside.point, inside.view(args, kwargs), outer=outer)) as permit:
        yield permit


def take(point: EnforcementPoint, view: Callable[[], Mapping[str, Any]]) -> bool:
    """True, once, for a call of ``point`` with the arguments that were let pass."""
    permit = _permit.get()
    if permit is not None and permit.point is not point:
        permit = permit.outer
    if permit is None or permit.used or permit.point is not point:
        return False
    permit.used = plain(permit.view) == plain(view())
    return permit.used


def mark(wrapper: Callable[..., Any], inside: Inside) -> None:
    """Note on ``wrapper`` which point it is behind."""
    setattr(wrapper, _INSIDE, inside)


def inside_of(function: object) -> Inside | None:
    """Return what ``mark`` noted, if anything."""
    found = getattr(function, _INSIDE, None)
    return found if isinstance(found, Inside) else None
