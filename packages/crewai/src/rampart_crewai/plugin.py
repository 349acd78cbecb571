"""The plugin: tells Rampart that this package knows CrewAI's tools, agents, crews and projects.

MUST NOT import CrewAI: every program that uses Rampart loads this module.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rampart import Adapter, Guard, hookimpl

_KINDS = {
    "crewai.tools.base_tool": "BaseTool",
    "crewai.agents.agent_builder.base_agent": "BaseAgent",
    "crewai.crew": "Crew",
}


class CrewAIAdapter:
    """Guards CrewAI tools, agents, crews and ``@CrewBase`` projects, or all of a process."""

    name = "crewai"
    gaps = (
        "the model calling functions by itself: llm.call(available_functions=...)",
        "everything, once crewai.hooks.clear_all_hooks() was called",
    )

    def supports(self, obj: object) -> bool:
        """True for a CrewAI tool, agent or crew, or an instance of a ``@CrewBase`` class."""
        return _is_project(obj) or any(_is(obj, module, name) for module, name in _KINDS.items())

    def protect(self, obj: Any, guard: Guard, **options: Any) -> Any:
        """Return a guarded copy of a tool, or guard an agent, a crew or a project in place.

        ``options`` are those of ``rampart_crewai.guard_tool`` or ``guard_project``; an agent and a
        crew take none.
        """
        from rampart_crewai import crews, tools

        if _is(obj, "crewai.tools.base_tool", "BaseTool"):
            return tools.guard_tool(obj, guard, **options)
        if _is_project(obj):
            from rampart_crewai.projects import guard_project

            return guard_project(obj, guard, **options)
        if options:
            raise TypeError(f"a tool or a project takes options, not {type(obj).__name__}")
        if _is(obj, "crewai.crew", "Crew"):
            return crews.guard_crew(obj, guard)
        return crews.guard_agent(obj, guard)

    def instrument(self, guard: Guard) -> Sequence[str]:
        """Put ``guard`` in front of every tool call of this process."""
        from rampart_crewai.instrument import instrument

        return instrument(guard)

    def uninstrument(self) -> None:
        """Undo ``instrument``."""
        if "rampart_crewai.instrument" in sys.modules:
            from rampart_crewai.instrument import uninstrument

            uninstrument()

    def coverage(self, obj: Any, guard: Guard) -> Sequence[str]:
        """Return the ways to ``obj`` that pass ``guard``."""
        from rampart_crewai.instrument import coverage

        return coverage(obj, guard)


def _is_project(obj: object) -> bool:
    return "crewai.project" in sys.modules and getattr(type(obj), "is_crew_class", False) is True


def _is(obj: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(obj, kind)


@hookimpl
def rampart_adapters() -> list[Adapter]:
    """Return the adapter for CrewAI."""
    return [CrewAIAdapter()]
