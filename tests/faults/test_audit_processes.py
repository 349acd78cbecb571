"""Many processes, killed, stopped and forked ones: AUD-03, AUD-08, AUD-09."""

import os
import random
import signal
import subprocess
import threading
import time

import pytest
from rampart.audit import AuditLog
from rampart.audit import log as log_module
from rampart.audit.fs import AuditDirectory, LockTimeout
from rampart.audit.verify import verify_log
from rampart.errors import AuditUnavailable

FIELDS = {"type": "decision", "pid": 0, "n": 0}


def run_eight(writers, *options, count=250):
    started = [
        writers.start(
            "--count",
            count,
            "--go",
            *options,
            acks=f"acks{n}",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for n in range(8)
    ]
    for process in started:
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    return [process.wait(timeout=120) for process in started]


def test_eight_processes_write_one_dense_chain(writers):
    """AUD-08, AUD-09: 8 × 250 records, no gap, none twice, none lost."""
    assert run_eight(writers) == [0] * 8
    verification = verify_log(writers.directory)
    assert (verification.verdict, verification.records) == ("ok", 2000)
    assert len(writers.acknowledged()) == 2000
    assert sorted(writers.acknowledged()) == writers.written()


def test_eight_processes_rotate_one_log(writers):
    assert run_eight(writers, "--segment", 8000, count=60) == [0] * 8
    assert verify_log(writers.directory).verdict == "ok"
    assert len(list(writers.directory.glob("*.jsonl"))) > 10
    assert len(writers.acknowledged()) == 480
    assert sorted(writers.acknowledged()) == writers.written()


def test_without_the_lock_the_same_load_breaks(writers):
    """Negative control of the two tests above."""
    codes = run_eight(writers, "--without", "lock")
    sound = verify_log(writers.directory).verdict == "ok"
    assert not (sound and codes == [0] * 8 and len(writers.acknowledged()) == 2000)


def kill_rounds(writers, rounds, *options, seed=0):
    """Four writers at a time, each killed with SIGKILL at a random moment."""
    chance = random.Random(seed)
    for number in range(rounds):
        started = [
            writers.start(*options, acks=f"acks{number}-{n}", stderr=subprocess.DEVNULL)
            for n in range(4)
        ]
        first = writers._path / f"acks{number}-0"
        while not (first.exists() and first.stat().st_size):
            assert all(process.poll() is None for process in started)
            time.sleep(0.002)
        for process in started:
            time.sleep(chance.uniform(0.0, 0.1))
            process.kill()
            process.wait()


def check_after_kills(writers):
    assert verify_log(writers.directory).verdict in ("ok", "torn")
    AuditLog.open(writers.directory).close()  # recovers
    assert verify_log(writers.directory).verdict == "ok"
    acknowledged, written = writers.acknowledged(), writers.written()
    assert acknowledged
    assert acknowledged <= set(written)
    assert len(set(written)) == len(written)


def test_acknowledged_records_outlive_killed_writers(writers):
    """AUD-03 against SIGKILL."""
    kill_rounds(writers, 3)
    check_after_kills(writers)


@pytest.mark.campaign
@pytest.mark.parametrize("segment", [64 * 1024 * 1024, 20_000])
def test_acknowledged_records_outlive_many_killed_writers(writers, segment):
    kill_rounds(writers, 60, "--segment", segment, seed=segment)
    check_after_kills(writers)


def test_acknowledging_before_writing_loses_records_when_killed(writers):
    """Negative control: the campaign sees a writer that promises too early."""
    for seed in range(20):
        kill_rounds(writers, 1, "--without", "early", seed=seed)
        promised = {words[2] for words in writers.outcomes() if words[0] == "ok"}
        if not promised <= {who for _seq, who in writers.written()}:
            return
    pytest.fail("20 rounds lost nothing: the campaign would not notice a loss")


# The holder of the lock


def test_a_stopped_writer_blocks_nobody_longer_than_the_deadline_and_a_killed_one_not_at_all(
    tmp_path,
):
    """F11: others deny in time while the holder is stopped, and go on once it is gone."""
    path = tmp_path / "audit"
    log = AuditLog.open(path, timeout_s=0.3)
    reader, writer = os.pipe()
    holder = os.fork()
    if holder == 0:
        AuditDirectory.open(path).open_lock().lock(time.monotonic() + 5)
        os.write(writer, b"x")
        signal.pause()
        os._exit(0)
    try:
        os.read(reader, 1)
        os.kill(holder, signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(LockTimeout):
            log.append(FIELDS)
        assert time.monotonic() - start < 3
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        holder = 0
        assert log.append(FIELDS).seq == 0
    finally:
        if holder:
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
        os.close(reader)
        os.close(writer)
        log.close()


# Fork


def in_child(work):
    """Run ``work`` in a forked child and return its exit code: 0 if it returned."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_parent_and_child_go_on_with_the_same_log(tmp_path):
    path = tmp_path / "audit"
    log = AuditLog.open(path)
    log.append(FIELDS)

    def child():
        for n in range(20):
            log.append({**FIELDS, "n": n})

    assert in_child(child) == 0
    assert log.append(FIELDS).seq == 21
    assert in_child(log.close) == 0  # closing in a child closes nothing for the parent
    assert log.append(FIELDS).seq == 22
    log.close()
    assert verify_log(path).verdict == "ok"


def test_a_fork_in_the_middle_of_many_appends_harms_neither_side(tmp_path):
    """Other threads hold the mutex, the queue, the lock and the id factory while we fork."""
    path = tmp_path / "audit"
    log = AuditLog.open(path)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            log.append(FIELDS)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        codes = [in_child(lambda: [log.append(FIELDS) for _ in range(3)]) for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert codes == [0] * 10
    log.close()
    assert verify_log(path).verdict == "ok"


def held_after_fork(log, path):
    """Fork while the parent holds the lock, end the parent's hold, and say if it is still held."""
    log._journal._lock.lock(time.monotonic() + 1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)  # until the parent lets go of the pipe
        os._exit(0)
    try:
        log._journal._lock.close()  # what the kernel does when the parent is killed
        directory = AuditDirectory.open(path)
        lock = directory.open_lock()
        try:
            lock.lock(time.monotonic() + 0.2)
        except AuditUnavailable:
            return True
        finally:
            lock.close()
            directory.close()
        return False
    finally:
        os.close(reader)
        os.close(writer)
        os.waitpid(child, 0)


def test_a_forked_child_does_not_hold_its_parents_lock(tmp_path):
    log = AuditLog.open(tmp_path / "audit")
    assert held_after_fork(log, tmp_path / "audit") is False


def test_without_the_fork_handler_the_child_would_hold_it(tmp_path):
    """Negative control of the test above."""
    log = AuditLog.open(tmp_path / "audit")
    log_module._open_logs.discard(log)
    assert held_after_fork(log, tmp_path / "audit") is True
