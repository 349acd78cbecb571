"""What the service answers: decisions, approvals and errors as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from rampart import strict_json
from rampart.errors import (
    ApprovalError,
    AuditError,
    AuthError,
    InputError,
    InputTooLarge,
    RampartError,
    ServiceUnavailable,
)
from rampart.model import Decision, Review, Verdict

if TYPE_CHECKING:
    from rampart.approval import Approval

PUBLISHED_WORDS: Final[Mapping[Verdict, str]] = {
    "allow": "allow",
    "watch": "log",
    "ask": "require_approval",
    "deny": "deny",
}
DECISION_STATUS: Final[Mapping[Verdict, int]] = {
    "allow": 200,
    "watch": 200,
    "ask": 202,
    "deny": 403,
}

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_ERROR_STATUS: Final[tuple[tuple[type[RampartError], int], ...]] = (
    (InputTooLarge, 413),
    (InputError, 422),
    (AuthError, 401),
    (ApprovalError, 409),
    (AuditError, 503),
    (ServiceUnavailable, 503),
)


class RequestError(RampartError):
    """A request that is refused before anything is decided, with its HTTP status and error code."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        *,
        help: str = "",  # noqa: A002 - the word users see
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})


def json_response(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return ``value`` as a JSON response that nobody stores."""
    return Response(
        strict_json.dumps(value),
        status_code=status,
        headers={**_HEADERS, **(headers or {})},
        media_type="application/json",
    )


def error_response(error: RampartError, *, decides: bool) -> Response:
    """Return an error as ``{error, message, help}``.

    Where a decision was asked for (``decides``) an error is a denial too, and says so in the words
    of a decision: a client that looks at nothing else does not run the tool.
    """
    if isinstance(error, RequestError):
        status, code, headers = error.status, error.error, error.headers
    else:
        status = next((s for kind, s in _ERROR_STATUS if isinstance(error, kind)), 500)
        code, headers = error.code, {}
    body: dict[str, object] = {"error": code, "message": error.message, "help": error.help}
    if decides:
        body |= {"allowed": False, "decision": "deny", "action": "deny"}
    return json_response(body, status=status, headers=headers)


def decision_body(decision: Decision) -> dict[str, object]:
    """Return a decision in the words of the published contract."""
    body: dict[str, object] = {
        "allowed": decision.allowed,
        "decision": PUBLISHED_WORDS[decision.action],
        "action": decision.action,
        "message": decision.message,
        "policy": decision.policy,
        "rule": decision.rule,
        "matched_policies": list(decision.matched),
        "suggestions": list(decision.suggestions),
        "policy_generation": decision.generation,
        "eval_duration_us": round(decision.duration_us, 1),
        "audit_id": decision.audit_id,
    }
    if decision.approval_id:
        body["approval_id"] = decision.approval_id
        if decision.expires_at:
            body["expires_at"] = timestamp(decision.expires_at)
    return body


def review_body(review: Review, response: object) -> dict[str, object]:
    """Return what may be shown of ``response``: ``redacted`` says that it is not all of it."""
    redacted = review.allowed and review.response is not response
    return decision_body(review.decision) | {"response": review.response, "redacted": redacted}


def approval_status(approval: Approval) -> dict[str, object]:
    """Return what anybody who knows the id of an approval may read."""
    message = (
        approval.reason if approval.status == "denied" and approval.reason else approval.message
    )
    return {
        "id": approval.id,
        "status": approval.status,
        "message": message,
        "expires_at": timestamp(approval.expires_at),
    }


def delivered_status(approval: Approval) -> dict[str, object]:
    """Return ``approval_status`` for whoever waits for the answer.

    An approval is for one run of one call. One that went to somebody before, or was withdrawn,
    reads as expired, so that nobody runs the call again.
    """
    status = approval_status(approval)
    if approval.status == "approved" and approval.consumed:
        status |= {"status": "expired", "message": "the approval was used already"}
    return status


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339, UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
