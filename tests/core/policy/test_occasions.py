"""Reading ``after``, ``call_count``, ``time`` and ``once``: what they say, and what they cannot."""

from __future__ import annotations

from typing import Any

import pytest
from rampart.errors import PolicyError
from rampart.policy import Condition, Rule, parse_policy
from rampart.policy.document import CallCount, TimeWindow
from rampart.policy.past import identity
from rampart.policy.times import compile_time, read_days, read_duration

HEAD = 'version: "1"\npolicies:\n- name: p\n  rules:\n'


def rule(text: str) -> Rule:
    return parse_policy(f"{HEAD}  - {text}\n", filename="p.yaml").policies[0].rules[0]


def when(text: str) -> Condition:
    return rule(f"{{action: ask, when: {text}}}").when


def test_after_says_what_whose_and_how_long_ago() -> None:
    (after,) = when(
        "{after: {tool: read, path_matches: /x, within: 1h30m, calls: 3, by: agent,"
        " until_approved: web}}"
    ).after
    assert (after.what.tool, after.what.path_matches) == (("read",), ("/x",))
    assert (after.within_s, after.calls, after.by) == (5400.0, 3, "agent")
    assert after.until_approved == "web"
    assert [a.by for a in when("{after: [{tool: a}, {tool: b}]}").after] == ["session", "session"]


def test_call_count_counts_for_everybody_unless_it_says_for_whom() -> None:
    """Existing files do not say: the widest reading counts the most calls."""
    assert when("{call_count: {gte: 5}}").call_count == CallCount(5)
    full = when("{call_count: {tool: [fetch, mcp], gte: 100, window: 1h, by: session}}").call_count
    assert full == CallCount(100, ("fetch", "mcp"), 3600.0, "session")


def test_time_is_in_utc_unless_it_says_where() -> None:
    assert when("{time: {hours: 9-17}}").time == TimeWindow(((540, 1020),), (), "UTC")
    found = when("{time: {hours: [22:00-06:00], days: [sat-mon, wed], zone: Europe/Berlin}}").time
    assert found == TimeWindow(((1320, 360),), (0, 2, 5, 6), "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{after: {}}", r"5:\d+: after does not say what the earlier action was"),
        ("{after: {within: 1h}}", "does not say what"),
        ("{after: []}", "empty list"),
        ("{after: fetch}", "must be a mapping"),
        ("{after: {tool: x, within: soon}}", "`soon`: a duration is"),
        ("{after: {tool: x, within: 0s}}", "longer than nothing"),
        ("{after: {tool: x, within: 31d}}", "longer than 30 days"),
        ("{after: {tool: x, calls: 0}}", "from 1 to"),
        ("{after: {tool: x, by: global}}", "unknown word `global`"),
        ("{after: {tool: x, until_approved: ''}}", "empty"),
        ("{after: {tool: x, after: {tool: y}}}", "`after` cannot stand inside after"),
        ("{after: {upstream: {tool: y}}}", "`upstream` cannot stand inside after"),
        ("{after: {session_matches: x}}", "`session_matches` cannot stand inside after"),
        ("{after: {time: {days: mon}}}", "`time` cannot stand inside after"),
        ("{after: {tol: x}}", "unknown key `tol` in after"),
        ("{upstream: {call_count: {gte: 1}}}", "`call_count` cannot stand inside upstream"),
        ("{call_count: {tool: x}}", "has no gte"),
        ("{call_count: {gte: 0}}", "from 1 to 10000"),
        ("{call_count: {gte: 10001}}", "from 1 to 10000"),
        ("{call_count: {gte: many}}", "whole number"),
        ("{call_count: {gte: 1, lte: 2}}", "unknown key `lte`"),
        ("{call_count: {gte: 1, window: 1}}", "a duration is"),
        ("{call_count: {gte: 1, by: user}}", "unknown word `user`"),
        ("{time: {}}", "neither hours nor days"),
        ("{time: {zone: UTC}}", "neither hours nor days"),
        ("{time: {hours: 9am-5pm}}", "`9am-5pm`: hours are written"),
        ("{time: {hours: 09:00-25:00}}", "00:00 to 24:00"),
        ("{time: {hours: 24:00-01:00}}", "00:00 to 24:00"),
        ("{time: {hours: 09:60-10:00}}", "00:00 to 24:00"),
        ("{time: {hours: 09:00-09:00}}", "from and to are the same"),
        ("{time: {days: monday}}", "`monday`: a day is one of"),
        ("{time: {days: mon-funday}}", "a day is one of"),
        (
            "{time: {days: mon, zone: Europe/Nowhere}}",
            r"5:\d+: `Europe/Nowhere`: no such time zone",
        ),
        ("{time: {days: mon, zone: ../../etc/passwd}}", "no such time zone"),
        ("{time: {days: mon, zone: /etc/localtime}}", "no such time zone"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_its_place(text: str, error: str) -> None:
    with pytest.raises(PolicyError, match=error) as caught:
        when(text)
    assert caught.value.where.startswith("p.yaml:5:")


def test_once_is_true_or_false() -> None:
    assert rule("{action: allow, once: true}").once is True
    assert rule("{action: allow, once: false}").once is False
    with pytest.raises(PolicyError, match="once must be true or false"):
        rule("{action: allow, once: 1}")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800), ("500ms", 0.5)],
)
def test_durations_are_written_as_people_and_go_write_them(text: str, seconds: float) -> None:
    assert read_duration(text) == pytest.approx(seconds)


def test_days_go_round_the_week() -> None:
    assert read_days("sat-mon") == (5, 6, 0)
    assert read_days("Tue") == (1,)


def test_a_zone_changes_its_hours_with_the_season() -> None:
    """At 07:30 UTC it is 08:30 in Berlin in January, and 09:30 in July."""
    test = compile_time(TimeWindow(((540, 1020),), (), "Europe/Berlin"))
    assert not test(1_893_483_000.0)  # 2030-01-01T07:30:00Z
    assert test(1_909_121_400.0)  # 2030-07-01T07:30:00Z


def test_the_machines_own_zone_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        local = compile_time(when("{time: {hours: 16-17, zone: local}}").time or TimeWindow())
        assert local(1_893_483_000.0)  # 16:30 in Tokyo
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_identity_is_of_what_a_condition_says_and_of_nothing_else() -> None:
    """A new kind of condition, or another order of keys, must not forget what happened."""

    def key(text: str) -> str:
        return identity(when(text))

    assert key("{program: a, opaque: true}") == key("{opaque: true, program: a}")
    assert key("{program: a}") == identity({"program": ["a"]})
    different: list[Any] = ["{program: a}", "{program: b}", "{program: [a, b]}", "{opaque: false}"]
    assert len({key(text) for text in different}) == len(different)
