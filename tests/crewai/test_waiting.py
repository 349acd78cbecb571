"""A call that a person must approve waits, on every way that CrewAI has to a tool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, start
from crewai.tools import tool
from crewai.tools.base_tool import Tool
from crewai.tools.tool_failure import ToolFailure
from langchain_core.tools import StructuredTool
from rampart import Denied

# Each time a crew runs, CrewAI uses things that itself and its dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ran: list[str] = []
Way = Callable[[Any, Any, str], Any]


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@tool("write_file")
def write_file(path: str) -> str:
    """Write a file."""
    ran.append(path)
    return "written"


@tool("write_file")
async def awrite_file(path: str) -> str:
    """Write a file."""
    ran.append(path)
    return "written"


def plain(path: str) -> str:
    """Write a file."""
    ran.append(path)
    return "written"


def crew_of(llm: Any, *tools: Any) -> Crew:
    writer = Agent(role="Writer", goal="g", backstory="b", tools=list(tools), llm=llm)
    work = Task(description="Write.", expected_output="Notes.", agent=writer)
    return Crew(agents=[writer], tasks=[work])


def through_a_flow(stage: Any, _scripted: Any, path: str) -> Any:
    guarded = stage.guard.protect(write_file)

    class Notes(Flow[Any]):
        @start()
        def first(self) -> Any:
            return guarded.run(path=path)

    return Notes(suppress_flow_events=True).kickoff()


def through_copies(stage: Any, scripted: Any, path: str) -> Any:
    subject = stage.guard.protect(crew_of(scripted(("write_file", {"path": path})), write_file))
    return subject.kickoff_for_each([{}])


def through_a_delegate(stage: Any, scripted: Any, path: str) -> Any:
    task = {"task": "Write it.", "context": "c", "coworker": "Writer"}
    helper = crew_of(scripted(("write_file", {"path": path})), write_file).agents[0]
    llm = scripted(("delegate_work_to_coworker", task))
    boss = Agent(role="Boss", goal="g", backstory="b", llm=llm, allow_delegation=True)
    work = Task(description="Have it written.", expected_output="Notes.", agent=boss)
    return stage.guard.protect(Crew(agents=[boss, helper], tasks=[work])).kickoff()


def from_langchain(stage: Any, _scripted: Any, path: str) -> Any:
    inner = stage.guard.protect(StructuredTool.from_function(plain, name="write_file"))
    try:
        return Tool.from_langchain(inner).run(path=path)
    except Denied as denied:
        return denied


WAYS: dict[str, Way] = {
    "run": lambda stage, _scripted, path: stage.guard.protect(write_file).run(path=path),
    "arun": lambda stage, _scripted, path: asyncio.run(
        stage.guard.protect(awrite_file).arun(path=path)
    ),
    "flow": through_a_flow,
    "kickoff_for_each": through_copies,
    "delegation": through_a_delegate,
    "LangChain": from_langchain,
}


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_call_waits_for_a_person(
    stage: Any, scripted: Callable[..., Any], way: str, approve: bool
) -> None:
    target = str(stage.folder / "ask" / "notes.md")
    person = stage.person(approve)
    answer = WAYS[way](stage, scripted, target)
    person.join()
    assert ran == ([target] if approve else [])
    if way in ("run", "arun", "flow"):
        assert isinstance(answer, ToolFailure) is not approve
    assert [d["decision"]["action"] for d in stage.decisions()].count("ask") == 1
