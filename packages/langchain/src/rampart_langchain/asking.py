"""Questions to people through LangGraph's ``interrupt``, in the words of LangChain's own review.

The graph stops, and the caller resumes it with ``Command(resume={"decisions": [...]})``. The node
then runs again from its start and asks the same question again; this time there is an answer.

MUST NOT take an answer for a question that was not asked before: it belongs to another call.
MUST NOT stop the graph where it could not be resumed, or where LangGraph could hand the answer to
    another call of the same step.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError
from rampart import Answer, AskedCall, plain

from rampart_langchain.guarding import call_id

if TYPE_CHECKING:
    from langgraph.errors import GraphBubbleUp

_TASKS_MAX: Final = 256  # steps under way at once whose questions are counted
_DECISIONS: Final = ["approve", "edit", "reject"]


@dataclass(slots=True)
class _Task:
    """The questions of one execution of one step of a graph.

    INVARIANT: while one is open no other is put: LangGraph hands out answers by their number.
    """

    scratchpad: object
    answered: int = 0
    stopped: dict[str, GraphBubbleUp] = field(default_factory=dict)


_tasks: OrderedDict[int, _Task] = OrderedDict()
_lock = threading.RLock()


class GraphAsker:
    """Asks through the graph that runs the tool, where it can be resumed.

    Edited arguments must fit ``tool``; they are handed out ``parsed``, as its function takes them.
    """

    def __init__(self, tool: BaseTool | None = None, *, parsed: bool = True) -> None:
        self._tool = tool
        self._parsed = parsed

    def key(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Return what identifies a question about this call; empty outside such a graph."""
        configurable = _configurable()
        scratchpad = configurable.get("__pregel_scratchpad")
        if scratchpad is None or configurable.get("__pregel_checkpointer") is None:
            return ""
        if not _alone(configurable):
            return ""
        with _lock:
            task = _task(scratchpad)
            if task.stopped and _identity(name, arguments) not in task.stopped:
                return ""
            number = task.answered
        place = (configurable.get("thread_id"), configurable.get("checkpoint_ns"), number)
        return " ".join(str(part) for part in (*place, call_id.get()))

    def ask(self, asked: AskedCall) -> Answer | None:
        """Stop the graph, or return the answer that it was resumed with."""
        from langgraph.errors import GraphBubbleUp
        from langgraph.types import interrupt

        configurable, identity = _configurable(), _identity(asked.name, asked.arguments)
        with _lock:
            task = _task(configurable["__pregel_scratchpad"])
            if identity in task.stopped:
                raise task.stopped[identity]  # a retry of the same call asks nothing new
            if self.key(asked.name, asked.arguments) != asked.key:
                return None  # another question of this step came first
            try:
                said = interrupt(_request(asked))
            except GraphBubbleUp as stop:
                task.stopped[identity] = type(stop)(*stop.args)  # without the frames of this one
                raise
            if not asked.known:
                return None  # the answer to another question
            task.answered += 1
        return self._answer(said, asked, by=f"the caller of thread {configurable.get('thread_id')}")

    def _answer(self, said: object, asked: AskedCall, *, by: str) -> Answer:
        decision = _only_decision(said)
        match decision.get("type"):
            case "approve":
                return Answer(True, by)
            case "reject":
                message = decision.get("message")
                return Answer(False, by, message if isinstance(message, str) else "")
            case "edit":
                return self._edited(decision.get("edited_action"), asked, by=by)
            case _:
                return Answer(False, by, f"the answer is none of {', '.join(_DECISIONS)}")

    def _edited(self, action: object, asked: AskedCall, *, by: str) -> Answer:
        if not isinstance(action, Mapping) or action.get("name", asked.name) != asked.name:
            return Answer(False, by, "an edit may change the arguments, not the tool")
        arguments = action.get("args")
        if not isinstance(arguments, Mapping) or not all(isinstance(n, str) for n in arguments):
            return Answer(False, by, "the edit has no arguments")
        try:
            return Answer(True, by, arguments=self._validated(dict(arguments)))
        except ValidationError as error:
            return Answer(False, by, f"the edited arguments do not fit the tool: {_first(error)}")

    def _validated(self, arguments: dict[str, Any]) -> dict[str, Any]:
        schema = None if self._tool is None else self._tool.tool_call_schema
        if not (isinstance(schema, type) and issubclass(schema, BaseModel)):
            return arguments
        model = schema.model_validate(arguments)
        if not self._parsed:
            return arguments  # the tool parses them itself
        return {**arguments, **{name: getattr(model, name) for name in schema.model_fields}}


def _identity(name: str, arguments: Mapping[str, Any]) -> str:
    return f"{call_id.get()} {name} {plain(arguments)!r}"


def _configurable() -> Mapping[str, Any]:
    return (var_child_runnable_config.get() or {}).get("configurable") or {}


def _alone(configurable: Mapping[str, Any]) -> bool:
    """True if no other tool call of the same step could get the answer.

    WHY: a ``ToolNode`` that is an ordinary node runs all calls of a message in one step, side by
    side, and LangGraph hands out answers in the order of the questions. An agent of LangChain runs
    each call in a step of its own.
    """
    path = ((var_child_runnable_config.get() or {}).get("metadata") or {}).get("langgraph_path")
    if path is not None and path[0] == "__pregel_push":
        return True
    if not call_id.get():
        return True  # called by a node's own code, one after the other
    try:
        messages = configurable["__pregel_read"]("messages")
        calls = [message.tool_calls for message in messages if getattr(message, "tool_calls", None)]
    except Exception:  # noqa: BLE001 - a state of another shape; nobody knows what else runs
        return False
    mine = [each for each in calls if call_id.get() in [call["id"] for call in each]]
    return bool(mine) and len(mine[-1]) == 1


def _task(scratchpad: object) -> _Task:
    task = _tasks.get(id(scratchpad))
    if task is None or task.scratchpad is not scratchpad:
        task = _tasks[id(scratchpad)] = _Task(scratchpad)
    _tasks.move_to_end(id(scratchpad))
    while len(_tasks) > _TASKS_MAX:
        _tasks.popitem(last=False)
    return task


def _request(asked: AskedCall) -> dict[str, Any]:
    """Return the question as LangChain's ``HumanInTheLoopMiddleware`` puts it."""
    return {
        "action_requests": [
            {
                "name": asked.name,
                "args": dict(asked.arguments),
                "description": asked.decision.message or "the policy asks for an approval",
            }
        ],
        "review_configs": [{"action_name": asked.name, "allowed_decisions": list(_DECISIONS)}],
        "approval_id": asked.decision.approval_id,
    }


def _only_decision(said: object) -> Mapping[str, Any]:
    decisions = said.get("decisions") if isinstance(said, Mapping) else None
    if isinstance(said, Mapping) and "type" in said:
        decisions = [said]  # the form of one interrupt per call
    if not isinstance(decisions, list) or len(decisions) != 1:
        return {}
    return decisions[0] if isinstance(decisions[0], Mapping) else {}


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
