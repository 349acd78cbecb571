"""Questions to the log: the records that are meant, from either end, and nothing else."""

from __future__ import annotations

import json

import pytest
from rampart.audit import AuditLog
from rampart.audit import query as query_module
from rampart.audit.query import Query, find_record, scan

from .conftest import StoppedClock

START = 1_700_000_000.0


def decision(tool="exec", action="allow", **more):
    fields = {"action": action, "policy": "shell", "rule": "rule-1", "message": ""}
    record = {"type": "decision", "tool": tool, "params": {"command": "ls"}, "agent": "coder"}
    return {**record, "decision": {**fields, **more.pop("decision", {})}, **more}


@pytest.fixture
def write(files):
    """Return a function that appends records, one second apart, in small segments."""

    def append(*records, step_s=1.0, segment_bytes_max=2000):
        clock = StoppedClock(START)
        log = AuditLog.open(files.path, clock=clock, segment_bytes_max=segment_bytes_max)
        ids = []
        for record in records:
            ids.append(log.append(record).id)
            clock.time += step_s
        log.close()
        return ids

    return append


def found(files, query, **options):
    return [hit.record["id"] for hit in scan(files.path, query, **options)]


@pytest.mark.parametrize("block", [query_module.BLOCK_BYTES, 700, 64])
def test_every_record_is_seen_once_from_both_ends_whatever_the_blocks(
    files, write, monkeypatch, block
):
    """Lines that are cut by the end of a block are put together again."""
    monkeypatch.setattr(query_module, "BLOCK_BYTES", block)
    write(*(decision(n=n, pad="x" * (n % 7) * 50) for n in range(40)))
    assert len(files.segments()) > 2
    written = [record["id"] for record in files.records()]
    if block > 500:  # shorter ones would take lines for broken: a record is never that long
        assert found(files, Query()) == written
        assert found(files, Query(), newest_first=True) == written[::-1]
    else:
        assert len(found_bytes(files)) == sum(p.stat().st_size for p in files.segments())


def found_bytes(files):
    return b"".join(
        data
        for path in files.segments()
        for _, data in query_module._blocks(path, newest_first=False)
    )


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(tool=("read",)), [1]),
        (Query(tool=("re*",)), [1]),
        (Query(tool=("read", "exec")), [0, 1, 2, 3]),
        (Query(agent=("c?der",)), [0, 1, 2]),
        (Query(agent=("",), type=("decision",)), []),
        (Query(decision=("deny",)), [2]),
        (Query(policy=("shell",), rule=("rule-9",)), [3]),
        (Query(session=("s*",)), [3]),
        (Query(type=("approval",)), [4]),
        (Query(text="SHADOW"), [2]),
        (Query(text="müll"), [3]),
        (Query(text='say "hi"'), [3]),
        (Query(text="no such text"), []),
        (Query(since=START + 1, until=START + 3), [1, 2]),
        (Query(since=START + 4.5), []),
        (Query(tool=("exec",), text="ls", until=START + 1), [0]),
    ],
)
def test_all_that_is_asked_must_hold_and_one_of_several_values_is_enough(
    files, write, query, wanted
):
    ids = write(
        decision(),
        decision(tool="read", params={"path": "a.txt"}),
        decision(action="deny", params={"command": "cat /etc/shadow"}),
        decision(
            agent="other",
            session="s1",
            params={"command": "echo MÜLL", "nested": ['Say "Hi"']},
            decision={"rule": "rule-9"},
        ),
        {"type": "approval", "status": "approved"},
    )
    assert found(files, query) == [ids[n] for n in wanted]
    assert found(files, query, newest_first=True) == [ids[n] for n in reversed(wanted)]


def test_text_is_not_found_in_the_digits_of_the_chain(files, write):
    (record_id,) = write(decision())
    (record,) = files.records()
    assert found(files, Query(text=record["hash"][:8])) == []
    assert found(files, Query(text=record_id[:20].lower())) == [record_id]


def test_the_same_records_are_found_with_and_without_looking_at_bytes_first(
    files, write, monkeypatch
):
    """Looking for bytes only saves time: without it the answer is the same."""
    write(*(decision(tool=tool, agent=f"robot{n}") for n in range(9) for tool in ("exec", "read")))
    queries = [
        Query(tool=("read",)),
        Query(text="ROBOT3"),
        Query(agent=("robot1", "robot?"), type=("d*",)),
    ]
    quick = [found(files, query) for query in queries]
    assert [len(each) for each in quick] == [9, 2, 18]
    monkeypatch.setattr(Query, "may_hold", lambda *_: True)
    assert [found(files, query) for query in queries] == quick


def test_old_segments_are_not_opened_for_what_is_new(files, write):
    ids = write(*(decision(n=n) for n in range(40)), step_s=3600)
    oldest = files.segments()[0]
    oldest.write_bytes(oldest.read_bytes().replace(b'"exec"', b'"read"'))
    seen = []
    query = Query(since=START + 38 * 3600)
    hits = scan(files.path, query, progress=lambda _done, total: seen.append(total))
    assert [hit.record["id"] for hit in hits] == ids[38:]
    assert 0 < seen[-1] < sum(path.stat().st_size for path in files.segments())
    assert found(files, query, newest_first=True) == ids[38:][::-1]


def test_a_clock_that_stepped_back_hides_nothing(files):
    """Ids never go back; a record may be older than its id says, and is found by its own time."""
    clock = StoppedClock(START)
    log = AuditLog.open(files.path, clock=clock, segment_bytes_max=1200)
    times = [0, 100, -50, -49, 200, 300, 10, 11]
    ids = []
    for offset in times:
        clock.time = START + offset
        ids.append(log.append(decision()).id)
    log.close()
    for since, until in ((-50, 0), (0, 50), (5, 250), (150, 1000)):
        wanted = [i for i, at in zip(ids, times, strict=True) if since <= at < until]
        query = Query(since=START + since, until=START + until, type=("decision",))
        assert found(files, query) == wanted
        assert found(files, query, newest_first=True) == wanted[::-1]


def test_lines_that_cannot_be_read_are_told_and_the_rest_is_found(files, write):
    ids = write(decision(), decision(), decision(), segment_bytes_max=10**6)
    lines = files.lines()
    files.put([lines[0], b"nonsense\n", b"[1]\n", lines[1], lines[2], b'{"v":1,"half'])
    hits = list(scan(files.path))
    assert [hit.record["id"] for hit in hits if hit.record] == ids
    assert [hit.offset for hit in hits if hit.record is None] == [
        len(lines[0]),
        len(lines[0]) + len(b"nonsense\n"),
    ]


def test_nothing_is_found_of_a_record_that_is_still_being_written(files, write):
    ids = write(decision(), decision(), segment_bytes_max=10**6)
    first, second = files.lines()
    files.put([first, second[:-1]])
    assert found(files, Query()) == ids[:1]
    assert found(files, Query(), newest_first=True) == ids[:1]


def test_one_record_is_found_by_its_id_alone(files, write):
    ids = write(*(decision(params={"note": "x"}) for _ in range(20)))
    hit = find_record(files.path, ids[7])
    assert hit is not None
    assert json.loads(hit.raw) == hit.record
    assert find_record(files.path, "01ARZ3NDEKTSV4RRFFQ69G5FAV") is None
    quoted = AuditLog.open(files.path)
    other = quoted.append(decision(params={"id": ids[3]})).id
    quoted.close()
    assert other != find_record(files.path, ids[3]).record["id"] == ids[3]
