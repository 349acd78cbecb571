"""``rampart audit replay``: what another policy would have said, honestly."""

from __future__ import annotations

import json

import pytest
from rampart.audit import AuditLog
from rampart.audit.read import read_records
from rampart.config import Settings
from rampart.embedded import gate_of
from rampart.model import ToolCall
from rampart.sources import PolicyInForce, policy_documents

STRICTER = """\
version: "1"
default_action: deny
policies:
  - name: shell
    match: {tool: exec}
    rules:
      - {action: deny, when: {command_matches: ["echo secret*"]}, message: not that}
      - {action: allow, when: {command_matches: ["echo *", "git push*"]}}
"""

LOOKS_BACK = """\
version: "1"
default_action: allow
policies:
  - name: order
    match: {tool: exec}
    rules:
      - {action: deny, when: {command_matches: ["ls*"], after: {command_matches: ["echo first*"]}}}
      - action: deny
        when: {command_matches: ["true"], call_count: {tool: exec, gte: 3, by: session}}
"""


@pytest.fixture
def record(data_dir):
    """Return a function that makes calls for real and returns the ids of their records."""
    settings = Settings(data_dir, policy=data_dir / "policy.yaml")
    gate, close = gate_of(settings, PolicyInForce(policy_documents(path=settings.policy)))

    def make(*commands, **who):
        calls = [
            each
            if isinstance(each, ToolCall)
            else ToolCall("exec", {"command": each}, cwd="/tmp", **who)
            for each in commands
        ]
        return [gate.enforce(call).audit_id for call in calls]

    yield make
    close()


@pytest.fixture
def policy(tmp_path):
    """Return a function that writes a policy and returns the options that name it."""

    def write(text):
        file = tmp_path / "other.yaml"
        file.write_text(text)
        return "--policy", str(file)

    return write


def replayed(rampart, *arguments):
    found = rampart("audit", "replay", "--json", *arguments)
    return found.returncode, json.loads(found.stdout)


def test_the_same_policy_changes_nothing(rampart, record):
    record("echo 1", "rm -rf build", "git push", "date", "unknown")
    code, told = replayed(rampart)
    assert (code, told["decided"], told["same"], told["changes"]) == (0, 5, 5, [])


def test_looser_and_stricter_are_told_apart_with_examples(rampart, record, policy):
    ids = record("echo 1", "echo secret", "git push a", "git push b", "rm -rf x")
    code, told = replayed(rampart, *policy(STRICTER))
    assert (code, told["same"], told["looser"], told["stricter"]) == (1, 2, 2, 1)
    looser, stricter = told["changes"]
    assert (looser["direction"], looser["was"], looser["now"]) == ("looser", "ask", "allow")
    assert [each["id"] for each in looser["examples"]] == ids[2:4]
    assert (stricter["was"], stricter["now"], stricter["rule"]) == ("allow", "deny", "shell/rule-1")
    assert stricter["examples"][0]["message"] == "not that"
    shown = rampart("audit", "replay", *policy(STRICTER)).stdout
    assert "5 calls decided again: 2 as before, 2 looser, 1 stricter" in shown
    assert shown.index("git push a") < shown.index("echo secret")


@pytest.mark.parametrize(("fail_on", "code"), [("any", 1), ("looser", 0), ("stricter", 1)])
def test_the_exit_code_says_what_one_wants_to_know(rampart, record, policy, fail_on, code):
    record("echo secret")
    found = rampart("audit", "replay", "--fail-on", fail_on, *policy(STRICTER))
    assert found.returncode == code


def test_one_record_is_decided_again(rampart, record, policy):
    first, second = record("echo 1", "echo secret")
    code, told = replayed(rampart, second.lower(), *policy(STRICTER))
    assert (code, told["decided"], told["now"]["rule"]) == (1, 1, "rule-1")
    found = rampart("audit", "replay", first, *policy(STRICTER))
    assert (found.returncode, found.stdout.split("\n")[0]) == (0, "allow → allow  as before")
    missing = rampart("audit", "replay", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (missing.returncode, missing.stdout) == (74, "")


def test_what_happened_before_counts_as_it_would_have_happened(rampart, record, policy):
    """The session is played through: order, counts, and sessions of their own."""
    record("echo first", "ls", session="a")
    record("ls", "true", session="b")
    record("true", session="a")  # the third of its session only if the denied `ls` counted
    _, told = replayed(rampart, *policy(LOOKS_BACK))
    (change,) = told["changes"]
    assert (change["rule"], change["count"]) == ("order/rule-1", 1)
    assert change["examples"][0]["who"] == "a"


def test_what_is_not_asked_about_still_happened_before(rampart, record, policy):
    _, second = record("echo first", "ls", session="a")
    code, told = replayed(rampart, second, *policy(LOOKS_BACK))
    assert (code, told["decided"], told["stricter"]) == (1, 1, 1)


def test_calls_are_decided_at_the_time_they_were_made(rampart, record, policy):
    """A rule that has run out since was in force then."""
    record("echo 1")
    text = STRICTER.replace(
        '{action: allow, when: {command_matches: ["echo *", "git push*"]}}',
        '{action: allow, expires_at: 2100-01-01T00:00:00Z, when: {command_matches: ["echo *"]}}',
    )
    assert replayed(rampart, *policy(text))[0] == 0
    assert replayed(rampart, *policy(text.replace("2100", "2000")))[0] == 1


def test_a_question_that_was_answered_is_still_a_question(rampart, record, ask):
    approval = ask("git push origin")
    rampart("approve", approval)
    record("git push origin")
    code, told = replayed(rampart)
    assert (code, told["decided"], told["same"]) == (0, 2, 2)


def test_what_cannot_be_decided_again_is_counted_and_never_guessed(rampart, record, data_dir):
    long = ToolCall("note", {"text": "x" * 70_000}, cwd="/tmp")
    record(long, "echo password=hunter2hunter2", "echo 1")
    log = AuditLog.open(data_dir / "audit")
    trouble = {"action": "deny", "policy": "", "rule": "internal_error", "message": ""}
    log.append({"type": "decision", "tool": "exec", "params": {}, "decision": trouble})
    log.append({"type": "decision", "tool": "exec", "params": "?", "decision": {"action": "allow"}})
    log.append({"type": "approval", "status": "approved"})
    log.close()
    code, told = replayed(rampart)
    assert (code, told["decided"], told["without_credentials"]) == (0, 2, 1)
    assert sum(told["skipped"].values()) == 3
    assert any("digest" in reason for reason in told["skipped"])
    assert any("internal_error" in reason for reason in told["skipped"])


def test_replaying_leaves_no_trace(rampart, record, data_dir, policy):
    record("echo 1", "git push")
    before = list(read_records(data_dir / "audit"))
    files = sorted(path.name for path in data_dir.rglob("*"))
    replayed(rampart, *policy(LOOKS_BACK))
    assert list(read_records(data_dir / "audit")) == before
    assert sorted(path.name for path in data_dir.rglob("*")) == files


def test_a_policy_that_does_not_load_is_an_error_and_no_change(rampart, record, policy):
    record("echo 1")
    found = rampart("audit", "replay", *policy("version: '1'\nnonsense: 1\n"))
    assert (found.returncode, found.stdout) == (65, "")
