"""The approvals' SQLite file: its schema and its rows. Who can write to it can approve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from rampart import strict_json
from rampart.approval.model import Approval
from rampart.database import Layout
from rampart.errors import ApprovalError
from rampart.limits import APPROVAL_BUSY_S, RECORD_BYTES_MAX

COLUMNS: Final = ", ".join(field.name for field in fields(Approval))

LAYOUT: Final = Layout(
    name="approvals",
    schema="""
CREATE TABLE IF NOT EXISTS approvals (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'expired')),
    message TEXT NOT NULL, policy TEXT NOT NULL, rule TEXT NOT NULL,
    reason TEXT NOT NULL, resolved_by TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, resolved_at REAL NOT NULL,
    consumed INTEGER NOT NULL CHECK (consumed IN (0, 1)),
    digest TEXT NOT NULL,
    tool TEXT NOT NULL, params TEXT NOT NULL, agent TEXT NOT NULL, session TEXT NOT NULL,
    run_id TEXT NOT NULL, call_id TEXT NOT NULL, cwd TEXT NOT NULL, depth INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS approvals_by_digest ON approvals (digest, status);
CREATE INDEX IF NOT EXISTS approvals_by_status ON approvals (status, expires_at);
""",
    version=1,
    error=ApprovalError,
    busy_s=APPROVAL_BUSY_S,
)


def approval_of(row: Sequence[Any]) -> Approval:
    """Return the approval in a row of ``COLUMNS``. Raises: ApprovalError, InputError."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    params = strict_json.loads_object(values["params"].encode(), size_bytes_max=RECORD_BYTES_MAX)
    if values["status"] not in ("pending", "approved", "denied", "expired"):
        raise ApprovalError("the database holds an approval that cannot be read")
    return Approval(**{**values, "params": params, "consumed": bool(values["consumed"])})
