"""What LangChain adds to a call: plumbing that the model did not choose, and who asks."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import BaseTool
from rampart import Guard

Function = Callable[..., Any]

call_id: ContextVar[str] = ContextVar("rampart_langchain_call_id", default="")
"""The id of the tool call that is under way."""


def context_of(guard: Guard) -> Mapping[str, Any]:
    """Return who asks, as far as LangChain knows and nobody said otherwise.

    The tool call's id; the LangGraph thread as the session; the name of the agent; the run, by
    which a trace is found; and how many graphs deep the call is made.
    """
    config = var_child_runnable_config.get() or {}
    configurable, metadata = config.get("configurable") or {}, config.get("metadata") or {}
    named, found = guard.call(""), dict[str, Any]()
    if call_id.get():
        found["call_id"] = call_id.get()
    if not named.session and (thread := configurable.get("thread_id")) is not None:
        found["session"] = str(thread)
    if not named.agent and isinstance(name := metadata.get("lc_agent_name"), str):
        found["agent"] = name
    if not named.run_id and (run := _run_of(configurable, metadata, config.get("callbacks"))):
        found["run_id"] = str(run)
    if not named.depth and isinstance(place := configurable.get("checkpoint_ns"), str):
        found["depth"] = place.count("|")  # LangGraph's separator between a graph and one inside
    return found


def _run_of(configurable: Mapping[str, Any], metadata: Mapping[str, Any], traced: object) -> object:
    given = configurable.get("run_id") or metadata.get("run_id")
    return given or getattr(traced, "parent_run_id", None)


def argument_names(tool: BaseTool) -> frozenset[str]:
    """Return what the arguments of ``tool`` are called, in its schema and by its functions."""
    functions = (*_own_functions(tool), tool._run)  # noqa: SLF001 - the protocol of tools
    return field_names(tool.tool_call_schema) | _parameters(functions)


def hidden_names(tool: BaseTool) -> frozenset[str]:
    """Return the arguments of ``tool`` that the model does not choose.

    INVARIANT: of LangChain's own names only those that it fills itself are hidden: what it does not
    fill may come from the model.
    """
    own, methods = _own_functions(tool), (tool._run, tool._arun)  # noqa: SLF001 - the protocol of tools
    plumbing = (_parameters(methods) & {"run_manager"}) | (_parameters(own) & {"callbacks"})
    shown = field_names(tool.tool_call_schema)
    full = field_names(tool.args_schema) if tool.args_schema is not None else shown
    injected: frozenset[str] = getattr(tool, "_injected_args_keys", frozenset())
    return (full - shown) | injected | (plumbing - shown) | _config_names((*own, *methods))


def _own_functions(tool: BaseTool) -> tuple[Function, ...]:
    own = (tool.__dict__.get("func"), tool.__dict__.get("coroutine"))
    return tuple(function for function in own if function is not None)


def _parameters(functions: Iterable[Function]) -> frozenset[str]:
    return frozenset(name for f in functions for name in inspect.signature(f).parameters)


def field_names(schema: Any) -> frozenset[str]:
    """Return the names in a pydantic model (either generation) or a JSON schema."""
    if isinstance(schema, dict):
        return frozenset(schema.get("properties", {}))
    return frozenset(getattr(schema, "model_fields", None) or getattr(schema, "__fields__", {}))


def _config_names(functions: Iterable[Function]) -> set[str]:
    found: set[str] = set()
    for function in functions:
        try:
            hints = typing.get_type_hints(function)
        except (NameError, TypeError, AttributeError):  # LangChain gives these no config
            continue
        found |= {name for name, hint in hints.items() if hint is RunnableConfig}
    return found
