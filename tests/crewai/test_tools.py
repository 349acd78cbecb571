"""A guarded CrewAI tool is the same tool; its denials are returned, never raised or cached."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from crewai.tools import BaseTool, tool
from crewai.tools.base_tool import Tool, to_langchain
from crewai.tools.tool_failure import ToolFailure
from langchain_core.tools import StructuredTool
from rampart import Decision, Denied, Guard
from rampart_crewai import guard_tool
from rampart_crewai.tools import tool_map

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class Note(BaseTool):
    name: str = "note"
    description: str = "Write a note."

    def _run(self, text: str, times: int = 1) -> str:
        ran.append(text)
        return text * times


class AsyncNote(Note):
    async def _arun(self, text: str, times: int = 1) -> str:
        return self._run(text, times)


class OnlyAsyncNote(BaseTool):
    name: str = "note"
    description: str = "Write a note."

    async def _run(self, text: str) -> str:  # CrewAI awaits what it returns
        ran.append(text)
        return text


@tool("note")
def note(text: str, times: int = 1) -> str:
    """Write a note."""
    ran.append(text)
    return text * times


@tool("note")
async def anote(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return text


class OwnTool(Tool[..., str]):
    """A function tool with a `_run` of its own."""

    def _run(self, *args: Any, **kwargs: Any) -> str:
        return str(super()._run(*args, **kwargs))


TOOLS: dict[str, Any] = {
    "class": Note,
    "class with _arun": AsyncNote,
    "class with async _run": OnlyAsyncNote,
    "function": lambda: note,
    "async function": lambda: anote,
    "subclass of Tool": lambda: OwnTool(
        name="note", description="d", func=note.func, args_schema=note.args_schema
    ),
}


def react(subject: BaseTool, text: str) -> Any:
    """Call a tool as the ReAct loop does."""
    (structured,) = to_langchain([subject])
    return structured.invoke({"text": text})


WAYS: dict[str, Any] = {
    "run": lambda subject, text: subject.run(text=text),
    "run with a position": lambda subject, text: subject.run(text),
    "arun": lambda subject, text: asyncio.run(subject.arun(text=text)),
    "ReAct": react,
}
UNSUPPORTED = {("class", "arun"), ("function", "arun"), ("class with async _run", "arun"),
               ("subclass of Tool", "arun")}  # fmt: skip
CASES = [(kind, way) for kind in TOOLS for way in WAYS if (kind, way) not in UNSUPPORTED]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_allowed_call_answers_what_the_tool_answers_and_is_decided_once(
    stage: Any, kind: str, way: str
) -> None:
    guarded = stage.guard.protect(TOOLS[kind]())
    assert WAYS[way](guarded, "hello") == "hello"
    assert ran == ["hello"]
    (decision,) = stage.decisions()
    assert (decision["tool"], decision["params"]["text"]) == ("note", "hello")


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_denial_is_returned_and_never_raised(stage: Any, kind: str, way: str) -> None:
    """CrewAI runs a tool that raises again, up to six times."""
    answer = WAYS[way](stage.guard.protect(TOOLS[kind]()), "a forbidden word")
    assert isinstance(answer, ToolFailure)
    assert answer.message.startswith("Denied by policy: note: not this word")
    assert (answer.code, answer.retryable) == ("policy_denied", False)
    assert (answer.details["action"], answer.details["policy"]) == ("deny", "notes")
    assert ran == []
    assert len(stage.decisions()) == 1


def cache_some(arguments: Any = None, result: Any = None) -> bool:
    return bool(result != "not this one")


def test_denial_is_never_cached_and_the_tools_own_rule_is_kept(stage: Any) -> None:
    plain = Note(cache_function=cache_some)
    guarded = stage.guard.protect(plain)
    assert guarded.cache_function({}, "this one") is True
    assert guarded.cache_function({}, "not this one") is False
    assert guarded.cache_function({}, guarded.run(text="forbidden")) is False


class Broken:
    """A decision point that fails."""

    def check(self, call: object) -> Decision:
        raise RuntimeError("no disk")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        return decision

    def poll(self, decision: Decision) -> Decision:
        return decision


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_failing_guard_denies(kind: str, way: str) -> None:
    answer = WAYS[way](guard_tool(TOOLS[kind](), Guard.of(Broken())), "hello")
    assert "the decision failed: RuntimeError" in answer.message
    assert ran == []


@pytest.mark.parametrize("kind", TOOLS)
def test_everything_that_can_be_seen_of_a_tool_stays(stage: Any, kind: str) -> None:
    plain = TOOLS[kind]()
    guarded = stage.guard.protect(plain)
    assert isinstance(guarded, type(plain))
    for name in ("name", "description", "args_schema", "result_as_answer", "tool_type"):
        assert getattr(guarded, name) == getattr(plain, name)
    assert guarded.formatted_description == plain.formatted_description
    assert set(guarded.model_dump()) == set(plain.model_dump())
    assert stage.guard.protect(guarded) is guarded
    assert WAYS["run"](plain, "forbidden") == "forbidden"
    assert stage.decisions() == []


@pytest.mark.parametrize("kind", ["class", "function"])
def test_copies_of_a_guarded_tool_are_guarded(stage: Any, kind: str) -> None:
    guarded = stage.guard.protect(TOOLS[kind]())
    for twin in (copy.copy(guarded), guarded.model_copy()):
        assert isinstance(twin.run(text="forbidden"), ToolFailure)
    assert ran == []


def test_another_guard_takes_the_place_of_the_first(stage: Any) -> None:
    guarded = guard_tool(guard_tool(note, Guard.of(Broken())), stage.guard)
    assert guarded.run(text="hello") == "hello"
    assert isinstance(guarded.run(text="forbidden"), ToolFailure)
    assert len(stage.decisions()) == 2


def test_list_of_tools(stage: Any) -> None:
    guarded = stage.guard.protect([Note(), note])
    assert [type(each.run(text="forbidden")) for each in guarded] == [ToolFailure] * 2


def test_langchain_tool_inside_crewai_is_guarded_through_its_function(stage: Any) -> None:
    """CrewAI takes `tool.func` of a LangChain tool."""

    def write(text: str) -> str:
        """Write a note."""
        ran.append(text)
        return text

    inner = stage.guard.protect(StructuredTool.from_function(write, name="note"))
    converted = Tool.from_langchain(inner)
    assert converted.run(text="hello") == "hello"
    with pytest.raises(Denied, match="not this word"):
        converted.run(text="forbidden")
    assert ran == ["hello"]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("made_of", ["a LangChain tool", "a guarded function"])
def test_tool_that_is_guarded_inside_and_outside_is_decided_once(
    stage: Any, kind: str, made_of: str
) -> None:
    """It is asked as what it stands for inside, and its denials are CrewAI's own."""

    def write(line: str, times: int = 1) -> str:
        """Write a note."""
        ran.append(line)
        return line * times

    async def awrite(line: str, times: int = 1) -> str:
        """Write a note."""
        return write(line, times)

    function: Any = write if kind == "sync" else awrite
    guard: Any = stage.guard
    known = {"path": "line"}
    made: Any
    if made_of == "a guarded function":
        made = Tool(name="any", description="", func=guard.tool("read", params=known)(function))
    else:
        coroutine: Any = None if kind == "sync" else awrite
        inner = StructuredTool.from_function(write, name="any", coroutine=coroutine)
        guarded = guard.protect(inner, tool="read", params=known)
        made = Tool.from_langchain(guarded)
        made.func = guarded.coroutine or guarded.func
    outer = stage.guard.protect(made)

    def answer(line: str) -> Any:
        return asyncio.run(outer.arun(line=line)) if kind == "async" else outer.run(line=line)

    assert answer("hello") == "hello"
    denied = answer("/x/secret/y")
    assert isinstance(denied, ToolFailure)
    assert "secrets are not" in denied.message
    person = stage.person(True)
    assert answer("/x/ask/y") == "/x/ask/y"
    person.join()
    assert ran == ["hello", "/x/ask/y"]
    decided = [(d["tool"], d["decision"]["action"]) for d in stage.decisions()]
    assert decided == [("read", "allow"), ("read", "deny"), ("read", "ask")]


