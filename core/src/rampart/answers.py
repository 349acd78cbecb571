"""Reading what a service answers, and refusing to read anything else into it.

MUST NOT guess: an answer that the contract does not allow is a ProtocolError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from rampart.errors import AuthError, InputError, InputTooLarge, ProtocolError, RampartError
from rampart.model import STRICTNESS, Decision, Verdict


@dataclass(frozen=True, slots=True)
class RemoteApproval:
    """An approval as the service describes it. ``expires_at`` is in seconds since the epoch.

    ``created_at`` and ``fields`` beyond these are known to whoever lists the pending ones.
    """

    id: str
    status: Literal["pending", "approved", "denied", "expired"]
    message: str
    expires_at: float
    created_at: float
    fields: Mapping[str, object]


def read_refusal(status: int, answer: Mapping[str, object]) -> RampartError:
    """Return the error that a refusal stands for."""
    message, hint = answer.get("message"), answer.get("help")
    text = message if isinstance(message, str) and message else f"status {status}"
    kinds: dict[int, type[RampartError]] = {
        400: InputError,
        401: AuthError,
        403: AuthError,
        413: InputTooLarge,
        422: InputError,
    }
    kind = kinds.get(status, ProtocolError)
    return kind(text, help=hint if isinstance(hint, str) else "")


def read_decision(answer: Mapping[str, object]) -> Decision:
    """Return a decision. Raises: ProtocolError."""
    action = answer.get("action")
    if not isinstance(action, str) or action not in STRICTNESS:
        raise ProtocolError(f"the service answered an unknown decision: {action!r}")
    decision = Decision(
        cast("Verdict", action),
        _text(answer, "message"),
        policy=_text(answer, "policy"),
        rule=_text(answer, "rule"),
        matched=_texts(answer, "matched_policies"),
        suggestions=_texts(answer, "suggestions"),
        generation=_text(answer, "policy_generation"),
        audit_id=_text(answer, "audit_id"),
        approval_id=_text(answer, "approval_id"),
        expires_at=_moment(answer.get("expires_at")),
    )
    duration = answer.get("eval_duration_us", 0.0)
    decision.duration_us = float(duration) if isinstance(duration, int | float) else 0.0
    if answer.get("allowed") is not decision.allowed:
        raise ProtocolError("the service answered `allowed` and `action` that disagree")
    return decision


def is_review(answer: Mapping[str, object]) -> bool:
    """True if an answer says what may be shown of a response."""
    return "response" in answer and isinstance(answer.get("redacted"), bool)


def read_approval(answer: object) -> RemoteApproval:
    """Return an approval. Raises: ProtocolError."""
    if not isinstance(answer, dict):
        raise ProtocolError("the service did not answer with an approval")
    status = answer.get("status")
    if status not in ("pending", "approved", "denied", "expired"):
        raise ProtocolError(f"the service answered an unknown status: {status!r}")
    return RemoteApproval(
        id=_text(answer, "id"),
        status=cast("Any", status),
        message=_text(answer, "message"),
        expires_at=_moment(answer.get("expires_at")),
        created_at=_moment(answer.get("created_at")),
        fields=answer,
    )


def _text(answer: Mapping[str, object], field: str) -> str:
    value = answer.get(field, "")
    if not isinstance(value, str):
        raise ProtocolError(f"the service answered `{field}` that is not text")
    return value


def _texts(answer: Mapping[str, object], field: str) -> tuple[str, ...]:
    value = answer.get(field, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProtocolError(f"the service answered `{field}` that is not a list of texts")
    return tuple(value)


def _moment(value: object) -> float:
    if value is None:
        return 0.0
    try:
        return datetime.fromisoformat(cast("str", value)).timestamp()
    except (TypeError, ValueError):
        raise ProtocolError("the service answered a time that is not one") from None
