"""The methods of a LangChain tool, with the guard inside: for one class, or for all of them.

MUST decide exactly once per call, on every path: ``invoke``, ``run``, ``_run``, ``func`` and their
async forms (CrewAI and AutoGen call ``tool.func`` directly).
MUST run exactly the arguments that were decided.
MUST review what a tool returned once, where it comes out of the tool's own code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, Tool
from rampart import Decision, Denied, EnforcementPoint, Review

from rampart_langchain.guarding import Function, call_id

RAW: Final = "__rampart_raw__"
INHERITED_ARUN: Final = BaseTool.__dict__["_arun"]
_TO_A_THREAD: Final = (StructuredTool.__dict__["ainvoke"], Tool.__dict__["ainvoke"])
T = TypeVar("T")
Find = Callable[[BaseTool], EnforcementPoint | None]
Answer = Callable[[BaseTool, Denied, str | None], Any]


def guarded_function(function: Function, point: EnforcementPoint, pair: bool) -> Function:
    """Return the function of a tool behind its point."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = point.allow(function, args, kwargs)
        with point.handing_on(function, args, kwargs) as inner:
            output = function(*args, **kwargs)
        return output if inner.used else reviewed(point, (function, args, kwargs, pair), output)

    setattr(run, RAW, function)
    point.mark(run, function)
    return run


def guarded_coroutine(function: Function, point: EnforcementPoint, pair: bool) -> Function:
    """Return the coroutine function of a tool behind its point."""

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = await point.aallow(function, args, kwargs)
        with point.handing_on(function, args, kwargs) as inner:
            output = await function(*args, **kwargs)
        call = (function, args, kwargs, pair)
        return output if inner.used else await areviewed(point, call, output)

    setattr(run, RAW, function)
    point.mark(run, function)
    return run


def run_method(original: Function, find: Find) -> Function:
    """Return ``_run`` behind the point of whichever tool it is called on."""

    @functools.wraps(original)
    def _run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        point = find(self)
        if point is None:
            return original(self, *args, **kwargs)
        function = _innermost(self, original)
        args, kwargs = point.allow(function, args, kwargs)
        with (
            point.passing(function, args, kwargs) as permit,
            point.handing_on(function, args, kwargs) as inner,
        ):
            output = original(self, *args, **kwargs)
        # WHY: a layer inside that was passed has reviewed it
        call = (function, args, kwargs, is_pair(self))
        return output if permit.used or inner.used else reviewed(point, call, output)

    return _run


def arun_method(original: Function, find: Find, shown: Function | None = None) -> Function:
    """Return ``_arun`` behind the point of whichever tool it is called on.

    ``shown`` has the signature that the framework is to see, if that is another one.
    """
    inherited = getattr(original, "__wrapped__", original) is INHERITED_ARUN

    @functools.wraps(shown or original)
    async def _arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        point = find(self)
        if point is None:
            return await original(self, *args, **kwargs)
        # WHY: without an `_arun` of its own a tool is called with what its `_run` asks for
        function = _innermost(self, type(self)._run if inherited else original)  # noqa: SLF001
        args, kwargs = await point.aallow(function, args, kwargs)
        with (
            point.passing(function, args, kwargs) as permit,
            point.handing_on(function, args, kwargs) as inner,
        ):
            output = await original(self, *args, **kwargs)
        call = (function, args, kwargs, is_pair(self))
        return output if permit.used or inner.used else await areviewed(point, call, output)

    return _arun


def outer_run(original: Function, answer: Answer) -> Function:
    """Return ``run`` with a denial as its answer."""

    @functools.wraps(original)
    def run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        identity = kwargs.get("tool_call_id")
        token = call_id.set(identity or "")
        try:
            return original(self, *args, **kwargs)
        except Denied as denied:
            return answer(self, denied, identity)
        finally:
            call_id.reset(token)

    return run


def outer_arun(original: Function, answer: Answer) -> Function:
    """Return ``arun`` with a denial as its answer."""

    @functools.wraps(original)
    async def arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        identity = kwargs.get("tool_call_id")
        token = call_id.set(identity or "")
        try:
            return await original(self, *args, **kwargs)
        except Denied as denied:
            return answer(self, denied, identity)
        finally:
            call_id.reset(token)

    return arun


def goes_to_a_thread(ainvoke: Function) -> bool:
    """True for an ``ainvoke`` of the framework that runs the sync path in a thread."""
    return getattr(ainvoke, "__wrapped__", ainvoke) in _TO_A_THREAD


