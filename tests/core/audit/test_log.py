"""AuditLog: what an append promises, and what it notices before (AUD-01 to AUD-09)."""

import hashlib
import os
import shutil
import threading
import time

import pytest
from rampart.audit import AuditLog
from rampart.audit.fs import AuditDirectory, LockTimeout
from rampart.audit.verify import verify_log
from rampart.errors import AuditTampered, AuditUnavailable
from rampart.ids import UlidFactory
from rampart.limits import GROUP_COMMIT_RECORDS_MAX

FIELDS = {"type": "decision", "tool": "exec"}


@pytest.fixture
def log(files):
    log = AuditLog.open(files.path)
    yield log
    log.close()


def test_an_append_returns_what_stands_in_the_file(log, files):
    done = [log.append({"type": "decision", "n": n}) for n in range(3)]
    records = files.records()
    assert [(r["id"], r["seq"], r["hash"], r["n"]) for r in records] == [
        (appended.id, appended.seq, appended.hash, n) for n, appended in enumerate(done)
    ]
    assert records[0]["prev"] == "0" * 64
    lines = files.lines()
    assert [r["prev"] for r in records[1:]] == [
        hashlib.sha256(line[:-1]).hexdigest() for line in lines[:-1]
    ]


def test_directory_and_files_are_private_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        AuditLog.open(tmp_path / "audit").close()
    finally:
        os.umask(old)
    assert (tmp_path / "audit").stat().st_mode & 0o7777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "audit").iterdir()}
    assert modes == {"audit-00000000000000000000.jsonl": 0o600, "audit.lock": 0o600}


def test_a_log_that_is_opened_again_goes_on_where_it_ended(files):
    files.write(3)
    files.write(2)
    assert [record["seq"] for record in files.records()] == [0, 1, 2, 3, 4]
    assert verify_log(files.path).verdict == "ok"


def test_ids_keep_increasing_when_the_clock_steps_back_and_the_step_is_recorded(files, clock):
    log = AuditLog.open(files.path, clock=clock)
    log.append(FIELDS)
    clock.time -= 3600
    log.append(FIELDS)
    log.close()
    clock.time -= 86400 * 365
    files.write(1, clock=clock)  # a new process: only the disk remembers
    records = files.records()
    ids = [record["id"] for record in records]
    assert ids == sorted(set(ids))
    assert [record.get("clock_back_s") for record in records] == [None, 3600, 86400 * 365]
    assert verify_log(files.path).verdict == "ok"


def test_ten_thousand_ids_in_one_millisecond_stay_in_order(files, clock):
    log = AuditLog.open(files.path, clock=clock, ids=UlidFactory(clock))
    log._journal._file.sync = lambda: None  # speed alone: durability is tested elsewhere
    ids = [log.append(FIELDS).id for _ in range(10_000)]
    log.close()
    assert ids == sorted(set(ids))


def test_segments_are_sealed_named_by_their_first_record_and_continued(files):
    files.write(25, segment_bytes_max=2000)
    segments = files.segments()
    assert len(segments) > 3
    records = files.records()
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert sum(record["type"] == "decision" for record in records) == 25
    for index in range(len(segments)):
        lines = files.lines(index)
        first, last = records[int(segments[index].name[6:26])], lines[-1]
        if index:
            before = files.lines(index - 1)
            assert first["type"] == "continue"
            assert first["segment"] == segments[index].name
            assert first["previous_seq"] == first["seq"] - 1
            assert first["previous_hash"] == hashlib.sha256(before[-1][:-1]).hexdigest()
        if index < len(segments) - 1:
            assert b'"type":"seal"' in last
            assert b'"records":%d,' % len(lines) in last
    assert verify_log(files.path).verdict == "ok"


def test_a_log_that_rotates_is_continued_by_every_later_opening(files):
    for _ in range(12):
        files.write(3, segment_bytes_max=1500)
    assert verify_log(files.path).verdict == "ok"
    assert sum(record["type"] == "decision" for record in files.records()) == 36


def test_two_logs_on_one_directory_see_each_others_records(files):
    first = AuditLog.open(files.path, segment_bytes_max=2000)
    second = AuditLog.open(files.path, segment_bytes_max=2000)
    for _ in range(12):
        first.append(FIELDS)
        second.append(FIELDS)
        second.append(FIELDS)
    first.close()
    second.close()
    verification = verify_log(files.path)
    assert verification.verdict == "ok"
    assert sum(record["type"] == "decision" for record in files.records()) == 36


