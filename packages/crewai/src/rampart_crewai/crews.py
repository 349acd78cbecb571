"""Guarded agents and crews.

They are guarded in place: tasks, managers and callbacks hold references to them, and a copy would
leave those unguarded. The hooks cover the tools that CrewAI makes later: delegation, memory, MCP
servers and platform apps.
"""

from __future__ import annotations

from typing import Any

from crewai import Crew
from crewai.agents.agent_builder.base_agent import BaseAgent
from rampart import Guard

from rampart_crewai.hooks import install_hooks
from rampart_crewai.tools import guard_tool


def guard_agent(agent: BaseAgent, guard: Guard) -> BaseAgent:
    """Guard an agent's tools and install the hooks; returns the same agent."""
    _guard_tools(agent, guard, agent)
    install_hooks(guard)
    return agent


def guard_crew(crew: Crew, guard: Guard) -> Crew:
    """Guard the tools of a crew's agents and tasks and install the hooks; returns the same crew."""
    managers = [crew.manager_agent] if crew.manager_agent else []
    for agent in (*crew.agents, *managers, *(task.agent for task in crew.tasks if task.agent)):
        _guard_tools(agent, guard, agent)
    for task in crew.tasks:
        _guard_tools(task, guard, task.agent)
    install_hooks(guard)
    return crew


def _guard_tools(holder: Any, guard: Guard, agent: object) -> None:
    holder.tools = [guard_tool(tool, guard, agent=agent) for tool in holder.tools or ()]
