"""A guarded AutoGen tool or workbench is the same one, whose calls are decided exactly once."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest
from autogen_core import CancellationToken
from autogen_core.tools import (
    BaseStreamTool,
    BaseTool,
    FunctionTool,
    StaticStreamWorkbench,
    StaticWorkbench,
    ToolResult,
    Workbench,
)
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.tools.code_execution import PythonCodeExecutionTool
from autogen_ext.tools.langchain import LangChainToolAdapter
from langchain_core.tools import StructuredTool
from pydantic import BaseModel
from rampart import Denied
from rampart_autogen import GuardedTool, GuardedWorkbench, set_default_guard

# The executor warns that it runs code without a container; these tests do so on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor:UserWarning")

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def write(text: str, times: int = 1) -> str:
    """Write a note."""
    ran.append(text)
    return text * times


async def awrite(text: str, times: int = 1) -> str:
    """Write a note."""
    ran.append(text)
    return text * times


class NoteArgs(BaseModel):
    text: str
    times: int = 1


class NoteResult(BaseModel):
    said: str

    def __str__(self) -> str:
        return self.said


class NoteTool(BaseTool[NoteArgs, NoteResult]):
    def __init__(self) -> None:
        super().__init__(NoteArgs, NoteResult, "note", "Write a note.")

    async def run(self, args: NoteArgs, cancellation_token: CancellationToken) -> NoteResult:
        ran.append(args.text)
        return NoteResult(said=args.text * args.times)

    def return_value_as_string(self, value: Any) -> str:
        return str(value)


class JsonTool(NoteTool):
    """A tool with a `run_json` of its own."""

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> Any:
        return await self.run(NoteArgs(times=1, **args), cancellation_token)


class StreamTool(BaseStreamTool[NoteArgs, NoteResult, NoteResult]):
    def __init__(self) -> None:
        super().__init__(NoteArgs, NoteResult, "note", "Write a note.")

    async def run(self, args: NoteArgs, cancellation_token: CancellationToken) -> NoteResult:
        async for item in self.run_stream(args, cancellation_token):
            last = item
        return last

    async def run_stream(
        self, args: NoteArgs, cancellation_token: CancellationToken
    ) -> AsyncGenerator[NoteResult, None]:
        ran.append(args.text)
        yield NoteResult(said="partly")
        yield NoteResult(said=args.text * args.times)

    def return_value_as_string(self, value: Any) -> str:
        return str(value)


TOOLS: dict[str, Any] = {
    "function": lambda: FunctionTool(write, "Write a note.", name="note"),
    "coroutine": lambda: FunctionTool(awrite, "Write a note.", name="note"),
    "class": NoteTool,
    "own run_json": JsonTool,
    "stream": StreamTool,
}


def through_workbench(tool: Any, text: str) -> ToolResult:
    workbench = StaticWorkbench([tool])
    return asyncio.run(workbench.call_tool("note", {"text": text}, call_id="c1"))


def through_stream(tool: Any, text: str) -> ToolResult:
    async def main() -> Any:
        items = [
            item
            async for item in StaticStreamWorkbench([tool]).call_tool_stream(
                "note", {"text": text}, call_id="c1"
            )
        ]
        return items[-1]

    result = asyncio.run(main())
    assert isinstance(result, ToolResult)
    return result


WAYS = [through_workbench, through_stream]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", TOOLS)
def test_allowed_call_answers_what_the_tool_answers(stage: Any, kind: str, way: Any) -> None:
    result = way(stage.guard.protect(TOOLS[kind]()), "hello")
    assert (result.is_error, result.to_text(), ran) == (False, "hello", ["hello"])
    assert {d["call_id"] for d in stage.decisions()} == {"c1"}
    assert stage.decisions()[-1]["params"]["text"] == "hello"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", TOOLS)
def test_denied_call_never_runs_and_says_why(stage: Any, kind: str, way: Any) -> None:
    result = way(stage.guard.protect(TOOLS[kind]()), "a forbidden word")
    assert result.is_error
    assert "Denied by policy: note: not this word" in result.to_text()
    assert ran == []
    assert len(stage.decisions()) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [kind for kind in TOOLS if kind != "own run_json"])
def test_every_call_is_decided_exactly_once(stage: Any, kind: str, way: Any) -> None:
    way(stage.guard.protect(TOOLS[kind]()), "hello")
    assert len(stage.decisions()) == 1


def test_tool_that_changes_its_arguments_on_the_way_is_decided_again(stage: Any) -> None:
    """What the first decision saw is not what would run: `times` was added."""
    through_workbench(stage.guard.protect(JsonTool()), "hello")
    assert [d["params"] for d in stage.decisions()] == [
        {"text": "hello"},
        {"text": "hello", "times": 1},
    ]


def test_run_is_a_guarded_side_door(stage: Any) -> None:
    guarded = stage.guard.protect(NoteTool())
    with pytest.raises(Denied, match="not this word"):
        asyncio.run(guarded.run(NoteArgs(text="forbidden"), CancellationToken()))
    assert ran == []


@pytest.mark.parametrize("kind", TOOLS)
def test_everything_that_can_be_seen_of_a_tool_stays(stage: Any, kind: str) -> None:
    plain = TOOLS[kind]()
    guarded = stage.guard.protect(plain)
    assert isinstance(guarded, type(plain))
    assert guarded.schema == plain.schema
    assert (guarded.name, guarded.description) == (plain.name, plain.description)
    assert through_workbench(plain, "forbidden").to_text() == "forbidden"
    assert stage.guard.protect(guarded) is guarded
    assert through_workbench(copy.copy(guarded), "forbidden").is_error


def test_cancelling_while_a_person_thinks_runs_nothing(stage: Any) -> None:
    target = stage.folder / "ask" / "notes.md"

    def write_file(path: str) -> str:
        """Write a file."""
        target.write_text("ran")
        return path

    guarded = stage.guard.protect(FunctionTool(write_file, "Write a file."))

    async def main() -> None:
        token = CancellationToken()
        running = asyncio.ensure_future(guarded.run_json({"path": str(target)}, token))
        question = await asyncio.to_thread(stage.question)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        stage.guard._point.resolve(question, True, by="a person")
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(main())
    assert not target.exists()


def test_code_execution_tool_is_decided_by_its_guarded_executor_alone(stage: Any) -> None:
    inner = LocalCommandLineCodeExecutor(work_dir=stage.folder)
    tool = PythonCodeExecutionTool(stage.guard.protect(inner))
    assert stage.guard.protect(tool) is tool
    result = asyncio.run(tool.run_json({"code": "print('forbidden')"}, CancellationToken()))
    assert (result.success, len(stage.decisions())) == (False, 1)
    assert "NOT executed" in result.output


def test_code_execution_tool_stands_for_code(stage: Any) -> None:
    inner = LocalCommandLineCodeExecutor(work_dir=stage.folder)
    guarded = stage.guard.protect(PythonCodeExecutionTool(inner))
    with pytest.raises(Denied, match="not this code"):
        asyncio.run(guarded.run_json({"code": "print('forbidden')"}, CancellationToken()))
    (decision,) = stage.decisions()
    assert decision["tool"] == "code"
    assert decision["params"]["language"] == "python"


def test_langchain_tool_inside_autogen_is_guarded_through_its_function(stage: Any) -> None:
    """AutoGen's adapter calls `tool.func` directly."""
    inner = stage.guard.protect(StructuredTool.from_function(write, name="note"))
    result = through_workbench(LangChainToolAdapter(inner), "forbidden")
    assert result.is_error
    assert "not this word" in result.to_text()
    assert ran == []


