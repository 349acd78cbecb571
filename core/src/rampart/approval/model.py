"""What an approval is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["pending", "approved", "denied", "expired"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller that asks in its own way says about a question.

    ``key`` tells it from others about the same call, also after a restart; it expires after
    ``timeout_s``.
    """

    key: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a person, and the answer.

    Times are seconds since the epoch; ``resolved_at`` is 0 until then. ``tool`` to ``depth`` are
    the call's, redacted for display; ``digest`` is what the answer is bound to. ``consumed`` says
    that the answer was used, or withdrawn.
    """

    id: str
    status: Status
    message: str
    policy: str
    rule: str
    reason: str
    resolved_by: str
    created_at: float
    expires_at: float
    resolved_at: float
    consumed: bool
    digest: str
    tool: str
    params: Mapping[str, object]
    agent: str
    session: str
    run_id: str
    call_id: str
    cwd: str
    depth: int
