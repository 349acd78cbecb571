"""The gate and the past: what happened counts, what did not does not, and errors deny."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from rampart.audit import AuditLog
from rampart.audit.read import read_records
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.intercept import intercept
from rampart.model import ToolCall
from rampart.policy import parse_policy
from rampart.session import History
from rampart.session.history import Fact, Taken
from rampart.session.trail import Trail
from rampart.sources import PolicyInForce

from .conftest import Clock

Opener = Callable[..., Gate]

HEAD = 'version: "1"\ndefault_action: allow\npolicies:\n- name: p\n  rules:\n'
TAINT = (
    HEAD
    + """
  - {name: out, action: deny, when: {program: curl, after: {path_matches: ["**/.env"]}}}
"""
)
LIMIT = (
    HEAD
    + """
  - {name: limit, action: deny, when: {call_count: {tool: note, gte: 3, window: 1h}}}
"""
)
ONCE = """
version: "1"
default_action: deny
policies:
- {name: p, rules: [{name: gift, action: allow, once: true, when: {program: ls}}]}
"""
LIFT = (
    HEAD
    + """
  - name: out
    action: ask
    when: {program: curl, after: {path_matches: ["**/.env"], until_approved: secrets}}
"""
)
CURL = ToolCall("exec", {"command": "curl https://x.example/"}, session="s")
WGET = ToolCall("exec", {"command": "curl https://y.example/"}, session="s")
ENV = ToolCall("read", {"path": ".env"}, session="s")
NOTE = ToolCall("note", {"text": "x"}, session="s")
LS = ToolCall("exec", {"command": "ls"}, session="s")


def test_what_was_done_survives_a_restart(open_gate: Opener) -> None:
    assert open_gate(TAINT).enforce(ENV).action == "allow"
    assert open_gate(TAINT).enforce(CURL).rule == "out"


def test_counts_and_one_time_rules_survive_a_restart(open_gate: Opener) -> None:
    assert [open_gate(LIMIT).enforce(NOTE).action for _ in range(3)] == ["allow", "allow", "deny"]
    assert [open_gate(ONCE).enforce(LS).action for _ in range(2)] == ["allow", "deny"]


def test_a_preview_leaves_no_trace(open_gate: Opener) -> None:
    gate = open_gate(ONCE)
    assert [gate.check(LS).action for _ in range(3)] == ["allow"] * 3
    taint = open_gate(TAINT)
    taint.check(ENV)
    assert taint.check(CURL).action == "allow"
    limit = open_gate(LIMIT)
    assert [limit.check(NOTE).action for _ in range(5)] == ["allow"] * 5


def test_a_reload_keeps_what_the_same_conditions_remember(open_gate: Opener) -> None:
    """The message, the order and the bounds of a rule may change; its condition is the same."""
    open_gate(TAINT).enforce(ENV)
    changed = (
        HEAD
        + """
  - {action: deny, when: {program: rm}}
  - {name: new, action: ask, message: m, when: {after: {path_matches: ["**/.env"]}, program: curl}}
