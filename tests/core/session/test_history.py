"""The history agrees with a plain list of everything that happened, and stays small."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.errors import StateUnavailable
from rampart.limits import HISTORY_KEEP_S
from rampart.model import ToolCall
from rampart.policy.past import Counter, Footprint, Mark
from rampart.session import History, Turn, tables
from rampart.session.trail import Trail

from .conftest import Clock

MARKS = {name: Mark(name, "session", decays=True) for name in ("a", "b")}
COUNTER = Counter("n", "session", keep=6)
CALL = ToolCall("x", session="s")


def happen(history: History, now: float, marks: str = "", *, counted: bool = False) -> None:
    footprint = Footprint(
        tuple(MARKS[name] for name in marks), (COUNTER,) if counted else (), ("session",)
    )
    history.run(Trail(history.whose(CALL), footprint))


EVENTS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["", "a", "b", "ab"]), st.booleans()), max_size=25
)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(0, 40), st.integers(1, 60), st.integers(1, 6))
def test_the_rows_say_what_a_list_of_all_calls_would_say(
    events: list[tuple[int, str, bool]], last: int, seconds: int, number: int
) -> None:
    clock = Clock()
    history = History(clock=clock)
    log: list[tuple[float, str, bool]] = []
    for wait, marks, counted in events:
        clock.time += wait
        happen(history, clock.time, marks, counted=counted)
        log.append((clock.time, marks, counted))
    clock.time += last
    past = Turn(history, CALL, Footprint(), now=clock.time).past

    for name, mark in MARKS.items():
        recent = [name in marks for at, marks, _ in log if at >= clock.time - seconds]
        assert past.happened(mark, within_s=seconds, calls=None) is any(recent)
        latest = [name in marks for _, marks, _ in log[-number:]]
        assert past.happened(mark, within_s=None, calls=number) is any(latest)
        assert past.happened(mark, within_s=None, calls=None) is any(name in m for _, m, _ in log)
    counted_at = [at for at, _, counted in log if counted]
    inside = [at for at in counted_at if at > clock.time - seconds]
    assert past.reached(COUNTER, count=number, window_s=seconds) is (len(inside) >= number)
    assert past.reached(COUNTER, count=number, window_s=None) is (len(counted_at) >= number)


@pytest.fixture
def history(tmp_path: Path, clock: Clock) -> Iterator[History]:
    history = History(tmp_path / "sessions.db", clock=clock)
    yield history
    history.close()


def rows(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("marks", "turns", "counts")
        }
    connection.close()
    return counts


def test_a_counter_keeps_no_more_rows_than_its_limit_needs(
    history: History, tmp_path: Path, clock: Clock
) -> None:
    for _ in range(50):
        happen(history, clock.time, "ab", counted=True)
    assert rows(tmp_path / "sessions.db") == {"marks": 2, "turns": 1, "counts": COUNTER.keep}


def test_sessions_that_are_over_are_forgotten(
    history: History, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rampart.session.history.HISTORY_PRUNE_CALLS", 1)
    happen(history, clock.time, "a", counted=True)
    clock.time += HISTORY_KEEP_S + 1
    history.run(Trail(history.whose(ToolCall("x", session="new")), Footprint((MARKS["b"],))))
    assert rows(tmp_path / "sessions.db") == {"marks": 1, "turns": 0, "counts": 0}


def test_a_mark_that_is_left_again_and_again_does_not_grow_old(
    history: History, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks for its age, so it is not written each time; but it must not count as idle."""
    monkeypatch.setattr("rampart.session.history.HISTORY_PRUNE_CALLS", 1)
    timeless = Mark("t", "session")
    trail = Trail(history.whose(CALL), Footprint((timeless,)))
    for _ in range(40):
        history.leave(trail)
        clock.time += 86400.0
        happen(history, clock.time)
    past = Turn(history, CALL, Footprint(), now=clock.time).past
    assert past.happened(timeless, within_s=None, calls=None) is True


def test_beyond_the_bound_the_oldest_are_forgotten(
    history: History, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "HISTORY_ROWS_MAX", 3)
    monkeypatch.setattr("rampart.session.history.HISTORY_PRUNE_CALLS", 1)
    calls = [ToolCall("x", session=f"s{number}") for number in range(6)]
    for call in calls:
        clock.time += 1
        history.run(Trail(history.whose(call), Footprint((MARKS["a"],))))
    kept = [
        Turn(history, call, Footprint(), now=clock.time).past.happened(
            MARKS["a"], within_s=None, calls=None
        )
        for call in calls
    ]
    assert kept == [False, False, True, True, True, True]  # pruned before the last one was added


def test_a_one_time_rule_is_never_forgotten(
    history: History, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rampart.session.history.HISTORY_PRUNE_CALLS", 1)
    history.run(Trail(history.whose(CALL), Footprint(), once=("gift",)))
    clock.time += 10 * HISTORY_KEEP_S
    happen(history, clock.time)
    assert Turn(history, CALL, Footprint(), now=clock.time).past.spent("gift") is True


def test_a_trail_survives_the_file_and_nonsense_is_an_error(history: History) -> None:
    footprint = Footprint((Mark("m", "agent", "web", decays=True),), (COUNTER,), ("agent",))
    trail = Trail(history.whose(CALL), footprint, ("gift",), ("web",))
    assert Trail.from_json(trail.to_json()) == trail
    for text in ("", "[]", "{}", '{"whose": {}, "footprint": {}}'):
        with pytest.raises(StateUnavailable):
            Trail.from_json(text)


def test_the_cost_of_a_question_does_not_grow_with_history(history: History, clock: Clock) -> None:
    """Every question is answered from an index: SQLite's plans hold no scan."""
    happen(history, clock.time, "ab", counted=True)
    plans: list[str] = []

    class Planned:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
            plan = self._connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(row[3] for row in plan)
            return self._connection.execute(statement, values)

    def ask(connection: sqlite3.Connection) -> bool:
        planned: sqlite3.Connection = Planned(connection)  # type: ignore[assignment]  # as much of it as is used
        whose = history.whose(CALL)
        tables.happened(planned, whose.session, MARKS["a"], 0.0, 3)
        tables.reached(planned, whose.session, COUNTER, 3, 0.0)
        tables.spent(planned, "gift")
        tables.leave(planned, whose, Footprint((MARKS["a"],), (), ("session",)), clock.time)
        tables.count(planned, whose, (COUNTER,), clock.time)
        return True

    assert history.ask(ask)
    assert len(plans) > 8
    assert [plan for plan in plans if plan.startswith("SCAN") and "CONSTANT" not in plan] == []
