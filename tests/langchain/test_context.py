"""Who asks comes from the framework: agent, thread, run, call, and how deep."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import StructuredTool

from tests.langchain.zoo import made, ran, write


@pytest.fixture(params=["protect", "instrument"])
def guarding(request: Any, stage: Any) -> Any:
    """Return a function that guards a tool in one of two ways."""
    ran.clear()
    if request.param == "instrument":
        stage.guard.instrument("langchain")
    yield (stage.guard.protect if request.param == "protect" else lambda tool: tool)
    stage.guard.uninstrument()


CONFIG: Any = {"configurable": {"thread_id": "thread-7"}}
TASK: Any = {"messages": [("user", "work")]}


def test_agent_thread_and_call_are_those_of_the_graph(
    stage: Any, scripted: Any, guarding: Any
) -> None:
    agent: Any = create_agent(
        scripted(("note", {"text": "hello"})), [guarding(made(write))], name="researcher"
    )
    agent.invoke(TASK, CONFIG)
    (decision,) = stage.decisions()
    seen = {key: decision[key] for key in ("agent", "session", "call_id", "depth")}
    assert seen == {"agent": "researcher", "session": "thread-7", "call_id": "call-0", "depth": 0}
    assert decision["run_id"]


def test_sub_agent_inherits_the_guard_and_is_one_deeper(
    stage: Any, scripted: Any, guarding: Any
) -> None:
    inner: Any = create_agent(
        scripted(("note", {"text": "a forbidden word"})), [guarding(made(write))], name="helper"
    )

    def delegate(task: str) -> str:
        """Hand a task to a helper."""
        done = inner.invoke({"messages": [("user", task)]})
        return str(done["messages"][-2].content)

    outer: Any = create_agent(
        scripted(("delegate", {"task": "write"})),
        [guarding(StructuredTool.from_function(delegate))],
        name="boss",
    )
    done = outer.invoke(TASK, CONFIG)
    assert "not this word" in done["messages"][-2].content
    seen = [(d["tool"], d["agent"], d["session"], d["depth"]) for d in stage.decisions()]
    assert seen == [("delegate", "boss", "thread-7", 0), ("note", "helper", "thread-7", 1)]
    assert ran == []


def test_what_a_program_says_wins(stage: Any, scripted: Any, guarding: Any) -> None:
    agent: Any = create_agent(
        scripted(("note", {"text": "hello"})), [guarding(made(write))], name="researcher"
    )
    own = {"agent": "ann", "session": "s1", "run_id": "r1", "depth": 3, "cwd": "/srv"}
    with stage.guard.context(**own):
        agent.invoke(TASK, CONFIG)
    (decision,) = stage.decisions()
    assert {key: decision[key] for key in own} == own


def test_run_that_a_platform_names_is_recorded(stage: Any, guarding: Any) -> None:
    guarding(made(write)).invoke({"text": "hello"}, {"configurable": {"run_id": "run-9"}})
    assert stage.decisions()[0]["run_id"] == "run-9"
