"""Guarded CrewAI tools: a copy of the tool whose innermost callable is behind the guard.

MUST decide exactly once per call: native function calling runs ``tool.run``, ReAct runs
``tool._run``, and a tool made of a function runs ``tool.func``.
MUST return a denial and never raise it: CrewAI runs a tool that raises again, up to six times.
MUST NOT let a denial be cached: it would be served after the call was approved.
MUST NOT count a denied call against ``max_usage_count``: the tool was not used (decisions/0056).
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Final, cast

from crewai.tools import BaseTool, base_tool
from crewai.tools.base_tool import Tool
from crewai.tools.structured_tool import CrewStructuredTool
from crewai.tools.tool_failure import ToolFailure
from rampart import Denied, EnforcementPoint, Guard, ToolMap, ToolMapping

from rampart_crewai.asking import who_asks
from rampart_crewai.results import DENIED, WITHHELD, denial, is_denial, is_refusal, readable, shown

Function = Callable[..., Any]

_POINT: Final = "__rampart__"
_RAW: Final = "__rampart_raw__"
_classes: dict[type[BaseTool], type[BaseTool]] = {}
_lock = threading.Lock()


def guard_tool(
    tool_object: BaseTool,
    guard: Guard,
    *,
    tool: str | None = None,
    params: Mapping[str, str] | None = None,
    agent: object = None,
) -> BaseTool:
    """Return a guarded copy of a CrewAI tool; the original stays as it was.

    ``tool`` and ``params`` say what the tool stands for (``tool="exec", params={"command":
    "line"}``: Rampart's parameter, the tool's argument); without them its class or name decides.
    ``agent`` is who uses it, for the record. A denied call returns a ``ToolFailure`` with
    ``code="policy_denied"``. Raises: ConfigError.
    """
    override = ToolMapping.override(tool, params)
    current = point_of(tool_object)
    if current is not None and current.guard is guard:
        return tool_object
    original = unguarded(tool_object)
    mapping = override or tool_map().find(type(original), original.name, _argument_names(original))
    point = EnforcementPoint(
        guard,
        original.name,
        mapping,
        subject=original,
        context=lambda asked: who_asks(asked, agent),
    )
    if override is None:
        point.decide_for(getattr(original, "func", None))
    copied = original.model_copy()
    copied.__dict__[_POINT] = point
    copied.__dict__["cache_function"] = _careful_cache(original.cache_function)
    if isinstance(copied, Tool):
        copied.__dict__["func"] = _guarded(copied.func, point)
    object.__setattr__(copied, "__class__", _guarded_class(type(original)))
    return copied


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
    del copied.__dict__[_POINT]
    for name in ("func", "cache_function"):
        if name in copied.__dict__:
            copied.__dict__[name] = getattr(copied.__dict__[name], _RAW, copied.__dict__[name])
    return copied


@functools.cache
def tool_map() -> ToolMap:
    """Return what is known about CrewAI's tools."""
    text = resources.files(__package__).joinpath("tools.yaml").read_text(encoding="utf-8")
    return ToolMap.parse(text, "rampart_crewai/tools.yaml")


def _argument_names(tool: BaseTool) -> frozenset[str]:
    return frozenset(getattr(tool.args_schema, "model_fields", {}))


def _careful_cache(original: Function) -> Function:
    @functools.wraps(original)
    def cache(arguments: Any = None, result: Any = None) -> bool:
        return not is_refusal(result) and bool(original(arguments, result))

    setattr(cache, _RAW, original)
    return cache


