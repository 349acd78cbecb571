"""AUD-05 to AUD-07: what verification detects, what only an anchor reveals, and its five verdicts.

The tamper matrix states for every operator what the chain alone proves and what it proves with an
anchor taken before. The rows that the chain cannot see are asserted too, so that no document can
claim more than is true.
"""

import ast
import hashlib
import json
import os
import random
from pathlib import Path

import pytest
import rampart.audit.verify
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.audit import AuditLog
from rampart.audit.fs import AuditDirectory
from rampart.audit.verify import Anchor, _Check, verify_log

RECORDS = 12


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The lines of one intact log, written once."""
    path = tmp_path_factory.mktemp("log") / "audit"
    log = AuditLog.open(path)
    for n in range(RECORDS):
        log.append({"type": "decision", "tool": "exec", "params": {"command": f"ls {n} ä"}})
    log.close()
    (segment,) = path.glob("*.jsonl")
    return tuple(segment.read_bytes().splitlines(keepends=True))


def verdict_of(parent, lines, *, anchor=None):
    directory = parent / "audit"
    directory.mkdir(exist_ok=True)
    (directory / "audit-00000000000000000000.jsonl").write_bytes(b"".join(lines))
    return verify_log(directory, anchor=anchor)


def anchor_of(lines, count=None):
    count = len(lines) if count is None else count
    return Anchor(count, hashlib.sha256(lines[count - 1][:-1]).hexdigest())


# The operators: each takes the lines, a place that is not the last line, and the forging tools.


def flip_bit(lines, at, forge):
    byte = lines[at][40] ^ 1
    lines[at] = lines[at][:40] + bytes([byte]) + lines[at][41:]


def edit_field(lines, at, forge):
    lines[at] = lines[at].replace(b'"exec"', b'"read"')


def edit_and_rehash(lines, at, forge):
    lines[at] = forge.rehash(lines[at], tool="read")


def delete_first(lines, at, forge):
    del lines[0]


def delete_middle(lines, at, forge):
    del lines[max(at, 1)]


def insert_copy(lines, at, forge):
    lines.insert(at, lines[at])


def append_copy(lines, at, forge):
    lines.append(lines[at])


def swap(lines, at, forge):
    lines[at], lines[at + 1] = lines[at + 1], lines[at]


def reverse(lines, at, forge):
    lines.reverse()


def reserialise(lines, at, forge):
    lines[at] = json.dumps(json.loads(lines[at])).encode() + b"\n"


def duplicate_key(lines, at, forge):
    lines[at] = lines[at].replace(b'"type":', b'"type":"start","type":')


def invalid_utf8(lines, at, forge):
    lines[at] = lines[at].replace(b'"exec"', b'"ex\xff\xfe"')


def crlf(lines, at, forge):
    lines[at] = lines[at][:-1] + b"\r\n"


def nul(lines, at, forge):
    lines[at] = lines[at][:-1] + b"\0\n"


def blank_line(lines, at, forge):
    lines.insert(at, b"\n")


def huge_line(lines, at, forge):
    lines[at] = lines[at][:-2] + b" " * 300_000 + b"}\n"


def number_as_string(lines, at, forge):
    lines[at] = forge.rehash(lines[at], seq=str(at))


def future_number(lines, at, forge):
    lines[at] = forge.rehash(lines[at], seq=at + 1000)


def older_id(lines, at, forge):
    at = max(at, 1)
    lines[at] = forge.rehash(lines[at], id="00000000000000000000000000")


def second_log(lines, at, forge):
    lines.extend(list(lines))


def flip_in_last(lines, at, forge):
    lines[-1] = lines[-1].replace(b'"exec"', b'"fxec"')


def edit_last(lines, at, forge):
    lines[-1] = forge.rehash(lines[-1], tool="read")


def truncate(lines, at, forge):
    del lines[at + 1 :]


def edit_and_rechain(lines, at, forge):
    edit_field(lines, at, forge)
    lines[:] = forge.rechain(lines, at)


def delete_and_rechain(lines, at, forge):
    del lines[at]
    lines[:] = forge.rechain(lines, at)


def replace_all(lines, at, forge):
    lines[:] = forge.rechain([forge.rehash(line, tool="read") for line in lines])


def truncate_and_forge(lines, at, forge):
    edit_and_rechain(lines, at, forge)


def not_yet_complete(lines, at, forge):
    lines[-1] = lines[-1][:-20]


TAMPERED = ("tampered", "tampered")
MATRIX = [  # operator, verdict of the chain alone, verdict with an anchor over all records
    (flip_bit, *TAMPERED),
    (edit_field, *TAMPERED),
    (edit_and_rehash, *TAMPERED),
    (delete_first, *TAMPERED),
    (delete_middle, *TAMPERED),
    (insert_copy, *TAMPERED),
    (append_copy, *TAMPERED),
    (swap, *TAMPERED),
    (reverse, *TAMPERED),
    (reserialise, *TAMPERED),
    (duplicate_key, *TAMPERED),
    (invalid_utf8, *TAMPERED),
    (crlf, *TAMPERED),
    (nul, *TAMPERED),
    (blank_line, *TAMPERED),
    (huge_line, *TAMPERED),
    (number_as_string, *TAMPERED),
    (future_number, *TAMPERED),
    (older_id, *TAMPERED),
    (second_log, *TAMPERED),
    (flip_in_last, *TAMPERED),  # the record's own hash sees it
    (not_yet_complete, "torn", "torn"),
    # What a chain cannot prove by itself:
    (edit_last, "ok", "rollback"),
    (truncate, "ok", "rollback"),
    (edit_and_rechain, "ok", "rollback"),
    (delete_and_rechain, "ok", "rollback"),
    (replace_all, "ok", "rollback"),
    (truncate_and_forge, "ok", "rollback"),
]


@pytest.mark.parametrize(
    ("operator", "alone", "anchored"), MATRIX, ids=lambda row: getattr(row, "__name__", None)
)
def test_tamper_matrix(tmp_path, original, forge, operator, alone, anchored):
    for at in range(RECORDS - 1):
        lines = list(original)
        operator(lines, at, forge)
        assert verdict_of(tmp_path, lines).verdict == alone
        assert verdict_of(tmp_path, lines, anchor=anchor_of(original)).verdict == anchored


def test_the_intact_log_is_ok_with_and_without_an_anchor(tmp_path, original):
    """The negative control of the matrix: untouched lines pass."""
    for count in range(1, RECORDS + 1):
        verification = verdict_of(tmp_path, original, anchor=anchor_of(original, count))
        assert (verification.verdict, verification.records) == ("ok", RECORDS)
    assert verification.anchor == anchor_of(original)


def test_what_comes_after_an_anchor_is_not_covered_by_it(tmp_path, original):
    anchor = anchor_of(original, 5)
    assert verdict_of(tmp_path, original[:7], anchor=anchor).verdict == "ok"
    assert verdict_of(tmp_path, original[:4], anchor=anchor).verdict == "rollback"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_flipped_byte_anywhere_is_detected(tmp_path_factory, original, data):
    """Including the last record, whose own hash has no successor to vouch for it."""
    whole = b"".join(original)
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    assert verdict_of(tmp_path_factory.mktemp("flip"), [changed]).verdict != "ok"


@pytest.mark.campaign
def test_every_flipped_bit_of_a_log_is_detected(tmp_path, original):
    whole = b"".join(original)
    for at in range(len(whole)):
        for bit in range(8):
            changed = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            assert verdict_of(tmp_path, [changed]).verdict != "ok", (at, bit)


def test_where_it_broke_is_named(tmp_path, original):
    lines = list(original)
    edit_field(lines, 4, None)
    verification = verdict_of(tmp_path, lines)
    assert verification.records == 4
    assert (verification.where.segment, verification.where.line, verification.where.seq) == (
        "audit-00000000000000000000.jsonl",
        5,
        4,
    )
    assert str(verification.where) == "audit-00000000000000000000.jsonl:5"
    assert "hash" in verification.reason


def test_a_missing_record_is_named_by_its_number_and_successor(tmp_path, original):
    lines = list(original)
    del lines[4]
    verification = verdict_of(tmp_path, lines)
    assert verification.where.seq == 4
    assert verification.where.id == json.loads(original[5])["id"]


# Verdicts


def test_a_continue_record_inside_a_segment_is_detected(tmp_path, original, forge):
    lines = list(original)
    lines[3] = forge.rehash(lines[3], type="continue")
    assert verdict_of(tmp_path, forge.rechain(lines, 3)).verdict == "tampered"


def test_each_verdict_has_its_exit_code(tmp_path, original, forge):
    codes = {
        "ok": verdict_of(tmp_path, original),
        "tampered": verdict_of(tmp_path, original[1:]),
        "torn": verdict_of(tmp_path, [*original, b"{"]),
        "unreadable": verify_log(tmp_path / "nowhere"),
        "rollback": verdict_of(tmp_path, original[:3], anchor=anchor_of(original)),
    }
    assert {verdict: found.verdict for verdict, found in codes.items()} == {v: v for v in codes}
    assert [found.exit_code for found in codes.values()] == [0, 1, 2, 3, 4]


def test_a_directory_without_a_log_is_not_ok(tmp_path):
    verification = verify_log(tmp_path)
    assert (verification.verdict, verification.records) == ("unreadable", 0)


def test_a_later_version_is_unreadable_not_tampered(tmp_path, original, forge):
    verification = verdict_of(tmp_path, forge.rechain([forge.rehash(original[0], v=2)]))
    assert verification.verdict == "unreadable"
    assert "version 2" in verification.reason


def test_a_segment_that_cannot_be_read_is_unreadable(tmp_path):
    (tmp_path / "audit-00000000000000000000.jsonl").mkdir()
    assert verify_log(tmp_path).verdict == "unreadable"


def test_endless_garbage_is_refused_in_bounded_memory(tmp_path, original):
    path = tmp_path / "audit-00000000000000000000.jsonl"
    path.write_bytes(original[0])
    os.truncate(path, 1 << 30)  # sparse: one gigabyte of zeros
    assert verify_log(tmp_path).verdict == "torn"
    with path.open("ab") as file:
        file.write(b"\n")
    assert verify_log(tmp_path).verdict == "tampered"


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_end_in_a_verdict(tmp_path_factory, data):
    found = verdict_of(tmp_path_factory.mktemp("any"), [data])
    assert found.verdict in ("ok", "torn", "tampered", "unreadable")
    assert (found.verdict == "ok") == (data == b"")


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["v", "seq", "id", "time", "type", "prev"]), inner, max_size=6
            )
        ),
    )
)
def test_any_json_with_a_fitting_hash_ends_in_a_verdict(tmp_path_factory, value):
    body = json.dumps(value).encode()
    own = hashlib.sha256(body[:-1] + b"}").hexdigest().encode()
    found = verdict_of(tmp_path_factory.mktemp("any"), [body[:-1] + b',"hash":"' + own + b'"}\n'])
    assert found.verdict in ("tampered", "unreadable")


def test_a_record_that_is_being_written_is_waited_for(files):
    """A log in use is no torn log: the last line is read again once no writer is at work."""
    files.write(3)
    segment = files.segments()[0]
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-40])
    lock = AuditDirectory.open(files.path).open_lock()
    lock.lock(0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)  # the parent is about to verify
        with segment.open("ab") as file:
            file.write(whole[-40:])
        lock.unlock()
        os._exit(0)
    lock.close()  # the child's copy still holds the lock
    os.write(writer, b"x")
    try:
        assert verify_log(files.path).verdict == "ok"
    finally:
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_a_log_that_is_rotated_while_it_is_read_is_no_broken_log(files, monkeypatch):
    """What is appended and sealed between the end of a segment and the next look is read too."""
    log = AuditLog.open(files.path, segment_bytes_max=2000)
    log.append({"type": "decision"})
    look, looks = _Check._later_segments, []

    def append_before_looking(self):
        looks.append(1)
        if len(looks) in (2, 3):
            for _ in range(20):
                log.append({"type": "decision"})
        return look(self)

    monkeypatch.setattr(_Check, "_later_segments", append_before_looking)
    verification = verify_log(files.path)
    log.close()
    assert (verification.verdict, verification.records) == ("ok", len(files.records()))
    assert len(files.segments()) > 5


def test_verification_shares_no_code_with_the_writer():
    tree = ast.parse(Path(rampart.audit.verify.__file__).read_text())
    names = {
        name
        for node in ast.walk(tree)
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert {name for name in names if name.startswith("rampart")} == {
        "rampart.audit.merkle",
        "rampart.audit.note",
        "rampart.audit.signed",
        "rampart.errors",
        "rampart.limits",
    }


@pytest.mark.campaign
def test_tamper_matrix_on_random_logs(tmp_path, forge):
    """The same operators on logs of random lengths and contents."""
    for seed in range(300):
        chance = random.Random(seed)
        path = tmp_path / str(seed)
        log = AuditLog.open(path)
        log._journal._file.sync = lambda: None
        for _ in range(chance.randint(3, 12)):
            log.append(
                {
                    "type": "decision",
                    "tool": "exec",
                    "params": {"n": chance.randbytes(chance.randint(0, 50)).hex()},
                }
            )
        log.close()
        (segment,) = path.glob("*.jsonl")
        lines = segment.read_bytes().splitlines(keepends=True)
        for operator, alone, anchored in MATRIX:
            changed = list(lines)
            operator(changed, chance.randrange(len(lines) - 1), forge)
            found = (
                verdict_of(tmp_path, changed),
                verdict_of(tmp_path, changed, anchor=anchor_of(lines)),
            )
            assert tuple(one.verdict for one in found) == (alone, anchored), (seed, operator)
