"""Rules on what tools return: redacted or withheld before a model or a trace sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command
from rampart import Denied, Guard
from rampart.audit.read import read_records
from rampart_langchain import RampartMiddleware

from tests.langchain.zoo import TOOLS, WAYS, call, made, ran, write

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: output
    match: {tool: [note]}
    rules:
      - {action: redact, when: {response_matches: ["token-[a-z]+"]}, message: no tokens}
      - {action: deny, when: {response_matches: ["PRIVATE"]}, message: not for the model}
"""


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    ran.clear()
    with Guard(POLICY, data_dir=tmp_path / "rampart", workspace=tmp_path) as opened:
        yield opened
        opened.uninstrument()


def reviews(tmp_path: Path) -> list[Any]:
    records: list[Any] = list(read_records(tmp_path / "rampart" / "audit"))
    return [record for record in records if record["type"] == "response"]


def guarded(guard: Guard, how: str, tool: BaseTool) -> Any:
    if how == "protect":
        return guard.protect(tool)
    guard.instrument("langchain")
    return tool


BOTH = pytest.mark.parametrize("how", ["protect", "instrument"])
POSSIBLE = pytest.mark.parametrize(
    ("kind", "way"), [w for w in WAYS if w != ("coroutine only", "invoke")]
)


@BOTH
@POSSIBLE
def test_what_a_rule_takes_out_never_leaves_the_tool(
    guard: Guard, tmp_path: Path, how: str, kind: str, way: str
) -> None:
    answer = call(guarded(guard, how, TOOLS[kind]()), way, "token-abc")
    assert "token-abc" not in str(answer.content)
    assert "redacted" in str(answer.content)
    assert ran == ["token-abc"]
    assert len(reviews(tmp_path)) == 1


@BOTH
@POSSIBLE
def test_output_that_is_withheld_is_a_denial(
    guard: Guard, tmp_path: Path, how: str, kind: str, way: str
) -> None:
    answer = call(guarded(guard, how, TOOLS[kind]()), way, "PRIVATE")
    assert isinstance(answer, ToolMessage)
    assert answer.status == "error"
    assert "not for the model" in str(answer.content)
    assert "PRIVATE" not in str(answer.content)
    assert answer.artifact["rampart"]["policy"] == "output"
    assert ran == ["PRIVATE"]


@pytest.mark.parametrize("door", ["func", "_run", "coroutine"])
def test_side_doors_are_reviewed(guard: Guard, door: str) -> None:
    async def awrite(text: str) -> str:
        """Write a note."""
        return text

    tool: Any = guard.protect(made(write, coroutine=awrite))
    if door == "coroutine":
        assert "redacted" in asyncio.run(tool.coroutine(text="token-abc"))
        with pytest.raises(Denied, match="not for the model"):
            asyncio.run(tool.coroutine(text="PRIVATE"))
        return
    through = tool.func if door == "func" else lambda text: tool._run(text=text, config={})
    assert "redacted" in through(text="token-abc")
    with pytest.raises(Denied, match="not for the model"):
        through(text="PRIVATE")


def test_structure_of_an_answer_is_kept(guard: Guard) -> None:
    def found(text: str) -> list[dict[str, Any]]:
        """Find things."""
        return [{"type": "text", "text": text}, {"type": "text", "text": "plain"}]

    answer = call(guard.protect(made(found)), "invoke", "token-abc")
    assert [part["text"] for part in answer.content][1] == "plain"
    assert "redacted" in answer.content[0]["text"]


def test_artifact_is_not_what_the_model_reads(guard: Guard) -> None:
    answer = call(guard.protect(TOOLS["content and artifact"]()), "invoke", "token-abc")
    assert answer.artifact == ["token-abc"]
    assert "redacted" in answer.content


def test_message_and_command_of_a_tool_are_reviewed(guard: Guard) -> None:
    def message(text: str) -> ToolMessage:
        """Answer with a message."""
        return ToolMessage(text, tool_call_id="c1")

    def command(text: str) -> Command[Any]:
        """Answer with a command."""
        return Command(update={"messages": [ToolMessage(text, tool_call_id="c1")], "more": 1})

    assert "redacted" in call(guard.protect(made(message)), "invoke", "token-abc").content
    updated = call(guard.protect(made(command)), "invoke", "token-abc").update
    assert "redacted" in updated["messages"][0].content
    assert updated["more"] == 1


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("how", ["middleware", "tool node"])
def test_agent_loop_reads_what_is_left(guard: Guard, scripted: Any, how: str, way: str) -> None:
    tool = StructuredTool.from_function(write, name="note")
    model = scripted(("note", {"text": "token-abc"}), ("note", {"text": "PRIVATE"}))
    if how == "middleware":
        agent: Any = create_agent(model, [tool], middleware=[RampartMiddleware(guard)])
        task: Any = {"messages": [("user", "work")]}
        done = agent.invoke(task) if way == "invoke" else asyncio.run(agent.ainvoke(task))
        answers = [m for m in done["messages"] if isinstance(m, ToolMessage)]
    else:
        builder = StateGraph(MessagesState)
        builder.add_node("tools", guard.protect(ToolNode([tool])))
        builder.add_edge(START, "tools")
        graph: Any = builder.compile()
        calls = [
            {"name": n, "args": a, "id": str(i), "type": "tool_call"}
            for i, (n, a) in enumerate(model.calls)
        ]
        task = {"messages": [AIMessage("", tool_calls=calls)]}
        done = graph.invoke(task) if way == "invoke" else asyncio.run(graph.ainvoke(task))
        answers = [m for m in done["messages"] if isinstance(m, ToolMessage)]
    assert "redacted" in answers[0].content
    assert answers[1].status == "error"
    assert "not for the model" in answers[1].content


def test_nothing_is_reviewed_where_no_rule_looks(stage: Any) -> None:
    call(stage.guard.protect(made(write)), "invoke", "token-abc")
    assert [r["type"] for r in read_records(stage.data_dir / "audit")] == ["decision"]
