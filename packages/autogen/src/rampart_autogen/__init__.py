"""Rampart for AutoGen: guarded code executors, tools, workbenches, agents and teams.

Names are imported when they are first used: the plugin must stay light, because every program that
uses Rampart loads it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rampart_autogen.agents import guard_agent, guard_team
    from rampart_autogen.approval import policy_approval_func
    from rampart_autogen.classic import GuardedClassicCodeExecutor, guard_classic_agent
    from rampart_autogen.defaults import set_default_guard
    from rampart_autogen.executor import GuardedCodeExecutor
    from rampart_autogen.local import RampartLocalCommandLineCodeExecutor
    from rampart_autogen.tools import GuardedTool, guard_tool
    from rampart_autogen.workbench import GuardedStreamWorkbench, GuardedWorkbench

__all__ = [
    "GuardedClassicCodeExecutor",
    "GuardedCodeExecutor",
    "GuardedStreamWorkbench",
    "GuardedTool",
    "GuardedWorkbench",
    "RampartLocalCommandLineCodeExecutor",
    "guard_agent",
    "guard_classic_agent",
    "guard_team",
    "guard_tool",
    "policy_approval_func",
    "set_default_guard",
]

_HOME = {
    "GuardedClassicCodeExecutor": "classic",
    "GuardedCodeExecutor": "executor",
    "GuardedStreamWorkbench": "workbench",
    "GuardedTool": "tools",
    "GuardedWorkbench": "workbench",
    "RampartLocalCommandLineCodeExecutor": "local",
    "guard_agent": "agents",
    "guard_classic_agent": "classic",
    "guard_team": "agents",
    "guard_tool": "tools",
    "policy_approval_func": "approval",
    "set_default_guard": "defaults",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
