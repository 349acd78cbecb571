"""Rampart for CrewAI: guarded tools, agents and crews, and hooks that see every tool call.

Names are imported when they are first used: the plugin must stay light, because every program that
uses Rampart loads it, and importing CrewAI takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rampart_crewai.crews import guard_agent, guard_crew
    from rampart_crewai.hooks import install_hooks, uninstall_hooks
    from rampart_crewai.projects import guard_project, load_crew
    from rampart_crewai.tools import guard_tool

__all__ = [
    "guard_agent",
    "guard_crew",
    "guard_project",
    "guard_tool",
    "install_hooks",
    "load_crew",
    "uninstall_hooks",
]

_HOME = {
    "guard_agent": "rampart_crewai.crews",
    "guard_crew": "rampart_crewai.crews",
    "guard_project": "rampart_crewai.projects",
    "guard_tool": "rampart_crewai.tools",
    "install_hooks": "rampart_crewai.hooks",
    "load_crew": "rampart_crewai.projects",
    "uninstall_hooks": "rampart_crewai.hooks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
