"""``rampart pending approve deny``, ``rampart audit`` and ``rampart policy``."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest
from rampart.audit.read import read_records


def approvals_log(data_dir):
    return [r for r in read_records(data_dir / "audit") if r["type"] == "approval"]


# Questions


def test_nothing_waits_where_nothing_was_asked(rampart, data_dir):
    assert rampart("pending").stdout == "nothing waits for approval\n"
    assert rampart("pending", "--json").stdout.strip() == "[]"
    assert not (data_dir / "approvals.db").exists()


def test_pending_shows_the_call_and_who_asks(rampart, ask):
    approval_id = ask("git push origin", agent="coder", session="s1")
    shown = rampart("pending").stdout
    for text in (approval_id, "git push origin", "coder s1", "pushing needs a person", "/tmp"):
        assert text in shown
    (listed,) = json.loads(rampart("pending", "--json").stdout)
    assert listed["id"] == approval_id
    assert listed["params"] == {"command": "git push origin"}


@pytest.mark.parametrize(("command", "status"), [("approve", "approved"), ("deny", "denied")])
def test_an_answer_counts_once_and_is_recorded_with_who_and_why(
    rampart, ask, data_dir, command, status
):
    approval_id = ask()
    found = rampart(command, approval_id, "--reason", "because")
    assert (found.returncode, found.stdout) == (0, f"{status} {approval_id}\n")
    (record,) = approvals_log(data_dir)
    assert (record["status"], record["reason"]) == (status, "because")
    assert record["by"]
    again = rampart("approve", approval_id)
    assert (again.returncode, again.stdout) == (65, "")
    assert f"already {status}" in again.stderr


def test_an_id_may_be_shortened_while_it_is_clear(rampart, ask):
    first, second = ask("git push a"), ask("git push b")
    ambiguous = rampart("approve", "apr_")
    assert ambiguous.returncode == 65
    assert first in ambiguous.stderr
    clear = next(second[:n] for n in range(5, 37) if second[:n] != first[:n])
    assert rampart("approve", clear).stdout == f"approved {second}\n"
    assert rampart("deny", first[4:].upper()).stdout == f"denied {first}\n"


def test_without_an_id_and_without_a_terminal_nothing_is_answered(rampart, ask, data_dir):
    ask()
    found = rampart("approve", stdin="y\n")
    assert found.returncode == 65
    assert "give its ID" in found.stderr
    assert approvals_log(data_dir) == []


@pytest.mark.parametrize(("word", "answers"), [("y", 1), ("n", 0), ("", 0)])
def test_on_a_terminal_the_only_question_is_shown_and_asked_about(
    rampart, ask, data_dir, word, answers
):
    ask()
    main, other = pty.openpty()
    with subprocess.Popen(
        rampart.command("approve"), env=rampart.environment, stdin=other, stdout=other, stderr=other
    ) as process:
        os.close(other)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(main, 65536)
        os.write(main, word.encode() + b"\n")
        try:
            while os.read(main, 65536):
                pass
        except OSError:
            pass  # the other end is closed
    os.close(main)
    assert b"git push" in shown
    assert process.returncode == (0 if answers else 130)
    assert len(approvals_log(data_dir)) == answers


def test_an_answer_needs_no_policy_that_loads(rampart, ask, data_dir):
    approval_id = ask()
    (data_dir / "policy.yaml").write_text("nonsense")
    assert rampart("approve", approval_id).returncode == 0


def test_questions_of_a_service_are_answered_through_it(rampart, data_dir, tmp_path):
    import httpx

    with rampart.serve() as (_process, ready):
        admin, agents = rampart("token").stdout.strip(), rampart("token", "--eval").stdout.strip()
        body = {"agent": "a", "params": {"command": "git push"}}
        headers = {"Authorization": f"Bearer {agents}"}
        asked = httpx.post(f"{ready['url']}/v1/tool/exec", headers=headers, json=body).json()
        elsewhere = {"RAMPART_HOME": str(tmp_path / "elsewhere")}
        service = ["--url", ready["url"]]
        refused = rampart("pending", *service, "--token", agents, **elsewhere)
        assert refused.returncode == 77
        missing = rampart("pending", *service, **elsewhere)
        assert (missing.returncode, "no token" in missing.stderr) == (78, True)
        (listed,) = json.loads(
            rampart("pending", "--json", *service, "--token", admin, **elsewhere).stdout
        )
        assert (listed["id"], listed["agent"]) == (asked["approval_id"], "a")
        assert listed["expires_at"] > listed["created_at"] > 0
        found = rampart("approve", listed["id"], *service, RAMPART_TOKEN=admin, **elsewhere)
        assert found.stdout == f"approved {asked['approval_id']}\n"
        again = rampart("approve", listed["id"], *service)
        assert (again.returncode, "already approved" in again.stderr) == (65, True)
    assert approvals_log(data_dir)[0]["status"] == "approved"
    gone = rampart("pending", *service, "--token", admin)
    assert (gone.returncode, "cannot be reached" in gone.stderr) == (69, True)


# The log


@pytest.fixture
def three_records(ask):
    return [ask(f"git push {n}") for n in range(3)]


def test_tail_shows_the_newest_records_oldest_first(rampart, three_records):
    lines = rampart("audit", "tail", "-n", "2").stdout.splitlines()
    assert len(lines) == 2
    assert "git push 1" in lines[0]
    assert "git push 2" in lines[1]
    assert " ask " in lines[0]
    assert rampart("audit", "tail", "-n", "0").stdout == ""


def test_tail_in_json_is_the_lines_of_the_log(rampart, three_records, data_dir):
    lines = rampart("audit", "tail", "--json").stdout
    log = "".join(path.read_text() for path in sorted((data_dir / "audit").glob("*.jsonl")))
    assert lines == log


def test_tail_of_a_long_log_finds_its_way_back(rampart, ask, data_dir):
    for number in range(40):
        ask(f"git push {number} " + "x" * 6000)
    lines = rampart("audit", "tail", "-n", "30", "--json").stdout.splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    assert ids == [r["id"] for r in read_records(data_dir / "audit")][-30:]


def test_follow_shows_what_is_written_afterwards(rampart, ask):
    with subprocess.Popen(
        rampart.command("audit", "tail", "-f", "-n", "1"),
        env=rampart.environment,
        stdout=subprocess.PIPE,
    ) as process:
        for number in range(3):
            ask(f"git push {number}")
            assert f"git push {number}".encode() in process.stdout.readline()
        process.terminate()


def test_show_prints_one_record(rampart, three_records, data_dir):
    record = list(read_records(data_dir / "audit"))[1]
    assert json.loads(rampart("audit", "show", record["id"], "--json").stdout) == record
    shown = rampart("audit", "show", record["id"].lower()).stdout
    assert "git push 1" in shown
    assert record["hash"] in shown
    missing = rampart("audit", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (missing.returncode, missing.stdout) == (74, "")


def test_verify_says_ok_and_what_to_keep(rampart, three_records):
    found = rampart("audit", "verify", "--json")
    told = json.loads(found.stdout)
    assert (found.returncode, told["verdict"], told["records"]) == (0, "ok", 3)
    assert rampart("audit", "verify", "--anchor", told["anchor"]).returncode == 0
    assert rampart("audit", "verify").stdout.startswith("ok  3 records")


def segment(data_dir):
    (path,) = (data_dir / "audit").glob("audit-*.jsonl")
    return path


def test_verify_ends_with_1_for_an_edited_log(rampart, three_records, data_dir):
    path = segment(data_dir)
    path.write_bytes(path.read_bytes().replace(b"git push 1", b"git push 9"))
    found = rampart("audit", "verify")
    assert (found.returncode, found.stdout.split()[0]) == (1, "tampered")
    assert path.name in found.stdout


def test_verify_ends_with_2_for_a_torn_tail(rampart, three_records, data_dir):
    path = segment(data_dir)
    path.write_bytes(path.read_bytes()[:-10])
    assert rampart("audit", "verify").returncode == 2


def test_verify_ends_with_3_where_there_is_no_log(rampart):
    assert rampart("audit", "verify").returncode == 3


def test_verify_ends_with_4_for_a_log_that_was_cut_after_the_anchor(
    rampart, three_records, data_dir
):
    anchor = json.loads(rampart("audit", "verify", "--json").stdout)["anchor"]
    path = segment(data_dir)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert rampart("audit", "verify").returncode == 0
    assert rampart("audit", "verify", "--anchor", anchor).returncode == 4


# The policy


def test_policy_show_names_every_rule_in_force(rampart, data_dir):
    shown = rampart("policy", "show").stdout
    for text in (str(data_dir / "policy.yaml"), "shell", "rm -rf *", "Destructive command blocked"):
        assert text in shown
    told = json.loads(rampart("policy", "show", "--json").stdout)
    document, guard = told["documents"]
    assert [policy["name"] for policy in document["policies"]] == ["shell", "home", "notes"]
    assert document["policies"][0]["rules"][0]["action"] == "deny"
    assert document["default_action"] == "deny"
    assert guard["filename"] == "profile:self-protection"


def test_policy_show_knows_the_built_in_profiles(rampart):
    assert "profile:standard" in rampart("policy", "show", "--profile", "standard").stdout


def test_policy_show_refuses_what_would_not_load(rampart, tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_text('version: "1"\npolicies:\n  - {name: a, rules: [{action: permit}]}\n')
    found = rampart("policy", "show", "--policy", str(file))
    assert found.returncode == 65
    assert "broken.yaml:3:" in found.stderr
