"""Guarded AutoGen tools: a copy of the tool whose innermost methods are behind the guard.

MUST decide exactly once per call, on every path: ``run_json``, ``run`` and their streams.
MUST keep the guard when a tool is dumped to a configuration and loaded again.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import threading
import types
from collections.abc import AsyncGenerator, Callable, Mapping
from contextvars import ContextVar
from importlib import resources
from typing import Any, Final, cast

from autogen_core import CancellationToken, Component, ComponentBase, ComponentModel
from autogen_core.tools import BaseStreamTool, BaseTool
from pydantic import BaseModel
from rampart import EnforcementPoint, Guard, ToolMap, ToolMapping

from rampart_autogen.defaults import default_guard
from rampart_autogen.executor import GuardedCodeExecutor

AnyTool = BaseTool[Any, Any]
Function = Callable[..., Any]

_POINT: Final = "__rampart__"
_CONFIG: Final = "__rampart_config__"
_classes: dict[type[AnyTool], type[AnyTool]] = {}
_lock = threading.Lock()
_call_id: ContextVar[str] = ContextVar("rampart_autogen_call_id", default="")


class GuardedToolConfig(BaseModel):
    """What a configuration says: the tool inside, and what the user said that it stands for."""

    guarded: ComponentModel
    tool: str | None = None
    params: dict[str, str] | None = None


class GuardedTool(ComponentBase[BaseModel], Component[GuardedToolConfig]):
    """How a guarded tool is loaded from a configuration; the result is a guarded tool."""

    component_type = "tool"
    component_config_schema = GuardedToolConfig
    component_provider_override = "rampart_autogen.GuardedTool"

    @classmethod
    def _from_config(cls, config: GuardedToolConfig) -> Any:
        inside: AnyTool = BaseTool.load_component(config.guarded)
        return guard_tool(inside, default_guard(), tool=config.tool, params=config.params)


def guard_tool(
    tool_object: AnyTool,
    guard: Guard,
    *,
    tool: str | None = None,
    params: Mapping[str, str] | None = None,
) -> AnyTool:
    """Return a guarded copy of an AutoGen tool; the original stays as it was.

    ``tool`` and ``params`` say what the tool stands for (``tool="exec", params={"command":
    "line"}``: Rampart's parameter, the tool's argument); without them its class or name decides. A
    denied call raises ``rampart.Denied``, which a workbench gives to the model as a result with
    ``is_error``. Raises: ConfigError.
    """
    override = ToolMapping.override(tool, params)
    current = point_of(tool_object)
    if current is not None and current.guard is guard:
        return tool_object
    if isinstance(getattr(tool_object, "_executor", None), GuardedCodeExecutor):
        return tool_object  # its executor decides what it runs
    original = _unguarded(tool_object)
    names = frozenset(original.args_type().model_fields)
    mapping = override or tool_map().find(type(original), original.name, names)
    copied = copy.copy(original)
    copied.__dict__[_POINT] = EnforcementPoint(
        guard, original.name, mapping, subject=original, context=_context
    )
    copied.__dict__[_CONFIG] = (original, tool, dict(params) if params else None)
    copied.__class__ = _guarded_class(type(original))
    return copied


def point_of(tool: object) -> EnforcementPoint | None:
    """Return the enforcement point that a tool carries, or None."""
    found = getattr(tool, "__dict__", {}).get(_POINT)
    return found if isinstance(found, EnforcementPoint) else None


@functools.cache
def tool_map() -> ToolMap:
    """Return what is known about AutoGen's tools."""
    text = resources.files(__package__).joinpath("tools.yaml").read_text(encoding="utf-8")
    return ToolMap.parse(text, "rampart_autogen/tools.yaml")


def _unguarded(tool: AnyTool) -> AnyTool:
    return tool if point_of(tool) is None else tool.__dict__[_CONFIG][0]