"""
    )
    assert open_gate(changed).enforce(CURL).rule == "new"


def test_what_happened_before_a_rule_existed_is_unknown(open_gate: Opener) -> None:
    open_gate(HEAD + "  - {action: deny, when: {program: rm}}\n").enforce(ENV)
    assert open_gate(TAINT).enforce(CURL).action == "allow"


def test_a_policy_that_does_not_look_back_makes_no_file(open_gate: Opener, tmp_path: Path) -> None:
    gate = open_gate(HEAD + "  - {action: ask, when: {program: curl}}\n")
    gate.enforce(ENV)
    question = gate.enforce(CURL)
    gate.resolve(question.approval_id, True, by="ann")
    assert gate.finish(question, 1).action == "allow"
    assert not (tmp_path / "sessions.db").exists()


def test_the_file_is_ours_alone_and_holds_no_name(open_gate: Opener, tmp_path: Path) -> None:
    gate = open_gate(LIMIT)
    gate.enforce(ToolCall("note", {}, session="the-secret-session", agent="the-secret-agent"))
    assert (tmp_path / "sessions.db").stat().st_mode & 0o777 == 0o600
    data = b"".join(path.read_bytes() for path in tmp_path.glob("sessions.db*"))
    assert b"the-secret" not in data


# Errors


def test_a_file_that_cannot_be_used_denies(open_gate: Opener, tmp_path: Path) -> None:
    (tmp_path / "sessions.db").write_bytes(b"not a database at all, and long enough" * 100)
    gate = open_gate(TAINT)
    for decision in (gate.enforce(ENV), gate.enforce(CURL), gate.check(CURL)):
        assert (decision.action, decision.rule) == ("deny", "state_unavailable")
        assert "sessions.db" in decision.message


@pytest.mark.parametrize("mode", [0o666, 0o620])
def test_a_file_that_others_can_write_denies(open_gate: Opener, tmp_path: Path, mode: int) -> None:
    open_gate(ONCE).enforce(ToolCall("exec", {"command": "pwd"}, session="s"))
    open_gate(ONCE).enforce(LS)
    (tmp_path / "sessions.db").chmod(mode)
    assert open_gate(ONCE).enforce(LS).rule == "state_unavailable"


def test_a_file_that_cannot_be_written_denies_and_says_so_in_the_log(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate(TAINT)
    assert gate.enforce(ToolCall("read", {"path": ".env"}, session="t")).action == "allow"
    with sqlite3.connect(tmp_path / "sessions.db") as connection:
        connection.execute("DROP TABLE marks")
        connection.execute("CREATE VIEW marks AS SELECT '' whose, '' mark, '' name, 0 at, 0 turn")
    connection.close()
    assert gate.enforce(ENV).rule == "state_unavailable"
    newest = list(read_records(tmp_path / "audit"))[-1]
    assert newest["decision"]["action"] == "deny"  # type: ignore[index]


class AlwaysLate(History):
    """A history in which some other call was always faster."""

    def take(self, trail: Trail, facts: Iterable[Fact]) -> Taken | None:
        return None


def test_a_call_that_always_comes_too_late_is_denied_and_not_tried_for_ever(
    tmp_path: Path,
) -> None:
    gate = Gate(
        PolicyInForce([parse_policy(LIMIT, filename="p.yaml")]),
        hosts=HostFacts(workspace=tmp_path),
        audit=AuditLog.open(tmp_path / "audit"),
        history=AlwaysLate(),
    )
    decision = gate.enforce(NOTE)
    assert (decision.action, decision.rule) == ("deny", "state_unavailable")
    assert "same limit" in decision.message


def test_a_closed_history_denies(open_gate: Opener) -> None:
    gate = open_gate(LIMIT)
    assert gate._history is not None
    gate._history.close()
    assert gate.enforce(NOTE).rule == "state_unavailable"


def test_a_call_that_could_not_be_recorded_has_not_happened(
    open_gate: Opener, tmp_path: Path
) -> None:
    for policy, call in ((ONCE, LS), (LIMIT, NOTE), (TAINT, ENV)):
        gate = open_gate(policy)
        assert gate._audit is not None
        gate._audit.close()
        for _ in range(3):
            assert gate.enforce(call).rule == "audit_unavailable"
    assert open_gate(ONCE).enforce(LS).action == "allow"
    assert [open_gate(LIMIT).enforce(NOTE).action for _ in range(3)] == ["allow", "allow", "deny"]
    assert open_gate(TAINT).enforce(CURL).action == "allow"


# Questions


def ask_and_approve(gate: Gate, call: ToolCall) -> str:
    question = gate.enforce(call)
    assert question.action == "ask"
    gate.resolve(question.approval_id, True, by="ann")
    return question.approval_id


@pytest.mark.parametrize("way", ["finish", "poll", "again", "delivered"])
def test_an_approved_call_happens_when_its_answer_is_used(open_gate: Opener, way: str) -> None:
    policy = (
        HEAD
        + """
  - {name: asks, action: ask, when: {path_matches: ["**/.env"]}}
  - {name: out, action: deny, when: {program: curl, after: {path_matches: ["**/.env"]}}}
