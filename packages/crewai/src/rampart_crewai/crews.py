"""Guarded agents and crews.

They are guarded in place: tasks, managers and callbacks hold references to them, and a copy would
leave those unguarded. The hooks cover the tools that CrewAI makes later: delegation, memory, MCP
servers and platform apps.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from crewai import Crew
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.utilities.string_utils import sanitize_tool_name
from rampart import ConfigError, Guard

from rampart_crewai.blocks import Blocks
from rampart_crewai.hooks import apply_blocks, install_hooks
from rampart_crewai.settings import Block
from rampart_crewai.tools import guard_tool


def guard_agent(agent: BaseAgent, guard: Guard) -> BaseAgent:
    """Guard an agent's tools and install the hooks; returns the same agent."""
    guard_tools(agent, guard, agent)
    install_hooks(guard)
    return agent


def guard_crew(crew: Crew, guard: Guard) -> Crew:
    """Guard the tools of a crew's agents and tasks and install the hooks; returns the same crew.

    If a ``@CrewBase`` class made it, the ``rampart`` blocks of its files count. Raises:
    ConfigError.
    """
    project = project_of(crew)
    if project is not None:
        from rampart_crewai.projects import blocks_of

        blocks, tasks = blocks_of(project, guard)
        return guard_with_blocks(crew, blocks, tasks)
    return guard_with_blocks(crew, Blocks(guard), [])


def guard_with_blocks(crew: Crew, blocks: Blocks, tasks: list[tuple[Any, Block]]) -> Crew:
    """Guard a crew, its agents and tasks each as its block says. Raises: ConfigError."""
    for agent in agents_of(crew):
        own = blocks.guard_of(agent) or blocks.guard
        guard_tools(agent, own, agent, blocks=blocks, block=blocks.block_of(agent))
    for task in crew.tasks:
        own = blocks.guard_of(task.agent) or blocks.guard
        block = next((said for about, said in tasks if about.key == task.key), None)
        if block is not None:
            own = blocks.guard_for(block, own)
        guard_tools(task, own, task.agent, blocks=blocks, block=block)
    if blocks:
        apply_blocks(blocks.guard, blocks)
    else:
        install_hooks(blocks.guard)
    return crew


def agents_of(crew: Crew) -> Iterator[Any]:
    """Yield a crew's agents, its manager and those that only a task names."""
    if crew.manager_agent is not None:
        yield crew.manager_agent
    yield from crew.agents
    yield from (task.agent for task in crew.tasks if task.agent is not None)


def guard_tools(
    holder: Any,
    guard: Guard,
    agent: object,
    *,
    blocks: Blocks | None = None,
    block: Block | None = None,
) -> None:
    """Guard the tools of an agent or a task, in place. Raises: ConfigError."""
    unused = dict(block.tools) if block is not None else {}
    guarded = []
    for tool in holder.tools or ():
        said = unused.pop(tool.name, None) or unused.pop(sanitize_tool_name(tool.name), None)
        if said is None or blocks is None:
            guarded.append(guard_tool(tool, guard, agent=agent))
            continue
        own, params = blocks.guard_for(said, guard), said.params or None
        guarded.append(guard_tool(tool, own, tool=said.tool or None, params=params, agent=agent))
    for name, said in unused.items():
        have = ", ".join(sorted(tool.name for tool in holder.tools or ())) or "none"
        raise ConfigError(f"{said.where}: there is no tool `{name}` here; there is {have}")
    holder.tools = guarded


def project_of(crew: Crew) -> Any:
    """Return the ``@CrewBase`` instance that made a crew, or None.

    CrewAI keeps it in the callbacks that it adds to every crew that such a class makes.
    """
    for callback in crew.after_kickoff_callbacks:
        if inspect.isfunction(callback):
            instance = inspect.getclosurevars(callback).nonlocals.get("instance")
            if getattr(type(instance), "is_crew_class", False):
                return instance
    return None
