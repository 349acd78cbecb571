"""``guard.instrument("langchain")``: every tool of the process, with no change to the code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, Tool
from rampart import ConfigError, Coverage, Denied, Guard, Instrumentation
from rampart_langchain import RampartMiddleware
from rampart_langchain.plugin import LangChainAdapter

from tests.langchain.zoo import TOOLS, WAYS, Note, call, made, ran, write


@pytest.fixture(autouse=True)
def _restored(stage: Any) -> Iterator[None]:
    ran.clear()
    before = methods()
    yield
    stage.guard.uninstrument()
    assert methods() == before


def methods() -> dict[tuple[str, str], Any]:
    """Return every method of every tool class that stands in the way of a call."""
    names = ("run", "arun", "_run", "_arun", "ainvoke", "__init_subclass__")
    kinds: tuple[type, ...] = (
        BaseTool,
        Tool,
        StructuredTool,
        Note,
        *(type(m()) for m in TOOLS.values()),
    )
    return {(k.__name__, n): k.__dict__.get(n) for k in kinds for n in names}


@pytest.mark.parametrize(("kind", "way"), [w for w in WAYS if w != ("coroutine only", "invoke")])
def test_every_tool_is_decided_once_and_answers_as_before(stage: Any, kind: str, way: str) -> None:
    tool = TOOLS[kind]()
    expected = call(tool, way, "hello")
    ran.clear()
    stage.guard.instrument("langchain")
    answer = call(tool, way, "hello")
    assert (answer.content, answer.artifact) == (expected.content, expected.artifact)
    assert ran == ["hello"]
    (decision,) = stage.decisions()
    assert decision["params"]["text"] == "hello"
    assert not {"user", "config", "run_manager", "callbacks", "self"} & set(decision["params"])


@pytest.mark.parametrize(("kind", "way"), [w for w in WAYS if w != ("coroutine only", "invoke")])
def test_denied_call_never_runs_and_says_why(stage: Any, kind: str, way: str) -> None:
    stage.guard.instrument("langchain")
    answer = call(TOOLS[kind](), way, "a forbidden word")
    assert isinstance(answer, ToolMessage)
    assert (answer.status, answer.tool_call_id, answer.name) == ("error", "c1", "note")
    assert "Denied by policy: note: not this word" in str(answer.content)
    assert answer.artifact["rampart"]["policy"] == "notes"
    assert ran == []
    assert len(stage.decisions()) == 1


def test_private_methods_are_guarded_when_they_are_called_directly(stage: Any) -> None:
    stage.guard.instrument("langchain")
    tool = made(write)
    assert tool._run(text="hello", config={}) == "hello"
    with pytest.raises(Denied):
        tool._run(text="forbidden", config={})
    with pytest.raises(Denied):
        asyncio.run(Note()._arun(text="forbidden"))
    assert ran == ["hello"]


def test_classes_that_are_made_later_are_guarded(stage: Any) -> None:
    stage.guard.instrument("langchain")

    class Later(BaseTool):
        name: str = "note"
        description: str = "Write a note."

        def _run(self, text: str) -> str:
            ran.append(text)
            return text

    class Latest(Later):
        def _run(self, text: str) -> str:
            return super()._run(text)

    for kind in (Later, Latest):
        assert call(kind(), "invoke", "forbidden").status == "error"
        assert call(kind(), "ainvoke", "hello").content == "hello"
    assert ran == ["hello", "hello"]
    assert len(stage.decisions()) == 4
    stage.guard.uninstrument()
    assert call(Latest(), "invoke", "forbidden").content == "forbidden"
    assert Later.__dict__["_run"].__qualname__.endswith("Later._run")
    assert not hasattr(Later.__dict__["_run"], "__wrapped__")


def test_undone_it_leaves_nothing_behind(stage: Any) -> None:
    stage.guard.instrument("langchain")
    stage.guard.uninstrument("langchain")
    assert call(made(write), "invoke", "forbidden").content == "forbidden"
    assert stage.decisions() == []
    stage.guard.uninstrument("langchain")  # nothing to undo


def test_coverage_says_what_is_covered_and_what_is_not(stage: Any) -> None:
    covered = stage.guard.instrument("langchain")
    assert isinstance(covered, Coverage)
    assert covered.paths
    assert "+ BaseTool.invoke" in str(covered)
    assert "not covered: tool.func" in str(covered)
    assert stage.guard.coverage("langchain") == covered
    assert stage.guard.coverage(made(write)).paths == covered.paths
    stage.guard.uninstrument()
    assert stage.guard.coverage("langchain").paths == ()
    assert "not guarded" in str(stage.guard.coverage(made(write)))


def test_coverage_of_protected_tools(stage: Any) -> None:
    guarded = stage.guard.protect(made(write))
    assert "func(...)" in stage.guard.coverage(guarded).paths
    listed = stage.guard.coverage([guarded, made(write)])
    assert any("func(...)" in path for path in listed.paths)
    assert listed.gaps == ("note",)


def test_same_guard_again_changes_nothing(stage: Any) -> None:
    assert stage.guard.instrument("langchain") is stage.guard.instrument("langchain")
    call(made(write), "invoke", "hello")
    assert len(stage.decisions()) == 1


def test_block_undoes_it_at_its_end(stage: Any) -> None:
    with stage.guard.instrument("langchain"):
        assert call(made(write), "invoke", "forbidden").status == "error"
    assert call(made(write), "invoke", "forbidden").content == "forbidden"


def test_second_guard_is_an_error_that_says_so(stage: Any, tmp_path: Any) -> None:
    stage.guard.instrument("langchain")
    with Guard(data_dir=tmp_path / "other") as another:
        with pytest.raises(ConfigError, match="langchain is instrumented by another guard") as told:
            another.instrument("langchain")
        assert "guards do not nest" in told.value.help
        with pytest.raises(ConfigError, match="instrumented by another guard"):
            another.uninstrument("langchain")
        another.uninstrument()  # all of its own: none
    assert call(made(write), "invoke", "forbidden").status == "error"


def test_unknown_framework_is_an_error_that_names_the_known_ones(stage: Any) -> None:
    with pytest.raises(ConfigError, match="no installed adapter can instrument 'llamas'") as told:
        stage.guard.instrument("llamas")
    assert "langchain" in told.value.help


def test_threads_that_instrument_at_once_install_it_once(stage: Any) -> None:
    ready = threading.Barrier(8)
    covered: list[Coverage] = []

    def install() -> None:
        ready.wait()
        covered.append(stage.guard.instrument("langchain"))

    threads = [threading.Thread(target=install) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in covered}) == 1
    call(made(write), "invoke", "hello")
    assert len(stage.decisions()) == 1


def test_protected_tool_and_middleware_decide_once_together(stage: Any, scripted: Any) -> None:
    stage.guard.instrument("langchain")
    model = scripted(("note", {"text": "hello"}), ("other", {"text": "hello"}))
    other = StructuredTool.from_function(write, name="other")
    agent: Any = create_agent(
        model,
        [stage.guard.protect(made(write)), other],
        middleware=[RampartMiddleware(stage.guard)],
    )
    agent.invoke({"messages": [("user", "work")]})
    assert ran == ["hello", "hello"]
    assert [d["tool"] for d in stage.decisions()] == ["note", "other"]


def test_tool_that_changes_is_seen_as_it_is_now(stage: Any) -> None:
    stage.guard.instrument("langchain")
    tool = StructuredTool.from_function(write, name="other")
    call(tool, "invoke", "hello")
    tool.name = "note"
    assert tool.run({"text": "forbidden"}).startswith("Denied by policy")


def test_closed_guard_denies_and_stays_in_front(stage: Any) -> None:
    stage.guard.instrument("langchain")
    stage.guard.close()
    assert call(made(write), "invoke", "hello").status == "error"
    assert ran == []


def test_cancelled_wait_runs_nothing(stage: Any) -> None:
    stage.guard.instrument("langchain")

    def read(path: str) -> str:
        """Read a file."""
        ran.append(path)
        return path

    tool = StructuredTool.from_function(read, name="read_file")
    path = str(stage.folder / "ask" / "a")

    async def main() -> None:
        waiting = asyncio.ensure_future(tool.ainvoke({"path": path}))
        question = await asyncio.to_thread(stage.question)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        stage.guard._point.resolve(question, True, by="a person")
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(main())
    assert ran == []


def test_adapter_offers_it(stage: Any) -> None:
    assert isinstance(LangChainAdapter(), Instrumentation)
