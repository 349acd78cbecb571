"""A guarded LangChain tool is the same tool; each call is decided once, before it runs."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel
from rampart import Decision, Denied, Guard
from rampart_langchain import guard_tool

from tests.langchain.zoo import TOOLS, WAYS, Note, awrite, call, made, ran, write


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@pytest.mark.parametrize(("kind", "way"), [w for w in WAYS if w != ("coroutine only", "invoke")])
def test_allowed_call_answers_what_the_tool_answers_and_is_decided_once(
    stage: Any, kind: str, way: str
) -> None:
    plain = TOOLS[kind]()
    expected = call(plain, way, "hello")
    ran.clear()
    answer = call(stage.guard.protect(plain), way, "hello")
    assert (answer.content, answer.artifact, answer.status) == (
        expected.content,
        expected.artifact,
        "success",
    )
    assert ran == ["hello"]
    (decision,) = stage.decisions()
    assert (decision["tool"], decision["call_id"]) == ("note", "c1")
    assert decision["params"]["text"] == "hello"
    assert not {"user", "config", "run_manager", "callbacks", "self"} & set(decision["params"])


@pytest.mark.parametrize(("kind", "way"), [w for w in WAYS if w != ("coroutine only", "invoke")])
def test_denied_call_never_runs_and_says_why(stage: Any, kind: str, way: str) -> None:
    answer = call(stage.guard.protect(TOOLS[kind]()), way, "a forbidden word")
    assert isinstance(answer, ToolMessage)
    assert (answer.status, answer.tool_call_id, answer.name) == ("error", "c1", "note")
    assert "Denied by policy: note: not this word" in str(answer.content)
    assert answer.artifact["rampart"]["action"] == "deny"
    assert answer.artifact["rampart"]["policy"] == "notes"
    assert ran == []
    assert len(stage.decisions()) == 1


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_without_a_tool_call_a_denial_is_text(stage: Any, way: str) -> None:
    answer = call(stage.guard.protect(made(write)), way, "forbidden", call_id=None)
    assert isinstance(answer, str)
    assert answer.startswith("Denied by policy: note: not this word")


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_denial_is_raised_where_the_user_wants_it(stage: Any, way: str) -> None:
    guarded = stage.guard.protect(made(write), on_deny="raise")
    with pytest.raises(Denied, match="not this word") as caught:
        call(guarded, way, "forbidden")
    assert caught.value.decision.policy == "notes"
    assert ran == []


def test_unknown_way_to_deny_is_refused(stage: Any) -> None:
    with pytest.raises(ValueError, match="on_deny"):
        stage.guard.protect(made(write), on_deny="ignore")


def test_error_handler_of_the_tool_does_not_hide_the_reason(stage: Any) -> None:
    guarded = stage.guard.protect(made(write, handle_tool_error="something went wrong"))
    assert "not this word" in call(guarded, "invoke", "forbidden").content


@pytest.mark.parametrize("way", ["func", "_run"])
def test_side_doors_are_guarded(stage: Any, way: str) -> None:
    """Other frameworks call a tool's function directly."""
    guarded = stage.guard.protect(made(write))
    door = guarded.func if way == "func" else lambda text: guarded._run(text=text, config={})
    assert door("hello") == "hello"
    with pytest.raises(Denied):
        door("forbidden")
    assert ran == ["hello"]
    assert len(stage.decisions()) == 2


def test_coroutine_of_a_tool_is_guarded(stage: Any) -> None:
    guarded = stage.guard.protect(made(write, coroutine=awrite))
    assert asyncio.run(guarded.coroutine(text="hello")) == "hello"
    with pytest.raises(Denied):
        asyncio.run(guarded.coroutine(text="forbidden"))
    assert ran == ["hello"]


@pytest.mark.parametrize("kind", TOOLS)
def test_everything_that_can_be_seen_of_a_tool_stays(stage: Any, kind: str) -> None:
    plain = TOOLS[kind]()
    plain.tags, plain.metadata, plain.return_direct = ["t"], {"m": 1}, True
    guarded = stage.guard.protect(plain)
    assert isinstance(guarded, type(plain))
    for name in (
        "name",
        "description",
        "args",
        "args_schema",
        "tags",
        "metadata",
        "response_format",
    ):
        assert getattr(guarded, name) == getattr(plain, name)
    assert guarded.return_direct is True
    assert convert_to_openai_tool(guarded) == convert_to_openai_tool(plain)
    assert set(guarded.model_dump()) == set(plain.model_dump())
    for field in ("func", "coroutine"):
        if getattr(plain, field, None):
            assert getattr(guarded, field).__wrapped__ is getattr(plain, field)


def test_original_stays_as_it_was(stage: Any) -> None:
    plain = made(write)
    stage.guard.protect(plain)
    assert call(plain, "invoke", "forbidden").content == "forbidden"
    assert stage.decisions() == []


def test_protecting_twice_decides_once(stage: Any) -> None:
    guarded = stage.guard.protect(made(write))
    assert stage.guard.protect(guarded) is guarded
    call(guarded, "invoke", "hello")
    assert len(stage.decisions()) == 1


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda t: t.model_copy()])
@pytest.mark.parametrize("kind", ["function", "class"])
def test_copies_of_a_guarded_tool_are_guarded(stage: Any, kind: str, copied: Any) -> None:
    twin = copied(stage.guard.protect(TOOLS[kind]()))
    assert call(twin, "invoke", "forbidden").status == "error"
    assert call(twin, "ainvoke", "hello").content == "hello"
    assert ran == ["hello"]
    assert len(stage.decisions()) == 2


