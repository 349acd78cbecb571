"""A call that a person must approve waits, on every way that AutoGen has to a tool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool, StaticStreamWorkbench, StaticWorkbench
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.tools.langchain import LangChainToolAdapter
from langchain_core.tools import StructuredTool
from rampart import Denied
from rampart_autogen import RampartLocalCommandLineCodeExecutor

from tests.autogen.test_agents import scripted, write_file

# Both warn that code runs without a container and without oversight; these tests do so on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor:UserWarning"),
    pytest.mark.filterwarnings("ignore:No approval function set:UserWarning"),
]


def tool() -> FunctionTool:
    return FunctionTool(write_file, "Write a file.")


async def of_a_tool(guarded: Any, arguments: dict[str, str]) -> Any:
    return await guarded.run_json(arguments, CancellationToken())


async def of_a_workbench(guarded: Any, arguments: dict[str, str]) -> Any:
    return await guarded.call_tool("write_file", arguments)


async def of_a_stream(guarded: Any, arguments: dict[str, str]) -> Any:
    return [item async for item in guarded.call_tool_stream("write_file", arguments)][-1]


async def of_an_agent(guarded: Any, arguments: dict[str, str]) -> Any:
    return await guarded.run(task=f"Write {arguments}.")


WAYS: dict[str, tuple[Callable[[Any, dict[str, str]], Any], Callable[[Any, Any], Any]]] = {
    "run_json": (lambda guard, _: guard.protect(tool()), of_a_tool),
    "workbench": (lambda guard, _: guard.protect(StaticWorkbench([tool()])), of_a_workbench),
    "stream": (lambda guard, _: guard.protect(StaticStreamWorkbench([tool()])), of_a_stream),
    "agent": (
        lambda guard, given: guard.protect(
            AssistantAgent("writer", scripted(given), tools=[tool()])
        ),
        of_an_agent,
    ),
    "LangChain": (
        lambda guard, _: LangChainToolAdapter(
            guard.protect(StructuredTool.from_function(write_file))
        ),
        of_a_tool,
    ),
}


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_call_waits_for_a_person(stage: Any, way: str, approve: bool) -> None:
    target = stage.folder / "ask" / "notes.md"
    make, call = WAYS[way]
    arguments = {"path": str(target), "content": "x"}
    person = stage.person(approve)
    try:
        asyncio.run(call(make(stage.guard, arguments), arguments))
    except Denied:
        assert not approve
    person.join()
    assert target.exists() is approve
    assert [d["decision"]["action"] for d in stage.decisions()] == ["ask"]


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("way", ["drop-in", "instrument", "protect"])
def test_code_waits_for_a_person(stage: Any, way: str, approve: bool) -> None:
    text = TextMessage(content="```sh\ntouch perhaps\n```", source="user")
    executor: Any = LocalCommandLineCodeExecutor(work_dir=stage.folder)
    if way == "drop-in":
        executor = RampartLocalCommandLineCodeExecutor(work_dir=stage.folder, guard=stage.guard)
    elif way == "instrument":
        stage.guard.instrument("autogen")
    else:
        executor = stage.guard.protect(executor)
    person = stage.person(approve)

    async def main() -> None:
        await executor.start()
        agent = CodeExecutorAgent("coder", executor, supported_languages=["sh"])
        await agent.on_messages([text], CancellationToken())
        await executor.stop()

    try:
        asyncio.run(main())
    finally:
        stage.guard.uninstrument()
    person.join()
    assert (stage.folder / "perhaps").exists() is approve
