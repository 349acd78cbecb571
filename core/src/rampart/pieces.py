"""Generators behind a guard: what they yield is reviewed, texts together, all else one by one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rampart.errors import Denied
from rampart.model import Review

if TYPE_CHECKING:
    from rampart.enforcement import EnforcementPoint


def pieces_of(point: EnforcementPoint, seen: Mapping[str, Any], answer: Any) -> Any:
    """Return what yields what may be seen of a generator, or None if ``answer`` is not one.

    It raises ``Denied`` where something is withheld.
    """
    if inspect.isgenerator(answer):
        return _pieces(point, seen, answer)
    if inspect.isasyncgen(answer):
        return _async_pieces(point, seen, answer)
    return None


def _pieces(
    point: EnforcementPoint, seen: Mapping[str, Any], answer: Iterator[Any]
) -> Iterator[Any]:
    stream = point.review_stream(seen)
    for piece in answer:
        if not isinstance(piece, str):
            yield _shown(point.review(seen, piece))
        elif shown := stream.feed(piece):
            yield shown
    if rest := stream.finish():
        yield rest


async def _async_pieces(
    point: EnforcementPoint, seen: Mapping[str, Any], answer: AsyncIterator[Any]
) -> AsyncIterator[Any]:
    import asyncio

    stream = point.review_stream(seen)
    async for piece in answer:
        if not isinstance(piece, str):
            yield _shown(await point.areview(seen, piece))
        elif shown := await asyncio.to_thread(stream.feed, piece):
            yield shown
    if rest := await asyncio.to_thread(stream.finish):
        yield rest


def _shown(review: Review) -> Any:
    if not review.allowed:
        raise Denied(str(review.response), review.decision)
    return review.response
