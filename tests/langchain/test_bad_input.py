"""What models and programs send that they should not: refused in words, and the loop goes on."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from rampart import Decision, Guard
from rampart_langchain import RampartMiddleware, ToolCalls

ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


SCHEMA = {"type": "object", "properties": {"command": {}, "cmd": {}}}


class Shell(BaseTool):
    """A tool that takes its arguments as they come."""

    name: str = "shell"
    description: str = "Run a command."
    args_schema: Any = SCHEMA

    def _run(self, **given: Any) -> str:
        ran.append(given)
        return "ran"


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)

BAD: dict[str, dict[str, Any]] = {
    "missing": {},
    "of another type": {"command": 7},
    "none": {"command": None},
    "a mapping": {"command": {"run": "ls"}},
    "a list that holds more than text": {"command": ["ls", 7]},
    "named twice": {"command": "ls", "cmd": "pwd"},
    "enormous": {"command": "echo " + "x" * 200_000},
    "circular": {"command": "ls", "more": ENDLESS},
    "with a zero byte": {"command": "ls\0"},
    "wide": {"command": "ls", "more": ["x" * 1000] * 2000},
}


@pytest.mark.parametrize("how", ["protect", "instrument"])
@pytest.mark.parametrize("case", BAD)
def test_call_that_cannot_be_understood_is_refused(stage: Any, case: str, how: str) -> None:
    tool: Any = Shell()
    if how == "protect":
        tool = stage.guard.protect(tool)
    else:
        stage.guard.instrument("langchain")
    try:
        answer = tool.invoke({"name": "shell", "args": BAD[case], "id": "c1", "type": "tool_call"})
    finally:
        stage.guard.uninstrument()
    assert answer.status == "error"
    assert answer.content.startswith("Denied by policy: shell: ")
    assert answer.content.endswith("use another approach or ask the user.")
    assert ran == []


@pytest.mark.parametrize("case", [name for name in BAD if name != "circular"])  # in no message
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_agent_reads_why_and_goes_on(stage: Any, scripted: Any, case: str, way: str) -> None:
    agent: Any = create_agent(
        scripted(("shell", BAD[case]), ("shell", {"command": "ls"})),
        [Shell()],
        middleware=[RampartMiddleware(stage.guard)],
    )
    task: Any = {"messages": [("user", "work")]}
    done = agent.invoke(task) if way == "invoke" else asyncio.run(agent.ainvoke(task))
    answers = [m for m in done["messages"] if isinstance(m, ToolMessage)]
    assert [answer.status for answer in answers] == ["error", "success"]
    assert ran == [{"command": "ls"}]


def test_bytes_are_what_they_say(stage: Any) -> None:
    guarded = stage.guard.protect(Shell())
    assert "not this command" in guarded.invoke({"command": b"echo forbidden"})
    assert ran == []


class Failing:
    """A decision point that fails."""

    def check(self, call: object) -> Decision:
        raise OSError("no disk")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        raise OSError("no disk")

    def poll(self, decision: Decision) -> Decision:
        raise OSError("no disk")


@pytest.mark.parametrize("how", ["protect", "middleware", "instrument"])
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_guard_that_fails_denies_and_the_loop_goes_on(scripted: Any, how: str, way: str) -> None:
    guard, model = Guard.of(Failing()), scripted(("shell", {"command": "ls"}))
    options: dict[str, Any] = {}
    tools: list[Any] = [Shell()]
    if how == "protect":
        tools = guard.protect(tools)
    elif how == "middleware":
        options["middleware"] = [RampartMiddleware(guard)]
    else:
        guard.instrument("langchain")
    try:
        agent: Any = create_agent(model, tools, **options)
        task: Any = {"messages": [("user", "work")]}
        done = agent.invoke(task) if way == "invoke" else asyncio.run(agent.ainvoke(task))
    finally:
        guard.uninstrument()
    (answer,) = [m for m in done["messages"] if isinstance(m, ToolMessage)]
    assert "the decision failed: OSError" in answer.content
    assert done["messages"][-1].content == "done"
    assert ran == []


@pytest.mark.parametrize("how", ["protect", "instrument"])
def test_tool_that_changes_its_arguments_changes_its_own_copy(stage: Any, how: str) -> None:
    """What the caller holds, and what was decided, stay as they were."""

    def pop(paths: list[str]) -> str:
        """Take the last path."""
        return paths.pop()

    tool: Any = StructuredTool.from_function(pop, name="pop")
    if how == "protect":
        tool = stage.guard.protect(tool)
    else:
        stage.guard.instrument("langchain")
    given = ["a", "b"]
    try:
        assert tool.invoke({"paths": given}) == "b"
    finally:
        stage.guard.uninstrument()
    assert given == ["a", "b"]
    assert stage.decisions()[0]["params"] == {"paths": ["a", "b"]}


def test_broken_map_of_the_user_denies_with_its_place(
    stage: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stage.folder / "tools.yaml"
    path.write_text("- {name: shell}")
    monkeypatch.setenv("RAMPART_TOOLS", str(path))
    agent: Any = create_agent(
        scripted(("shell", {"command": "ls"})),
        [Shell()],
        middleware=[RampartMiddleware(stage.guard)],
    )
    done = agent.invoke({"messages": [("user", "work")]})
    (answer,) = [m for m in done["messages"] if isinstance(m, ToolMessage)]
    assert answer.status == "error"
    assert "tools.yaml:1:3: an entry needs" in answer.content
    assert ran == []


def test_call_of_a_tool_that_does_not_exist_is_decided_under_its_name(stage: Any) -> None:
    """A wrapper sees calls of tools that a node does not have; they are somebody's to answer."""
    call: Any = {"name": "shell", "args": {"command": "echo forbidden"}, "id": "c1"}
    request: Any = SimpleNamespace(tool=None, tool_call=call)
    answer = ToolCalls(stage.guard).wrap_tool_call(request, ran.append)  # type: ignore[arg-type]  # never called
    assert isinstance(answer, ToolMessage)
    assert "not this command" in answer.content
    assert ran == []
