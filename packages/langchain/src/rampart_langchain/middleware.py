"""A middleware for ``create_agent``: decides the calls of tools that are only known at run time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import ToolMessage
from langgraph.types import Command
from rampart import (
    Decision,
    EnforcementPoint,
    Guard,
    RampartError,
    denial_text,
    frozen_copy,
    refusal,
)

from rampart_langchain.guarding import call_id, context_of
from rampart_langchain.tools import denial_message, point_of, tool_map

if TYPE_CHECKING:
    from langchain.agents.middleware import ToolCallRequest

Answer = ToolMessage | Command[Any]


class GuardMiddleware(AgentMiddleware):
    """Decides every tool call of an agent that no guarded tool decides itself.

    Use it for tools that other middlewares or servers add: ``create_agent(model,
    guard.protect(tools), middleware=[GuardMiddleware(guard)])``. It sees the arguments as the model
    wrote them.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Answer]
    ) -> Answer:
        """Run the tool only if its call is allowed."""
        if self._decided_inside(request):
            return handler(request)
        token = call_id.set(request.tool_call["id"] or "")
        try:
            request, decision = self._frozen(request)
            decision = decision or self._point(request).enforce(request.tool_call["args"])
        finally:
            call_id.reset(token)
        return handler(request) if decision.allowed else _denied(request, decision)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Answer]]
    ) -> Answer:
        """As ``wrap_tool_call``, without blocking the event loop."""
        if self._decided_inside(request):
            return await handler(request)
        token = call_id.set(request.tool_call["id"] or "")
        try:
            request, decision = self._frozen(request)
            decision = decision or await self._point(request).aenforce(request.tool_call["args"])
        finally:
            call_id.reset(token)
        return await handler(request) if decision.allowed else _denied(request, decision)

    def _decided_inside(self, request: ToolCallRequest) -> bool:
        point = point_of(request.tool)
        return point is not None and point.guard is self._guard

    def _point(self, request: ToolCallRequest) -> EnforcementPoint:
        name, arguments = request.tool_call["name"], request.tool_call["args"]
        kind = object if request.tool is None else type(request.tool)
        mapping = tool_map().find(kind, name, arguments)
        return EnforcementPoint(
            self._guard, name, mapping, subject=request.tool, context=context_of
        )

    def _frozen(self, request: ToolCallRequest) -> tuple[ToolCallRequest, Decision | None]:
        try:
            arguments = frozen_copy(request.tool_call["args"])
        except RampartError as error:
            return request, refusal(error)
        return request.override(tool_call={**request.tool_call, "args": arguments}), None


def _denied(request: ToolCallRequest, decision: Decision) -> ToolMessage:
    call = request.tool_call
    text = denial_text(call["name"], decision)
    return denial_message(call["name"], text, call["id"] or "", decision)
