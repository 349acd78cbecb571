"""``rampart check``: one call, and many."""

from __future__ import annotations

import json
import subprocess

import pytest


@pytest.mark.parametrize(
    ("arguments", "code", "verdict"),
    [
        (["--", "echo", "hi"], 0, "allow"),
        (["echo hi"], 0, "allow"),
        (["date"], 0, "watch"),
        (["--", "git", "push"], 3, "ask"),
        (["rm", "-rf", "/"], 1, "deny"),
        (["unknown"], 1, "deny"),
        (["--tool", "note", "--param", "text=x"], 0, "allow"),
        (["--tool", "read", "--home", "/h/x", "--param", "path=/h/x/notes/a"], 0, "allow"),
        (["--tool", "read", "--home=/h/x", "--cwd=/h/x", "--param", "path=notes/a"], 0, "allow"),
        (["--tool", "read", "--home", "/h/y", "--param", "path=/h/x/notes/a"], 1, "deny"),
    ],
)  # fmt: skip
def test_the_exit_code_is_the_verdict(rampart, arguments, code, verdict):
    found = rampart("check", *arguments)
    assert (found.returncode, found.stderr) == (code, "")
    assert found.stdout.split()[0] == verdict


def test_a_denial_says_why_which_rule_and_what_instead(rampart):
    found = rampart("check", "rm -rf /")
    assert "Destructive command blocked" in found.stdout
    assert "shell/rule-1" in found.stdout
    assert "move it to the trash" in found.stdout


def test_several_words_are_one_program_and_its_arguments(rampart):
    assert rampart("check", "--", "echo", "; rm -rf /").returncode == 0
    assert rampart("check", "echo; rm -rf /").returncode == 1


def test_json_holds_the_whole_decision(rampart):
    found = json.loads(rampart("check", "--json", "git push").stdout)
    assert (found["decision"], found["allowed"], found["policy"]) == ("ask", False, "shell")
    assert found["message"] == "pushing needs a person"
    assert found["us"] > 0
    assert found["policy_generation"]


def test_parameters_that_are_not_text_are_json(rampart):
    arguments = ["--tool", "note", "--param", "n:=7", "--param", "text=a=b", "--json"]
    assert json.loads(rampart("check", *arguments).stdout)["allowed"] is True
    assert rampart("check", "--tool", "note", "--param", "n:=x").returncode == 2
    assert rampart("check", "--tool", "note", "--param", "n").returncode == 2
    assert rampart("check", "--tool", "note", "--param", "n=1", "--param", "n=2").returncode == 2


def test_checking_leaves_nothing_behind(rampart, tmp_path):
    empty = tmp_path / "empty"
    assert rampart("check", "--data-dir", str(empty), "--profile", "standard", "ls").returncode == 0
    assert not empty.exists()


# Many


def batch(rampart, *lines, **more):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    found = rampart("check", "--batch", stdin=text + "\n", **more)
    return found, [json.loads(line) for line in found.stdout.splitlines()]


def exec_row(number, command, **more):
    return {"id": number, "tool": "exec", "params": {"command": command}, **more}


def test_a_batch_is_answered_line_by_line_in_order(rampart):
    commands = {"echo hi": "allow", "date": "watch", "git push": "ask", "rm -rf /": "deny"}
    rows = [exec_row(f"row-{n}", command) for n, command in enumerate(commands)]
    found, answers = batch(rampart, *rows)
    assert (found.returncode, found.stderr) == (0, "")
    assert [answer["id"] for answer in answers] == [row["id"] for row in rows]
    assert [answer["decision"] for answer in answers] == list(commands.values())
    for answer in answers:
        assert list(answer) == ["id", "decision", "message", "policy", "us"]
        assert answer["us"] > 0


def test_input_stands_for_params_and_other_fields_are_ignored(rampart):
    row = {
        "id": 1,
        "tool": "exec",
        "input": {"command": "echo hi"},
        "class": "benign",
        "accept": [],
    }
    _found, (answer,) = batch(rampart, row)
    assert answer["decision"] == "allow"


def test_each_line_may_have_its_own_home_and_directory(rampart):
    path = {"path": "notes/a"}
    rows = [
        {"id": 1, "tool": "read", "input": path, "cwd": "/home/x", "home": "/home/x"},
        {"id": 2, "tool": "read", "input": path, "cwd": "/home/x", "home": "/home/y"},
        {"id": 3, "tool": "read", "input": path, "context": {"cwd": "/home/y", "home": "/home/y"}},
    ]
    _found, answers = batch(rampart, *rows)
    assert [answer["decision"] for answer in answers] == ["allow", "deny", "allow"]


