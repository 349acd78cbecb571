"""Every way to a tool that LangChain has leads through the guard, and tracing sees the denial."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, BaseToolkit, StructuredTool, tool
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.schemas import Run
from rampart import Denied, UnsupportedObject

from tests.langchain.zoo import Note, made, ran, write


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def protected(stage: Any, tool_object: BaseTool) -> Any:
    return stage.guard.protect(tool_object)


def instrumented(stage: Any, tool_object: BaseTool) -> Any:
    stage.guard.instrument("langchain")
    return tool_object


@pytest.fixture(params=[protected, instrumented])
def guard(request: Any, stage: Any) -> Any:
    """Return a function that guards a tool, in one of the two ways."""
    yield lambda tool_object: request.param(stage, tool_object)
    stage.guard.uninstrument()


def stream(subject: Any, text: str) -> Any:
    (answer,) = subject.stream({"text": text})
    return answer


def astream(subject: Any, text: str) -> Any:
    async def collect() -> Any:
        return [part async for part in subject.astream({"text": text})]

    (answer,) = asyncio.run(collect())
    return answer


WAYS: dict[str, Callable[[Any, str], Any]] = {
    "invoke": lambda t, text: t.invoke({"text": text}),
    "ainvoke": lambda t, text: asyncio.run(t.ainvoke({"text": text})),
    "run": lambda t, text: t.run({"text": text}),
    "arun": lambda t, text: asyncio.run(t.arun({"text": text})),
    "run with text": lambda t, text: t.run(text),
    "batch": lambda t, text: t.batch([{"text": text}])[0],
    "abatch": lambda t, text: asyncio.run(t.abatch([{"text": text}]))[0],
    "stream": stream,
    "astream": astream,
    "sequence": lambda t, text: (RunnableLambda(lambda x: {"text": x}) | t).invoke(text),
    "async sequence": lambda t, text: asyncio.run(
        (RunnableLambda(lambda x: {"text": x}) | t).ainvoke(text)
    ),
    "bind": lambda t, text: t.bind().invoke({"text": text}),
    "with_config": lambda t, text: t.with_config(tags=["x"]).invoke({"text": text}),
    "with_retry": lambda t, text: t.with_retry().invoke({"text": text}),
    "with_fallbacks": lambda t, text: t.with_fallbacks([RunnableLambda(str)]).invoke(
        {"text": text}
    ),
}


@pytest.mark.parametrize("kind", ["function", "class"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_decided_once(stage: Any, guard: Any, way: str, kind: str) -> None:
    subject = guard(made(write) if kind == "function" else Note())
    assert WAYS[way](subject, "hello") == "hello"
    assert ran == ["hello"]
    assert len(stage.decisions()) == 1
    assert str(WAYS[way](subject, "forbidden")).startswith("Denied by policy: note")
    assert ran == ["hello"]
    assert len(stage.decisions()) == 2


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_tool_made_of_a_tool_is_guarded(stage: Any) -> None:
    made_of_it = stage.guard.protect(made(write)).as_tool(arg_types={"text": str})
    assert made_of_it.invoke({"text": "hello"}) == "hello"
    assert "Denied by policy" in made_of_it.invoke({"text": "forbidden"})
    assert ran == ["hello"]


def test_batch_decides_each_input(stage: Any, guard: Any) -> None:
    subject = guard(made(write))
    answers = subject.batch([{"text": t} for t in ("a", "forbidden", "b")])
    assert [answer.startswith("Denied") for answer in answers] == [False, True, False]
    assert sorted(ran) == ["a", "b"]


def test_retry_does_not_repeat_a_denied_call(stage: Any, guard: Any) -> None:
    guard(made(write)).with_retry(stop_after_attempt=5).invoke({"text": "forbidden"})
    assert len(stage.decisions()) == 1


def test_denial_that_is_raised_can_be_kept_from_retries(stage: Any) -> None:
    raising = stage.guard.protect(made(write), on_deny="raise")
    patient = raising.with_retry(retry_if_exception_type=(OSError,), stop_after_attempt=5)
    with pytest.raises(Denied):
        patient.invoke({"text": "forbidden"})
    assert len(stage.decisions()) == 1


def test_fallback_of_a_denied_call_is_guarded_too(stage: Any) -> None:
    raising = stage.guard.protect(made(write), on_deny="raise")
    other = stage.guard.protect(made(write))
    answer = raising.with_fallbacks([other]).invoke({"text": "forbidden"})
    assert answer.startswith("Denied by policy")
    assert ran == []


def test_retry_decides_every_attempt_of_an_allowed_call(stage: Any, guard: Any) -> None:
    """A tool that fails is run again; nothing runs without a decision of its own."""
    attempts: list[str] = []

    def fail(text: str) -> str:
        """Fail twice."""
        attempts.append(text)
        if len(attempts) < 3:
            raise OSError("not yet")
        return text

    subject = guard(made(fail)).with_retry(wait_exponential_jitter=False, stop_after_attempt=3)
    assert subject.invoke({"text": "hello"}) == "hello"
    assert len(stage.decisions()) == len(attempts) == 3


class Kit(BaseToolkit):
    """A toolkit with two tools."""

    def get_tools(self) -> list[BaseTool]:
        return [made(write), Note()]


def test_toolkit_hands_out_guarded_tools(stage: Any) -> None:
    kit = Kit()
    guarded = stage.guard.protect(kit)
    assert isinstance(guarded, Kit)
    answers = [each.invoke({"text": "forbidden"}) for each in guarded.get_tools()]
    assert all(answer.startswith("Denied by policy") for answer in answers)
    assert kit.get_tools()[0].invoke({"text": "forbidden"}) == "forbidden"


def test_tools_of_a_kit_are_guarded_in_a_list(stage: Any) -> None:
    answers = [t.invoke({"text": "forbidden"}) for t in stage.guard.protect(Kit().get_tools())]
    assert all(answer.startswith("Denied by policy") for answer in answers)


def test_what_cannot_be_guarded_is_never_handed_back(stage: Any) -> None:
    with pytest.raises(UnsupportedObject, match="langchain"):
        stage.guard.protect(RunnableLambda(str))
    with pytest.raises(UnsupportedObject):
        stage.guard.protect([made(write), {"name": "web_search", "type": "provider tool"}])


def test_decorated_function_is_a_tool_like_any_other(stage: Any, guard: Any) -> None:
    @tool("note", return_direct=True)
    def decorated(text: str) -> str:
        """Write a note."""
        ran.append(text)
        return text

    subject = guard(decorated)
    assert subject.return_direct
    assert subject.invoke({"text": "forbidden"}).startswith("Denied")
    assert ran == []


class Watching(BaseCallbackHandler):
    """Notes what a callback handler is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
        self.told.append(("start", input_str))

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self.told.append(("end", str(output)))

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        self.told.append(("error", str(error)))


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_callback_handler_sees_the_denial(stage: Any, guard: Any, way: str) -> None:
    watching = Watching()
    config: Any = {"callbacks": [watching]}
    subject = guard(made(write))
    if way == "invoke":
        subject.invoke({"text": "forbidden"}, config)
    else:
        asyncio.run(subject.ainvoke({"text": "forbidden"}, config))
    assert [kind for kind, _text in watching.told] == ["start", "error"]
    assert "Denied by policy: note: not this word" in watching.told[-1][1]


