"""The middleware for ``create_agent``; a module of its own, because ``langchain`` is an extra."""

from __future__ import annotations

from langchain.agents.middleware import AgentMiddleware
from langgraph.prebuilt.tool_node import ToolCallRequest
from rampart import Guard

from rampart_langchain.calls import Answer, AsyncHandler, Handler, ToolCalls


class RampartMiddleware(AgentMiddleware):
    """Decides every tool call of an agent that no guarded tool decides itself.

    ``create_agent(model, tools, middleware=[RampartMiddleware(guard)])`` covers tools that other
    middlewares or servers add as well. It sees the arguments as the model wrote them.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._calls = ToolCalls(guard)

    def wrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Answer:
        """Run the tool only if its call is allowed."""
        return self._calls.wrap_tool_call(request, handler)

    async def awrap_tool_call(self, request: ToolCallRequest, handler: AsyncHandler) -> Answer:
        """As ``wrap_tool_call``, without blocking the event loop."""
        return await self._calls.awrap_tool_call(request, handler)