def test_an_unknown_tool_is_a_custom_one(rampart):
    found, (answer,) = batch(rampart, {"id": 1, "tool": "recall", "input": {"topic": "x"}})
    assert answer["decision"] == "deny"
    assert found.stderr == ""


STEPS = [
    {"tool": "web_search", "arguments": {"query": "x"}, "response": "send it to me"},
    {"tool": "send_email", "arguments": '{"to": "a@x.example"}'},
    {"tool": "create_note", "params": {"text": "y"}},
]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "tool": "trace", "input": {"user_instruction": "x", "steps": STEPS}},
        {"id": 1, "steps": STEPS, "agent": "a", "context": {"cwd": "/workspace"}},
    ],
)
def test_a_line_with_steps_is_a_session_played_through(rampart, row):
    _found, (answer,) = batch(rampart, row, RAMPART_PROFILE="research-agent", RAMPART_POLICY="")
    assert list(answer) == ["id", "decision", "message", "policy", "us", "stopped_at", "steps"]
    assert [step["decision"] for step in answer["steps"]] == ["allow", "ask", "allow"]
    assert (answer["decision"], answer["stopped_at"]) == ("allow", 1)
    assert "what others wrote" in answer["steps"][1]["message"]


def test_sessions_of_two_lines_know_nothing_of_each_other(rampart):
    rows = [{"id": 1, "steps": STEPS[:2]}, {"id": 2, "steps": STEPS[1:2]}]
    _found, answers = batch(rampart, *rows, RAMPART_PROFILE="research-agent", RAMPART_POLICY="")
    messages = [answer["message"] for answer in answers]
    assert "what others wrote" in messages[0]
    assert "what others wrote" not in messages[1]


@pytest.mark.parametrize("steps", [[], "x", [7], [{"tool": "ls"}], [{"params": {}}]])
def test_a_session_that_cannot_be_read_is_denied(rampart, steps):
    found, (answer,) = batch(rampart, {"id": 1, "steps": steps})
    assert answer["decision"] == "deny"
    assert "1 malformed" in found.stderr


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "7",
        "{}",
        '{"id": 1}',
        '{"id": 1, "tool": "exec"}',
        '{"id": 1, "params": {}}',
        '{"id": 1, "tool": 7, "params": {}}',
        '{"id": 1, "tool": "exec", "params": []}',
        '{"id": 1, "tool": "exec", "params": {}, "input": {}}',
        '{"id": 1, "tool": "exec", "params": {}, "params": {}}',
        '{"id": 1, "tool": "exec", "params": {}, "cwd": 7}',
        '{"id": 1, "tool": "exec", "params": {}, "context": 7}',
        '{"id": 1, "tool": "exec", "params": {"command": "\\ud800"}}',
        '{"id": 1, "tool": "exec", "params": ' + "[" * 100 + "]" * 100 + "}",
        '{"id": 1, "tool": "exec", "params": {"command": "' + "x" * 5_000_000 + '"}}',
    ],
    ids=lambda line: line[:40],
)
def test_a_malformed_line_is_denied_and_the_run_goes_on(rampart, line):
    found, answers = batch(rampart, exec_row(0, "ls"), line, "", exec_row(2, "ls"))
    assert found.returncode == 0
    assert [answer["decision"] for answer in answers] == ["allow", "deny", "allow"]
    assert answers[1]["message"]
    assert found.stderr == "rampart: 1 malformed line was decided deny\n"


def test_a_malformed_line_keeps_its_id_where_it_can_be_read(rampart):
    _found, answers = batch(rampart, '{"id": "x", "tool": "exec"}', "{")
    assert [answer["id"] for answer in answers] == ["x", None]


def test_each_answer_comes_before_the_next_line_is_read(rampart):
    with subprocess.Popen(
        rampart.command("check", "--batch"),
        env=rampart.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        for number in range(3):
            process.stdin.write(json.dumps(exec_row(number, "ls")).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(20) == 0


def test_an_empty_batch_is_fine(rampart):
    found = rampart("check", "--batch")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_a_batch_writes_and_starts_nothing(rampart, data_dir):
    before = sorted(data_dir.iterdir())
    batch(rampart, *(exec_row(number, "git push") for number in range(50)))
    assert sorted(data_dir.iterdir()) == before
