"""Guarded LangChain tools: a copy of the tool whose innermost callable is behind the guard.

MUST decide exactly once per call, on every path: ``invoke``, ``run``, ``_run``, ``func`` and their
async forms (CrewAI and AutoGen call ``tool.func`` directly).
MUST run exactly the arguments that were decided.
MUST NOT change what the framework sees of a tool: its class, name, schema, signature and fields.
"""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, Tool
from rampart import Decision, Denied, EnforcementPoint, Guard, ToolMap, ToolMapping

from rampart_langchain.guarding import Function, argument_names, call_id, context_of, hidden_names

_POINT: Final = "__rampart__"
_ON_DENY: Final = "__rampart_on_deny__"
_RAW: Final = "__rampart_raw__"
_classes: dict[type[BaseTool], type[BaseTool]] = {}
_lock = threading.Lock()


def guard_tool(
    tool_object: BaseTool,
    guard: Guard,
    *,
    tool: str | None = None,
    params: Mapping[str, str] | None = None,
    on_deny: str = "message",
) -> BaseTool:
    """Return a guarded copy of a LangChain tool; the original stays as it was.

    ``tool`` and ``params`` say what the tool stands for (``tool="exec", params={"command":
    "line"}``: Rampart's parameter, the tool's argument); without them its class or name decides. A
    denied call answers a ``ToolMessage`` with ``status="error"``, or text where there is no tool
    call id; with ``on_deny="raise"`` it raises ``rampart.Denied``. Raises: ConfigError.
    """
    if on_deny not in ("message", "raise"):
        raise ValueError(f'on_deny must be "message" or "raise", not {on_deny!r}')
    override = ToolMapping.override(tool, params)
    current = point_of(tool_object)
    if current is not None and current.guard is guard:
        return tool_object
    original = unguarded(tool_object)
    point = EnforcementPoint(
        guard,
        original.name,
        override or tool_map().find(type(original), original.name, argument_names(original)),
        subject=original,
        hidden=hidden_names(original),
        context=context_of,
    )
    return _rebuilt(original, point, on_deny)


def point_of(tool: object) -> EnforcementPoint | None:
    """Return the enforcement point that a tool carries, or None."""
    found = getattr(tool, "__dict__", {}).get(_POINT)
    return found if isinstance(found, EnforcementPoint) else None


def unguarded(tool: BaseTool) -> BaseTool:
    """Return a copy of a guarded tool without its guard; any other tool as it is."""
    if point_of(tool) is None:
        return tool
    copied = tool.model_copy()
    object.__setattr__(copied, "__class__", type(tool).__mro__[1])
    del copied.__dict__[_POINT], copied.__dict__[_ON_DENY]
    for name in ("func", "coroutine"):
        if name in copied.__dict__:
            copied.__dict__[name] = getattr(copied.__dict__[name], _RAW, copied.__dict__[name])
    return copied


@functools.cache
def tool_map() -> ToolMap:
    """Return what is known about LangChain's tools."""
    text = resources.files(__package__).joinpath("tools.yaml").read_text(encoding="utf-8")
    return ToolMap.parse(text, "rampart_langchain/tools.yaml")


