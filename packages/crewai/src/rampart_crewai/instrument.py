"""All of CrewAI in this process behind one guard: the hooks, and ``tool.run()`` outside an agent.

MUST decide once: a call that the hooks let pass is not decided again by ``run``.
MUST undo exactly what was done, and pass everything through afterwards, also for those who kept a
reference to a method of that time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from crewai import Crew
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.tools import BaseTool
from crewai.tools.base_tool import Tool
from rampart import Denied, EnforcementPoint, Guard

from rampart_crewai import hooks
from rampart_crewai.asking import who_asks
from rampart_crewai.crews import agents_of
from rampart_crewai.results import denial, readable, shown
from rampart_crewai.tools import point_of, tool_map

_PATHS = (
    "every tool call of every agent, crew and flow: native function calling and ReAct",
    "the tools that CrewAI makes itself: delegation, memory, MCP servers, platform apps",
    "tool.run() and tool.arun() outside an agent",
)
_PATCHED = ((BaseTool, "run"), (BaseTool, "arun"), (Tool, "run"), (Tool, "arun"))
_guards: list[Guard] = []
_saved: list[tuple[type, str, Any]] = []
_own_hooks: list[Guard] = []


def instrument(guard: Guard) -> tuple[str, ...]:
    """Put ``guard`` in front of every tool call; return what that covers."""
    if not hooks.installed(guard):
        _own_hooks.append(guard)
    hooks.install_hooks(guard)
    for kind, name in _PATCHED:
        original = kind.__dict__.get(name)
        if original is not None:
            _saved.append((kind, name, original))
            patch = _async_patch if name == "arun" else _patch
            setattr(kind, name, patch(original))
    _guards.append(guard)
    hooks.note_passes(True)
    return _PATHS


def uninstrument() -> None:
    """Undo ``instrument``; nothing if there is nothing to undo."""
    _guards.clear()
    hooks.note_passes(False)
    while _saved:
        kind, name, original = _saved.pop()
        setattr(kind, name, original)
    while _own_hooks:
        hooks.uninstall_hooks(_own_hooks.pop())


def coverage(obj: Any, guard: Guard) -> tuple[str, ...]:
    """Return the ways to a guarded tool, agent or crew that pass ``guard``."""
    if isinstance(obj, BaseTool):
        return _PATHS[2:] if _is_behind(obj, guard) else ()
    if not hooks.installed(guard):
        return ()
    agents = list(agents_of(obj)) if isinstance(obj, Crew) else [obj]
    tools = [tool for agent in agents for tool in agent.tools or ()]
    inside = [tool for tool in tools if _is_behind(tool, guard)]
    known = isinstance(obj, Crew | BaseAgent)
    return (*_PATHS[:2], *(f"{tool.name}.run()" for tool in inside)) if known else ()


def _is_behind(tool: BaseTool, guard: Guard) -> bool:
    point = point_of(tool)
    return point is not None and point.guard is guard


def _point(tool: BaseTool, arguments: Mapping[str, Any]) -> EnforcementPoint | None:
    """Return what decides this call; None if it was decided, or decides itself."""
    if not _guards or point_of(tool) is not None or hooks.passed(tool.name, arguments):
        return None
    fields = frozenset(getattr(tool.args_schema, "model_fields", {}))
    mapping = tool_map().find(type(tool), tool.name, fields)
    return EnforcementPoint(
        _guards[-1], tool.name, mapping, subject=tool, context=lambda guard: who_asks(guard, None)
    )


def _function(tool: BaseTool) -> Callable[..., Any]:
    return tool.func if isinstance(tool, Tool) else tool._run  # noqa: SLF001 - whose names the model uses


def _patch(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def guarded(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        point = _point(self, kwargs)
        if point is None:
            return run(self, *args, **kwargs)
        function = _function(self)
        try:
            args, kwargs = point.allow(function, args, kwargs)
        except Denied as denied:
            return denial(str(denied), denied.decision)
        output = run(self, *args, **kwargs)
        if not point.reviews:
            return output
        return shown(output, point.review(point.view(function, args, kwargs), readable(output)))

    return guarded


def _async_patch(arun: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(arun)
    async def guarded(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        point = _point(self, kwargs)
        if point is None:
            return await arun(self, *args, **kwargs)
        function = _function(self)
        try:
            args, kwargs = await point.aallow(function, args, kwargs)
        except Denied as denied:
            return denial(str(denied), denied.decision)
        output = await arun(self, *args, **kwargs)
        if not point.reviews:
            return output
        view = point.view(function, args, kwargs)
        return shown(output, await point.areview(view, readable(output)))

    return guarded
