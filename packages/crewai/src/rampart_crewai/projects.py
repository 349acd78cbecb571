"""Whole projects: ``@CrewBase`` classes with their YAML files, and crews in JSON.

They are guarded as crews are, and the ``rampart`` blocks of their files say more about single
agents, tasks and tools (``core/docs/adapters.md``).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crewai import Crew
from crewai.project.crew_loader import load_crew_from_definition
from crewai.project.json_loader import (
    find_json_project_file,
    load_jsonc_file,
    strip_jsonc_comments,
)
from rampart import ConfigError, Guard

from rampart_crewai.blocks import Blocks
from rampart_crewai.crews import agents_of, guard_with_blocks
from rampart_crewai.settings import BLOCK, Block, read_blocks, read_json_blocks


def guard_project(
    project: Any,
    guard: Guard,
    *,
    data_dir: str | Path | None = None,
    workspace: str | Path | None = None,
) -> Any:
    """Guard an instance of a ``@CrewBase`` class: its ``crew()`` is a guarded crew from now on.

    ``rampart`` blocks in its ``agents.yaml`` and ``tasks.yaml`` are read now. ``data_dir`` and
    ``workspace`` are those of the policies that they name, as ``Guard`` takes them. Raises:
    ConfigError with file, line and column.
    """
    blocks, tasks = blocks_of(project, guard, data_dir=data_dir, workspace=workspace)
    make = project.crew

    @functools.wraps(make)
    def crew(*args: Any, **kwargs: Any) -> Crew:
        return guard_with_blocks(make(*args, **kwargs), blocks, tasks)

    project.crew = crew
    return project


def blocks_of(
    project: Any,
    guard: Guard,
    *,
    data_dir: str | Path | None = None,
    workspace: str | Path | None = None,
) -> tuple[Blocks, list[tuple[Any, Block]]]:
    """Return the blocks of a project's agents, and its tasks that have one. Raises: ConfigError."""
    blocks = Blocks(guard, data_dir=data_dir, workspace=workspace)
    for name, block in _read(project, "original_agents_config_path").items():
        blocks.add(_made(project, name, block, "agent"), block)
    tasks = _read(project, "original_tasks_config_path")
    return blocks, [(_made(project, name, block, "task"), block) for name, block in tasks.items()]


def load_crew(
    source: str | Path,
    guard: Guard,
    *,
    agents_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    workspace: str | Path | None = None,
) -> tuple[Crew, dict[str, Any]]:
    """Load a guarded crew from JSON or JSONC, as CrewAI's own ``load_crew`` does.

    Agents and tasks may have a ``rampart`` block, which CrewAI alone would refuse. Returns the crew
    and its default inputs. Raises: ConfigError, and what CrewAI raises.
    """
    path = Path(source)
    folder = Path(agents_dir) if agents_dir is not None else path.parent / "agents"
    definition = dict(load_jsonc_file(path))
    _none, of_tasks = read_json_blocks(path, strip_jsonc_comments)
    bodies, of_agents = {}, {}
    names = [*definition.get("agents", []), definition.get("manager_agent")]
    for name in dict.fromkeys(name for name in names if isinstance(name, str)):
        file = find_json_project_file(folder, name)
        if file is None:
            raise ConfigError(f"{path}: there is no agent {name} in {folder}")
        bodies[name] = _without_block(load_jsonc_file(file))
        of_agents[name] = read_json_blocks(file, strip_jsonc_comments)[0]
    definition["agents"] = bodies
    definition["tasks"] = [_without_block(task) for task in definition.get("tasks", [])]
    crew, inputs = load_crew_from_definition(definition, source=path, project_root=path.parent)
    blocks = Blocks(guard, data_dir=data_dir, workspace=workspace)
    for agent in agents_of(crew):
        for name, block in of_agents.items():
            if block is not None and agent.role == bodies[name].get("role"):
                blocks.add(agent, block)
    about = [pair for pair in zip(crew.tasks, of_tasks, strict=True) if pair[1].where]
    return guard_with_blocks(crew, blocks, about), inputs


def _read(project: Any, attribute: str) -> dict[str, Block]:
    name = getattr(project, attribute, None)
    if not isinstance(name, str):
        return {}
    path = Path(project.base_directory) / name
    return read_blocks(path) if path.exists() else {}


def _made(project: Any, name: str, block: Block, kind: str) -> Any:
    method = getattr(project, name, None)
    if not callable(method):
        raise ConfigError(
            f"{block.where}: the class has no @{kind} method named `{name}`",
            help=f"CrewAI joins the files and the methods by name: call the method `{name}`",
        )
    return method()


def _without_block(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != BLOCK}
