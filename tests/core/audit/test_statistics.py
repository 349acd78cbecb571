"""Figures of a log: every count is what counting by hand gives."""

from __future__ import annotations

import itertools

import pytest
from rampart.audit.statistics import Statistics


def decision(action="allow", minute=0, **more):
    return {
        "type": "decision",
        "id": f"ID{minute}",
        "time": f"2026-03-01T{minute // 60:02}:{minute % 60:02}:00.000000Z",
        "tool": "exec",
        "agent": "coder",
        "session": "s",
        "params": {"command": f"run {minute}"},
        "decision": {"action": action, "policy": "p", "rule": "r", "message": "no"},
        "duration_us": 10.0,
        **more,
    }


def counted(*records):
    found = Statistics()
    for record in records:
        found.add(record)
    return found


def test_every_record_is_counted_where_it_belongs():
    found = counted(
        decision(),
        decision("deny", 1, tool="read"),
        decision("deny", 2, agent="other"),
        {"type": "approval", "status": "approved", "time": "2026-03-01T05:00:00.000000Z"},
        {**decision("deny", 3), "type": "response"},
    )
    assert (found.records, found.decisions, found.withheld) == (5, 3, 1)
    assert dict(found.verdicts) == {"allow": 1, "deny": 2}
    assert found.tools == {"exec": {"allow": 1, "deny": 1}, "read": {"deny": 1}}
    assert set(found.agents) == {"coder", "other"}
    assert len(found.sessions) == 2
    assert dict(found.approvals) == {"approved": 1}
    assert found.last.startswith("2026-03-01T05:00")
    (rule,) = found.top_restrictions(5)
    assert (rule.policy, rule.rule, rule.count) == ("p", "r", 2)
    assert (rule.example, rule.record_id) == ("run 2", "ID2")  # the newest


def test_percentiles_are_exact():
    found = counted(*(decision(duration_us=float(n)) for n in range(1, 101)))
    assert found.latency() == (51.0, 90.0, 99.0, 100.0)
    assert found.durations((10.0, 50.0)) == [9, 40, 51]
    assert counted().latency() is None


@pytest.mark.parametrize("hours", [1, 2, 26, 24 * 40, 24 * 800])
def test_the_timeline_has_no_gap_and_loses_nothing(hours):
    first = decision()
    last = decision("deny")
    last["time"] = f"{2026 + hours // 8760}-{1 + hours % 8760 // 730:02}-28T23:59:00.000000Z"
    slots = counted(first, last).timeline(50)
    assert len(slots) <= 50
    assert sum(sum(slot.counts) for slot in slots) == 2
    gaps = {after.start - before.start for before, after in itertools.pairwise(slots)}
    assert len(gaps) <= 1
    assert counted().timeline(50) == []


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"type": "decision"},
        {"type": "decision", "decision": "deny", "time": 5, "duration_us": "x"},
        {"type": "decision", "decision": {"action": ["deny"]}, "tool": {}, "time": "yesterday"},
        {**decision("deny"), "params": None, "duration_us": 1e308, "time": "x"},
    ],
)
def test_a_record_of_another_shape_breaks_no_figure(broken):
    found = counted(decision(), broken)
    found.latency(), found.timeline(10), found.top_restrictions(5)
    assert found.records == 2
