"""A question inside a graph stops it; whoever resumes it answers, once, and for this call alone."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Send
from rampart import Guard
from rampart.audit.read import read_records
from rampart_langchain import RampartMiddleware

ran: list[str] = []


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    ran.clear()
    yield
    ran.clear()


def write_file(path: str, content: str) -> str:
    """Write a file."""
    ran.append(f"{Path(path).parent.name}/{Path(path).name}:{content}")
    return "written"


class WriteFile(BaseTool):
    name: str = "write_file"
    description: str = "Write a file."

    def _run(self, path: str, content: str) -> str:
        return write_file(path, content)


def the_tool() -> BaseTool:
    return StructuredTool.from_function(write_file)


Build = Callable[..., Any]


def protected(stage: Any, model: Any, saver: Any, tool: BaseTool) -> Any:
    return create_agent(model, stage.guard.protect([tool]), checkpointer=saver)


def with_middleware(stage: Any, model: Any, saver: Any, tool: BaseTool) -> Any:
    wall = RampartMiddleware(stage.guard)
    return create_agent(model, [tool], middleware=[wall], checkpointer=saver)


def instrumented(stage: Any, model: Any, saver: Any, tool: BaseTool) -> Any:
    stage.guard.instrument("langchain")
    return create_agent(model, [tool], checkpointer=saver)


def tool_node(stage: Any, model: Any, saver: Any, tool: BaseTool) -> Any:
    """Return a graph made by hand, whose node guards what it runs."""

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def more(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("tools", stage.guard.protect(ToolNode([tool])))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", more, ["tools", END])
    builder.add_edge("tools", "think")
    return builder.compile(checkpointer=saver)


BUILDS: dict[str, Build] = {
    "protect": protected,
    "middleware": with_middleware,
    "instrument": instrumented,
    "tool node": tool_node,
}


@pytest.fixture(autouse=True)
def _uninstrument(stage: Any) -> Iterator[None]:
    yield
    stage.guard.uninstrument()


def go(graph: Any, way: str, what: Any, thread: str = "t1") -> dict[str, Any]:
    config = {"configurable": {"thread_id": thread}}
    if way == "ainvoke":
        return dict(asyncio.run(graph.ainvoke(what, config)))
    return dict(graph.invoke(what, config))


TASK: dict[str, Any] = {"messages": [("user", "work")]}


def answered(*decisions: dict[str, Any]) -> Command[Any]:
    return Command(resume={"decisions": list(decisions)})


def told(result: dict[str, Any]) -> list[ToolMessage]:
    return [message for message in result["messages"] if isinstance(message, ToolMessage)]


def approvals(stage: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = list(read_records(stage.data_dir / "audit"))
    return [record for record in records if record["type"] == "approval"]


def edit(stage: Any, folder: str, **others: Any) -> dict[str, Any]:
    arguments = {"path": str(stage.folder / folder / "b"), "content": "y"}
    return {"type": "edit", "edited_action": {"name": "write_file", "args": arguments, **others}}


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("build", BUILDS)
def test_approved_call_runs_after_the_graph_was_resumed(
    stage: Any, scripted: Any, build: str, way: str
) -> None:
    path = str(stage.folder / "ask" / "a")
    model = scripted(("write_file", {"path": path, "content": "x"}))
    graph = BUILDS[build](stage, model, InMemorySaver(), the_tool())
    (question,) = go(graph, way, TASK)["__interrupt__"]
    assert question.value["action_requests"] == [
        {
            "name": "write_file",
            "args": {"path": path, "content": "x"},
            "description": "a person must agree",
        }
    ]
    assert question.value["review_configs"] == [
        {"action_name": "write_file", "allowed_decisions": ["approve", "edit", "reject"]}
    ]
    assert ran == []
    result = go(graph, way, answered({"type": "approve"}))
    assert [(m.content, m.status) for m in told(result)] == [("written", "success")]
    assert result["messages"][-1].content == "done"
    assert ran == ["ask/a:x"]
    (decision,) = stage.decisions()
    assert decision["approval_id"] == question.value["approval_id"]
    (approval,) = approvals(stage)
    assert (approval["approval_id"], approval["status"]) == (decision["approval_id"], "approved")
    assert approval["by"] == "the caller of thread t1"


REFUSED: dict[str, tuple[Callable[[Any], dict[str, Any]], str]] = {
    "rejected": (lambda stage: {"type": "reject", "message": "not today"}, "not today"),
    "rejected without a word": (lambda stage: {"type": "reject"}, "a person denied it"),
    "edited into what is denied": (lambda stage: edit(stage, "secret"), "secrets are not for"),
    "edited into another tool": (lambda stage: edit(stage, "public", name="other"), "not the tool"),
    "edited without arguments": (lambda stage: edit(stage, "public", args=None), "no arguments"),
    "edited into nonsense": (
        lambda stage: edit(stage, "public", args={"path": 5}),
        "the edited arguments do not fit the tool: path: Input should be a valid string",
    ),
    "of a kind that nobody offered": (lambda stage: {"type": "respond"}, "the answer is none of"),
    "not even a decision": (lambda stage: {}, "the answer is none of"),
}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("case", REFUSED)
def test_call_that_is_refused_does_not_run_and_the_loop_goes_on(
    stage: Any, scripted: Any, build: str, case: str
) -> None:
    answer, reason = REFUSED[case]
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    graph = BUILDS[build](stage, model, InMemorySaver(), the_tool())
    go(graph, "invoke", TASK)
    result = go(graph, "invoke", answered(answer(stage)))
    (message,) = told(result)
    assert message.status == "error"
    assert reason in message.content
    assert message.artifact["rampart"]["action"] == "deny"
    assert result["messages"][-1].content == "done"
    assert ran == []
    assert [approval["status"] for approval in approvals(stage)] == ["denied"]


@pytest.mark.parametrize("said", ["yes", None, 7, {"decisions": []}, {"decisions": ["approve"]}])
def test_anything_but_an_answer_is_a_refusal(stage: Any, scripted: Any, said: Any) -> None:
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    graph = protected(stage, model, InMemorySaver(), the_tool())
    (question,) = go(graph, "invoke", TASK)["__interrupt__"]
    result = go(graph, "invoke", Command(resume={question.id: said}))
    assert [message.status for message in told(result)] == ["error"] or said is None
    assert ran == []


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("kind", ["function", "class"])
@pytest.mark.parametrize("build", BUILDS)
def test_edited_call_is_decided_anew_and_runs_as_edited(
    stage: Any, scripted: Any, build: str, way: str, kind: str
) -> None:
    tool = the_tool() if kind == "function" else WriteFile()
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    graph = BUILDS[build](stage, model, InMemorySaver(), tool)
    go(graph, way, TASK)
    result = go(graph, way, answered(edit(stage, "public")))
    assert [message.content for message in told(result)] == ["written"]
    assert ran == ["public/b:y"]
    asked, allowed = stage.decisions()
    assert (asked["decision"]["action"], allowed["decision"]["action"]) == ("ask", "allow")
    assert allowed["params"]["path"] == str(stage.folder / "public" / "b")
    (approval,) = approvals(stage)
    assert (approval["status"], approval["reason"]) == ("denied", "replaced by other arguments")


def test_edit_into_another_question_needs_no_second_answer(stage: Any, scripted: Any) -> None:
    """Who wrote the arguments has agreed to them; question and answer are recorded all the same."""
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    graph = protected(stage, model, InMemorySaver(), the_tool())
    go(graph, "invoke", TASK)
    go(graph, "invoke", answered(edit(stage, "ask")))
    assert ran == ["ask/b:y"]
    assert [d["decision"]["action"] for d in stage.decisions()] == ["ask", "ask"]
    assert [approval["status"] for approval in approvals(stage)] == ["denied", "approved"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_calls_of_one_message_are_asked_and_answered_each_for_itself(stage: Any, way: str) -> None:
    """Each has a question of its own; answering one leaves the other as it was."""
    calls = [
        {
            "name": "write_file",
            "args": {"path": str(stage.folder / "ask" / name), "content": "x"},
            "id": f"call-{name}",
            "type": "tool_call",
        }
        for name in "ab"
    ]
    (guarded,) = stage.guard.protect([the_tool()])
    builder = StateGraph(MessagesState)
    builder.add_node("tools", ToolNode([guarded]))
    builder.add_conditional_edges(START, lambda state: [Send("tools", [c]) for c in calls])
    graph = builder.compile(checkpointer=InMemorySaver())
    questions = go(graph, way, {"messages": []})["__interrupt__"]
    by_path = {q.value["action_requests"][0]["args"]["path"][-1]: q for q in questions}
    left = go(graph, way, Command(resume={by_path["b"].id: {"decisions": [{"type": "approve"}]}}))
    assert ran == ["ask/b:x"]
    (open_question,) = left["__interrupt__"]
    assert open_question.value == by_path["a"].value  # the same approval, not asked again
    last = {by_path["a"].id: {"decisions": [{"type": "reject"}]}}
    result = go(graph, way, Command(resume=last))
    assert {m.tool_call_id: m.status for m in told(result)} == {
        "call-a": "error",
        "call-b": "success",
    }
    assert ran == ["ask/b:x"]
    assert len(stage.decisions()) == 2
    assert [approval["status"] for approval in approvals(stage)] == ["approved", "denied"]


def test_graph_is_resumed_by_another_process_with_the_same_data(
    stage: Any, scripted: Any, tmp_path: Path
) -> None:
    """The question is found again: it is not asked twice, and the answer is taken."""
    from tests.conftest import POLICY

    saver = InMemorySaver()
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    go(protected(stage, model, saver, the_tool()), "invoke", TASK)
    stage.guard.close()
    with Guard(POLICY, data_dir=stage.data_dir, workspace=stage.folder) as another:
        graph = create_agent(model, another.protect([the_tool()]), checkpointer=saver)
        go(graph, "invoke", answered({"type": "approve"}))
    assert ran == ["ask/a:x"]
    assert len(stage.decisions()) == 1
    assert len(approvals(stage)) == 1


@pytest.mark.parametrize(("first", "then", "runs"), [(True, "approve", True),
                                                     (True, "reject", False),
                                                     (False, "approve", False)])  # fmt: skip
def test_question_may_also_be_answered_elsewhere(
    stage: Any, scripted: Any, first: bool, then: str, runs: bool
) -> None:
    """The first answer counts, and no later one turns a refusal into a permission."""
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    graph = protected(stage, model, InMemorySaver(), the_tool())
    (question,) = go(graph, "invoke", TASK)["__interrupt__"]
    stage.guard._point.resolve(question.value["approval_id"], first, by="ann")
    result = go(graph, "invoke", answered({"type": then}))
    assert [message.status for message in told(result)] == ["success" if runs else "error"]
    assert bool(ran) is runs
    assert len(stage.decisions()) == 1
    assert len(approvals(stage)) == 1


def test_edit_comes_too_late_for_a_question_that_was_answered(stage: Any, scripted: Any) -> None:
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    graph = protected(stage, model, InMemorySaver(), the_tool())
    (question,) = go(graph, "invoke", TASK)["__interrupt__"]
    stage.guard._point.resolve(question.value["approval_id"], True, by="ann")
    (message,) = told(go(graph, "invoke", answered(edit(stage, "public"))))
    assert "another answer came first" in message.content
    assert ran == []


def test_answer_serves_no_other_call(stage: Any) -> None:
    """The step runs again from its start, and this time its code makes another call."""
    (guarded,) = stage.guard.protect([the_tool()])
    names = iter(["a", "b"])

    def step(state: MessagesState) -> dict[str, Any]:
        path = str(stage.folder / "ask" / next(names))
        return {"messages": [("ai", str(guarded.invoke({"path": path, "content": "x"})))]}

    builder = StateGraph(MessagesState)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    graph = builder.compile(checkpointer=InMemorySaver())
    (question,) = go(graph, "invoke", TASK)["__interrupt__"]
    assert question.value["action_requests"][0]["args"]["path"].endswith("ask/a")
    person = stage.person(False, only="b")
    result = go(graph, "invoke", answered({"type": "approve"}))
    person.join()
    assert "Denied by policy" in result["messages"][-1].content
    assert ran == []


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_several_calls_in_one_step_wait_instead(stage: Any, way: str) -> None:
    """LangGraph could hand the answer for one to another, so people are asked by ``approve``."""
    calls = [
        {
            "name": "write_file",
            "args": {"path": str(stage.folder / folder / "a"), "content": "x"},
            "id": f"call-{folder}",
            "type": "tool_call",
        }
        for folder in ("ask", "public")
    ]
    builder = StateGraph(MessagesState)
    builder.add_node("tools", ToolNode(stage.guard.protect([the_tool()])))
    builder.add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    person = stage.person(True)
    result = go(graph, way, {"messages": [AIMessage("", tool_calls=calls)]})
    person.join()
    assert "__interrupt__" not in result
    assert [message.status for message in told(result)] == ["success", "success"]
    assert sorted(ran) == ["ask/a:x", "public/a:x"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("build", BUILDS)
def test_graph_that_cannot_be_resumed_waits(
    stage: Any, scripted: Any, build: str, way: str
) -> None:
    model = scripted(("write_file", {"path": str(stage.folder / "ask" / "a"), "content": "x"}))
    graph = BUILDS[build](stage, model, None, the_tool())
    person = stage.person(True)
    result = go(graph, way, TASK)
    person.join()
    assert [message.content for message in told(result)] == ["written"]
    assert ran == ["ask/a:x"]


def test_retry_asks_no_second_question(stage: Any, scripted: Any) -> None:
    guarded = stage.guard.protect(the_tool())
    retried = functools.partial(guarded.with_retry(stop_after_attempt=3).invoke)

    def step(state: MessagesState) -> dict[str, Any]:
        path = str(stage.folder / "ask" / "a")
        return {"messages": [("ai", str(retried({"path": path, "content": "x"})))]}

    builder = StateGraph(MessagesState)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    graph = builder.compile(checkpointer=InMemorySaver())
    assert len(go(graph, "invoke", TASK)["__interrupt__"]) == 1
    assert len(stage.decisions()) == 1
    result = go(graph, "invoke", answered({"type": "approve"}))
    assert result["messages"][-1].content == "written"
    assert ran == ["ask/a:x"]


def test_steps_that_ask_one_after_the_other(stage: Any) -> None:
    """Two questions in one step: each is asked in its turn."""
    (guarded,) = stage.guard.protect([the_tool()])
    done: list[str] = []

    def step(state: MessagesState) -> dict[str, Any]:
        for name in ("a", "b"):
            if name not in done:
                guarded.invoke({"path": str(stage.folder / "ask" / name), "content": "x"})
                done.append(name)
        return {"messages": [("ai", "both")]}

    builder = StateGraph(MessagesState)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    graph = builder.compile(checkpointer=InMemorySaver())
    go(graph, "invoke", TASK)
    (second,) = go(graph, "invoke", answered({"type": "approve"}))["__interrupt__"]
    assert second.value["action_requests"][0]["args"]["path"].endswith("ask/b")
    assert ran == ["ask/a:x"]


def test_approval_serves_one_run_of_a_step_that_runs_again(stage: Any) -> None:
    """LangGraph runs a step from its start after each answer; the tool does not run twice."""
    (guarded,) = stage.guard.protect([the_tool()])

    def step(state: MessagesState) -> dict[str, Any]:
        texts = [
            guarded.invoke({"path": str(stage.folder / "ask" / name), "content": "x"})
            for name in ("a", "b")
        ]
        return {"messages": [("ai", " | ".join(texts))]}

    builder = StateGraph(MessagesState)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    graph = builder.compile(checkpointer=InMemorySaver())
    go(graph, "invoke", TASK)
    go(graph, "invoke", answered({"type": "approve"}))
    result = go(graph, "invoke", answered({"type": "approve"}))
    assert ran == ["ask/a:x", "ask/b:x"]
    first, second = result["messages"][-1].content.split(" | ")
    assert "the approval was used already" in first
    assert second == "written"
    assert len(stage.decisions()) == 2