def decision_fields(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain data, so that any checkpointer can store it."""
    names = ("action", "message", "policy", "rule", "audit_id", "approval_id")
    fields: dict[str, Any] = {name: getattr(decision, name) for name in names}
    return {**fields, "suggestions": list(decision.suggestions)}


def denial_message(name: str, text: str, tool_call_id: str, decision: Decision) -> ToolMessage:
    """Return what the model reads instead of the tool's output."""
    return ToolMessage(
        text,
        tool_call_id=tool_call_id,
        name=name,
        status="error",
        artifact={"rampart": decision_fields(decision)},
    )


def _rebuilt(tool: BaseTool, point: EnforcementPoint, on_deny: str) -> BaseTool:
    copied = tool.model_copy()
    copied.__dict__.update({_POINT: point, _ON_DENY: on_deny})
    object.__setattr__(copied, "__class__", _guarded_class(type(tool)))
    if copied.__dict__.get("func") is not None:
        copied.__dict__["func"] = _guarded_function(copied.__dict__["func"], point)
    if copied.__dict__.get("coroutine") is not None:
        copied.__dict__["coroutine"] = _guarded_coroutine(copied.__dict__["coroutine"], point)
    return copied


def _guarded_function(function: Function, point: EnforcementPoint) -> Function:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = point.allow(function, args, kwargs)
        return function(*args, **kwargs)

    setattr(run, _RAW, function)
    return run


def _guarded_coroutine(function: Function, point: EnforcementPoint) -> Function:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = await point.aallow(function, args, kwargs)
        return await function(*args, **kwargs)

    setattr(run, _RAW, function)
    return run


def _guarded_class(base: type[BaseTool]) -> type[BaseTool]:
    with _lock:
        if base not in _classes:
            methods: dict[str, Any] = {
                **_outer_methods(base),
                "_run": _run_method(base),
                "_arun": _arun_method(base),
                "__reduce__": _reduce,
            }
            if base.ainvoke in (StructuredTool.ainvoke, Tool.ainvoke):
                methods["ainvoke"] = _ainvoke
            methods |= {"__module__": __name__, "__doc__": base.__doc__, "__annotations__": {}}
            _classes[base] = types.new_class(
                f"Guarded{base.__name__}", (base,), exec_body=lambda names: names.update(methods)
            )
        return _classes[base]


def _innermost(tool: BaseTool, method: Function) -> Function:
    """Return the function whose parameters a call of ``tool`` is made of."""
    inner = tool.__dict__.get("func") or tool.__dict__.get("coroutine")
    return getattr(inner, _RAW, inner) if inner else functools.partial(method, tool)


def _run_method(base: type[BaseTool]) -> Function:
    @functools.wraps(base._run)  # noqa: SLF001 - the protocol of tools
    def _run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        point, function = self.__dict__[_POINT], _innermost(self, base._run)  # noqa: SLF001
        args, kwargs = point.allow(function, args, kwargs)
        if not isinstance(self, StructuredTool | Tool):
            return base._run(self, *args, **kwargs)  # noqa: SLF001
        with point.passing(function, args, kwargs):
            return base._run(self, *args, **kwargs)  # noqa: SLF001

    return _run


def _arun_method(base: type[BaseTool]) -> Function:
    # WHY: without an `_arun` of its own a tool is called with what its `_run` asks for; the
    # framework reads that from the signature
    shown = base._run if base._arun is BaseTool._arun else base._arun  # noqa: SLF001

    @functools.wraps(shown)
    async def _arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        point, function = self.__dict__[_POINT], _innermost(self, shown)
        args, kwargs = await point.aallow(function, args, kwargs)
        with point.passing(function, args, kwargs):
            return await base._arun(self, *args, **kwargs)  # noqa: SLF001

    return _arun


def _outer_methods(base: type[BaseTool]) -> dict[str, Function]:
    @functools.wraps(base.run)
    def run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        identity = kwargs.get("tool_call_id")
        token = call_id.set(identity or "")
        try:
            return base.run(self, *args, **kwargs)
        except Denied as denied:
            return _answer(self, denied, identity)
        finally:
            call_id.reset(token)

    @functools.wraps(base.arun)
    async def arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        identity = kwargs.get("tool_call_id")
        token = call_id.set(identity or "")
        try:
            return await base.arun(self, *args, **kwargs)
        except Denied as denied:
            return _answer(self, denied, identity)
        finally:
            call_id.reset(token)

    return {"run": run, "arun": arun}


@functools.wraps(BaseTool.ainvoke)
async def _ainvoke(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
    # WHY: the class itself would run the sync path in a thread, where a cancelled wait for an
    # approval goes on and runs the tool
    return await BaseTool.ainvoke(self, *args, **kwargs)


def _answer(tool: BaseTool, denied: Denied, tool_call_id: str | None) -> ToolMessage | str:
    if tool.__dict__[_ON_DENY] == "raise":
        raise denied
    text = str(denied)
    if tool_call_id is None:
        return text
    return denial_message(tool.name, text, tool_call_id, denied.decision)


def _reduce(self: BaseTool) -> tuple[Any, ...]:
    return _rebuilt, (unguarded(self), self.__dict__[_POINT], self.__dict__[_ON_DENY])
