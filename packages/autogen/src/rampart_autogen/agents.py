"""Guarded AutoGen agents and teams: who acts is named by the agent that does.

They are guarded in place: a team, a runtime and handoffs hold references to them.
"""

from __future__ import annotations

from typing import Any

from autogen_core.code_executor import CodeExecutor
from autogen_core.tools import Workbench
from rampart import Guard, UnsupportedObject

from rampart_autogen.executor import GuardedCodeExecutor, guard_executor
from rampart_autogen.workbench import GuardedWorkbench, guard_workbench


def guard_agent(agent: Any, guard: Guard) -> Any:
    """Guard an agent's workbenches, its tools and its code executor; returns the same agent.

    Raises: UnsupportedObject for an agent that has none of them where agents of AutoGen have them.
    """
    named = guard if guard.call("").agent else guard.derived(agent=str(agent.name))
    held = vars(agent)
    found = False
    workbench = held.get("_workbench")
    if isinstance(workbench, list):
        held["_workbench"] = [guard_workbench(_bare(one), named) for one in workbench]
        found = True
    elif isinstance(workbench, Workbench):
        held["_workbench"] = guard_workbench(_bare(workbench), named)
        found = True
    executor = held.get("_code_executor")
    if isinstance(executor, CodeExecutor):
        held["_code_executor"] = guard_executor(_bare(executor), named)
        found = True
    if not found:
        raise UnsupportedObject(
            f"{type(agent).__name__} has no tools and no code executor that can be guarded",
            help="guard the tools, workbenches or executors before the agent gets them",
        )
    return agent


def guard_team(team: Any, guard: Guard) -> Any:
    """Guard every agent of a team, and of teams inside it; returns the same team.

    Agents that can do nothing (a user proxy, an agent without tools) stay as they are.
    """
    for member in team._participants:  # noqa: SLF001 - teams do not show their members otherwise
        if hasattr(member, "_participants"):
            guard_team(member, guard)
        elif can_act(member):
            guard_agent(member, guard)
    return team


def can_act(agent: Any) -> bool:
    """True if an agent has tools or runs code."""
    held = vars(agent)
    return bool(held.get("_workbench")) or isinstance(held.get("_code_executor"), CodeExecutor)


def _bare(guarded: Any) -> Any:
    """Return what a guarded object holds, so that it is guarded once, under the agent's name."""
    if isinstance(guarded, GuardedCodeExecutor | GuardedWorkbench):
        return guarded._inner  # noqa: SLF001 - our own
    return guarded
