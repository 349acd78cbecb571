"""An answer is given again only while everything that it rests on is as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from rampart.gate import Gate
from rampart.hookspecs import hookimpl
from rampart.hosts import HostFacts
from rampart.model import Decision, ToolCall
from rampart.plugins import Plugins
from rampart.policy import Condition, Rule, Scope, parse_policy
from rampart.repeats import _STATIC_CONDITIONS, _STATIC_RULE, _STATIC_SCOPE, key_of
from rampart.sources import PolicyInForce

POLICY = """
version: "1"
default_action: allow
policies:
  - name: p
    rules:
      - {action: deny, when: {command_matches: ["rm *"]}, message: no removing}
      - {action: deny, when: {path_matches: ["/**/secret/**"]}}
      - {action: deny, when: {command_matches: ["soon*"]}, expires_at: "2030-01-01T00:00:00Z"}
  - name: q
    match: {agent: [bad], session: ["*"]}
    rules: [{action: deny, when: {default: true}}]
"""
EXPIRY = 1893456000.0


class Clock:
    def __init__(self) -> None:
        self.time = EXPIRY - 100

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return 0.0


class Counting:
    """Counts how often a call is analysed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from rampart import gate

        self.calls = 0
        inner = gate.intercept

        def counted(*arguments: object) -> object:
            self.calls += 1
            return inner(*arguments)  # type: ignore[arg-type]  # as they came

        monkeypatch.setattr(gate, "intercept", counted)


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(tmp_path: Path, clock: Clock) -> Gate:
    return gate_on(POLICY, tmp_path, clock)


def gate_on(policy: str, workspace: Path, clock: Clock, plugins: Plugins | None = None) -> Gate:
    return Gate(
        PolicyInForce([parse_policy(policy, filename="p.yaml")]),
        hosts=HostFacts(workspace=workspace, home=str(workspace)),
        plugins=plugins or Plugins(),
        clock=clock,
    )


def run(command: str, **context: object) -> ToolCall:
    return ToolCall("exec", {"command": command}, cwd="/", **context)  # type: ignore[arg-type]  # as named


def test_a_repeated_call_is_analysed_once_and_answered_alike(
    gate: Gate, analysed: Counting
) -> None:
    first, again = gate.check(run("rm x")), gate.check(run("rm x"))
    assert analysed.calls == 1
    assert dataclasses.replace(again, duration_us=first.duration_us) == first
    assert again.action == "deny"


def test_an_answer_that_its_caller_changes_is_not_given_again(gate: Gate) -> None:
    gate.check(run("rm x")).action = "allow"
    for _ in range(2):
        answer = gate.check(run("rm x"))
        assert answer.action == "deny"
        answer.action, answer.message = "allow", "changed"


def test_a_link_that_changes_is_followed_again(
    gate: Gate, tmp_path: Path, analysed: Counting
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "open").mkdir()
    link = tmp_path / "link"
    link.symlink_to("open")
    call = ToolCall("read", {"path": f"{link}/x"})
    assert gate.check(call).action == gate.check(call).action == "allow"
    assert analysed.calls == 1
    link.unlink()
    link.symlink_to("secret")
    assert gate.check(call).action == gate.check(call).action == "deny"
    link.unlink()
    link.symlink_to("open")
    assert gate.check(call).action == "allow"


def test_a_rule_that_expires_ends_what_rests_on_it_and_comes_back_with_the_clock(
    gate: Gate, clock: Clock
) -> None:
    assert gate.check(run("soon")).action == "deny"
    clock.time = EXPIRY
    assert gate.check(run("soon")).action == "allow"
    assert gate.check(run("soon")).action == "allow"
    clock.time = EXPIRY - 1
    assert gate.check(run("soon")).action == "deny"


