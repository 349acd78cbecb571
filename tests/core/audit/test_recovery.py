"""AUD-03, AUD-04: recovery touches an incomplete newest tail only, and says that it did."""

import hashlib

import pytest
from rampart.audit import AuditLog
from rampart.audit.verify import verify_log
from rampart.errors import AuditTampered

FIELDS = {"type": "decision", "tool": "exec"}


def tear(files, rest):
    with files.segments()[-1].open("ab") as file:
        file.write(rest)


def open_and_append(files, **options):
    log = AuditLog.open(files.path, **options)
    appended = log.append(FIELDS)
    log.close()
    return appended


@pytest.mark.parametrize(
    "rest",
    [b"x", b'{"v":1,"seq":2,', b"\0" * 5000, b"\0" * 300_000],
    ids=["byte", "half", "zeros", "many-zeros"],
)
def test_a_torn_tail_is_moved_aside_and_recorded(files, rest):
    files.write(2)
    intact = files.segments()[0].read_bytes()
    tear(files, rest)
    assert verify_log(files.path).verdict == "torn"
    assert open_and_append(files).seq == 3
    assert files.segments()[0].read_bytes().startswith(intact)
    (saved,) = files.torn()
    assert saved.read_bytes() == rest
    assert saved.stat().st_mode & 0o7777 == 0o600
    recovered = files.records()[2]
    assert {
        key: recovered[key] for key in ("type", "segment", "saved", "removed_bytes", "sha256")
    } == {
        "type": "recovered",
        "segment": "audit-00000000000000000000.jsonl",
        "saved": "audit-00000000000000000000.jsonl.torn-1",
        "removed_bytes": len(rest),
        "sha256": hashlib.sha256(rest).hexdigest(),
    }
    assert verify_log(files.path).verdict == "ok"


def test_every_length_of_a_torn_record_is_recovered(files):
    files.write(3)
    whole = files.segments()[0].read_bytes()
    last = files.lines()[-1]
    for cut in range(1, len(last), 7):
        files.segments()[0].write_bytes(whole[:-cut])
        for torn in files.torn():
            torn.unlink()
        assert open_and_append(files).seq == 3
        assert [record["type"] for record in files.records()] == [
            "decision",
            "decision",
            "recovered",
            "decision",
        ]
        assert verify_log(files.path).verdict == "ok"


def test_a_tear_in_the_very_first_record_is_recovered(files):
    files.write(1)
    files.put([files.lines()[0][:50]])
    assert open_and_append(files).seq == 1
    assert [record["type"] for record in files.records()] == ["recovered", "decision"]
    assert verify_log(files.path).verdict == "ok"


def test_tails_are_numbered_and_none_is_overwritten(files):
    files.write(1)
    for rest in (b"first", b"second", b"third"):
        tear(files, rest)
        open_and_append(files)
    assert [path.read_bytes() for path in files.torn()] == [b"first", b"second", b"third"]
    saved = [record["saved"][-6:] for record in files.records() if record["type"] == "recovered"]
    assert saved == ["torn-1", "torn-2", "torn-3"]


def test_a_tail_that_another_process_left_is_recovered_without_opening_again(files):
    log = AuditLog.open(files.path)
    log.append(FIELDS)
    tear(files, b"half a record")
    assert log.append(FIELDS).seq == 2
    log.close()
    assert verify_log(files.path).verdict == "ok"


def test_a_crash_after_the_tail_was_saved_and_before_it_was_cut_loses_nothing(files):
    files.write(1)
    tear(files, b"half")
    (files.path / (files.segments()[0].name + ".torn-1")).write_bytes(b"half")
    open_and_append(files)
    assert [path.read_bytes() for path in files.torn()] == [b"half", b"half"]
    assert sum(record["type"] == "recovered" for record in files.records()) == 2


def test_a_crash_after_the_cut_and_before_the_record_is_still_recorded(files):
    files.write(1)
    (files.path / (files.segments()[0].name + ".torn-1")).write_bytes(b"half")
    open_and_append(files)
    open_and_append(files)
    assert [record["type"] for record in files.records()] == [
        "decision",
        "recovered",
        "decision",
        "decision",
    ]


def test_a_call_cannot_pretend_that_a_recovery_was_recorded(files):
    """The name of a saved tail inside a call's parameters is no `recovered` record."""
    log = AuditLog.open(files.path)
    name = files.segments()[0].name + ".torn-1"
    log.append({"type": "decision", "params": {"saved": name}})
    log.close()
    (files.path / name).write_bytes(b"half")
    open_and_append(files)
    assert [record["type"] for record in files.records()] == ["decision", "recovered", "decision"]


# Rotation cut short


@pytest.fixture
def sealed(files):
    """A log whose newest segment has just been sealed: what a crash right after the seal leaves."""
    files.write(12, segment_bytes_max=2000)
    segments = files.segments()
    assert len(segments) > 1
    for segment in segments[1:]:
        segment.unlink()
    assert b'"type":"seal"' in files.lines()[-1]
    return files


def expect_continued(files, extra=()):
    count = len(files.records())
    open_and_append(files, segment_bytes_max=2000)
    assert [record["type"] for record in files.records()[count:]] == [
        "continue",
        *extra,
        "decision",
    ]
    assert verify_log(files.path).verdict == "ok"


def test_a_crash_after_the_seal_is_continued(sealed):
    assert verify_log(sealed.path).verdict == "ok"
    expect_continued(sealed)


def test_a_crash_after_the_new_segment_was_created_is_continued(sealed):
    (sealed.path / f"audit-{len(sealed.lines()):020d}.jsonl").touch(mode=0o600)
    assert verify_log(sealed.path).verdict == "ok"
    expect_continued(sealed)


def test_a_crash_inside_the_first_line_of_a_new_segment_is_continued(sealed):
    path = sealed.path / f"audit-{len(sealed.lines()):020d}.jsonl"
    path.write_bytes(b'{"v":1,"se')
    path.chmod(0o600)
    assert verify_log(sealed.path).verdict == "torn"
    count = len(sealed.lines(0))
    open_and_append(sealed, segment_bytes_max=2000)
    assert [record["type"] for record in sealed.records()[count:]] == [
        "continue",
        "recovered",
        "decision",
    ]
    assert verify_log(sealed.path).verdict == "ok"


# What is not a torn tail is not repaired


def test_a_tear_in_an_older_segment_is_refused_by_verification(files):
    files.write(12, segment_bytes_max=2000)
    path = files.segments()[0]
    path.write_bytes(path.read_bytes()[:-5])
    assert verify_log(files.path).verdict == "tampered"


def test_bytes_after_a_seal_are_refused(sealed):
    tear(sealed, b"more")
    with pytest.raises(AuditTampered, match="after its seal"):
        AuditLog.open(sealed.path)
    assert sealed.torn() == []


def test_a_broken_complete_line_is_refused_and_left_as_it_is(files):
    files.write(3)
    lines = files.lines()
    lines[-1] = b"\0" * 20 + lines[-1][20:]
    files.put(lines)
    before = files.segments()[0].read_bytes()
    with pytest.raises(AuditTampered):
        AuditLog.open(files.path)
    assert files.segments()[0].read_bytes() == before
    assert files.torn() == []
