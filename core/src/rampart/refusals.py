"""Denials that no rule makes: calls that cannot be understood, and what the gate cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rampart.errors import InputError, InputTooLarge, StateUnavailable
from rampart.limits import NAME_CHARS_MAX
from rampart.model import RULE_STATE_UNAVAILABLE, Decision, ToolCall


def require_names(call: ToolCall) -> None:
    """Refuse a call that does not say what it is. Raises: InputError, InputTooLarge."""
    names = (call.tool, call.agent, call.session, call.run_id, call.call_id, call.cwd)
    # WHY: the names of most calls are short together; asking for each takes four times as long
    short = set(map(type, names)) == {str} and len("".join(names)) <= NAME_CHARS_MAX
    if short and call.tool and type(call.params) is dict:
        return
    for name in ("tool", "agent", "session", "run_id", "call_id", "cwd"):
        value = getattr(call, name)
        if not isinstance(value, str):
            raise InputError(f"`{name}` must be text, not {type(value).__name__}")
        if name != "cwd" and len(value) > NAME_CHARS_MAX:
            raise InputTooLarge(
                f"`{name}` has {len(value)} characters; the limit is {NAME_CHARS_MAX}"
            )
    if not call.tool:
        raise InputError("`tool` is empty")
    if not isinstance(call.params, Mapping):
        raise InputError(f"`params` must be a mapping, not {type(call.params).__name__}")


def denied(decision: Decision, rule: str, message: str) -> Decision:
    """Return the decision turned into a denial by a reserved rule."""
    return replace(decision, action="deny", message=message, rule=rule)


def stateless(error: StateUnavailable, decision: Decision | None = None) -> Decision:
    """Return the denial of a call whose past cannot be read or written."""
    text = f"what happened before cannot be read or written: {error.message}"
    return denied(decision or Decision("deny"), RULE_STATE_UNAVAILABLE, text)