def _guarded(function: Function, point: EnforcementPoint) -> Function:
    """Return a tool's function behind the guard, sync or async as it was."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            try:
                args, kwargs = await point.aallow(function, args, kwargs)
            except Denied as denied:
                return denial(str(denied), denied.decision)
            with point.handing_on(function, args, kwargs) as inner:
                try:
                    output = await function(*args, **kwargs)
                except Denied as denied:
                    return _inner_denial(denied, ran=inner.used)
            if inner.used:
                return output
            return await _areviewed(point, function, args, kwargs, output=output)

        setattr(run_async, _RAW, function)
        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            args, kwargs = point.allow(function, args, kwargs)
        except Denied as denied:
            return denial(str(denied), denied.decision)
        with point.handing_on(function, args, kwargs) as inner:
            try:
                output = function(*args, **kwargs)
            except Denied as denied:
                return _inner_denial(denied, ran=inner.used)
        return output if inner.used else _reviewed(point, function, args, kwargs, output=output)

    setattr(run, _RAW, function)
    return run


def _inner_denial(denied: Denied, *, ran: bool) -> ToolFailure:
    """Return what a guard inside of a tool denied, or withheld after it ``ran``."""
    return denial(str(denied), denied.decision, code=WITHHELD if ran else DENIED)


def _guarded_class(base: type[BaseTool]) -> type[BaseTool]:
    with _lock:
        if base not in _classes:
            methods: dict[str, Any] = {
                "__module__": base.__module__,
                "__qualname__": base.__qualname__,
                "__doc__": base.__doc__,
                "__annotations__": {},
                "run": _run_method(base.run),
                "arun": _arun_method(base.arun),
                "to_structured_tool": functools.partialmethod(_structured, base.to_structured_tool),
            }
            # WHY: Tool.run calls `func`, not `_run`; its `func` is guarded instead
            if not (issubclass(base, Tool) and base._run is Tool._run):  # noqa: SLF001 - the protocol of tools
                methods["_run"] = _method(base._run)  # noqa: SLF001
            if base._arun not in (BaseTool._arun, Tool._arun):  # noqa: SLF001
                methods["_arun"] = _method(base._arun)  # noqa: SLF001
            registry: dict[str, type] = getattr(base_tool, "_TOOL_TYPE_REGISTRY", {})
            key = f"{base.__module__}.{base.__qualname__}"
            known = registry.get(key)
            made = types.new_class(
                base.__name__, (base,), exec_body=lambda names: names.update(methods)
            )
            if known is not None:  # WHY: a checkpoint must go on naming the class that can be found
                registry[key] = known
            _classes[base] = cast("type[BaseTool]", made)
        return _classes[base]


def _method(method: Function) -> Function:
    """Return a method of a tool class behind the guard that the tool carries."""
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def run_async(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
            point, function = self.__dict__[_POINT], functools.partial(method, self)
            try:
                args, kwargs = await point.aallow(function, args, kwargs)
            except Denied as denied:
                return denial(str(denied), denied.decision)
            with point.passing(function, args, kwargs):
                output = await function(*args, **kwargs)
            return await _areviewed(point, function, args, kwargs, output=output)

        return run_async

    @functools.wraps(method)
    def run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        point, function = self.__dict__[_POINT], functools.partial(method, self)
        try:
            args, kwargs = point.allow(function, args, kwargs)
        except Denied as denied:
            return denial(str(denied), denied.decision)
        with point.passing(function, args, kwargs):
            output = function(*args, **kwargs)
        return _reviewed(point, function, args, kwargs, output=output)

    return run


def _reviewed(
    point: EnforcementPoint,
    function: Function,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    output: Any,
) -> Any:
    """Return what the model may see of an output. An awaitable one is reviewed when it is there."""
    if not point.reviews or is_refusal(output):
        return output
    if inspect.isawaitable(output):

        async def later() -> Any:
            return await _areviewed(point, function, args, kwargs, output=await output)

        return later()
    return shown(output, point.review(point.view(function, args, kwargs), readable(output)))


async def _areviewed(
    point: EnforcementPoint,
    function: Function,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    output: Any,
) -> Any:
    if not point.reviews or is_refusal(output):
        return output
    view = point.view(function, args, kwargs)
    return shown(output, await point.areview(view, readable(output)))


def _run_method(run: Function) -> Function:
    @functools.wraps(run)
    def refunding(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        return _refund(self, run(self, *args, **kwargs))

    return refunding


def _arun_method(arun: Function) -> Function:
    @functools.wraps(arun)
    async def refunding(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        return _refund(self, await arun(self, *args, **kwargs))

    return refunding


def _refund(tool: BaseTool, result: Any) -> Any:
    """Give back the use that CrewAI counted before it called a tool that was then denied."""
    if is_denial(result):
        with tool._usage_lock:  # noqa: SLF001 - the lock that CrewAI counts under
            tool.current_usage_count = max(0, tool.current_usage_count - 1)
    return result


def _structured(self: BaseTool, make: Callable[[BaseTool], CrewStructuredTool]) -> Any:
    """Return the tool that ReAct runs, which counts its uses by itself."""
    made = make(self)
    function: Function = made.func

    def refund(result: Any) -> Any:
        if is_denial(result):
            made.current_usage_count = max(0, made.current_usage_count - 1)
            self.current_usage_count = made.current_usage_count
        return result

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            return refund(await function(*args, **kwargs))

        made.func = run_async
        return made

    async def later(result: Any) -> Any:
        return refund(await result)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return later(result) if inspect.isawaitable(result) else refund(result)

    made.func = run
    return made
