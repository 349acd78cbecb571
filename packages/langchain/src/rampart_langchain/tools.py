"""Guarded LangChain tools: a copy of the tool whose innermost callable is behind the guard.

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
from langchain_core.tools import BaseTool, BaseToolkit
from rampart import Denied, EnforcementPoint, Guard, ToolMap, ToolMapping

from rampart_langchain.asking import GraphAsker
from rampart_langchain.guarding import Function, argument_names, context_of, hidden_names
from rampart_langchain.methods import (
    RAW,
    ainvoke_method,
    arun_method,
    denial_answer,
    goes_to_a_thread,
    guarded_coroutine,
    guarded_function,
    is_pair,
    outer_arun,
    outer_run,
    run_method,
)

_POINT: Final = "__rampart__"
_ON_DENY: Final = "__rampart_on_deny__"
GUARDED: Final = "__rampart_guarded__"
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
    return _rebuilt(original, new_point(original, guard, override), on_deny)


def guard_toolkit(toolkit: BaseToolkit, guard: Guard, **options: Any) -> BaseToolkit:
    """Return a copy of a toolkit whose tools are guarded; the original stays as it was."""
    base = type(toolkit)

    def get_tools(self: BaseToolkit) -> list[BaseTool]:
        return [guard_tool(tool, guard, **options) for tool in base.get_tools(self)]

    copied = toolkit.model_copy()
    methods = {"get_tools": get_tools, "__module__": __name__, "__annotations__": {}}
    kind = types.new_class(
        f"Guarded{base.__name__}", (base,), exec_body=lambda names: names.update(methods)
    )
    object.__setattr__(copied, "__class__", kind)
    return copied


def new_point(tool: BaseTool, guard: Guard, mapping: ToolMapping | None = None) -> EnforcementPoint:
    """Return the point where the calls of ``tool`` meet the guard."""
    point = EnforcementPoint(
        guard,
        tool.name,
        mapping or tool_map().find(type(tool), tool.name, argument_names(tool)),
        subject=tool,
        hidden=hidden_names(tool),
        context=context_of,
        asker=GraphAsker(tool),
    )
    if mapping is None:
        point.decide_for(tool.__dict__.get("func") or tool.__dict__.get("coroutine"))
    return point


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
            copied.__dict__[name] = getattr(copied.__dict__[name], RAW, copied.__dict__[name])
    return copied


@functools.cache
def tool_map() -> ToolMap:
    """Return what is known about LangChain's tools."""
    text = resources.files(__package__).joinpath("tools.yaml").read_text(encoding="utf-8")
    return ToolMap.parse(text, "rampart_langchain/tools.yaml")


def _rebuilt(tool: BaseTool, point: EnforcementPoint, on_deny: str) -> BaseTool:
    copied, pair = tool.model_copy(), is_pair(tool)
    copied.__dict__.update({_POINT: point, _ON_DENY: on_deny})
    object.__setattr__(copied, "__class__", _guarded_class(type(tool)))
    if (function := copied.__dict__.get("func")) is not None:
        copied.__dict__["func"] = guarded_function(function, point, pair)
    if (function := copied.__dict__.get("coroutine")) is not None:
        copied.__dict__["coroutine"] = guarded_coroutine(function, point, pair)
    return copied


def _guarded_class(base: type[BaseTool]) -> type[BaseTool]:
    with _lock:
        if base not in _classes:
            methods: dict[str, Any] = {
                "run": outer_run(base.run, _answer),
                "arun": outer_arun(base.arun, _answer),
                "_run": run_method(base._run, point_of),  # noqa: SLF001 - the protocol of tools
                "_arun": _arun_of(base),
                "__reduce__": _reduce,
                GUARDED: True,
            }
            if goes_to_a_thread(base.ainvoke):
                methods["ainvoke"] = ainvoke_method(base.ainvoke, point_of)
            methods |= {"__module__": __name__, "__doc__": base.__doc__, "__annotations__": {}}
            _classes[base] = types.new_class(
                f"Guarded{base.__name__}", (base,), exec_body=lambda names: names.update(methods)
            )
        return _classes[base]


def _arun_of(base: type[BaseTool]) -> Function:
    # WHY: without an `_arun` of its own a tool is called with what its `_run` asks for; the
    # framework reads that from the signature
    inherited = base._arun is BaseTool._arun  # noqa: SLF001 - the protocol of tools
    shown = base._run if inherited else None  # noqa: SLF001 - the same
    return arun_method(base._arun, point_of, shown)  # noqa: SLF001 - the same


def _answer(tool: BaseTool, denied: Denied, tool_call_id: str | None) -> ToolMessage | str:
    if tool.__dict__[_ON_DENY] == "raise":
        raise denied
    return denial_answer(tool, denied, tool_call_id)


def _reduce(self: BaseTool) -> tuple[Any, ...]:
    return _rebuilt, (unguarded(self), self.__dict__[_POINT], self.__dict__[_ON_DENY])