def _context(_guard: Guard) -> dict[str, str]:
    return {"call_id": _call_id.get()} if _call_id.get() else {}


def _fields(**arguments: Any) -> None:
    """Stand for a tool's arguments: any names."""


async def _allowed(
    tool: AnyTool, arguments: Mapping[str, Any], token: CancellationToken
) -> dict[str, Any]:
    """Return the arguments to run with. Raises: Denied, CancelledError."""
    point: EnforcementPoint = tool.__dict__[_POINT]
    deciding = asyncio.ensure_future(point.aallow(_fields, (), arguments))
    token.link_future(deciding)
    _, allowed = await deciding
    return allowed


def _guarded_class(base: type[AnyTool]) -> type[AnyTool]:
    with _lock:
        if base not in _classes:
            methods: dict[str, Any] = {
                "__module__": __name__,
                "__doc__": base.__doc__,
                "run": _run_method(base.run),
                "run_json": _run_json_method(base.run_json, base.run_json is not BaseTool.run_json),
                "dump_component": _dump_component,
            }
            if issubclass(base, BaseStreamTool):
                methods["run_stream"] = _run_stream_method(base.run_stream)
                methods["run_json_stream"] = _run_json_stream_method(base.run_json_stream)
            made = types.new_class(
                f"Guarded{base.__name__}", (base,), exec_body=lambda names: names.update(methods)
            )
            _classes[base] = cast("type[AnyTool]", made)
        return _classes[base]


def _run_method(run: Function) -> Function:
    @functools.wraps(run)
    async def guarded(self: AnyTool, args: BaseModel, cancellation_token: CancellationToken) -> Any:
        allowed = await _allowed(self, dict(args), cancellation_token)
        with self.__dict__[_POINT].passing(_fields, (), allowed):
            return await run(self, args.model_copy(update=allowed), cancellation_token)

    return guarded


def _run_stream_method(run_stream: Function) -> Function:
    @functools.wraps(run_stream)
    async def guarded(
        self: AnyTool, args: BaseModel, cancellation_token: CancellationToken
    ) -> AsyncGenerator[Any, None]:
        allowed = await _allowed(self, dict(args), cancellation_token)
        async for item in run_stream(self, args.model_copy(update=allowed), cancellation_token):
            yield item

    return guarded


def _run_json_method(run_json: Function, own: bool) -> Function:
    """Return ``run_json`` with the call's id; one that a class wrote itself is guarded as well."""

    @functools.wraps(run_json)
    async def guarded(
        self: AnyTool,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> Any:
        token = _call_id.set(call_id or "")
        try:
            if not own:
                return await run_json(self, args, cancellation_token, call_id)
            allowed = await _allowed(self, args, cancellation_token)
            with self.__dict__[_POINT].passing(_fields, (), allowed):
                return await run_json(self, allowed, cancellation_token, call_id)
        finally:
            _call_id.reset(token)

    return guarded


def _run_json_stream_method(run_json_stream: Function) -> Function:
    @functools.wraps(run_json_stream)
    async def guarded(
        self: AnyTool,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        stream = run_json_stream(self, args, cancellation_token, call_id)
        # WHY: the decision falls in the first step; between two steps the context may be another
        token = _call_id.set(call_id or "")
        try:
            first = await anext(stream, None)
        finally:
            _call_id.reset(token)
        if first is not None:
            yield first
        async for item in stream:
            yield item

    return guarded


def _dump_component(self: AnyTool) -> ComponentModel:
    original, tool, params = self.__dict__[_CONFIG]
    config = GuardedToolConfig(guarded=original.dump_component(), tool=tool, params=params)
    return ComponentModel(
        provider=GuardedTool.component_provider_override,
        component_type="tool",
        version=1,
        component_version=1,
        description=f"{self.name}, guarded by Rampart.",
        label=f"Guarded{type(original).__name__}",
        config=config.model_dump(exclude_none=True),
    )
