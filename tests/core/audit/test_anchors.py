"""Checkpoints on their way out of reach: files, programs, syslog, git, and what happens if not."""

import os
import subprocess
import sys
import syslog
import threading

import pytest
from rampart.audit.anchors import Publisher, parse_target
from rampart.config import load_settings
from rampart.embedded import open_audit
from rampart.errors import AuditUnavailable, ConfigError

NOTE = b"log\n5\nAAAA\n\n\xe2\x80\x94 log AAAAAAAA\n"


def test_a_file_gets_one_checkpoint_after_the_other(tmp_path):
    send = parse_target(f"file:{tmp_path}/anchors")
    send(NOTE)
    send(NOTE)
    assert (tmp_path / "anchors").read_bytes() == NOTE + b"\n" + NOTE + b"\n"


def test_a_program_gets_it_on_its_standard_input(tmp_path):
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    parse_target(f"command:{sys.executable} -c \"{code}\" '{tmp_path}/a b'")(NOTE)
    assert (tmp_path / "a b").read_bytes() == NOTE


def test_words_of_a_command_are_not_a_shells(tmp_path):
    parse_target(f"command:{sys.executable} -c pass ; touch {tmp_path}/x")(NOTE)
    assert not (tmp_path / "x").exists()


def test_syslog_gets_one_line_that_verify_reads_back(monkeypatch, tmp_path):
    from rampart.cli.audit_prove import _newest_note

    lines = []
    monkeypatch.setattr(syslog, "syslog", lambda priority, text: lines.append(text))
    parse_target("syslog:")(NOTE)
    assert "\n" not in lines[0]
    assert _newest_note(f"Jan  1 00:00:00 host prog: {lines[0]}\n".encode()) == NOTE


def test_a_git_ref_gets_one_commit_after_the_other(tmp_path):
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q", "--bare"], check=True, timeout=60)
    send = parse_target(f"git:{tmp_path}#refs/heads/anchors")
    send(NOTE)
    send(NOTE.replace(b"\n5\n", b"\n6\n"))
    shown = [*git, "log", "--format=%s", "anchors"]
    subjects = subprocess.run(shown, check=True, timeout=60, capture_output=True).stdout
    assert subjects == b"checkpoint of 6 records\ncheckpoint of 5 records\n"
    held = subprocess.run(
        [*git, "show", "anchors:checkpoint"], check=True, timeout=60, capture_output=True
    ).stdout
    assert held == NOTE.replace(b"\n5\n", b"\n6\n")


@pytest.mark.parametrize(
    "target",
    [
        "file:/nonexistent/directory/file",
        "git:/nonexistent",
        "command:/nonexistent/program",
        f"command:{sys.executable} -c 'import sys; sys.exit(\"no room\")'",
    ],
)
def test_what_did_not_arrive_is_told(target, caplog):
    with pytest.raises(AuditUnavailable):
        parse_target(target)(NOTE)
    publisher = Publisher([target])
    publisher.publish(NOTE)
    publisher.drain()
    assert "a checkpoint did not reach" in caplog.text


@pytest.mark.parametrize(
    "target", ["", "file:", "command:", "command:'", "git:", "git:#x", "x:y", "syslog:x"]
)
def test_what_is_no_target_is_refused(target):
    with pytest.raises(ConfigError, match="not where a checkpoint can go"):
        parse_target(target)


def test_publishing_keeps_nobody_waiting_and_the_newest_arrives(tmp_path):
    """While one is on its way, only the newest of the others waits."""
    os.mkfifo(tmp_path / "slow")
    publisher = Publisher([f"command:cat {tmp_path}/slow", f"file:{tmp_path}/anchors"])
    for n in range(1, 50):
        publisher.publish(NOTE.replace(b"\n5\n", b"\n%d\n" % n))

    def let_go():
        for _ in range(2):  # the one on its way, and the newest
            (tmp_path / "slow").write_bytes(b"x")

    helper = threading.Thread(target=let_go, daemon=True)
    helper.start()
    publisher.drain()
    arrived = (tmp_path / "anchors").read_bytes().split(b"\n\n\n")[0]
    assert arrived.count(b"log\n") <= 4
    assert (tmp_path / "anchors").read_bytes().rindex(b"\n49\n") > 0
    helper.join(10)


def test_the_environment_says_where_checkpoints_go_and_the_log_sends_them(tmp_path):
    wanted = f"file:{tmp_path}/one\nfile:{tmp_path}/two"
    settings = load_settings(
        data_dir=tmp_path / "home", environment={"RAMPART_AUDIT_ANCHORS": wanted}
    )
    log = open_audit(settings)
    log.append({"type": "decision"})
    log.close()
    kept = (tmp_path / "home/audit/audit.checkpoints").read_bytes()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == kept


def test_a_target_that_is_none_is_refused_at_start(tmp_path):
    settings = load_settings(
        data_dir=tmp_path / "home", environment={"RAMPART_AUDIT_ANCHORS": "elsewhere"}
    )
    with pytest.raises(ConfigError):
        open_audit(settings)
