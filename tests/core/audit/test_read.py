"""Reading: a stream for programs, and positions and problems for tools."""

import itertools

import pytest
from rampart.audit import AuditLog
from rampart.audit.read import read_lines, read_records
from rampart.errors import AuditError, AuditUnavailable


def test_records_come_in_order_across_segments(files):
    files.write(30, segment_bytes_max=2000)
    assert [r["seq"] for r in read_records(files.path)] == list(range(len(files.records())))


def test_reading_is_a_stream(files):
    files.write(5)
    lines = files.lines()
    files.put([*lines[:2], b"garbage\n", *lines[3:]])
    assert [r["seq"] for r in itertools.islice(read_records(files.path), 2)] == [0, 1]


def test_an_incomplete_last_line_is_left_out(files):
    files.write(2)
    files.put([*files.lines(), b'{"v":1'])
    assert [r["seq"] for r in read_records(files.path)] == [0, 1]


def test_a_line_that_is_no_record_is_an_error_that_names_it(files):
    files.write(3)
    lines = files.lines()
    files.put([lines[0], b'{"a":1,"a":2}\n', lines[2]])
    with pytest.raises(AuditError, match=r"audit-0+\.jsonl:2: duplicate key"):
        list(read_records(files.path))


def test_tools_see_every_line_with_its_place_and_problem(files):
    files.write(2)
    lines = files.lines()
    files.put([lines[0], b"\xff\n", lines[1], b"half"])
    found = list(read_lines(files.path))
    assert [(one.line, one.offset, one.raw) for one in found] == [
        (1, 0, lines[0][:-1]),
        (2, len(lines[0]), b"\xff"),
        (3, len(lines[0]) + 2, lines[1][:-1]),
        (4, len(lines[0]) + 2 + len(lines[1]), b"half"),
    ]
    assert [one.record is None for one in found] == [False, True, False, True]
    assert "not JSON" in found[1].problem
    assert found[3].problem == "the line is not complete"


def test_reading_can_go_on_where_it_ended(files):
    log = AuditLog.open(files.path, segment_bytes_max=1500)
    for _ in range(3):
        log.append({"type": "decision"})
    last = list(read_lines(files.path))[-1]
    for _ in range(20):
        log.append({"type": "decision"})
    log.close()
    rest = list(read_lines(files.path, after=(last.segment, last.offset + len(last.raw) + 1)))
    assert rest[0].record["seq"] == 3
    assert [one.record["seq"] for one in rest] == list(range(3, len(files.records())))


def test_no_log_is_an_error_not_an_empty_stream(tmp_path):
    with pytest.raises(AuditUnavailable, match="no audit log"):
        list(read_records(tmp_path))
    with pytest.raises(AuditUnavailable):
        list(read_records(tmp_path / "nowhere"))
