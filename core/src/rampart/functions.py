"""Plain functions behind a guard: the call is decided before, what it returns is reviewed after."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from rampart.enforcement import EnforcementPoint
from rampart.errors import Denied
from rampart.limits import PARAMS_DEPTH_MAX
from rampart.model import RULE_INPUT_TOO_LARGE, Decision, Review, denial_text
from rampart.pieces import pieces_of
from rampart.toolmap import Source, ToolMapping

if TYPE_CHECKING:
    from rampart.guard import Guard

GUARD: Final = "__rampart_guard__"
P = ParamSpec("P")
R = TypeVar("R")


def guarded_function(
    guard: Guard, function: Callable[P, R], tool: str, params: Mapping[str, str]
) -> Callable[P, R]:
    """Return ``function`` behind the guard, sync or async as it was.

    It raises ``Denied`` where its call is not allowed, and where what it returned is withheld.
    A generator is reviewed as it yields: its texts as one, in pieces of another size.
    Lists, mappings and sets among the arguments are copied before they are decided; other objects
    are handed on as they are.
    """
    mapping = ToolMapping(tool, {name: Source.of(text) for name, text in params.items()})
    point = EnforcementPoint(guard, tool, mapping, subject=function, hidden=_bound_to(function))

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            given, named = _settled(args), _settled(kwargs)
            seen = point.view(function, given, named)
            if not point.passed(function, given, named):
                _require(tool, await point.aenforce(seen))
            answer = await function(*given, **named)
            return await _areviewed(point, seen, answer) if point.reviews else answer

        setattr(run_async, GUARD, guard)
        point.mark(run_async, function)
        return run_async  # type: ignore[return-value]  # R is the coroutine here; the checker cannot know

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        given, named = _settled(args), _settled(kwargs)
        seen = point.view(function, given, named)
        if not point.passed(function, given, named):
            _require(tool, point.enforce(seen))
        answer = function(*given, **named)
        if not point.reviews:
            return answer
        pieces = pieces_of(point, seen, answer)
        return pieces if pieces is not None else _shown(point.review(seen, answer))

    setattr(run, GUARD, guard)
    point.mark(run, function)
    return run


async def _areviewed(point: EnforcementPoint, seen: Mapping[str, Any], answer: Any) -> Any:
    pieces = pieces_of(point, seen, answer)
    return pieces if pieces is not None else _shown(await point.areview(seen, answer))


def _bound_to(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the name of the object or class that a method is called on: nobody chooses it."""
    first = next(iter(inspect.signature(function).parameters), "")
    return (first,) if first in ("self", "cls") else ()


def _settled(value: Any, depth: int = 0) -> Any:
    """Return a value whose containers nobody else can change. Raises: Denied.

    WHY not a deep copy: functions are called with open files, sessions and models.
    """
    if depth > PARAMS_DEPTH_MAX:
        text = f"an argument is nested deeper than {PARAMS_DEPTH_MAX}"
        decision = Decision("deny", text, rule=RULE_INPUT_TOO_LARGE)
        raise Denied(denial_text("function", decision), decision)
    if type(value) is dict:
        return {key: _settled(item, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_settled(item, depth + 1) for item in value)
    return bytearray(value) if type(value) is bytearray else value


def _require(tool: str, decision: Decision) -> None:
    if not decision.allowed:
        raise Denied(denial_text(tool, decision), decision)


def _shown(review: Review) -> Any:
    if not review.allowed:
        raise Denied(str(review.response), review.decision)
    return review.response
