"""The SQLite file behind the approvals: opening it safely, its schema, its rows.

MUST refuse a file that others could write to: who can write it can approve.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from rampart import strict_json
from rampart.approval.model import Approval
from rampart.errors import ApprovalError
from rampart.limits import APPROVAL_BUSY_S, RECORD_BYTES_MAX

COLUMNS: Final = ", ".join(field.name for field in fields(Approval))

_OTHERS_MAY_WRITE: Final = 0o022
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
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
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the database; create it with mode 0600 if it is missing.

    Raises: ApprovalError, sqlite3.Error, OSError.
    """
    _prepare(path)
    connection = sqlite3.connect(
        path, timeout=APPROVAL_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _SCHEMA_VERSION):
            raise ApprovalError(f"{path}: written by another version of Rampart")
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def approval_of(row: Sequence[Any]) -> Approval:
    """Return the approval in a row of ``COLUMNS``. Raises: ApprovalError, InputError."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    params = strict_json.loads_object(values["params"].encode(), size_bytes_max=RECORD_BYTES_MAX)
    if values["status"] not in ("pending", "approved", "denied", "expired"):
        raise ApprovalError("the database holds an approval that cannot be read")
    return Approval(**{**values, "params": params, "consumed": bool(values["consumed"])})


def _prepare(path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise ApprovalError(f"{path}: not a regular file with a single name")
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        raise ApprovalError(f"{path}: belongs to another user, or others may write to it")
