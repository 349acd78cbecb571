"""A workbench behind the guard, for tools that are only known at run time, such as those of MCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Self

from autogen_core import CancellationToken, Component, ComponentModel
from autogen_core.tools import TextResultContent, ToolResult, ToolSchema, Workbench
from autogen_core.tools._workbench import StreamWorkbench  # the framework forgot to export it
from pydantic import BaseModel
from rampart import (
    Denied,
    EnforcementPoint,
    Guard,
    RampartError,
    denial_text,
    frozen_copy,
    refusal,
)

from rampart_autogen.defaults import default_guard
from rampart_autogen.mapping import tool_map
from rampart_autogen.passing import letting
from rampart_autogen.tools import seen


class GuardedWorkbenchConfig(BaseModel):
    """What a configuration says: the workbench inside. The guard is this process's own."""

    workbench: ComponentModel


class GuardedWorkbench(Workbench, Component[GuardedWorkbenchConfig]):
    """A drop-in for any AutoGen workbench whose calls are decided before they reach a tool.

    A denied call answers a result with ``is_error``. Only what every workbench offers goes through:
    resources and prompts of a server do not.
    """

    component_config_schema = GuardedWorkbenchConfig
    component_provider_override = "rampart_autogen.GuardedWorkbench"

    def __init__(self, workbench: Workbench, guard: Guard) -> None:
        self._inner = workbench
        self._guard = guard

    async def list_tools(self) -> list[ToolSchema]:
        """Return the tools of the workbench."""
        return await self._inner.list_tools()

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call a tool if the call is allowed. Raises: CancelledError."""
        allowed = await self._allowed(name, arguments or {}, cancellation_token, call_id)
        if isinstance(allowed, ToolResult):
            return allowed
        with letting(self._inner):
            result = await self._inner.call_tool(name, allowed, cancellation_token, call_id)
        seen_result: ToolResult = await self._seen(name, allowed, result, call_id)
        return seen_result

    async def start(self) -> None:
        """Start the workbench."""
        await self._inner.start()

    async def stop(self) -> None:
        """Stop the workbench."""
        await self._inner.stop()

    async def reset(self) -> None:
        """Reset the workbench."""
        await self._inner.reset()

    async def save_state(self) -> Mapping[str, Any]:
        """Return the state of the workbench."""
        return await self._inner.save_state()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Load a state."""
        await self._inner.load_state(state)

    async def _allowed(
        self,
        name: str,
        arguments: Mapping[str, Any],
        cancellation_token: CancellationToken | None,
        call_id: str | None,
    ) -> dict[str, Any] | ToolResult:
        """Return the arguments to run with, or the denial."""
        try:
            frozen = frozen_copy(arguments)
        except RampartError as error:
            return _result(name, denial_text(name, refusal(error)))
        point = self._point(name, frozen, call_id)
        deciding = asyncio.ensure_future(point.aenforce(frozen))
        if cancellation_token is not None:
            cancellation_token.link_future(deciding)
        decision = await deciding
        return frozen if decision.allowed else _result(name, denial_text(name, decision))

    async def _seen(
        self, name: str, arguments: Mapping[str, Any], item: Any, call_id: str | None
    ) -> Any:
        """Return what the model may see of a result, or of a part of it."""
        point = self._point(name, arguments, call_id)
        if not point.reviews:
            return item
        if not isinstance(item, ToolResult):
            try:
                return await seen(point, arguments, item)
            except Denied as denied:
                return str(denied)
        texts = [part for part in item.result if isinstance(part, TextResultContent)]
        review = await point.areview(arguments, [part.content for part in texts])
        if not review.allowed:
            return _result(name, str(review.response))
        responses = review.response if isinstance(review.response, list) else []
        left = iter([str(text) for text in responses])
        parts = [
            TextResultContent(content=next(left, ""))
            if isinstance(part, TextResultContent)
            else part
            for part in item.result
        ]
        return item.model_copy(update={"result": parts})

    def _point(
        self, name: str, arguments: Mapping[str, Any], call_id: str | None
    ) -> EnforcementPoint:
        return EnforcementPoint(
            self._guard,
            name,
            tool_map().find(object, name, arguments),
            context=lambda _: {"call_id": call_id} if call_id else {},
        )

    def _to_config(self) -> GuardedWorkbenchConfig:
        return GuardedWorkbenchConfig(workbench=self._inner.dump_component())

    @classmethod
    def _from_config(cls, config: GuardedWorkbenchConfig) -> Self:
        return cls(Workbench.load_component(config.workbench), default_guard())


class GuardedStreamWorkbench(GuardedWorkbench, StreamWorkbench):
    """The same around a workbench that streams."""

    component_config_schema = GuardedWorkbenchConfig
    component_provider_override = "rampart_autogen.GuardedStreamWorkbench"
    _inner: StreamWorkbench

    async def call_tool_stream(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any | ToolResult, None]:
        """Call a tool if the call is allowed, and yield what it yields."""
        allowed = await self._allowed(name, arguments or {}, cancellation_token, call_id)
        if isinstance(allowed, ToolResult):
            yield allowed
            return
        stream = self._inner.call_tool_stream(name, allowed, cancellation_token, call_id)
        with letting(self._inner):  # WHY only here: between two steps the context may be another
            first = await anext(stream, None)
        if first is not None:
            yield await self._seen(name, allowed, first, call_id)
        async for item in stream:
            yield await self._seen(name, allowed, item, call_id)


def guard_workbench(workbench: Workbench, guard: Guard) -> GuardedWorkbench:
    """Return a guarded workbench around ``workbench``, streaming if it does."""
    if isinstance(workbench, GuardedWorkbench) and workbench._guard is guard:  # noqa: SLF001 - our own
        return workbench
    if isinstance(workbench, StreamWorkbench):
        return GuardedStreamWorkbench(workbench, guard)
    return GuardedWorkbench(workbench, guard)


def _result(name: str, text: str) -> ToolResult:
    return ToolResult(name=name, is_error=True, result=[TextResultContent(content=text)])
