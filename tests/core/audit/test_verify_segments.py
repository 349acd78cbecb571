"""What verification detects between the segments of a log (AUD-05, AUD-06)."""

import pytest
from rampart.audit.verify import verify_log


@pytest.fixture
def rotated(files):
    files.write(40, segment_bytes_max=2000)
    assert len(files.segments()) > 4
    return files


def test_a_removed_segment_is_detected(rotated):
    for index in range(len(rotated.segments()) - 1):
        path = rotated.segments()[index]
        data = path.read_bytes()
        path.unlink()
        assert verify_log(rotated.path).verdict == "tampered"
        path.write_bytes(data)
    assert verify_log(rotated.path).verdict == "ok"


def test_swapped_segments_are_detected(rotated):
    first, second = rotated.segments()[1:3]
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)
    assert verify_log(rotated.path).verdict == "tampered"


def test_an_older_copy_of_a_segment_is_detected(rotated):
    lines = rotated.lines(1)
    rotated.put(lines[:-2], 1)
    assert verify_log(rotated.path).verdict == "tampered"


def test_an_emptied_segment_is_detected(rotated):
    rotated.put([], 1)
    assert verify_log(rotated.path).verdict == "tampered"


def test_an_incomplete_line_in_an_older_segment_is_no_torn_tail(rotated):
    path = rotated.segments()[1]
    path.write_bytes(path.read_bytes()[:-1])
    assert verify_log(rotated.path).verdict == "tampered"


def test_removing_the_newest_segment_is_seen_only_with_an_anchor(rotated):
    anchor = verify_log(rotated.path).anchor
    rotated.segments()[-1].unlink()
    assert verify_log(rotated.path).verdict == "ok"
    assert verify_log(rotated.path, anchor=anchor).verdict == "rollback"


def test_a_record_after_the_seal_is_detected_even_if_it_continues(rotated, forge):
    for path in rotated.segments()[1:]:
        path.unlink()
    lines = rotated.lines()
    rotated.put(
        forge.rechain([*lines, forge.rehash(lines[-1], type="decision", id="7" * 26)], len(lines))
    )
    verification = verify_log(rotated.path)
    assert (verification.verdict, verification.reason) == (
        "tampered",
        "a record stands after the seal of its segment",
    )


def test_the_other_files_of_a_log_mean_nothing_to_it(rotated):
    (rotated.path / "audit-00000000000000000000.jsonl.torn-1").write_bytes(b"x")
    (rotated.path / "notes.txt").write_bytes(b"x")
    (rotated.path / "audit.lock").unlink()
    assert verify_log(rotated.path).verdict == "ok"