def test_function_that_calls_the_same_tool_again_is_decided_again(stage: Any) -> None:
    """A permit serves one call."""

    def write(text: str) -> str:
        ran.append(text)
        return text

    inner: Any = stage.guard.tool("note")(write)

    def twice(text: str) -> str:
        """Write a note twice."""
        return f"{inner(text)}{inner(text)}"

    note_twice = stage.guard.protect(Tool(name="twice", description="", func=twice))
    assert note_twice.run(text="hello") == "hellohello"
    assert [d["tool"] for d in stage.decisions()] == ["twice", "note", "note"]


def test_denial_of_a_guard_inside_is_returned_and_not_raised(stage: Any) -> None:
    """CrewAI would run a tool that raises six times."""

    def write(text: str) -> None:
        ran.append(text)

    inner: Any = stage.guard.tool("note")(write)

    def note_it(text: str) -> str:
        """Write a note."""
        inner(f"{text} forbidden")
        return text

    outer = stage.guard.protect(Tool(name="outer", description="", func=note_it))
    denied = outer.run(text="hello")
    assert isinstance(denied, ToolFailure)
    assert "not this word" in denied.message
    assert ran == []


def stand_in(path: str) -> Any:
    """Return a tool class that goes by ``path``, without the package that has it."""
    module, _, name = path.rpartition(".")

    def _run(self: BaseTool, **arguments: Any) -> str:
        return "ran"

    names = ("file_path", "directory", "website_url", "pdf")
    fields: dict[str, Any] = {
        "__module__": module,
        "__annotations__": {"name": str, "description": str, **dict.fromkeys(names, Any)},
        "name": "Any Name",
        "description": "A stand-in.",
        "_run": _run,
    }
    return type(name, (BaseTool,), fields | dict.fromkeys(names))