def ainvoke_method(original: Function, find: Find) -> Function:
    """Return ``ainvoke`` that stays on the event loop."""

    @functools.wraps(original)
    async def ainvoke(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        # WHY: the class itself would run the sync path in a thread, where a cancelled wait for an
        # approval goes on and runs the tool
        if find(self) is None:
            return await original(self, *args, **kwargs)
        return await BaseTool.ainvoke(self, *args, **kwargs)

    return ainvoke


def _innermost(tool: BaseTool, method: Function) -> Function:
    """Return the function whose parameters a call of ``tool`` is made of."""
    inner = tool.__dict__.get("func") or tool.__dict__.get("coroutine")
    return getattr(inner, RAW, inner) if inner else functools.partial(method, tool)


# What a tool returned

Call = tuple[Function, tuple[Any, ...], Mapping[str, Any], bool]
"""The function, its arguments, and whether it returns a pair: content, and an artifact."""


def is_pair(tool: BaseTool) -> bool:
    """True if a tool returns what the model reads and what it does not."""
    return tool.response_format == "content_and_artifact"


def reviewed(point: EnforcementPoint, call: Call, output: Any) -> Any:
    """Return what the model may see of what a tool returned. Raises: Denied."""
    if not point.reviews:
        return output
    shown, put_back = _shown(output, call[3])
    return put_back(_required(point.review(point.view(*call[:3]), shown)))


async def areviewed(point: EnforcementPoint, call: Call, output: Any) -> Any:
    """As ``reviewed``, without blocking the event loop."""
    if not point.reviews:
        return output
    shown, put_back = _shown(output, call[3])
    return put_back(_required(await point.areview(point.view(*call[:3]), shown)))


def reviewed_answer(point: EnforcementPoint, arguments: Mapping[str, Any], answer: T) -> T:
    """Return what the model may see of the answer to a tool call. Raises: Denied."""
    if not point.reviews:
        return answer
    shown, put_back = _shown(answer)
    same: T = put_back(_required(point.review(arguments, shown)))
    return same


async def areviewed_answer(point: EnforcementPoint, arguments: Mapping[str, Any], answer: T) -> T:
    """As ``reviewed_answer``, without blocking the event loop."""
    if not point.reviews:
        return answer
    shown, put_back = _shown(answer)
    same: T = put_back(_required(await point.areview(arguments, shown)))
    return same


def _required(review: Review) -> Any:
    if not review.allowed:
        raise Denied(str(review.response), review.decision)
    return review.response


def _shown(output: Any, pair: bool = False) -> tuple[Any, Callable[[Any], Any]]:
    """Return the part of an output that a model reads, and what puts it back into its place."""
    if pair and isinstance(output, tuple) and len(output) == 2:
        content, put_back = _shown(output[0])
        return content, lambda new: (put_back(new), output[1])
    if isinstance(output, BaseMessage):
        return output.content, lambda new: output.model_copy(update={"content": new})
    update = getattr(output, "update", None)
    if type(output).__name__ == "Command" and isinstance(update, dict):
        messages = update.get("messages")
        if isinstance(messages, list):
            parts = [_shown(message) for message in messages]
            return [part for part, _put in parts], lambda new: _with_messages(
                output, update, [put(item) for (_part, put), item in zip(parts, new, strict=True)]
            )
    return output, lambda new: new


def _with_messages(command: Any, update: Mapping[str, Any], messages: list[Any]) -> Any:
    return replace(command, update={**update, "messages": messages})


# What the framework gets instead


def decision_fields(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain data, so that any checkpointer can store it."""
    names = ("action", "message", "policy", "rule", "audit_id", "approval_id")
    fields: dict[str, Any] = {name: getattr(decision, name) for name in names}
    return {**fields, "suggestions": list(decision.suggestions)}


def denial_message(name: str, text: str, tool_call_id: str, decision: Decision) -> ToolMessage:
    """Return what the model reads instead of the tool's output."""
    return ToolMessage(
        text,
        tool_call_id=tool_call_id,
        name=name,
        status="error",
        artifact={"rampart": decision_fields(decision)},
    )


def denial_answer(tool: BaseTool, denied: Denied, tool_call_id: str | None) -> ToolMessage | str:
    """Return a denial as a message, or as text where there is no tool call to answer."""
    text = str(denied)
    if tool_call_id is None:
        return text
    return denial_message(tool.name, text, tool_call_id, denied.decision)
