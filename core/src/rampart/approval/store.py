"""ApprovalStore: questions that wait for a person, and their answers, in one SQLite file.

MUST change a state by one conditional UPDATE, so that an approval is resolved once and used once,
    whoever races.
MUST NOT serve an approval to any call but the one whose digest it holds, nor after it expired.
MUST answer an error for a database that cannot be read or written: never an approval.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from rampart import strict_json
from rampart.approval.database import COLUMNS, LAYOUT, approval_of
from rampart.approval.model import Approval
from rampart.audit.redact import Redactor
from rampart.clock import Clock, SystemClock
from rampart.database import Database
from rampart.errors import ApprovalError, ConfigError
from rampart.limits import (
    APPROVAL_KEEP_S,
    APPROVAL_POLL_S,
    APPROVALS_PENDING_MAX,
    RECORD_BYTES_MAX,
)
from rampart.model import ToolCall


def new_approval_id() -> str:
    """Return a fresh id of 128 random bits.

    WHY not a ULID: who knows an id may read its status, and the neighbours of a ULID can be
    guessed.
    """
    return f"apr_{secrets.token_hex(16)}"


class ApprovalStore:
    """The approvals of one data directory.

    Safe to share between threads; any number of processes may open it.
    """

    def __init__(
        self, path: Path, *, clock: Clock, ids: Callable[[], str], redactor: Redactor
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._redactor = redactor
        self._database = Database(path, LAYOUT, on_fork=self._reset)
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._changes = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Clock | None = None,
        ids: Callable[[], str] = new_approval_id,
        redactor: Redactor | None = None,
    ) -> Self:
        """Open the database at ``path``; create it with mode 0600 if it is missing.

        Raises: ConfigError if it cannot be used.
        """
        store = cls(path, clock=clock or SystemClock(), ids=ids, redactor=redactor or Redactor())
        try:
            with store._database.transaction() as connection:
                old = store._clock.now() - APPROVAL_KEEP_S
                connection.execute("DELETE FROM approvals WHERE expires_at < ?", (old,))
        except ApprovalError as error:
            store.close()
            raise ConfigError(
                error.message, help="move the file away to start with no approvals"
            ) from None
        return store

    def create(
        self,
        call: ToolCall,
        *,
        digest: str,
        message: str,
        policy: str,
        rule: str,
        timeout_s: float,
        approval_id: str = "",
    ) -> Approval:
        """Ask whether ``call`` may run. The question expires after ``timeout_s``.

        ``approval_id`` is a fresh one unless the caller has one of its own. Raises: ApprovalError
        if too many questions are open or the database cannot be written.
        """
        now = self._clock.now()
        values = (
            approval_id or self._ids(), "pending", self._text(message), self._text(policy),
            self._text(rule), "", "", now, now + timeout_s, 0.0, 0, digest,
            self._text(call.tool), self._params(call), self._text(call.agent),
            self._text(call.session), self._text(call.run_id), self._text(call.call_id),
            self._text(call.cwd), call.depth,
        )  # fmt: skip
        marks = ", ".join("?" * len(values))
        with self._database.transaction() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM approvals WHERE status = 'pending' AND expires_at > ?", (now,)
            ).fetchone()
            if count >= APPROVALS_PENDING_MAX:
                raise ApprovalError(f"{count} questions wait for an answer already")
            row = connection.execute(
                f"INSERT INTO approvals ({COLUMNS}) VALUES ({marks}) RETURNING {COLUMNS}",  # noqa: S608 - constants
                values,
            ).fetchone()
        return approval_of(row)

    def get(self, approval_id: str) -> Approval | None:
        """Return one approval, or None. A pending one whose time is over is expired."""
        found = self._select("id = ?", (approval_id,))
        if not found:
            return None
        if found[0].status == "pending" and found[0].expires_at <= self._clock.now():
            self._expire()
            found = self._select("id = ?", (approval_id,))
        return found[0] if found else None

    def pending(self) -> tuple[Approval, ...]:
        """Return the questions that wait for an answer, oldest first."""
        return self._select("status = 'pending' AND expires_at > ?", (self._clock.now(),))

    def resolve(
        self,
        approval_id: str,
        approve: bool,
        *,
        by: str,
        reason: str = "",
        record: Callable[[Approval], object] | None = None,
    ) -> Approval:
        """Answer a question: the first answer in time counts.

        ``record`` is called with the answered approval before anybody can see the answer; if it
        raises, the question stays open and the error is passed on. Raises: ApprovalError if there
        is no such question, it was answered already, or its time is over.
        """
        now = self._clock.now()
        status = "approved" if approve else "denied"
        approval = self._update(
            "status = ?, resolved_by = ?, reason = ?, resolved_at = ?",
            "id = ? AND status = 'pending' AND expires_at > ?",
            (status, self._text(by), self._text(reason), now, approval_id, now),
            record,
        )
        if approval is None:
            raise self._refusal(approval_id)
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
        return approval

    def claim(self, digest: str) -> Approval | None:
        """Use an approval of exactly the call behind ``digest``: in time, and not used before.

        Returns None if there is none. Of all who claim one approval, one gets it.
        """
        now = self._clock.now()
        return self._update(
            "consumed = 1",
            "id = (SELECT id FROM approvals WHERE digest = ? AND status = 'approved'"
            " AND consumed = 0 AND expires_at > ? ORDER BY created_at LIMIT 1)",
            (digest, now),
        )

    def consume(self, approval_id: str) -> bool:
        """Mark an answered approval as used.

        True exactly once, for whoever may act on the answer.
        """
        row = self._update(
            "consumed = 1",
            "id = ? AND consumed = 0 AND status IN ('approved', 'denied')",
            (approval_id,),
        )
        return row is not None

    def wait(self, approval_id: str, timeout_s: float) -> Approval:
        """Return the approval once it is answered or expired, or as it is after ``timeout_s``.

        Raises: ApprovalError if there is no such approval.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            seen = self._changes
            approval = self.get(approval_id)
            if approval is None:
                raise ApprovalError(f"there is no approval {approval_id!r}")
            left = deadline - time.monotonic()
            if approval.status != "pending" or left <= 0:
                return approval
            left = min(left, APPROVAL_POLL_S, max(0.0, approval.expires_at - self._clock.now()))
            with self._changed:
                if seen == self._changes:
                    self._changed.wait(left)

    def close(self) -> None:
        """Close the database. Later calls raise ApprovalError."""
        self._database.close()

    # The database

    def _select(self, where: str, values: Sequence[object]) -> tuple[Approval, ...]:
        statement = f"SELECT {COLUMNS} FROM approvals WHERE {where} ORDER BY created_at, rowid"  # noqa: S608 - constants
        with self._database.connected() as connection:
            return tuple(
                approval_of(row) for row in connection.execute(statement, values).fetchall()
            )

    def _update(
        self,
        change: str,
        where: str,
        values: Sequence[object],
        record: Callable[[Approval], object] | None = None,
    ) -> Approval | None:
        statement = f"UPDATE approvals SET {change} WHERE {where} RETURNING {COLUMNS}"  # noqa: S608 - constants
        with self._database.transaction() as connection:
            rows = connection.execute(statement, values).fetchall()
            approval = approval_of(rows[0]) if rows else None
            if approval is not None and record is not None:
                record(approval)
        return approval

    def _expire(self) -> None:
        now = self._clock.now()
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE approvals SET status = 'expired', resolved_at = ?"
                " WHERE status = 'pending' AND expires_at <= ?",
                (now, now),
            )

    def _refusal(self, approval_id: str) -> ApprovalError:
        approval = self.get(approval_id)
        if approval is None:
            return ApprovalError(f"there is no approval {approval_id!r}")
        if approval.status == "expired":
            return ApprovalError(f"approval {approval_id} has expired")
        by = f" by {approval.resolved_by}" if approval.resolved_by else ""
        return ApprovalError(f"approval {approval_id} is already {approval.status}{by}")

    def _text(self, text: str) -> str:
        shown = self._redactor.value(text)
        return shown if isinstance(shown, str) else f"{len(text)} characters"

    def _params(self, call: ToolCall) -> str:
        data = strict_json.dumps(self._redactor.value(call.params))
        if len(data) > RECORD_BYTES_MAX:
            # WHY: nobody could judge what cannot be shown
            raise ApprovalError("the parameters are too large to be shown to a person")
        return data.decode("ascii")
