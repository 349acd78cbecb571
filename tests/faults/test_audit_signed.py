"""Signed logs whose writers are killed: no crash may look like tampering or stay unsigned."""

import random
import subprocess
import time

import pytest
from rampart.audit import AuditLog
from rampart.audit.checkpoints import Checkpoints
from rampart.audit.keys import KeyStore
from rampart.audit.signed import read_entries
from rampart.audit.verify import verify_log


def kill_rounds(writers, keys, rounds, *options, seed):
    """Three writers at a time, each killed with SIGKILL at a random moment."""
    chance = random.Random(seed)
    for number in range(rounds):
        started = [
            writers.start(
                "--keys", keys, *options, acks=f"acks{number}-{n}", stderr=subprocess.DEVNULL
            )
            for n in range(3)
        ]
        first = writers._path / f"acks{number}-0"
        while not (first.exists() and first.stat().st_size):
            assert all(process.poll() is None for process in started)
            time.sleep(0.002)
        for process in started:
            time.sleep(chance.uniform(0.0, 0.1))
            process.kill()
            process.wait()
        store = KeyStore(keys)
        assert verify_log(writers.directory, keys=store.public_keys()).verdict in ("ok", "torn")


def check(writers, keys):
    log = AuditLog.open(writers.directory, checkpoints=Checkpoints(KeyStore(keys)))
    log.append({"type": "decision", "pid": 0, "n": 0})
    log.close()
    found = verify_log(writers.directory, keys=KeyStore(keys).public_keys(), must_be_signed=True)
    assert (found.verdict, found.reason) == ("ok", "")
    assert found.signed == found.records
    assert found.checkpoints == len(read_entries(writers.directory))
    assert writers.acknowledged() <= set(writers.written())
    assert writers.acknowledged()
    assert all(words[0] == "ok" for words in writers.outcomes())


def test_killed_writers_leave_a_log_that_verifies_and_is_signed_to_its_end(writers, tmp_path):
    kill_rounds(writers, tmp_path / "keys", 3, "--segment", 6000, seed=1)
    check(writers, tmp_path / "keys")


@pytest.mark.campaign
@pytest.mark.parametrize("every", [1, 3, 50])
@pytest.mark.parametrize("segment", [64 * 1024 * 1024, 6000])
def test_many_killed_writers_leave_a_log_that_verifies(writers, tmp_path, every, segment):
    keys = tmp_path / "keys"
    kill_rounds(writers, keys, 40, "--every", every, "--segment", segment, seed=every)
    check(writers, keys)


def test_writers_that_meet_a_full_disk_sign_again_once_there_is_room(writers, tmp_path):
    """The limit on file size cuts records and checkpoints short wherever it strikes."""
    keys = tmp_path / "keys"
    for size in (700, 1500, 2600, 4000):
        writers.run(
            "--keys", keys, "--every", 2, "--count", 30, "--file-size", size, acks=f"a{size}"
        )
        found = verify_log(writers.directory, keys=KeyStore(keys).public_keys())
        assert (found.verdict, found.reason) == ("ok", "")
    assert found.signed == found.records
    assert writers.acknowledged() <= set(writers.written())


def test_processes_that_rotate_and_sign_at_once_leave_one_log(writers, tmp_path):
    keys = tmp_path / "keys"
    started = [
        writers.start("--keys", keys, "--count", 120, "--segment", 5000, acks=f"acks{n}")
        for n in range(4)
    ]
    assert [process.wait(timeout=120) for process in started] == [0] * 4
    found = verify_log(writers.directory, keys=KeyStore(keys).public_keys(), must_be_signed=True)
    assert (found.verdict, found.signed) == ("ok", found.records)
    assert len(writers.acknowledged()) == 480