class Traces(BaseTracer):
    """Keeps the runs that a tracer persists."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.runs.append(run)


def test_trace_of_a_denied_call_is_a_failed_run_that_the_record_names(stage: Any) -> None:
    traces = Traces()
    stage.guard.protect(made(write)).invoke({"text": "forbidden"}, {"callbacks": [traces]})
    (run,) = traces.runs
    assert "not this word" in str(run.error)
    (decision,) = stage.decisions()
    assert decision["run_id"] == str(run.id)


def test_event_stream_shows_the_denial(stage: Any, guard: Any) -> None:
    subject = guard(made(write))

    async def events() -> list[str]:
        seen = []
        async for event in subject.astream_events({"text": "forbidden"}, version="v2"):
            seen.append(event["event"])
        return seen

    assert asyncio.run(events()) == ["on_tool_start", "on_tool_error"]


def test_message_of_a_tool_call_is_answered_with_its_id(stage: Any, guard: Any) -> None:
    asked = AIMessage(
        "", tool_calls=[{"name": "note", "args": {"text": "forbidden"}, "id": "c9"}]
    ).tool_calls[0]
    answer = guard(made(write)).invoke(asked)
    assert isinstance(answer, ToolMessage)
    assert (answer.tool_call_id, answer.status) == ("c9", "error")


def test_tool_that_calls_another_is_decided_for_both(stage: Any, guard: Any) -> None:
    inner = guard(made(write))

    def outer(text: str) -> str:
        """Pass a text on."""
        return str(inner.invoke({"text": text}))

    subject = guard(StructuredTool.from_function(outer, name="outer"))
    assert subject.invoke({"text": "hello"}) == "hello"
    assert subject.invoke({"text": "forbidden"}).startswith("Denied by policy: note")
    assert [d["tool"] for d in stage.decisions()] == ["outer", "note", "outer", "note"]
