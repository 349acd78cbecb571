"""Guarded crews: a denial reaches the model as an answer, nothing is cached, and work goes on."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.hooks import register_before_tool_call_hook, unregister_before_tool_call_hook
from crewai.project import CrewBase, agent, crew, task, tool
from crewai.tools import BaseTool
from crewai.tools import tool as as_tool
from rampart import Decision, Guard
from rampart_crewai import install_hooks, uninstall_hooks

# Each time a crew runs, CrewAI uses things that itself and its dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class WriteFile(BaseTool):
    name: str = "write_file"
    description: str = "Write a file."

    def _run(self, path: str, content: str) -> str:
        ran.append(path)
        Path(path).write_text(content)
        return f"wrote {content}"


@as_tool("note")
def note(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return f"noted {text}"


def script(stage: Any) -> list[tuple[str, dict[str, str]]]:
    return [
        ("write_file", {"path": str(stage.folder / "secret" / "a"), "content": "x"}),
        ("note", {"text": "a forbidden word"}),
        ("write_file", {"path": str(stage.folder / "public" / "a"), "content": "y"}),
        ("note", {"text": "hello"}),
    ]


def crew_of(llm: Any, *tools: BaseTool, **options: Any) -> Crew:
    writer = Agent(
        role="Writer", goal="Write notes", backstory="You write.", tools=list(tools), llm=llm
    )
    work = Task(description="Write the notes.", expected_output="Notes.", agent=writer)
    return Crew(agents=[writer], tasks=[work], process=Process.sequential, **options)


def kickoff(subject: Crew, way: str) -> Any:
    return asyncio.run(subject.akickoff()) if way == "akickoff" else subject.kickoff()


def require_the_promise(stage: Any, llm: Any, result: Any) -> None:
    assert result.raw == "done"
    assert ran == [str(stage.folder / "public" / "a"), "hello"]
    assert not (stage.folder / "secret" / "a").exists()
    assert [d["decision"]["action"] for d in stage.decisions()] == [
        "deny",
        "deny",
        "allow",
        "allow",
    ]
    told = llm.seen[-1]
    for words in ("secrets are not for agents", "not this word", "wrote y", "noted hello"):
        assert words in told


WAYS = [(way, native) for way in ("kickoff", "akickoff") for native in (True, False)]


@pytest.mark.parametrize(("way", "native"), WAYS)
def test_crew_reads_the_denial_and_goes_on(
    stage: Any, scripted: Any, way: str, native: bool
) -> None:
    llm = scripted(*script(stage), native=native)
    guarded = stage.guard.protect(crew_of(llm, WriteFile(), note))
    result = kickoff(guarded, way)
    require_the_promise(stage, llm, result)
    assert {d["agent"] for d in stage.decisions()} == {"Writer"}
    failures = [(f.tool_name, f.failure.code) for f in result.tasks_output[0].tool_failures]
    assert failures == [("write_file", "policy_denied"), ("note", "policy_denied")]


@pytest.mark.parametrize(("way", "native"), WAYS)
def test_hooks_guard_tools_that_nobody_protected(
    stage: Any, scripted: Any, way: str, native: bool
) -> None:
    llm = scripted(*script(stage), native=native)
    install_hooks(stage.guard)
    require_the_promise(stage, llm, kickoff(crew_of(llm, WriteFile(), note), way))
    assert {d["agent"] for d in stage.decisions()} == {"Writer"}


class Broken:
    """A decision point that fails."""

    def check(self, call: object) -> Decision:
        raise RuntimeError("no disk")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        return decision

    def poll(self, decision: Decision) -> Decision:
        return decision


@pytest.mark.parametrize("native", [True, False])
def test_hook_that_fails_denies_although_crewai_ignores_its_exception(
    scripted: Any, native: bool
) -> None:
    llm = scripted(("note", {"text": "hello"}), native=native)
    install_hooks(Guard.of(Broken()))
    assert str(crew_of(llm, note).kickoff()) == "done"
    assert ran == []
    assert "the decision failed: RuntimeError" in llm.seen[-1]


def test_crewai_runs_the_tool_when_a_hook_raises(scripted: Any) -> None:
    """The negative control: this is the trap that the hooks avoid."""

    def careless(context: Any) -> None:
        raise RuntimeError("no disk")

    register_before_tool_call_hook(careless)
    try:
        crew_of(scripted(("note", {"text": "hello"})), note).kickoff()
    finally:
        unregister_before_tool_call_hook(careless)
    assert ran == ["hello"]


def test_uninstalled_hooks_decide_nothing(stage: Any, scripted: Any) -> None:
    install_hooks(stage.guard)
    install_hooks(stage.guard)
    uninstall_hooks(stage.guard)
    crew_of(scripted(("note", {"text": "forbidden"})), note).kickoff()
    assert ran == ["forbidden"]
    assert stage.decisions() == []


@pytest.mark.parametrize("native", [True, False])
def test_denial_is_not_served_from_the_cache_after_an_approval(
    stage: Any, scripted: Any, native: bool
) -> None:
    target = str(stage.folder / "ask" / "a")
    other = ("note", {"text": "in between"})
    same = ("write_file", {"path": target, "content": "z"})
    llm = scripted(same, other, same, native=native)
    guarded = stage.guard.protect(crew_of(llm, WriteFile(), note, cache=True))

    def person() -> None:
        for approve in (False, True):
            stage.person(approve).join()

    thread = threading.Thread(target=person)
    thread.start()
    guarded.kickoff()
    thread.join()
    assert ran == ["in between", target]
    assert Path(target).read_text() == "z"


def test_tools_that_crewai_adds_itself_are_decided(stage: Any, scripted: Any) -> None:
    """Delegation is a tool that CrewAI makes when the crew runs."""
    boss_llm = scripted(
        (
            "delegate_work_to_coworker",
            {"task": "a forbidden word", "context": "c", "coworker": "Writer"},
        )
    )
    writer = Agent(role="Writer", goal="g", backstory="b", llm=scripted(), tools=[note])
    boss = Agent(role="Boss", goal="g", backstory="b", llm=boss_llm, allow_delegation=True)
    work = Task(description="Have it written.", expected_output="Notes.", agent=boss)
    stage.guard.protect(Crew(agents=[boss, writer], tasks=[work])).kickoff()
    (decision,) = stage.decisions()
    assert (decision["tool"], decision["agent"]) == ("delegate_work_to_coworker", "Boss")
    assert decision["params"]["coworker"] == "Writer"


@CrewBase
class NotesCrew:
    """A crew as CrewAI's own templates make them: agents and tasks in YAML."""

    agents: list[BaseAgent]
    tasks: list[Task]
    agents_config = "crew/agents.yaml"
    tasks_config = "crew/tasks.yaml"
    llm: Any = None

    @tool
    def write_file(self) -> BaseTool:
        return WriteFile()

    @tool
    def note(self) -> BaseTool:
        return note

    @agent
    def writer(self) -> Agent:
        return Agent(config=self.agents_config["writer"], llm=NotesCrew.llm)  # type: ignore[index]  # filled from YAML

    @task
    def writing(self) -> Task:
        return Task(config=self.tasks_config["writing"])  # type: ignore[arg-type,index,call-arg]  # filled from YAML

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks)


def test_crew_from_yaml_is_guarded(stage: Any, scripted: Any) -> None:
    NotesCrew.llm = llm = scripted(*script(stage))
    guarded = stage.guard.protect(NotesCrew().crew())
    require_the_promise(stage, llm, guarded.kickoff())


def test_copies_of_a_guarded_crew_are_guarded(stage: Any, scripted: Any) -> None:
    """`kickoff_for_each` runs copies."""
    llm = scripted(*script(stage))
    guarded = stage.guard.protect(crew_of(llm, WriteFile(), note))
    (result,) = guarded.kickoff_for_each([{}])
    assert ran == [str(stage.folder / "public" / "a"), "hello"]
    assert len(stage.decisions()) == 4
    assert result.raw == "done"


def test_agent_alone_is_guarded(stage: Any, scripted: Any) -> None:
    llm = scripted(*script(stage))
    subject = crew_of(llm, WriteFile(), note).agents[0]
    assert stage.guard.protect(subject) is subject
    subject.kickoff("Write the notes.")
    assert ran == [str(stage.folder / "public" / "a"), "hello"]
