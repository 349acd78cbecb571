"""Tools of an MCP server: CrewAI makes them while a crew runs, and only the hooks see them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.mcp import MCPServerStdio

# Each time a crew runs, CrewAI uses things that itself and its dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SERVER = """\
from pathlib import Path
from mcp.server.fastmcp import FastMCP

server = FastMCP("files")

@server.tool()
def save(path: str, content: str) -> str:
    "Write a file."
    Path(path).write_text(content)
    return "saved"

server.run("stdio")
"""


def test_tools_of_a_server_are_decided(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    server = MCPServerStdio(command=sys.executable, args=[str(program)])
    targets = [stage.folder / name / "a.txt" for name in ("secret", "public")]
    probe = Agent(role="Probe", goal="g", backstory="b", llm=scripted(), mcps=[server])
    (name,) = [tool.name for tool in probe.get_mcp_tools([server])]
    calls = [(name, {"path": str(target), "content": "x"}) for target in targets]
    writer = Agent(role="Writer", goal="g", backstory="b", llm=scripted(*calls), mcps=[server])
    work = Task(description="Save it.", expected_output="A file.", agent=writer)
    stage.guard.protect(Crew(agents=[writer], tasks=[work])).kickoff()
    assert [target.exists() for target in targets] == [False, True]
    assert [d["decision"]["action"] for d in stage.decisions()] == ["deny", "allow"]
    assert {d["agent"] for d in stage.decisions()} == {"Writer"}