@pytest.mark.parametrize("made_of", ["a LangChain tool", "a guarded function"])
def test_tool_that_is_guarded_inside_and_outside_is_decided_once(stage: Any, made_of: str) -> None:
    """It is asked as what it stands for inside."""
    known = {"path": "text"}
    made: Any
    if made_of == "a LangChain tool":
        inner = StructuredTool.from_function(write, name="note")
        made = LangChainToolAdapter(stage.guard.protect(inner, tool="read", params=known))
    else:
        guarded = stage.guard.tool("read", params=known)(awrite)
        made = FunctionTool(guarded, "Write a note.", name="note")
    outer = stage.guard.protect(made)
    assert through_workbench(outer, "hello").to_text() == "hello"
    assert through_workbench(outer, "/x/secret/y").is_error
    person = stage.person(True)
    assert through_workbench(outer, "/x/ask/y").to_text() == "/x/ask/y"
    person.join()
    assert ran == ["hello", "/x/ask/y"]
    decided = [(d["tool"], d["decision"]["action"]) for d in stage.decisions()]
    assert decided == [("read", "allow"), ("read", "deny"), ("read", "ask")]


def test_user_can_say_what_a_tool_stands_for(stage: Any) -> None:
    def peek(where: str) -> str:
        """Look."""
        ran.append(where)
        return where

    guarded = stage.guard.protect(
        FunctionTool(peek, "Look."), tool="read", params={"path": "where"}
    )
    with pytest.raises(Denied, match="secrets are not"):
        asyncio.run(guarded.run_json({"where": "/x/secret/y"}, CancellationToken()))
    assert ran == []


