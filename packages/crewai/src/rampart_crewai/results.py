"""What a guarded tool answers instead of, or after, its own output."""

from __future__ import annotations

from typing import Any, Final

from crewai.tools.tool_failure import ToolFailure, ToolFailureReason
from rampart import Decision, Review, plain

DENIED: Final = "policy_denied"
WITHHELD: Final = "policy_withheld"


def denial(text: str, decision: Decision, *, code: str = DENIED) -> ToolFailure:
    """Return what a tool answers instead of its output."""
    names = ("action", "message", "policy", "rule", "audit_id", "approval_id")
    return ToolFailure(
        message=text,
        reason=ToolFailureReason.TOOL_REPORTED,
        code=code,
        retryable=False,
        details={name: getattr(decision, name) for name in names},
    )


def is_denial(result: object) -> bool:
    """True if a call was denied: the tool did not run."""
    return isinstance(result, ToolFailure) and result.code == DENIED


def is_refusal(result: object) -> bool:
    """True if a call was denied or its output withheld: neither may be kept for later."""
    return isinstance(result, ToolFailure) and result.code in (DENIED, WITHHELD)


def readable(output: object) -> object:
    """Return an output as plain data, which is what rules read."""
    return output if isinstance(output, str | bytes) else plain(output)


def shown(output: object, review: Review) -> Any:
    """Return what a review leaves of an output; an output that was not touched stays itself."""
    if not review.allowed:
        return denial(str(review.response), review.decision, code=WITHHELD)
    return output if review.response == readable(output) else review.response
