"""Who makes a call: the agent, the crew, the task, and how deep in a chain of delegations."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any

from rampart import Guard

_depth: ContextVar[int] = ContextVar("rampart_crewai_depth", default=0)


def who_asks(
    guard: Guard, agent: object, *, task: object = None, crew: object = None
) -> dict[str, Any]:
    """Return the context of a call, as ``Guard.enforce`` takes it.

    The agent's role is its name and the crew's id the session, unless the guard names others; the
    task's id is the run, and an agent that was delegated to is one deeper than who delegated.
    """
    known = guard.call("")
    crew = crew or getattr(agent, "crew", None)
    task = task or getattr(getattr(agent, "agent_executor", None), "task", None)
    found: dict[str, Any] = {}
    if not known.agent and (role := getattr(agent, "role", None)):
        found["agent"] = str(role).strip()
    if not known.session and (identity := getattr(crew, "id", None)):
        found["session"] = str(identity)
    if not known.run_id and (identity := getattr(task, "id", None)):
        found["run_id"] = str(identity)
    if not known.depth and _depth.get():
        found["depth"] = _depth.get()
    return found


def deeper() -> Token[int]:
    """Note that what runs from here on was delegated."""
    return _depth.set(_depth.get() + 1)


def back(token: Token[int]) -> None:
    """Undo ``deeper``."""
    try:
        _depth.reset(token)
    except ValueError:  # another context: it ends with its own copy
        return
