"""A call that a person must approve waits, without holding up anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool


def write_file(path: str, content: str) -> str:
    """Write a file."""
    Path(path).write_text(content)
    return "written"


async def awrite_file(path: str, content: str) -> str:
    """Write a file."""
    return write_file(path, content)


class WriteFile(BaseTool):
    name: str = "write_file"
    description: str = "Write a file."

    def _run(self, path: str, content: str) -> str:
        return write_file(path, content)


TOOLS: dict[str, Callable[[], BaseTool]] = {
    "function": lambda: StructuredTool.from_function(write_file),
    "coroutine": lambda: StructuredTool.from_function(write_file, coroutine=awrite_file),
    "class": WriteFile,
}


@pytest.mark.parametrize("approve", [True, False])
def test_call_waits_for_a_person(stage: Any, approve: bool) -> None:
    target = stage.folder / "ask" / "notes.md"
    person = stage.person(approve)
    answer = stage.guard.protect(TOOLS["function"]()).invoke({"path": str(target), "content": "x"})
    person.join()
    assert target.exists() is approve
    assert answer == "written" if approve else "Denied by policy" in answer


@pytest.mark.parametrize("kind", TOOLS)
def test_waiting_does_not_block_the_event_loop(stage: Any, kind: str) -> None:
    target = stage.folder / "ask" / "notes.md"
    guarded = stage.guard.protect(TOOLS[kind]())

    async def main() -> Any:
        call = asyncio.ensure_future(guarded.ainvoke({"path": str(target), "content": "x"}))
        question = await asyncio.to_thread(stage.question)
        assert not target.exists()
        assert not call.done()  # and this line runs: the loop is free
        stage.guard._point.resolve(question, True, by="a person")
        return await call

    assert asyncio.run(main()) == "written"
    assert target.read_text() == "x"


@pytest.mark.parametrize("kind", TOOLS)
def test_cancelled_wait_runs_nothing_even_if_it_is_approved_later(stage: Any, kind: str) -> None:
    target = stage.folder / "ask" / "notes.md"
    guarded = stage.guard.protect(TOOLS[kind]())

    async def main() -> None:
        call = asyncio.ensure_future(guarded.ainvoke({"path": str(target), "content": "x"}))
        question = await asyncio.to_thread(stage.question)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        stage.guard._point.resolve(question, True, by="a person")
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(main())
    assert not target.exists()
