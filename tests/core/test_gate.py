"""The gate: recorded before answered, asked once, and whatever goes wrong is a deny."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from rampart.audit.read import read_records
from rampart.audit.verify import verify_log
from rampart.errors import ApprovalError
from rampart.gate import Gate
from rampart.model import ToolCall

Opener = Callable[..., Gate]
LS = ToolCall("exec", {"command": "ls"}, agent="a", session="s")
PUSH = ToolCall("exec", {"command": "git push"}, agent="a", session="s")
RM = ToolCall("exec", {"command": "rm -rf /"}, agent="a", session="s")


def records(tmp_path: Path, kind: str) -> list[dict[str, object]]:
    return [r for r in read_records(tmp_path / "data" / "audit") if r["type"] == kind]


def test_every_enforced_call_is_on_disk_when_it_is_answered(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate()
    for call in (LS, RM, PUSH):
        decision = gate.enforce(call)
        newest = records(tmp_path, "decision")[-1]
        assert newest["id"] == decision.audit_id
        assert newest["params"] == call.params
        assert newest["decision"]["action"] == decision.action  # type: ignore[index]
    assert verify_log(tmp_path / "data" / "audit").verdict == "ok"


def test_check_leaves_no_record_and_asks_nobody(open_gate: Opener, tmp_path: Path) -> None:
    gate = open_gate()
    assert [gate.check(call).action for call in (LS, RM, PUSH)] == ["allow", "deny", "ask"]
    assert records(tmp_path, "decision") == []
    assert gate.pending() == ()


def test_an_approved_call_runs_once_and_then_asks_again(open_gate: Opener) -> None:
    gate = open_gate()
    first = gate.enforce(PUSH)
    assert first.action == "ask"
    gate.resolve(first.approval_id, True, by="person")
    second = gate.enforce(PUSH)
    assert (second.action, second.rule, second.message) == (
        "allow",
        "approved",
        "approved by person",
    )
    assert gate.enforce(PUSH).action == "ask"


@pytest.mark.parametrize(
    "other",
    [
        ToolCall("exec", {"command": "git push --force"}, agent="a", session="s"),
        ToolCall("exec", {"command": "git push"}, agent="b", session="s"),
        ToolCall("exec", {"command": "git push"}, agent="a", session="t"),
        ToolCall("exec", {"command": "git push"}, agent="a", session="s", cwd="/elsewhere"),
    ],
)
def test_an_approval_serves_exactly_the_call_that_was_asked_about(
    open_gate: Opener, other: ToolCall
) -> None:
    gate = open_gate()
    gate.resolve(gate.enforce(PUSH).approval_id, True, by="person")
    assert gate.enforce(other).action == "ask"


def test_an_approval_does_not_outlive_its_policy(open_gate: Opener) -> None:
    gate = open_gate()
    gate.resolve(gate.enforce(PUSH).approval_id, True, by="person")
    stricter = open_gate(
        'version: "1"\npolicies: [{name: all, rules: [{action: ask, when: {default: true}}]}]\n'
    )
    assert stricter.enforce(PUSH).action == "ask"


def test_waiting_gate_answers_what_the_person_said(open_gate: Opener, tmp_path: Path) -> None:
    gate = open_gate()
    asked = gate.enforce(PUSH)
    person = open_gate()  # another terminal: the same data directory
    threading.Timer(
        0.05, person.resolve, (asked.approval_id, False), {"by": "ann", "reason": "not on Friday"}
    ).start()
    outcome = gate.finish(asked, 20)
    assert (outcome.action, outcome.rule, outcome.message) == (
        "deny",
        "approval_denied",
        "not on Friday",
    )
    assert records(tmp_path, "approval")[-1]["by"] == "ann"


def test_waiting_ends_as_deny_when_nobody_answers(open_gate: Opener) -> None:
    gate = open_gate(ask_timeout_s=0.2)
    outcome = gate.finish(gate.enforce(PUSH), 0.3)
    assert outcome.action == "deny"


def test_delivered_approval_is_used_up(open_gate: Opener) -> None:
    gate = open_gate()
    asked = gate.enforce(PUSH)
    gate.resolve(asked.approval_id, True, by="person")
    assert gate.approval(asked.approval_id, deliver=True) is not None
    assert gate.enforce(PUSH).action == "ask"


def test_question_cannot_be_answered_twice(open_gate: Opener) -> None:
    gate = open_gate()
    asked = gate.enforce(PUSH)
    gate.resolve(asked.approval_id, False, by="person")
    with pytest.raises(ApprovalError):
        gate.resolve(asked.approval_id, True, by="person")
    with pytest.raises(ApprovalError):
        gate.resolve("apr_unknown", True, by="person")


def test_monitor_records_what_would_have_happened_and_asks_nobody(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate()
    assert gate.enforce(PUSH, monitor=True).action == "ask"
    assert gate.pending() == ()
    assert records(tmp_path, "decision")[-1]["monitor"] is True


def test_log_that_cannot_be_written_denies(open_gate: Opener, tmp_path: Path) -> None:
    gate = open_gate()
    assert gate.enforce(LS).action == "allow"
    (tmp_path / "data" / "audit").rename(tmp_path / "moved")
    decision = gate.enforce(LS)
    assert (decision.action, decision.rule) == ("deny", "audit_unavailable")


def test_question_whose_record_cannot_be_written_is_withdrawn(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate()
    (tmp_path / "data" / "audit").rename(tmp_path / "moved")
    decision = gate.enforce(PUSH)
    assert (decision.action, decision.rule) == ("deny", "audit_unavailable")
    assert gate.pending() == ()


def test_broken_approval_store_denies_what_would_ask_and_nothing_else(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate()
    with sqlite3.connect(tmp_path / "data" / "approvals.db") as database:
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type='table'"
        ).fetchall():
            database.execute(f'DROP TABLE "{name}"')
    assert (gate.enforce(PUSH).action, gate.enforce(PUSH).rule) == ("deny", "approval_unavailable")
    assert gate.enforce(LS).action == "allow"


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (ToolCall("", {}), "invalid_input"),
        (ToolCall("exec", {}), "invalid_input"),
        (ToolCall("exec", {"command": 7}), "invalid_input"),
        (ToolCall("exec", {"command": "x" * 100_000}), "input_too_large"),
        (ToolCall("exec", {"command": "ls"}, agent="x" * 300), "input_too_large"),
        (ToolCall("exec", {"command": "ls"}, agent=None), "invalid_input"),  # type: ignore[arg-type]
        (ToolCall("read", {"path": "a", "file_path": "b"}), "invalid_input"),
        (ToolCall("read", ["path"]), "invalid_input"),  # type: ignore[arg-type]
    ],
)
def test_call_that_cannot_be_understood_is_denied_and_recorded(
    open_gate: Opener, tmp_path: Path, call: ToolCall, rule: str
) -> None:
    decision = open_gate().enforce(call)
    assert (decision.action, decision.rule) == ("deny", rule)
    assert decision.message
    assert records(tmp_path, "decision")[-1]["decision"]["rule"] == rule  # type: ignore[index]


def test_exception_inside_the_evaluation_denies(
    open_gate: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    class Hostile(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            raise RuntimeError("from inside")

        def __iter__(self) -> Iterator[str]:
            return iter(["command"])

        def __len__(self) -> int:
            return 1

    decision = open_gate().enforce(ToolCall("exec", Hostile()))
    assert decision.action == "deny"
    assert decision.rule in ("internal_error", "invalid_input")


def test_gate_without_a_log_previews_only(open_gate: Opener) -> None:
    gate = open_gate()
    preview = Gate(gate.policies, hosts=gate._hosts)
    assert preview.check(LS).action == "allow"
    assert preview.enforce(LS).rule == "audit_unavailable"
    assert preview.enforce(PUSH).rule == "approval_unavailable"


def test_threads_share_a_gate(open_gate: Opener, tmp_path: Path) -> None:
    gate = open_gate()
    answers: list[str] = []

    def ask() -> None:
        answers.extend(gate.enforce(call).action for call in (LS, RM) * 10)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["allow"] * 80 + ["deny"] * 80
    assert verify_log(tmp_path / "data" / "audit").records >= 160
