"""Disks that fill up, fail, or lie: AUD-01 to AUD-04, with real system calls made to fail."""

import shutil
import subprocess
from pathlib import Path

import pytest
from rampart.audit import AuditLog
from rampart.audit.fs import AuditFile
from rampart.audit.verify import verify_log
from rampart.errors import AuditUnavailable

real_append = AuditFile.append
FIELDS = {"type": "decision", "pid": 0, "n": 0}
SEGMENT = "audit-00000000000000000000.jsonl"


def strace_refuses():
    """Return why system calls cannot be made to fail here, or an empty text."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO", "true"]
    done = subprocess.run(probe, capture_output=True, check=False)
    return "" if done.returncode == 0 else f"strace may not trace: {done.stderr.decode()[:80]}"


STRACE_REFUSES = strace_refuses()
needs_strace = pytest.mark.skipif(bool(STRACE_REFUSES), reason=STRACE_REFUSES)


def injecting(directory: Path, *faults):
    """Return the command prefix under which system calls on the segment and its directory fail."""
    words = ["strace", "-f", "-qq", "-o", "/dev/null"]
    for path in (directory / SEGMENT, directory):
        words += ["-P", str(path)]
    names = ",".join(dict.fromkeys(fault.split(":")[0] for fault in faults))
    words += ["-e", f"trace={names}"]
    for fault in faults:
        words += ["-e", f"inject={fault}"]
    return words


def outcome_words(writers):
    return [words[0] for words in writers.outcomes()]


def check_nothing_lost(writers):
    assert verify_log(writers.directory).verdict == "ok"
    assert writers.acknowledged() <= set(writers.written())


# Full disks


@pytest.mark.parametrize("limit", [700, 1000, 1001, 1111])
def test_a_full_disk_is_denied_rolled_back_and_survived_without_a_restart(writers, limit):
    """F5: the first symptom of a full disk is a short write, and no part of it may stay."""
    assert writers.run("--count", 12, "--file-size", limit) == 0
    words = outcome_words(writers)
    assert words.count("error") == 1
    first = words.index("error")
    assert words == ["ok"] * first + ["error"] + ["ok"] * (11 - first)
    (error,) = [words for words in writers.outcomes() if words[0] == "error"]
    assert error[1] == "audit_unavailable"
    check_nothing_lost(writers)
    assert len(writers.written()) == 11  # the denied record is not there
    assert not list(writers.directory.glob("*.torn-*"))


def test_the_limit_above_does_cause_short_writes(writers):
    """The test above would prove nothing if the writes failed as a whole."""
    writers.run("--count", 12, "--file-size", 1001)
    assert any("short write" in words[2] for words in writers.outcomes() if words[0] == "error")


def test_without_the_rollback_a_short_write_would_stay(tmp_path, monkeypatch):
    """Negative control: the rollback is what keeps a full disk from leaving half a record."""
    monkeypatch.setattr(
        AuditFile, "append", lambda self, data: real_append(self, data[: len(data) // 2])
    )
    monkeypatch.setattr(AuditFile, "cut", lambda self, size: None)
    log = AuditLog.open(tmp_path / "audit")
    with pytest.raises(AuditUnavailable, match="short write"):
        log.append(FIELDS)
    log.close()
    assert verify_log(tmp_path / "audit").verdict == "torn"


# Failing calls


@needs_strace
@pytest.mark.parametrize("call", ["write", "fdatasync"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_failed_call_is_never_acknowledged_and_what_it_wrote_is_taken_back(writers, call, at):
    """F4, F8: the record is denied, the log verified again, and the next ones are written."""
    before = injecting(writers.directory, f"{call}:error=EIO:when={at}")
    assert writers.run("--count", 6, before=before) == 0
    assert outcome_words(writers) == ["ok"] * (at - 1) + ["error"] + ["ok"] * (6 - at)
    check_nothing_lost(writers)
    assert len(writers.written()) == 5


@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EDQUOT"])
def test_every_later_call_fails_while_the_disk_does(writers, error):
    before = injecting(writers.directory, f"write:error={error}:when=3+")
    assert writers.run("--count", 6, before=before) == 0
    assert outcome_words(writers) == ["ok", "ok"] + ["error"] * 4
    check_nothing_lost(writers)
    assert len(writers.written()) == 2


@needs_strace
def test_a_sync_that_fails_and_cannot_be_taken_back_still_loses_nothing(writers):
    before = injecting(
        writers.directory, "fdatasync:error=EIO:when=2", "ftruncate:error=EIO:when=1"
    )
    assert writers.run("--count", 6, before=before) == 0
    assert outcome_words(writers) == ["ok", "error", "ok", "ok", "ok", "ok"]
    check_nothing_lost(writers)


@needs_strace
def test_an_interrupted_write_is_repeated_by_nobody_and_lost_by_nobody(writers):
    before = injecting(writers.directory, "write:error=EINTR:when=2")
    assert writers.run("--count", 4, before=before) == 0
    assert outcome_words(writers) == ["ok"] * 4
    check_nothing_lost(writers)
    assert len(writers.written()) == 4


CRASHES = [("write", 1), ("write", 3), ("fdatasync", 2), ("fsync", 1), ("openat", 1), ("openat", 2)]


def crash(writers, call, at, *options):
    before = injecting(writers.directory, f"{call}:signal=KILL:when={at}")
    code = writers.run("--count", 12, *options, before=before, stderr=subprocess.DEVNULL)
    if writers.directory.exists() and list(writers.directory.glob("*.jsonl")):
        assert verify_log(writers.directory).verdict in ("ok", "torn")
    writers.run("--count", 2, acks="acks-after")
    check_nothing_lost(writers)
    return code


@needs_strace
@pytest.mark.parametrize(("call", "at"), CRASHES)
def test_a_crash_at_any_call_loses_nothing_acknowledged(writers, call, at):
    assert crash(writers, call, at) != 0


@needs_strace
@pytest.mark.campaign
@pytest.mark.parametrize("call", ["openat", "write", "fdatasync", "fsync", "flock", "ftruncate"])
@pytest.mark.parametrize("at", range(1, 30))
def test_a_crash_at_every_call_of_a_rotating_log_loses_nothing(writers, call, at):
    crash(writers, call, at, "--segment", 1000)


@needs_strace
@pytest.mark.parametrize("call", ["write", "fsync", "ftruncate"])
def test_a_crash_during_recovery_is_recovered(writers, call):
    """F3: the recovery of a recovery."""
    writers.run("--count", 3)
    with (writers.directory / SEGMENT).open("ab") as file:
        file.write(b'{"half": ')
    before = injecting(writers.directory, f"{call}:signal=KILL:when=1")
    assert writers.run("--count", 2, before=before, acks="acks-b", stderr=subprocess.DEVNULL) != 0
    assert writers.run("--count", 2, acks="acks-c") == 0
    check_nothing_lost(writers)
    torn = {path.name for path in writers.directory.glob("*.torn-*")}
    recorded = (writers.directory / SEGMENT).read_text()
    assert torn
    assert all(f'"saved":"{name}"' in recorded for name in torn)


# The sync itself


def test_a_failed_sync_poisons_the_log_until_it_was_verified_again(tmp_path, monkeypatch):
    """AUD-02, F8: a later sync that "succeeds" proves nothing about what the failed one dropped."""
    path = tmp_path / "audit"
    log = AuditLog.open(path)
    log.append(FIELDS)
    sync, failures = AuditFile.sync, [OSError(5, "Input/output error")]

    def failing_once(self):
        if failures:
            raise failures.pop()
        sync(self)

    monkeypatch.setattr(AuditFile, "sync", failing_once)
    with pytest.raises(AuditUnavailable, match="Input/output error"):
        log.append(FIELDS)
    with pytest.raises(
        AuditUnavailable, match="out of use"
    ):  # not retried, though it would succeed
        log.append(FIELDS)
    assert log._journal._file is None
    log._retry_at = 0.0
    assert log.append(FIELDS).seq == 1
    log.close()
    assert verify_log(path).records == 2


def test_pauses_grow_while_the_disk_fails_and_end_with_it(tmp_path, monkeypatch):
    log = AuditLog.open(tmp_path / "audit")

    def failing(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(AuditFile, "sync", failing)
    pauses = []
    for _ in range(9):
        log._retry_at = 0.0
        with pytest.raises(AuditUnavailable):
            log.append(FIELDS)
        pauses.append(log._pause_s)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    monkeypatch.undo()
    log._retry_at = 0.0
    log.append(FIELDS)
    assert log._pause_s == 0.0
    log.close()
