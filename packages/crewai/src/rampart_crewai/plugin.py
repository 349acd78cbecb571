"""The plugin: tells Rampart that this package knows CrewAI's tools, agents and crews.

MUST NOT import CrewAI: every program that uses Rampart loads this module.
"""

from __future__ import annotations

import sys
from typing import Any

from rampart import Adapter, Guard, hookimpl

_KINDS = {
    "crewai.tools.base_tool": "BaseTool",
    "crewai.agents.agent_builder.base_agent": "BaseAgent",
    "crewai.crew": "Crew",
}


class CrewAIAdapter:
    """Guards CrewAI tools, agents and crews."""

    name = "crewai"

    def supports(self, obj: object) -> bool:
        """True for a CrewAI tool, agent or crew."""
        return any(_is(obj, module, name) for module, name in _KINDS.items())

    def protect(self, obj: Any, guard: Guard, **options: Any) -> Any:
        """Return a guarded copy of a tool, or guard an agent or a crew in place.

        ``options`` are those of ``rampart_crewai.guard_tool``, and only a tool takes them.
        """
        from rampart_crewai import crews, tools

        if _is(obj, "crewai.tools.base_tool", "BaseTool"):
            return tools.guard_tool(obj, guard, **options)
        if options:
            raise TypeError(f"only a tool takes options, not {type(obj).__name__}")
        if _is(obj, "crewai.crew", "Crew"):
            return crews.guard_crew(obj, guard)
        return crews.guard_agent(obj, guard)


def _is(obj: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(obj, kind)


@hookimpl
def rampart_adapters() -> list[Adapter]:
    """Return the adapter for CrewAI."""
    return [CrewAIAdapter()]