def test_threads_share_commits_and_every_one_gets_its_own_answer(log, files):
    answers = {}

    def work(name):
        answers[name] = [log.append({"type": "decision", "by": name}) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = files.records()
    assert [record["seq"] for record in records] == list(range(640))
    for name, appended in answers.items():
        assert [records[one.seq]["by"] for one in appended] == [name] * 20
        assert [records[one.seq]["id"] for one in appended] == [one.id for one in appended]
    assert verify_log(files.path).verdict == "ok"


def test_a_batch_is_one_write_and_at_most_64_records(log, files):
    sizes = []
    journal = log._journal
    append, started, proceed = journal.append, threading.Event(), threading.Event()

    def counted(batch, deadline):
        sizes.append(len(batch))
        started.set()
        assert proceed.wait(10)
        return append(batch, deadline)

    journal.append = counted
    threads = [threading.Thread(target=log.append, args=(FIELDS,)) for _ in range(100)]
    threads[0].start()
    assert started.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(log._queue) < 99:
        threads[1].join(0.001)
    proceed.set()
    for thread in threads:
        thread.join()
    assert sizes == [1, GROUP_COMMIT_RECORDS_MAX, 99 - GROUP_COMMIT_RECORDS_MAX]


def test_a_closed_log_refuses(files):
    log = AuditLog.open(files.path)
    log.close()
    with pytest.raises(AuditUnavailable, match="closed"):
        log.append(FIELDS)


def test_closing_does_not_lose_what_is_being_written(files):
    log = AuditLog.open(files.path)
    journal = log._journal
    append, started, proceed = journal.append, threading.Event(), threading.Event()

    def slow(batch, deadline):
        started.set()
        assert proceed.wait(10)
        return append(batch, deadline)

    journal.append = slow
    done = []
    thread = threading.Thread(target=lambda: done.append(log.append(FIELDS)))
    thread.start()
    assert started.wait(10)
    log.close()
    proceed.set()
    thread.join()
    assert done[0].seq == 0
    assert journal._file is None


# Deadlines


def test_a_lock_that_another_holds_means_unavailable_in_time_and_nothing_written(files):
    """AUD-02, AUD-09."""
    log = AuditLog.open(files.path, timeout_s=0.3)
    log.append(FIELDS)
    other = AuditDirectory.open(files.path).open_lock()
    other.lock(time.monotonic() + 1)
    start = time.monotonic()
    with pytest.raises(LockTimeout):
        log.append(FIELDS)
    assert 0.25 < time.monotonic() - start < 2
    other.unlock()
    assert log.append(FIELDS).seq == 1
    log.close()


def test_a_follower_is_answered_in_time_whatever_its_leader_does(files):
    log = AuditLog.open(files.path, timeout_s=0.2)
    journal = log._journal
    append, started, proceed = journal.append, threading.Event(), threading.Event()

    def stuck(batch, deadline):
        started.set()
        assert proceed.wait(10)
        return append(batch, deadline)

    journal.append = stuck
    leader = threading.Thread(target=log.append, args=(FIELDS,))
    leader.start()
    assert started.wait(10)
    with pytest.raises(AuditUnavailable, match="not durable within"):
        log.append(FIELDS)
    proceed.set()
    leader.join()
    assert log.append(FIELDS).seq == 1  # the refused record was withdrawn, and somebody leads
    log.close()


def test_an_interrupt_in_the_middle_of_a_commit_leaves_the_log_usable(files):
    log = AuditLog.open(files.path)
    log.append(FIELDS)
    append = log._journal.append

    def interrupted(batch, deadline):
        log._journal.append = append
        raise KeyboardInterrupt

    log._journal.append = interrupted
    with pytest.raises(KeyboardInterrupt):
        log.append(FIELDS)
    log._retry_at = 0.0
    assert log.append(FIELDS).seq == 1
    log.close()


# What is noticed before the next promise


def expect_tampered(log, match):
    with pytest.raises(AuditTampered, match=match):
        log.append(FIELDS)
    with pytest.raises(AuditTampered):  # and it stays refused
        log.append(FIELDS)
    log._retry_at = 0.0
    with pytest.raises(AuditTampered):  # also once it is opened again
        log.append(FIELDS)


@pytest.fixture
def used(files):
    log = AuditLog.open(files.path)
    for _ in range(3):
        log.append(FIELDS)
    yield log
    log.close()


def test_a_removed_segment_is_noticed(used, files):
    files.segments()[0].unlink()
    expect_tampered(used, "removed or replaced")


def test_a_replaced_segment_is_noticed_even_with_the_same_bytes(used, files):
    segment = files.segments()[0]
    copy = segment.with_name("copy")
    shutil.copy(segment, copy)
    copy.replace(segment)
    with pytest.raises(AuditTampered, match="removed or replaced"):
        used.append(FIELDS)


def test_a_shortened_segment_is_noticed(used, files):
    files.put(files.lines()[:-1])
    expect_tampered(used, "shorter than what was acknowledged")


def test_a_forged_continuation_is_noticed(used, files):
    with files.segments()[0].open("ab") as file:
        file.write(files.lines()[-1])
    expect_tampered(used, "does not continue")


def test_garbage_lines_are_noticed(used, files):
    with files.segments()[0].open("ab") as file:
        file.write(b"{}\n")
    expect_tampered(used, "hash is wrong")


def test_a_removed_directory_is_noticed(used, files):
    files.path.rename(files.path.with_name("away"))
    with pytest.raises(AuditTampered, match="directory was removed or replaced"):
        used.append(FIELDS)


def test_a_replaced_directory_is_noticed_and_a_fresh_log_is_no_substitute(used, files):
    files.path.rename(files.path.with_name("away"))
    files.write(5)
    expect_tampered(used, "directory was removed or replaced")


def test_a_replaced_lock_file_cannot_let_two_write_at_once(used, files):
    """Whoever holds the old file holds nothing: the next append locks the new one."""
    (files.path / "audit.lock").unlink()
    used.append(FIELDS)
    with AuditLog_locked(files.path):
        used._timeout_s = 0.1
        with pytest.raises(LockTimeout):
            used.append(FIELDS)


class AuditLog_locked:  # noqa: N801 - reads as a function in the test above
    def __init__(self, path):
        self.lock = AuditDirectory.open(path).open_lock()

    def __enter__(self):
        self.lock.lock(time.monotonic() + 1)

    def __exit__(self, *_error):
        self.lock.unlock()


def test_a_repaired_log_is_used_again_without_a_restart(used, files):
    segment = files.segments()[0]
    away = segment.with_name("away")
    segment.rename(away)
    with pytest.raises(AuditTampered):
        used.append(FIELDS)
    away.rename(segment)
    used._retry_at = 0.0
    assert used.append(FIELDS).seq == 3
    assert verify_log(files.path).verdict == "ok"


def test_a_failed_log_is_not_tried_again_before_its_pause_is_over(used, files):
    segment = files.segments()[0]
    segment.rename(segment.with_name("away"))
    with pytest.raises(AuditTampered):
        used.append(FIELDS)
    (files.path / "away").rename(segment)
    used._retry_at = time.monotonic() + 1000
    with pytest.raises(AuditTampered, match="out of use"):
        used.append(FIELDS)


# Opening


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_forged_newest_record_is_refused_at_opening(files, keep):
    files.write(keep)
    lines = files.lines()
    lines[-1] = lines[-1].replace(b'"exec"', b'"read"')
    files.put(lines)
    with pytest.raises(AuditTampered, match="hash is wrong"):
        AuditLog.open(files.path)


def test_a_newest_record_that_does_not_continue_is_refused_at_opening(files, forge):
    files.write(3)
    lines = files.lines()
    lines[-1] = forge.rehash(lines[-1], prev="f" * 64)
    files.put(lines)
    with pytest.raises(AuditTampered, match="does not continue"):
        AuditLog.open(files.path)


def test_a_record_of_a_later_version_is_not_continued(files, forge):
    files.write(1)
    files.put([forge.rehash(files.lines()[0], v=2)])
    with pytest.raises(AuditTampered, match="version 2"):
        AuditLog.open(files.path)


def test_a_planted_segment_is_refused_at_opening(files):
    files.write(2)
    (files.path / "audit-00000000000000000099.jsonl").touch(mode=0o600)
    with pytest.raises(AuditTampered, match="does not end with the seal"):
        AuditLog.open(files.path)


def test_a_lone_later_segment_is_refused_at_opening(files):
    files.write(25, segment_bytes_max=2000)
    for segment in files.segments()[:-1]:
        segment.unlink()
    lines = files.lines()
    files.put(lines[:1])
    with pytest.raises(AuditTampered, match="the segment before it is missing"):
        AuditLog.open(files.path)