"""
    )
    gate = open_gate(policy)
    question = gate.enforce(ENV)
    assert gate.enforce(CURL).action == "allow"
    gate.resolve(question.approval_id, True, by="ann")
    assert gate.enforce(CURL).action == "allow"
    other = open_gate(policy)  # the answer may arrive in another process
    match way:
        case "finish":
            assert other.finish(question, 1).action == "allow"
        case "poll":
            outcome = other.poll(question)
            assert outcome is not None
            assert outcome.action == "allow"
        case "again":
            assert other.enforce(ENV).rule == "approved"
        case _:
            delivered = other.approval(question.approval_id, deliver=True)
            assert delivered is not None
            assert not delivered.consumed
    assert gate.enforce(CURL).rule == "out"


def test_a_denied_question_has_not_happened(open_gate: Opener) -> None:
    policy = (
        HEAD
        + """
  - {name: asks, action: ask, when: {path_matches: ["**/.env"]}}
  - {name: out, action: deny, when: {program: curl, after: {path_matches: ["**/.env"]}}}
"""
    )
    gate = open_gate(policy)
    question = gate.enforce(ENV)
    gate.resolve(question.approval_id, False, by="ann")
    assert gate.finish(question, 1).action == "deny"
    assert gate.enforce(CURL).action == "allow"


def test_an_approval_by_name_clears_the_session_and_says_so(open_gate: Opener) -> None:
    gate = open_gate(LIFT)
    gate.enforce(ENV)
    question = gate.enforce(CURL)
    assert "an approval also clears this session of secrets" in question.message
    assert gate.enforce(WGET).action == "ask"
    gate.resolve(question.approval_id, True, by="ann")
    assert gate.enforce(WGET).action == "ask"  # nobody has used the answer yet
    assert gate.finish(question, 1).action == "allow"
    assert gate.enforce(WGET).action == "allow"
    gate.enforce(ENV)
    assert gate.enforce(WGET).action == "ask"


def test_an_approval_by_name_clears_no_other_session_and_no_other_name(open_gate: Opener) -> None:
    policy = (
        LIFT
        + """
  - {name: pay, action: deny, when: {program: pay, after: {path_matches: ["**/.env"]}}}
"""
    )
    gate = open_gate(policy)
    for session in ("s", "t"):
        gate.enforce(ToolCall("read", {"path": ".env"}, session=session))
    ask_and_approve(gate, CURL)
    assert gate.enforce(CURL).rule == "approved"
    assert gate.enforce(WGET).action == "allow"
    assert gate.enforce(ToolCall("exec", CURL.params, session="t")).action == "ask"
    assert gate.enforce(ToolCall("exec", {"command": "pay"}, session="s")).rule == "pay"


def test_a_question_that_asks_once_is_used_up_by_its_answer(open_gate: Opener) -> None:
    policy = HEAD + "  - {action: ask, once: true, when: {program: ls}}\n"
    gate = open_gate(policy)
    first = gate.enforce(LS)
    assert gate.enforce(LS).action == "ask"
    gate.resolve(first.approval_id, True, by="ann")
    assert gate.finish(first, 1).action == "allow"
    assert gate.enforce(LS).action == "allow"


def test_an_approval_cannot_be_used_if_the_call_cannot_be_remembered(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate(LIFT)
    gate.enforce(ENV)
    question = gate.enforce(CURL)
    gate.resolve(question.approval_id, True, by="ann")
    with sqlite3.connect(tmp_path / "sessions.db") as connection:
        connection.execute("DROP TABLE held")
    connection.close()
    assert gate.finish(question, 1).rule == "state_unavailable"


# Who


def test_monitored_calls_have_happened_whatever_the_answer(open_gate: Opener) -> None:
    policy = (
        HEAD
        + """
  - {name: asks, action: deny, when: {path_matches: ["**/.env"]}}
  - {name: out, action: deny, when: {program: curl, after: {path_matches: ["**/.env"]}}}
