"""Guarded tools in the loops of LangChain and LangGraph: a denial is an answer, work goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from rampart_langchain import RampartMiddleware


@tool
def write_file(path: str, content: str) -> str:
    """Write a file."""
    Path(path).write_text(content)
    return "written"


class ReadFile(BaseTool):
    name: str = "read_file"
    description: str = "Read a file."

    def _run(self, path: str) -> str:
        return Path(path).read_text()


def script(stage: Any) -> list[tuple[str, dict[str, str]]]:
    (stage.folder / "secret" / "key").write_text("a private key")
    (stage.folder / "public" / "readme").write_text("hello")
    return [
        ("write_file", {"path": str(stage.folder / "secret" / "new"), "content": "x"}),
        ("read_file", {"path": str(stage.folder / "secret" / "key")}),
        ("read_file", {"path": str(stage.folder / "public" / "readme")}),
        ("write_file", {"path": str(stage.folder / "public" / "new"), "content": "y"}),
    ]


def answers(result: dict[str, Any]) -> list[ToolMessage]:
    return [message for message in result["messages"] if isinstance(message, ToolMessage)]


def require_the_promise(stage: Any, result: dict[str, Any]) -> None:
    told = answers(result)
    assert [message.status for message in told] == ["error", "error", "success", "success"]
    assert "secrets are not for agents" in str(told[0].content)
    assert "Instead: work with the public files" in str(told[0].content)
    assert [message.content for message in told[2:]] == ["hello", "written"]
    assert result["messages"][-1].content == "done"
    assert not (stage.folder / "secret" / "new").exists()
    assert (stage.folder / "public" / "new").read_text() == "y"
    assert [d["decision"]["action"] for d in stage.decisions()] == [
        "deny",
        "deny",
        "allow",
        "allow",
    ]
    assert [d["call_id"] for d in stage.decisions()] == [f"call-{n}" for n in range(4)]
    assert {d["session"] for d in stage.decisions()} == {"thread-7"}


CONFIG: Any = {"configurable": {"thread_id": "thread-7"}}


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_agent_reads_the_denial_and_goes_on(stage: Any, scripted: Any, way: str) -> None:
    tools = stage.guard.protect([write_file, ReadFile()])
    agent: Any = create_agent(scripted(*script(stage)), tools, checkpointer=InMemorySaver())
    task: Any = {"messages": [("user", "work")]}
    if way == "invoke":
        result = agent.invoke(task, CONFIG)
    else:
        result = asyncio.run(agent.ainvoke(task, CONFIG))
    require_the_promise(stage, result)
    stored = agent.get_state(CONFIG).values["messages"]
    assert answers({"messages": stored})[0].artifact["rampart"]["policy"] == "secrets"


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_tool_node_reads_the_denial_and_goes_on(stage: Any, scripted: Any, way: str) -> None:
    model = scripted(*script(stage))

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def more(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("tools", ToolNode(stage.guard.protect([write_file, ReadFile()])))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", more, ["tools", END])
    builder.add_edge("tools", "think")
    graph = builder.compile()
    task: Any = {"messages": [("user", "work")]}
    if way == "invoke":
        require_the_promise(stage, graph.invoke(task, CONFIG))
    else:
        require_the_promise(stage, asyncio.run(graph.ainvoke(task, CONFIG)))


def test_session_that_somebody_named_wins_over_the_thread(stage: Any, scripted: Any) -> None:
    agent: Any = create_agent(
        scripted(*script(stage)), stage.guard.protect([write_file, ReadFile()])
    )
    with stage.guard.context(session="named"):
        agent.invoke({"messages": [("user", "work")]}, CONFIG)
    assert {d["session"] for d in stage.decisions()} == {"named"}


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_middleware_guards_tools_that_nobody_protected(stage: Any, scripted: Any, way: str) -> None:
    agent: Any = create_agent(
        scripted(*script(stage)),
        [write_file, ReadFile()],
        middleware=[RampartMiddleware(stage.guard)],
    )
    task: Any = {"messages": [("user", "work")]}
    if way == "invoke":
        require_the_promise(stage, agent.invoke(task, CONFIG))
    else:
        require_the_promise(stage, asyncio.run(agent.ainvoke(task, CONFIG)))


def test_middleware_leaves_guarded_tools_to_their_guard(stage: Any, scripted: Any) -> None:
    agent: Any = create_agent(
        scripted(*script(stage)),
        stage.guard.protect([write_file, ReadFile()]),
        middleware=[RampartMiddleware(stage.guard)],
    )
    require_the_promise(stage, agent.invoke({"messages": [("user", "work")]}, CONFIG))


def test_denial_of_a_return_direct_tool_ends_the_run_with_the_reason(
    stage: Any, scripted: Any
) -> None:
    direct = write_file.model_copy(update={"return_direct": True})
    agent: Any = create_agent(scripted(*script(stage)), stage.guard.protect([direct]))
    result = agent.invoke({"messages": [("user", "work")]})
    assert "secrets are not for agents" in result["messages"][-1].content
    assert not (stage.folder / "secret" / "new").exists()


def test_calls_of_one_answer_are_decided_each_for_itself(stage: Any) -> None:
    """A model may ask for several tools at once; LangGraph runs them side by side."""
    names = ["public", "secret", "public", "secret"]
    calls = [
        {
            "name": "write_file",
            "args": {"path": str(stage.folder / name / str(n)), "content": "x"},
            "id": f"call-{n}",
            "type": "tool_call",
        }
        for n, name in enumerate(names)
    ]
    node = StateGraph(MessagesState)
    node.add_node("tools", ToolNode(stage.guard.protect([write_file])))
    node.add_edge(START, "tools")
    task: Any = {"messages": [AIMessage("", tool_calls=calls)]}
    told = answers(asyncio.run(node.compile().ainvoke(task)))
    assert [m.status for m in told] == ["success", "error", "success", "error"]
    recorded = {d["call_id"]: d["decision"]["action"] for d in stage.decisions()}
    assert recorded == {"call-0": "allow", "call-1": "deny", "call-2": "allow", "call-3": "deny"}
    assert sorted(path.name for path in stage.folder.glob("*/*")) == ["0", "2"]
