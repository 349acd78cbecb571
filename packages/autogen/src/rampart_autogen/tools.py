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
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

from autogen_core import CancellationToken, Component, ComponentBase, ComponentModel
from autogen_core.tools import BaseStreamTool, BaseTool
from pydantic import BaseModel
from rampart import (
    Denied,
    EnforcementPoint,
    Guard,
    RampartError,
    ToolMapping,
    denial_text,
    frozen_copy,
    plain,
    refusal,
)

from rampart_autogen.defaults import default_guard
from rampart_autogen.executor import guard_of
from rampart_autogen.http import http_mapping
from rampart_autogen.mapping import tool_map

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
    if guard_of(getattr(tool_object, "_executor", None)) is not None:
        return tool_object  # its executor decides what it runs
    original = _unguarded(tool_object)
    mapping = override or mapping_of(original)
    point = EnforcementPoint(guard, original.name, mapping, subject=original, context=call_context)
    if override is None:
        point.decide_for(_function_of(original))
    copied = copy.copy(original)
    copied.__dict__[_POINT] = point
    copied.__dict__[_CONFIG] = (original, tool, dict(params) if params else None)
    copied.__class__ = _guarded_class(type(original))
    return copied


def point_of(tool: object) -> EnforcementPoint | None:
    """Return the enforcement point that a tool carries, or None."""
    found = getattr(tool, "__dict__", {}).get(_POINT)
    return found if isinstance(found, EnforcementPoint) else None


def mapping_of(tool: AnyTool) -> ToolMapping:
    """Return what a tool stands for, by its class or name."""
    names = frozenset(tool.args_type().model_fields)
    return http_mapping(tool) or tool_map().find(type(tool), tool.name, names)


def call_context(_guard: Guard) -> dict[str, str]:
    """Return the id of the call that runs now, as a call's context."""
    return {"call_id": _call_id.get()} if _call_id.get() else {}


async def seen(point: EnforcementPoint, arguments: Mapping[str, Any], output: Any) -> Any:
    """Return what the model may see of a tool's output. Raises: Denied, if it may not at all."""
    if not point.reviews:
        return output
    readable = output if isinstance(output, str | bytes) else plain(output)
    review = await point.areview(arguments, readable)
    if not review.allowed:
        raise Denied(str(review.response), review.decision)
    if review.response == readable:
        return output
    if isinstance(output, BaseModel) and isinstance(review.response, dict):
        return output.model_copy(update=review.response)
    return review.response


def _unguarded(tool: AnyTool) -> AnyTool:
    return tool if point_of(tool) is None else tool.__dict__[_CONFIG][0]


def _function_of(tool: AnyTool) -> Function | None:
    """Return the function that a tool is made of: one's own, or that of a LangChain tool.

    LIMIT: AutoGen runs a sync function of one's own in a thread without the caller's context; one
    that is guarded itself decides there a second time.
    """
    found: Function | None = tool.__dict__.get("_func") or tool.__dict__.get("_callable")
    return found


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


def frozen(point: EnforcementPoint, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the arguments. Raises: Denied, for what cannot be copied."""
    try:
        return frozen_copy(arguments)
    except RampartError as error:
        decision = refusal(error)
        raise Denied(denial_text(point.name, decision), decision) from error


async def decided(
    point: EnforcementPoint, arguments: Mapping[str, Any], token: CancellationToken
) -> None:
    """Return if a call is allowed. Raises: Denied, CancelledError."""
    deciding = asyncio.ensure_future(point.aenforce(arguments))
    token.link_future(deciding)
    decision = await deciding
    if not decision.allowed:
        raise Denied(denial_text(point.name, decision), decision)


@contextmanager
def calling(call_id: str | None) -> Iterator[None]:
    """Name the call that runs in this block."""
    token = _call_id.set(call_id or "")
    try:
        yield
    finally:
        _call_id.reset(token)


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
        point: EnforcementPoint = self.__dict__[_POINT]
        with (
            point.passing(_fields, (), allowed),
            point.handing_on(_function_of(self) or _fields, (), allowed) as inner,
        ):
            output = await run(self, args.model_copy(update=allowed), cancellation_token)
        return output if inner.used else await seen(point, allowed, output)

    return guarded


def _run_stream_method(run_stream: Function) -> Function:
    @functools.wraps(run_stream)
    async def guarded(
        self: AnyTool, args: BaseModel, cancellation_token: CancellationToken
    ) -> AsyncGenerator[Any, None]:
        allowed = await _allowed(self, dict(args), cancellation_token)
        point: EnforcementPoint = self.__dict__[_POINT]
        async for item in run_stream(self, args.model_copy(update=allowed), cancellation_token):
            yield await seen(point, allowed, item)

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
        with calling(call_id):
            if not own:
                return await run_json(self, args, cancellation_token, call_id)
            allowed = await _allowed(self, args, cancellation_token)
            point: EnforcementPoint = self.__dict__[_POINT]
            with point.passing(_fields, (), allowed):
                output = await run_json(self, allowed, cancellation_token, call_id)
            return await seen(point, allowed, output)

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
        with calling(call_id):
            first = await anext(stream, None)
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
