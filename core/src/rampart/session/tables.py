"""The rows behind sessions: what is asked about them, and what a call adds.

INVARIANT: every question and every change is a look-up by key. What was long ago costs nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

from rampart.database import Layout
from rampart.errors import StateUnavailable
from rampart.limits import HISTORY_BUSY_S, HISTORY_KEEP_S, HISTORY_REFRESH_S, HISTORY_ROWS_MAX
from rampart.policy.past import Counter, Footprint, Mark
from rampart.session.whose import Whose

LAYOUT: Final = Layout(
    name="sessions",
    schema="""
CREATE TABLE IF NOT EXISTS marks (
    whose TEXT NOT NULL, mark TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL,
    turn INTEGER NOT NULL, PRIMARY KEY (whose, mark)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (
    whose TEXT PRIMARY KEY, turn INTEGER NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (
    whose TEXT NOT NULL, counter TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (whose, counter, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS marks_by_age ON marks (at);
CREATE INDEX IF NOT EXISTS turns_by_age ON turns (at);
CREATE INDEX IF NOT EXISTS counts_by_age ON counts (at);
CREATE TABLE IF NOT EXISTS once (rule TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    approval TEXT PRIMARY KEY, trail TEXT NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
""",
    version=1,
    error=StateUnavailable,
    busy_s=HISTORY_BUSY_S,
)

Question = Callable[[sqlite3.Connection], bool]
Counted = tuple[str, str, int]
"""The row of one counted call: whose, counter, number."""


def happened(
    connection: sqlite3.Connection, whose: str, mark: Mark, since: float | None, calls: int | None
) -> bool:
    """True if ``mark`` was left after ``since`` and among the last ``calls`` calls."""
    row = connection.execute(
        "SELECT at, turn FROM marks WHERE whose = ? AND mark = ?", (whose, mark.key)
    ).fetchone()
    if row is None or (since is not None and row[0] < since):
        return False
    return calls is None or _turn(connection, whose) - row[1] < calls


def reached(
    connection: sqlite3.Connection, whose: str, counter: Counter, count: int, since: float | None
) -> bool:
    """True if ``count`` calls were counted after ``since``: the ``count``-th last one was."""
    row = connection.execute(
        "SELECT at FROM counts WHERE whose = ?1 AND counter = ?2 AND number <="
        " (SELECT max(number) FROM counts WHERE whose = ?1 AND counter = ?2) - ?3"
        " ORDER BY number DESC LIMIT 1",
        (whose, counter.key, count - 1),
    ).fetchone()
    return row is not None and (since is None or row[0] > since)


def spent(connection: sqlite3.Connection, rule: str) -> bool:
    """True if a rule that applies once was used."""
    found = connection.execute("SELECT 1 FROM once WHERE rule = ?", (rule,)).fetchone()
    return found is not None


def adds_nothing(
    connection: sqlite3.Connection, whose: Whose, footprint: Footprint, now: float
) -> bool:
    """True if all marks that a call would leave are there, and their age does not matter."""
    if footprint.turns or any(mark.decays for mark in footprint.marks):
        return False
    return all(
        happened(connection, whose.key(mark.by), mark, now - HISTORY_REFRESH_S, None)
        for mark in footprint.marks
    )


def count(
    connection: sqlite3.Connection, whose: Whose, counters: Iterable[Counter], now: float
) -> list[Counted]:
    """Count a call, and return the rows that say so."""
    return [_count(connection, whose.key(each.by), each, now) for each in counters]


def leave(connection: sqlite3.Connection, whose: Whose, footprint: Footprint, now: float) -> None:
    """Number a call that was let run, and leave its marks."""
    for by in footprint.turns:
        connection.execute(
            "INSERT INTO turns VALUES (?1, 1, ?2)"
            " ON CONFLICT (whose) DO UPDATE SET turn = turn + 1, at = ?2",
            (whose.key(by), now),
        )
    for mark in footprint.marks:
        key = whose.key(mark.by)
        connection.execute(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)",
            (key, mark.key, mark.name, now, _turn(connection, key)),
        )


def _count(connection: sqlite3.Connection, whose: str, counter: Counter, now: float) -> Counted:
    (number,) = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM counts WHERE whose = ? AND counter = ?",
        (whose, counter.key),
    ).fetchone()
    connection.execute("INSERT INTO counts VALUES (?, ?, ?, ?)", (whose, counter.key, number, now))
    connection.execute(
        "DELETE FROM counts WHERE whose = ? AND counter = ? AND number <= ?",
        (whose, counter.key, number - counter.keep),
    )
    return whose, counter.key, number


def use_up(connection: sqlite3.Connection, rules: Iterable[str], now: float) -> list[str]:
    """Mark rules that apply once as used, and return the ones that were not."""
    statement = "INSERT OR IGNORE INTO once VALUES (?, ?)"
    return [rule for rule in rules if connection.execute(statement, (rule, now)).rowcount]


def forget(connection: sqlite3.Connection, whose: Whose, names: Iterable[str]) -> None:
    """Remove the marks with these names: a person said that what happened is fine."""
    for name in names:
        connection.execute(
            "DELETE FROM marks WHERE name = ? AND whose IN (?, ?)",
            (name, whose.session, whose.agent),
        )


def give_back(
    connection: sqlite3.Connection, counted: Iterable[Counted], rules: Iterable[str]
) -> None:
    """Undo what a call used up that did not run after all."""
    for row in counted:
        connection.execute("DELETE FROM counts WHERE whose = ? AND counter = ? AND number = ?", row)
    for rule in rules:
        connection.execute("DELETE FROM once WHERE rule = ?", (rule,))


def prune(connection: sqlite3.Connection, now: float) -> None:
    """Forget what is too old, and the oldest beyond the bound.

    Rules that were used once are never forgotten: there are no more of them than somebody wrote.
    """
    old = now - HISTORY_KEEP_S
    for table in ("marks", "turns", "counts"):
        connection.execute(f"DELETE FROM {table} WHERE at < ?", (old,))  # noqa: S608 - constants
        connection.execute(
            f"DELETE FROM {table} WHERE at <"  # noqa: S608 - constants
            f" (SELECT at FROM {table} ORDER BY at DESC LIMIT 1 OFFSET ?)",
            (HISTORY_ROWS_MAX - 1,),
        )
    connection.execute("DELETE FROM held WHERE until < ?", (old,))


def _turn(connection: sqlite3.Connection, whose: str) -> int:
    row = connection.execute("SELECT turn FROM turns WHERE whose = ?", (whose,)).fetchone()
    return int(row[0]) if row else 0