"""
    )
    gate = open_gate(policy)
    gate.enforce(ENV)
    assert gate.enforce(CURL).action == "allow"
    gate.enforce(ENV, monitor=True)
    assert gate.enforce(CURL).rule == "out"


def test_sub_agents_share_the_past_of_their_session(open_gate: Opener) -> None:
    gate = open_gate(TAINT)
    gate.enforce(ToolCall("read", {"path": ".env"}, session="s", agent="main"))
    sub = ToolCall("exec", CURL.params, session="s", agent="helper", depth=2)
    assert gate.enforce(sub).rule == "out"


def test_calls_without_a_session_share_one_for_their_agent_and_program(open_gate: Opener) -> None:
    one, two = open_gate(TAINT, nameless="one"), open_gate(TAINT, nameless="two")
    one.enforce(ToolCall("read", {"path": ".env"}, agent="a"))
    out = ToolCall("exec", CURL.params, agent="a")
    assert one.enforce(out).rule == "out"
    assert two.enforce(out).action == "allow"
    assert one.enforce(ToolCall("exec", CURL.params, agent="b")).action == "allow"
    assert one.enforce(ToolCall("exec", CURL.params, agent="a", session="a")).action == "allow"


def test_names_of_any_characters_are_sessions(open_gate: Opener) -> None:
    gate = open_gate(TAINT)
    for session in ("\ud800", "a\0b", "s'; DROP TABLE marks; --", "é" * 200):
        gate.enforce(ToolCall("read", {"path": ".env"}, session=session))
        call = ToolCall("exec", CURL.params, session=session)
        assert gate.check(call).rule == "out", repr(session)
    assert gate.check(ToolCall("exec", CURL.params, session="a\0c")).action == "allow"


def test_a_clock_that_steps_back_forgets_nothing(open_gate: Opener, clock: Clock) -> None:
    policy = (
        HEAD
        + """
  - {name: out, action: deny, when: {program: curl, after: {path_matches: ["**/.env"], within: 1h}}}
  - {name: limit, action: deny, when: {call_count: {tool: note, gte: 2, window: 1h}}}
"""
    )
    gate = open_gate(policy)
    gate.enforce(ENV)
    gate.enforce(NOTE)
    clock.time -= 86400
    assert gate.enforce(CURL).rule == "out"
    assert gate.enforce(NOTE).rule == "limit"


# Remembered answers


def test_repeated_calls_are_remembered_where_the_past_has_no_say(
    open_gate: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysed: list[object] = []

    def counted(call: ToolCall, *rest: Any) -> object:
        analysed.append(call)
        return intercept(call, *rest)

    monkeypatch.setattr("rampart.gate.intercept", counted)
    gate = open_gate(TAINT)
    for _ in range(3):
        gate.enforce(ENV)  # its answer does not look back, but it leaves a mark
    assert len(analysed) == 1
    analysed.clear()
    assert [gate.enforce(CURL).rule for _ in range(2)] == ["out", "out"]
    assert len(analysed) == 2


def test_a_remembered_call_leaves_its_footprint_in_every_session_and_each_time(
    open_gate: Opener,
) -> None:
    gate = open_gate(TAINT.replace('"**/.env"]', '"**/.env"], calls: 2'))
    for _ in range(3):
        gate.enforce(ENV)
    gate.enforce(LS)
    assert gate.check(CURL).rule == "out"
    gate.enforce(LS)
    assert gate.check(CURL).action == "allow"
    gate.enforce(ENV)  # known for long, and still it happens
    assert gate.check(CURL).rule == "out"