READ = "crewai_tools.tools.file_read_tool.file_read_tool.FileReadTool"
WRITE = "crewai_tools.tools.file_writer_tool.file_writer_tool.FileWriterTool"
SCRAPE = "crewai_tools.tools.scrape_website_tool.scrape_website_tool.ScrapeWebsiteTool"
PDF = "crewai_tools.tools.pdf_search_tool.pdf_search_tool.PDFSearchTool"
E2B = "crewai_tools.tools.e2b_sandbox_tool.e2b_python_tool.E2BPythonTool"
MAPPED: list[tuple[str, dict[str, Any], dict[str, Any], str, dict[str, Any]]] = [
    (READ, {}, {"file_path": "a"}, "read", {"path": "a"}),
    (READ, {"file_path": "/srv/a"}, {}, "read", {"path": "/srv/a"}),
    (WRITE, {}, {"filename": "a", "directory": "d", "content": "x", "overwrite": "true"}, "write",
     {"path": "d/a", "content": "x", "overwrite": "true"}),
    (SCRAPE, {"website_url": "http://x/"}, {}, "fetch", {"url": "http://x/"}),
    (PDF, {}, {"pdf": "a.pdf", "query": "q"}, "search_file", {"path": "a.pdf", "query": "q"}),
    (PDF, {}, {"query": "q"}, "search_file", {"query": "q"}),
    (E2B, {}, {"code": "1"}, "code", {"code": "1", "language": "python"}),
    (E2B, {}, {"code": "ls", "language": "bash"}, "code", {"code": "ls", "language": "bash"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "attributes", "arguments", "name", "params"), MAPPED)
def test_class_says_what_a_tool_does_and_the_tool_may_hold_the_argument_itself(
    stage: Any,
    path: str,
    attributes: dict[str, Any],
    arguments: dict[str, Any],
    name: str,
    params: dict[str, Any],
) -> None:
    stage.guard.protect(stand_in(path)(**attributes)).run(**arguments)
    (decision,) = stage.decisions()
    assert (decision["tool"], decision["params"]) == (name, params)


@pytest.mark.parametrize("path", [READ, WRITE, SCRAPE])
def test_known_tool_without_its_argument_is_refused(stage: Any, path: str) -> None:
    assert isinstance(stage.guard.protect(stand_in(path)()).run(), ToolFailure)


def test_user_can_say_what_a_tool_stands_for(stage: Any) -> None:
    @tool("peek")
    def peek(where: str) -> str:
        """Look."""
        ran.append(where)
        return where

    guarded = stage.guard.protect(peek, tool="read", params={"path": "where"})
    assert "secrets are not" in guarded.run(where="/x/secret/y").message
    assert ran == []


def test_every_entry_names_a_tool_with_parameters() -> None:
    known = tool_map()
    for mapping in (*known.by_class.values(), *(m for ms in known.by_name.values() for m in ms)):
        required = [name for name, source in mapping.params.items() if not source.optional]
        assert required or mapping.tool == "search_file", mapping