@pytest.fixture
def default_guard(stage: Any) -> Any:
    set_default_guard(stage.guard)
    yield stage.guard
    set_default_guard(None)


# Loading a FunctionTool runs its source; AutoGen says so each time. These tests load their own.
LOADS_SOURCE = pytest.mark.filterwarnings("ignore:\\n.*SECURITY WARNING:UserWarning")


def plain_tool() -> FunctionTool:
    return FunctionTool(read_it, "Read a file.")


def read_it(where: str) -> str:
    """Read a file."""
    return "read " + where


@LOADS_SOURCE
def test_configuration_of_a_tool_keeps_the_guard_and_what_it_stands_for(
    stage: Any, default_guard: Any
) -> None:
    guarded = stage.guard.protect(plain_tool(), tool="read", params={"path": "where"})
    dumped = StaticWorkbench([guarded]).dump_component()
    loaded = Workbench.load_component(dumped.model_dump())
    result = asyncio.run(loaded.call_tool("read_it", {"where": "/x/secret/y"}))
    assert result.is_error
    assert "secrets are not" in result.to_text()
    assert asyncio.run(loaded.call_tool("read_it", {"where": "a"})).to_text() == "read a"
    assert guarded.dump_component().provider == GuardedTool.component_provider_override


@pytest.mark.parametrize("kind", [StaticWorkbench, StaticStreamWorkbench])
def test_workbench_decides_tools_that_nobody_protected(stage: Any, kind: Any) -> None:
    guarded: Any = stage.guard.protect(kind([FunctionTool(write, "Write a note.", name="note")]))
    assert GuardedWorkbench in type(guarded).__mro__

    async def main() -> list[ToolResult]:
        async with guarded:
            assert [schema["name"] for schema in await guarded.list_tools()] == ["note"]
            results = [await guarded.call_tool("note", {"text": t}) for t in ("forbidden", "hello")]
            if kind is StaticStreamWorkbench:
                for text in ("forbidden", "hello"):
                    stream = guarded.call_tool_stream("note", {"text": text}, call_id="c2")
                    results.append([item async for item in stream][-1])
            await guarded.load_state(await guarded.save_state())
            await guarded.reset()
        return results

    results = asyncio.run(main())
    assert [result.is_error for result in results[:2]] == [True, False]
    assert [result.is_error for result in results[2:]] in ([], [True, False])
    assert "not this word" in results[0].to_text()
    assert set(ran) == {"hello"}
    assert len(stage.decisions()) == len(results)


def test_workbench_knows_tools_by_their_names(stage: Any) -> None:
    def read_file(path: str) -> str:
        """Read a file."""
        ran.append(path)
        return path

    guarded = stage.guard.protect(StaticWorkbench([FunctionTool(read_file, "Read a file.")]))
    result = asyncio.run(guarded.call_tool("read_file", {"path": "/x/secret/y"}))
    assert result.is_error
    assert (stage.decisions()[0]["tool"], ran) == ("read", [])


@LOADS_SOURCE
def test_configuration_of_a_workbench_keeps_the_guard(stage: Any, default_guard: Any) -> None:
    guarded = stage.guard.protect(StaticStreamWorkbench([plain_tool()]))
    loaded = Workbench.load_component(guarded.dump_component().model_dump())
    assert type(loaded) is type(guarded)
    assert stage.guard.protect(loaded) is loaded
    asyncio.run(loaded.call_tool("read_it", {"where": "a"}))
    assert len(stage.decisions()) == 1