def test_pickled_tool_has_lost_its_guard_and_denies_until_it_is_protected_again(stage: Any) -> None:
    thawed = pickle.loads(pickle.dumps(stage.guard.protect(Note())))
    answer = call(thawed, "invoke", "hello")
    assert "protect it again" in answer.content
    assert ran == []
    assert call(stage.guard.protect(thawed), "invoke", "hello").content == "hello"


def test_list_and_tuple_of_tools(stage: Any) -> None:
    tools = [made(write), Note()]
    for kind in (list, tuple):
        guarded = stage.guard.protect(kind(tools))
        assert type(guarded) is kind
        assert [call(each, "invoke", "forbidden").status for each in guarded] == ["error"] * 2


def test_default_of_an_argument_is_seen_by_the_policy(stage: Any) -> None:
    @tool
    def note(text: str = "forbidden") -> str:
        """Write a note."""
        ran.append(text)
        return text

    assert stage.guard.protect(note).invoke({}).startswith("Denied by policy")
    assert ran == []


class Open(Note):
    """A tool that takes anything."""

    def _run(self, text: str, **more: Any) -> str:  # type: ignore[override]  # wider than its base
        ran.append(text)
        return text


@pytest.mark.parametrize("name", ["run_manager", "callbacks", "config"])
def test_no_name_hides_an_argument_from_the_policy(stage: Any, name: str) -> None:
    stage.guard.protect(Open()).run({"text": "hello", name: "from the model"})
    (decision,) = stage.decisions()
    assert decision["params"] == {"text": "hello", name: "from the model"}


class Broken:
    """A decision point that fails."""

    def check(self, call: object) -> Decision:
        raise RuntimeError("no disk")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        return decision

    def poll(self, decision: Decision) -> Decision:
        return decision


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_failing_guard_denies_and_the_loop_goes_on(way: str) -> None:
    answer = call(guard_tool(made(write), Guard.of(Broken())), way, "hello")
    assert answer.status == "error"
    assert "the decision failed: RuntimeError" in answer.content
    assert ran == []


def test_closed_guard_denies(stage: Any) -> None:
    guarded = stage.guard.protect(made(write))
    stage.guard.close()
    assert call(guarded, "invoke", "hello").status == "error"
    assert ran == []


def test_argument_that_cannot_be_copied_is_denied(stage: Any) -> None:
    @tool
    def note(text: Any) -> str:
        """Write a note."""
        ran.append(text)
        return "written"

    answer = stage.guard.protect(note).invoke({"text": threading.Lock()})
    assert "argument `text` cannot be copied: lock" in answer
    assert ran == []


def test_what_was_decided_is_what_runs(stage: Any) -> None:
    """The caller changes the list while a person thinks about it."""
    asked = str(stage.folder / "ask" / "a.txt")
    paths = [asked]
    guarded = stage.guard.protect(Loose(), tool="delete", params={"path": "paths"})
    person = stage.person(True, first=lambda: paths.append("/etc/passwd"))
    guarded.invoke({"paths": paths})
    person.join()
    assert paths == [asked, "/etc/passwd"]
    assert ran == [asked]


PATHS = {"type": "object", "properties": {"paths": {"type": "array"}}}


class Loose(BaseTool):
    """A tool that takes its arguments as they come."""

    name: str = "remover"
    description: str = "Delete files."
    args_schema: Any = PATHS

    def _run(self, paths: list[str]) -> str:
        ran.extend(paths)
        return "gone"


class Text(BaseModel):
    text: str
    hidden: str = ""


def test_nested_models_are_seen_by_the_policy(stage: Any) -> None:
    @tool
    def note(text: Text) -> str:
        """Write a note."""
        ran.append(text)
        return text.text

    guarded = stage.guard.protect(note)
    assert guarded.invoke({"text": {"text": "hello"}}) == "hello"
    (decision,) = stage.decisions()
    assert decision["params"]["text"] == {"text": "hello", "hidden": ""}
    assert isinstance(ran[0], Text)


def test_context_of_the_guard_reaches_the_record(stage: Any) -> None:
    guarded = stage.guard.protect(made(write))
    with stage.guard.context(agent="ann", session="s1"):
        call(guarded, "invoke", "hello")
        call(guarded, "ainvoke", "hello")
    assert [(d["agent"], d["session"]) for d in stage.decisions()] == [("ann", "s1")] * 2


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "_run", "func"])
@pytest.mark.parametrize("guarding", ["protect", "instrument"])
def test_tool_made_of_a_guarded_function_is_decided_once(
    stage: Any, way: str, guarding: str
) -> None:
    """It is asked as what the function stands for."""
    seen: list[str] = []

    def look(text: str, times: int = 1) -> str:
        """Look."""
        seen.append(text)
        return text * times

    known: Any = stage.guard.tool("read", params={"path": "text"})
    made: Any = StructuredTool.from_function(known(look))
    if guarding == "protect":
        made = stage.guard.protect(made)
    else:
        stage.guard.instrument("langchain")

    def call(text: str) -> Any:
        match way:
            case "invoke":
                return made.invoke({"text": text})
            case "ainvoke":
                return asyncio.run(made.ainvoke({"text": text}))
            case "_run":
                return made._run(text=text, config={})
            case _:
                return made.func(text=text)

    try:
        assert call("hello") == "hello"
        try:
            denied = call("/x/secret/y")
        except Denied as error:
            denied = error
        assert "secrets are not" in str(denied)
    finally:
        stage.guard.uninstrument()
    assert seen == ["hello"]
    decided = [(d["tool"], d["decision"]["action"]) for d in stage.decisions()]
    assert decided == [("read", "allow"), ("read", "deny")]
