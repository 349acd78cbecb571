"""The hooks and `instrument`: every call, once, with the arguments that were decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start
from crewai.hooks import register_before_tool_call_hook, unregister_before_tool_call_hook
from crewai.hooks.tool_hooks import ToolCallHookContext
from crewai.tools import BaseTool
from crewai.tools import tool as as_tool
from crewai.tools.base_tool import Tool
from crewai.tools.tool_failure import ToolFailure
from pydantic import BaseModel, Field
from rampart import ConfigError, Guard
from rampart_crewai import install_hooks, uninstall_hooks
from rampart_crewai.hooks import Hooks

# Each time a crew runs, CrewAI uses things that itself and its dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@as_tool("note")
def note(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return f"noted {text}"


class Where(BaseModel):
    place: str = Field(alias="p")


class Reader(BaseTool):
    name: str = "read_file"
    description: str = "Read a file."
    args_schema: type[BaseModel] = Where

    def _run(self, place: str) -> str:
        ran.append(place)
        return place


def crew_of(llm: Any, *tools: BaseTool, **options: Any) -> Crew:
    writer = Agent(role="Writer", goal="g", backstory="b", tools=list(tools), llm=llm)
    work = Task(description="Write.", expected_output="Notes.", agent=writer)
    return Crew(agents=[writer], tasks=[work], **options)


@pytest.fixture
def instrumented(stage: Any) -> Any:
    with stage.guard.instrument("crewai"):
        yield stage


WAYS = [(way, native) for way in ("kickoff", "akickoff") for native in (True, False)]


@pytest.mark.parametrize(("way", "native"), WAYS)
def test_instrumented_process_decides_every_call_once(
    instrumented: Any, scripted: Callable[..., Any], way: str, native: bool
) -> None:
    calls = [("note", {"text": text}) for text in ("forbidden", "hello")]
    subject = crew_of(scripted(*calls, native=native), note)
    result = asyncio.run(subject.akickoff()) if way == "akickoff" else subject.kickoff()
    assert str(result) == "done"
    assert ran == ["hello"]
    assert [d["decision"]["action"] for d in instrumented.decisions()] == ["deny", "allow"]


def test_instrumented_process_decides_direct_calls_of_tools_made_before_and_after(
    instrumented: Any,
) -> None:
    @as_tool("note")
    async def made_later(text: str) -> str:
        """Write a note."""
        ran.append(text)
        return text

    later: Any = made_later
    assert isinstance(note.run(text="forbidden"), ToolFailure)
    assert note.run(text="hello") == "noted hello"
    assert isinstance(note.run("forbidden"), ToolFailure)
    assert isinstance(asyncio.run(later.arun(text="forbidden")), ToolFailure)
    assert asyncio.run(later.arun(text="hi")) == "hi"
    assert ran == ["hello", "hi"]
    assert len(instrumented.decisions()) == 5


def test_pass_of_one_call_does_not_serve_another(
    instrumented: Any, scripted: Callable[..., Any]
) -> None:
    """What the hooks let through is let through once, and not after the call is over."""
    crew_of(scripted(("note", {"text": "hello"}), native=False), note).kickoff()
    note.run(text="hello")
    assert len(instrumented.decisions()) == 2


def test_flow_is_covered(instrumented: Any, scripted: Callable[..., Any]) -> None:
    class Notes(Flow[Any]):
        @start()
        def first(self) -> Any:
            return note.run(text="forbidden")

        @listen(first)
        def second(self, heard: Any) -> str:
            assert isinstance(heard, ToolFailure)
            llm = scripted(("note", {"text": "forbidden"}), ("note", {"text": "hello"}))
            return str(crew_of(llm, note).kickoff())

    assert Notes(suppress_flow_events=True).kickoff() == "done"
    assert ran == ["hello"]


def test_uninstrument_undoes_exactly_what_was_done(stage: Any) -> None:
    before = {(kind, name): kind.__dict__[name] for kind in (BaseTool, Tool)
              for name in ("run", "arun")}  # fmt: skip
    stage.guard.instrument("crewai")
    guarded = stage.guard.protect(note)
    stage.guard.uninstrument("crewai")
    assert {(kind, name): kind.__dict__[name] for kind, name in before} == before
    assert note.run(text="forbidden") == "noted forbidden"
    assert isinstance(guarded.run(text="forbidden"), ToolFailure)
    assert len(stage.decisions()) == 1


def test_uninstrument_leaves_hooks_that_were_there_before(
    stage: Any, scripted: Callable[..., Any]
) -> None:
    install_hooks(stage.guard)
    with stage.guard.instrument("crewai"):
        pass
    crew_of(scripted(("note", {"text": "forbidden"})), note).kickoff()
    assert ran == []


def test_guarded_tool_is_decided_once_in_an_instrumented_process(
    instrumented: Any, scripted: Callable[..., Any]
) -> None:
    guarded = instrumented.guard.protect(note)
    assert guarded.run(text="hello") == "noted hello"
    crew_of(scripted(("note", {"text": "hello"})), guarded).kickoff()
    assert len(instrumented.decisions()) == 2


def test_another_guard_cannot_instrument_as_well(instrumented: Any, tmp_path: Path) -> None:
    with (
        Guard('version: "1"\n', data_dir=tmp_path / "other") as other,
        pytest.raises(ConfigError, match="another guard"),
    ):
        other.instrument("crewai")


def test_coverage_names_what_passes_the_guard(stage: Any, scripted: Callable[..., Any]) -> None:
    assert stage.guard.coverage(note).paths == ()
    assert "tool.run() and tool.arun()" in stage.guard.coverage(stage.guard.protect(note)).paths[0]
    subject = crew_of(scripted(), note)
    assert stage.guard.coverage(subject).paths == ()
    assert "note.run()" in stage.guard.coverage(stage.guard.protect(subject)).paths
    with stage.guard.instrument("crewai") as coverage:
        assert any("clear_all_hooks" in gap for gap in coverage.gaps)


def test_arguments_that_change_while_a_person_thinks_are_not_what_runs(
    stage: Any, scripted: Callable[..., Any]
) -> None:
    asked, other = str(stage.folder / "ask" / "a"), str(stage.folder / "secret" / "b")
    inputs: list[dict[str, Any]] = []

    def keep(context: ToolCallHookContext) -> None:
        inputs.append(context.tool_input)

    @as_tool("write_file")
    def write_file(path: str) -> str:
        """Write a file."""
        ran.append(path)
        return path

    register_before_tool_call_hook(keep)
    install_hooks(stage.guard)
    try:
        person = stage.person(True, first=lambda: inputs[0].update(path=other))
        crew_of(scripted(("write_file", {"path": asked})), write_file).kickoff()
        person.join()
    finally:
        unregister_before_tool_call_hook(keep)
    assert ran == [asked]


@pytest.mark.parametrize("native", [True, False])
def test_rules_see_an_argument_that_the_schema_renames(
    stage: Any, scripted: Callable[..., Any], native: bool
) -> None:
    """`p` is what the model says, `place` is what the tool opens, `path` is what rules know."""
    install_hooks(stage.guard)
    llm = scripted(("read_file", {"p": "/x/secret/y"}), native=native)
    crew_of(llm, Reader()).kickoff()
    assert ran == []
    assert "Denied by policy" in llm.seen[-1]


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = value
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(500):
        value = [value]
    return value


class Uncopyable:
    def __deepcopy__(self, memo: object) -> object:
        raise RuntimeError("no copies")


BAD: dict[str, Any] = {
    "a list": [1, 2],
    "a text": "text",
    "a number": 7,
    "circular": {"text": circular()},
    "deep": {"text": deep()},
    "enormous": {"text": "x" * 5_000_000},
    "uncopyable": {"text": Uncopyable()},
    "two paths": {"path": "/a", "file_path": "/b"},
}


@pytest.mark.parametrize("case", BAD)
def test_input_that_cannot_be_read_is_denied_with_a_sentence(stage: Any, case: str) -> None:
    hooks = Hooks(stage.guard)
    name = "read_file" if case == "two paths" else "note"
    context = ToolCallHookContext(name, BAD[case], tool=None)  # type: ignore[arg-type]  # CrewAI passes None, too
    assert hooks.before(context) is False
    told = hooks.after(context)
    assert told is not None
    assert told.startswith(f"Denied by policy: {name}: ")
    assert told.endswith("use another approach or ask the user.")
    assert ran == []


def test_after_hook_that_fails_shows_no_output(stage: Any) -> None:
    """CrewAI ignores a hook that raises, and would hand the output on as it is."""

    class Odd:
        tool_name = "note"

        @property
        def tool_input(self) -> dict[str, Any]:
            raise RuntimeError("no input")

    told = Hooks(stage.guard).after(Odd())  # type: ignore[arg-type]  # a context that fails
    assert told is not None
    assert "its output cannot be reviewed: RuntimeError" in told


@pytest.mark.parametrize("empty", [None, {}])
def test_call_without_arguments_is_decided(stage: Any, empty: Any) -> None:
    context = ToolCallHookContext("ping", empty, tool=None)  # type: ignore[arg-type]  # as above
    assert Hooks(stage.guard).before(context) is None
    assert [d["tool"] for d in stage.decisions()] == ["ping"]


def test_who_asks_is_known_down_to_the_delegate(stage: Any, scripted: Callable[..., Any]) -> None:
    task = {"task": "Write hello.", "context": "c", "coworker": "Writer"}
    boss_llm = scripted(("delegate_work_to_coworker", task), ("note", {"text": "later"}))
    writer_llm = scripted(("note", {"text": "hello"}))
    writer = Agent(role="Writer", goal="g", backstory="b", llm=writer_llm, tools=[note])
    boss = Agent(
        role="Boss", goal="g", backstory="b", llm=boss_llm, tools=[note], allow_delegation=True
    )
    work = Task(description="Have it written.", expected_output="Notes.", agent=boss)
    subject = Crew(agents=[boss, writer], tasks=[work])
    install_hooks(stage.guard)
    subject.kickoff()
    assert ran == ["hello", "later"]
    made = [(d["agent"], d["depth"]) for d in stage.decisions()]
    assert made == [("Boss", 0), ("Writer", 1), ("Boss", 0)]
    assert {d["session"] for d in stage.decisions()} == {str(subject.id)}
    assert stage.decisions()[0]["run_id"] == str(work.id)


def test_name_and_session_of_the_guard_win(stage: Any, scripted: Callable[..., Any]) -> None:
    install_hooks(stage.guard)
    with stage.guard.context(agent="somebody", session="s1", run_id="r1"):
        crew_of(scripted(("note", {"text": "hello"})), note).kickoff()
    (decision,) = stage.decisions()
    assert (decision["agent"], decision["session"], decision["run_id"]) == ("somebody", "s1", "r1")


def test_uninstall_without_a_guard_removes_all(stage: Any, scripted: Callable[..., Any]) -> None:
    install_hooks(stage.guard)
    uninstall_hooks()
    crew_of(scripted(("note", {"text": "forbidden"})), note).kickoff()
    assert ran == ["forbidden"]