@pytest.mark.parametrize(
    "other",
    [
        run("ls", agent="bad"),
        run("ls", session="bad"),
        run("ls", depth=1),
        ToolCall("exec", {"command": "ls"}, cwd="/tmp"),
        ToolCall("code", {"command": "ls"}, cwd="/"),
        ToolCall("exec", {"command": "ls", "cwd": "/tmp"}, cwd="/"),
        ToolCall("exec", {"command": ["ls"]}, cwd="/"),
    ],
)
def test_another_call_is_analysed_by_itself(
    gate: Gate, analysed: Counting, other: ToolCall
) -> None:
    gate.check(run("ls"))
    gate.check(other)
    assert analysed.calls == 2


@pytest.mark.parametrize("name", ["run_id", "call_id"])
def test_who_runs_it_is_looked_at_even_where_it_does_not_matter(gate: Gate, name: str) -> None:
    assert gate.check(run("ls")).action == "allow"
    assert gate.check(run("ls", **{name: "x"})).action == "allow"
    assert gate.check(run("ls", **{name: "x" * 999})).rule == "input_too_large"
    assert gate.check(run("ls", **{name: 7})).rule == "invalid_input"


@pytest.mark.parametrize("value", [1, True, 1.0, None, {"a": "b"}, ["a", 1], ("a",), b"a"])
def test_only_texts_and_lists_of_them_can_be_told_apart(value: object) -> None:
    assert key_of(ToolCall("t", {"a": value}), "/", "/") is None
    assert key_of(ToolCall("t", {"a": "1", "b": ["x", "y"]}), "/", "/") is not None


def test_a_list_and_its_parts_are_not_the_same_key() -> None:
    keys = [
        key_of(ToolCall("t", params), "/", "/")
        for params in ({"a": ["b", "c"]}, {"a": ["b"], "c": []}, {"a": "bc"}, {"a": ["bc"]})
    ]
    assert len(set(keys)) == len(keys)


def test_parameters_that_are_changed_afterwards_are_another_call(gate: Gate) -> None:
    words = ["rm", "x"]
    call = ToolCall("exec", {"command": words}, cwd="/")
    assert gate.check(call).action == "deny"
    words[0] = "ls"
    assert gate.check(call).action == "allow"


def test_a_plugin_that_has_a_say_is_always_asked(
    tmp_path: Path, clock: Clock, analysed: Counting
) -> None:
    plugins = Plugins()

    class Moody:
        asked = 0

        @hookimpl
        def rampart_before_decision(self, call: ToolCall) -> Decision | None:
            self.asked += 1
            return Decision("deny", "enough") if self.asked > 1 else None

    gate = gate_on(POLICY, tmp_path, clock, plugins)
    assert gate.check(run("ls")).action == gate.check(run("ls")).action == "allow"
    plugins.register(Moody())
    assert [gate.check(run("ls")).action for _ in range(3)] == ["allow", "deny", "deny"]
    assert analysed.calls == 4


def test_no_field_that_looks_at_more_than_the_call_counts_as_static() -> None:
    """Whoever adds a field that looks at more than the call must leave it out of the lists."""
    moving = {"after", "call_count", "time", "once", "webhook"}
    for kind, known in (
        (Condition, _STATIC_CONDITIONS),
        (Rule, _STATIC_RULE),
        (Scope, _STATIC_SCOPE),
    ):
        assert not known & moving
        assert known <= {field.name for field in dataclasses.fields(kind)}


def test_a_condition_of_a_kind_that_is_not_known_is_decided_each_time(
    gate: Gate, analysed: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _STATIC_CONDITIONS - {"path_matches"}
    monkeypatch.setattr("rampart.repeats._STATIC_CONDITIONS", known)
    gate.check(run("ls"))
    gate.check(run("ls"))
    assert analysed.calls == 2


def test_calls_beyond_the_limit_push_out_others_and_change_nothing(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, analysed: Counting
) -> None:
    monkeypatch.setattr("rampart.repeats.REPEATS_MAX", 3)
    for _ in range(2):
        assert [gate.check(run(f"rm {n}")).action for n in range(5)] == ["deny"] * 5
    assert analysed.calls > 5
