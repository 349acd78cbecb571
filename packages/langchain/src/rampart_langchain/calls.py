"""Tool calls as an agent's loop makes them: decided there, for tools known at run time only."""

from __future__ import annotations

import copy
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest, ToolNode
from langgraph.types import Command
from rampart import (
    Decision,
    Denied,
    EnforcementPoint,
    Guard,
    Outcome,
    RampartError,
    ToolMapping,
    denial_text,
    frozen_copy,
    refusal,
)

from rampart_langchain.asking import GraphAsker
from rampart_langchain.guarding import argument_names, call_id, context_of
from rampart_langchain.instrumentation import instrumentor
from rampart_langchain.methods import areviewed_answer, denial_message, reviewed_answer
from rampart_langchain.tools import point_of, tool_map

Answer = ToolMessage | Command[Any]
Handler = Callable[[ToolCallRequest], Answer]
AsyncHandler = Callable[[ToolCallRequest], Awaitable[Answer]]


class ToolCalls:
    """Decides every tool call that no guarded tool decides itself.

    Its two methods are what ``ToolNode(tools, wrap_tool_call=..., awrap_tool_call=...)`` takes. It
    sees the arguments as the model wrote them.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def wrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Answer:
        """Run the tool only if its call is allowed."""
        if self._decided_inside(request):
            return handler(request)
        with _identified(request):
            point, arguments, outcome = self._frozen(request)
            outcome = outcome or point.decide(arguments)
            if not outcome.decision.allowed:
                return _denied(request, outcome.decision)
            request, arguments = _with_arguments(request, outcome, arguments)
            answer = handler(request)
            try:
                return reviewed_answer(point, arguments, answer)
            except Denied as denied:
                return _denied(request, denied.decision, str(denied))

    async def awrap_tool_call(self, request: ToolCallRequest, handler: AsyncHandler) -> Answer:
        """As ``wrap_tool_call``, without blocking the event loop."""
        if self._decided_inside(request):
            return await handler(request)
        with _identified(request):
            point, arguments, outcome = self._frozen(request)
            outcome = outcome or await point.adecide(arguments)
            if not outcome.decision.allowed:
                return _denied(request, outcome.decision)
            request, arguments = _with_arguments(request, outcome, arguments)
            answer = await handler(request)
            try:
                return await areviewed_answer(point, arguments, answer)
            except Denied as denied:
                return _denied(request, denied.decision, str(denied))

    def _decided_inside(self, request: ToolCallRequest) -> bool:
        if not isinstance(request.tool, BaseTool):
            return False
        point = point_of(request.tool) or instrumentor.point(request.tool)
        return point is not None and point.guard is self._guard

    def _frozen(
        self, request: ToolCallRequest
    ) -> tuple[EnforcementPoint, dict[str, Any], Outcome | None]:
        name, given = request.tool_call["name"], request.tool_call["args"]
        tool = request.tool if isinstance(request.tool, BaseTool) else None
        kind = object if request.tool is None else type(request.tool)
        point = EnforcementPoint(
            self._guard,
            name,
            ToolMapping(),
            subject=request.tool,
            context=context_of,
            asker=GraphAsker(tool, parsed=False),
        )
        try:
            names = given if tool is None else argument_names(tool)
            point.mapping = tool_map().find(kind, name, names)
            return point, frozen_copy(given), None
        except RampartError as error:
            return point, {}, Outcome(refusal(error))


def guard_tool_node(node: ToolNode, guard: Guard) -> ToolNode:
    """Return a copy of a ``ToolNode`` whose calls are decided; the original stays as it was.

    A wrapper that the node has already stays outside: what it makes of a call is what is decided.
    """
    guarded, calls = copy.copy(node), ToolCalls(guard)
    own, own_async = node._wrap_tool_call, node._awrap_tool_call  # noqa: SLF001 - no other way to it

    def wrap(request: ToolCallRequest, execute: Handler) -> Answer:
        def inner(inside: ToolCallRequest) -> Answer:
            return calls.wrap_tool_call(inside, execute)

        return inner(request) if own is None else own(request, inner)

    async def awrap(request: ToolCallRequest, execute: AsyncHandler) -> Answer:
        async def inner(inside: ToolCallRequest) -> Answer:
            return await calls.awrap_tool_call(inside, execute)

        return await (inner(request) if own_async is None else own_async(request, inner))

    guarded._wrap_tool_call = wrap  # noqa: SLF001 - the same
    # WHY: a node with a sync wrapper alone uses it on the async path as well
    guarded._awrap_tool_call = None if own is not None and own_async is None else awrap  # noqa: SLF001
    for name in ("func", "afunc"):  # bound to the node that they came from
        bound = getattr(node, name, None)
        if isinstance(bound, types.MethodType) and bound.__self__ is node:
            setattr(guarded, name, types.MethodType(bound.__func__, guarded))
    return guarded


@contextmanager
def _identified(request: ToolCallRequest) -> Iterator[None]:
    token = call_id.set(request.tool_call["id"] or "")
    try:
        yield
    finally:
        call_id.reset(token)


def _with_arguments(
    request: ToolCallRequest, outcome: Outcome, arguments: dict[str, Any]
) -> tuple[ToolCallRequest, dict[str, Any]]:
    decided = arguments if outcome.edited is None else dict(outcome.edited)
    return request.override(tool_call={**request.tool_call, "args": decided}), decided


def _denied(request: ToolCallRequest, decision: Decision, text: str = "") -> ToolMessage:
    call = request.tool_call
    told = text or denial_text(call["name"], decision)
    return denial_message(call["name"], told, call["id"] or "", decision)
