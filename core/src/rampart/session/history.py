"""History: the past of all sessions of one data directory, in one SQLite file.

MUST answer an error for a file that cannot be read or written: never that nothing happened.
MUST take what a limit or a one-time rule allows inside one transaction, whoever races.
MUST leave a mark only of a call that is let run, after its record is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from rampart.clock import Clock, SystemClock
from rampart.database import Database
from rampart.limits import HISTORY_PRUNE_CALLS
from rampart.model import ToolCall
from rampart.session import tables
from rampart.session.trail import Trail
from rampart.session.whose import Whose, whose_call

Fact = tuple[tables.Question, bool]
"""A question about the past, and the answer that a decision rests on."""


class Taken:
    """What one call took before it was recorded: its place in counters, and one-time rules."""

    __slots__ = ("counted", "rules")

    def __init__(self, counted: Sequence[tables.Counted] = (), rules: Sequence[str] = ()) -> None:
        self.counted = counted
        self.rules = rules


class History:
    """What happened before. The file is made when a policy first asks.

    Safe to share between threads; any number of processes may open it. Without a path it lives in
    memory. ``nameless`` tells the calls without a session name that come this way from others.
    """

    def __init__(
        self, path: Path | None = None, *, nameless: str = "", clock: Clock | None = None
    ) -> None:
        self._database = Database(path, tables.LAYOUT)
        self._clock = clock or SystemClock()
        self._nameless = nameless
        self._until_pruned = 0

    def whose(self, call: ToolCall) -> Whose:
        """Return whose past a call belongs to."""
        return whose_call(call, self._nameless)

    def ask(self, question: tables.Question) -> bool:
        """Answer a question about the past. Raises: StateUnavailable."""
        with self._database.connected() as connection:
            return question(connection)

    def take(self, trail: Trail, facts: Iterable[Fact]) -> Taken | None:
        """Count a call and use up its one-time rules, if all ``facts`` are still true.

        None if another call was faster: then the decision rests on something that is no more.
        """
        with self._database.transaction() as connection:
            if any(question(connection) is not answer for question, answer in facts):
                return None
            now = self._clock.now()
            self._prune(connection, now)
            counted = tables.count(connection, trail.whose, trail.footprint.counters, now)
            return Taken(counted, tables.use_up(connection, trail.once, now))

    def give_back(self, taken: Taken) -> None:
        """Undo ``take`` for a call that did not run after all. Raises: StateUnavailable."""
        with self._database.transaction() as connection:
            tables.give_back(connection, taken.counted, taken.rules)

    def leave(self, trail: Trail) -> None:
        """Leave the marks of a call that was let run, and forget what was approved."""
        footprint, whose = trail.footprint, trail.whose
        with self._database.connected() as connection:
            if not trail.forgets and tables.adds_nothing(
                connection, whose, footprint, self._clock.now()
            ):
                return
        with self._database.transaction() as connection:
            self._leave(connection, trail)

    def hold(self, approval_id: str, trail: Trail, until: float) -> None:
        """Keep what a call will leave behind once a person approves it."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO held VALUES (?, ?, ?)",
                (approval_id, trail.to_json(), until),
            )

    def settle(self, approval_id: str) -> None:
        """Leave what was held for an approval, which was given and is used now."""
        if not self._database.exists():
            return  # nothing was ever held
        with self._database.transaction() as connection:
            row = connection.execute(
                "DELETE FROM held WHERE approval = ? RETURNING trail", (approval_id,)
            ).fetchone()
            if row is not None:
                self._take_and_leave(connection, Trail.from_json(row[0]))

    def run(self, trail: Trail) -> None:
        """Count, use up and leave at once: for a call that a person approved."""
        with self._database.transaction() as connection:
            self._take_and_leave(connection, trail)

    def close(self) -> None:
        """Close the file. Later uses raise StateUnavailable."""
        self._database.close()

    def _take_and_leave(self, connection: sqlite3.Connection, trail: Trail) -> None:
        now = self._clock.now()
        tables.count(connection, trail.whose, trail.footprint.counters, now)
        tables.use_up(connection, trail.once, now)
        self._leave(connection, trail)

    def _leave(self, connection: sqlite3.Connection, trail: Trail) -> None:
        now = self._clock.now()
        self._prune(connection, now)
        tables.forget(connection, trail.whose, trail.forgets)
        tables.leave(connection, trail.whose, trail.footprint, now)

    def _prune(self, connection: sqlite3.Connection, now: float) -> None:
        if self._until_pruned <= 0:
            tables.prune(connection, now)
            self._until_pruned = HISTORY_PRUNE_CALLS
        self._until_pruned -= 1
