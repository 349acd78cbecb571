"""Questions to the log: which records, newest or oldest first, in a log of any length.

A record is parsed only where its bytes hold what is looked for. WHY: looking for bytes is a hundred
times as fast as parsing. It is right because a line has one spelling: ASCII, no spaces between
tokens (core/docs/audit.md). Reading verifies nothing; ``verify`` does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from rampart import ids
from rampart.audit.read import segment_names
from rampart.errors import AuditUnavailable
from rampart.limits import RECORD_BYTES_MAX

BLOCK_BYTES: Final = 1024 * 1024  # larger than any record; small enough to be cached
_FIRST_LINE_BYTES: Final = 512  # a record's id stands in its first bytes
_ID: Final = re.compile(rb'\{"v":[0-9]+,"seq":[0-9]+,"id":"([0-9A-Z]{26})"')
_RANDOM_BITS: Final = 80  # of a ULID; the rest are milliseconds
_CHAINED: Final = frozenset({"prev", "hash"})  # digits that a text must not be found in
_MS: Final = 1000

Progress = Callable[[int, int], None]
"""Told from time to time how many bytes are done, and of how many."""


class Hit(NamedTuple):
    """One line of a segment. ``record`` is None where ``problem`` says why."""

    segment: str
    offset: int
    raw: bytes
    record: dict[str, object] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: every field that is given must hold, and one of its values is enough.

    Values are whole texts in which ``*`` and ``?`` stand for others. ``since`` and ``until`` are
    seconds since the epoch, the first included, the second not. ``text`` is looked for in every
    value of a record, without regard to case.
    """

    type: tuple[str, ...] = ()
    tool: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    run_id: tuple[str, ...] = ()
    decision: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    text: str = ""
    since: float | None = None
    until: float | None = None
    _tests: tuple[_Test, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tests", tuple(self._compiled()))

    def matches(self, record: dict[str, object]) -> bool:
        """True for a record that is looked for."""
        return all(test.holds(record) for test in self._tests) and self._in_time(record)

    def may_hold(self, data: bytes) -> bool:
        """False for bytes of a log in which no record can match."""
        lowered = b""
        for test in self._tests:
            if test.any_case and test.needles:
                lowered = lowered or data.lower()
            where = lowered if test.any_case else data
            if test.needles and not any(needle in where for needle in test.needles):
                return False
        return True

    def _compiled(self) -> Iterator[_Test]:
        for name in ("type", "tool", "agent", "session", "run_id"):
            if wanted := getattr(self, name):
                yield _field_test(name, name, wanted)
        for name, inner in (("decision", "action"), ("policy", "policy"), ("rule", "rule")):
            if wanted := getattr(self, name):
                yield _field_test(inner, f"decision.{inner}", wanted)
        if self.text:
            yield _text_test(self.text)

    def _in_time(self, record: dict[str, object]) -> bool:
        if self.since is None and self.until is None:
            return True
        moment = time_of(record)
        if moment is None:
            return False
        early = self.since is not None and moment < self.since
        return not early and (self.until is None or moment < self.until)


class _Test(NamedTuple):
    """One condition. ``needles``: a line that holds none of these bytes cannot fulfil it."""

    holds: Callable[[dict[str, object]], bool]
    needles: tuple[bytes, ...] = ()
    any_case: bool = False


EVERYTHING: Final = Query()


def scan(
    directory: Path,
    query: Query = EVERYTHING,
    *,
    newest_first: bool = False,
    progress: Progress | None = None,
) -> Iterator[Hit]:
    """Yield the records that ``query`` is about, and every line that cannot be read.

    An incomplete last line is left out: it is being written. Raises: AuditUnavailable if there is
    no log or it cannot be opened.
    """
    directory = Path(directory)
    names = _in_question(directory, segment_names(directory), query)
    if newest_first:
        names.reverse()
    try:
        sizes = {name: (directory / name).stat().st_size for name in names}
        total, before = sum(sizes.values()), 0
        for name in names:
            done = 0
            for start, data in _blocks(directory / name, newest_first=newest_first):
                yield from _matching(name, start, data, query, newest_first=newest_first)
                done += len(data)
                if progress is not None:
                    progress(min(before + done, total), total)
                if newest_first and _all_older(data, query.since):
                    return
            before += sizes[name]
    except OSError as error:
        raise AuditUnavailable(f"{directory}: {error.strerror or error}") from None


def find_record(directory: Path, record_id: str) -> Hit | None:
    """Return the line of one record, or None. Raises: AuditUnavailable."""
    wanted = f'"id":"{record_id}"'.encode("utf-8", "replace")
    directory = Path(directory)
    try:
        for name in reversed(segment_names(directory)):
            for start, data in _blocks(directory / name, newest_first=True):
                if wanted not in data:
                    continue
                for hit in _matching(name, start, data, EVERYTHING, newest_first=True):
                    if hit.record is not None and hit.record.get("id") == record_id:
                        return hit
    except OSError as error:
        raise AuditUnavailable(f"{directory}: {error.strerror or error}") from None
    return None


def time_of(record: dict[str, object]) -> float | None:
    """Return when a record was written in seconds since the epoch, or None if it does not say."""
    try:
        return datetime.fromisoformat(str(record.get("time"))).timestamp()
    except ValueError:
        return None


def decided(record: dict[str, object], name: str) -> str:
    """Return one text of a record's decision, empty if there is none."""
    decision = record.get("decision")
    value = decision.get(name) if isinstance(decision, dict) else None
    return value if isinstance(value, str) else ""


def text_of(record: dict[str, object], name: str) -> str:
    """Return one text of a record, empty if there is none."""
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _field_test(name: str, path: str, wanted: tuple[str, ...]) -> _Test:
    exact = frozenset(text for text in wanted if "*" not in text and "?" not in text)
    patterns = [_pattern(text) for text in wanted if text not in exact]
    get = decided if path.startswith("decision.") else text_of

    def holds(record: dict[str, object]) -> bool:
        value = get(record, name)
        return value in exact or any(pattern.fullmatch(value) for pattern in patterns)

    spelled = tuple(f'"{name}":{json.dumps(text)}'.encode() for text in exact if text)
    # WHY: a record may lack the field altogether, and a wildcard has no bytes of its own
    return _Test(holds, spelled if len(spelled) == len(wanted) else ())


def _pattern(text: str) -> re.Pattern[str]:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in text)
    return re.compile(re.sub(r"(?:\.\*)+", ".*", "".join(parts)), re.DOTALL)


def _text_test(text: str) -> _Test:
    wanted = text.lower()
    spelled = json.dumps(wanted)[1:-1].encode()
    # WHY: an escape such as \u00c4 has another spelling in lower case
    needles = (spelled,) if wanted.isascii() else ()

    def holds(record: dict[str, object]) -> bool:
        return any(_holds(value, wanted) for name, value in record.items() if name not in _CHAINED)

    return _Test(holds, needles, any_case=True)


def _holds(value: object, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted in value.lower()
    if isinstance(value, dict):
        return any(_holds(part, wanted) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(_holds(item, wanted) for item in value)
    return wanted == json.dumps(value)


def _in_question(directory: Path, names: list[str], query: Query) -> list[str]:
    """Leave out the segments that are too old or too new: ids follow the clock, and never go back.

    A record is never newer than its id says; it may be older, where the clock stepped back.
    """
    if query.since is None:
        return names
    starts = [_first_id_s(directory / name) for name in names]
    first = 0
    for index, start in enumerate(starts):
        if start is not None and start < query.since:
            first = index  # what begins before may end after
    return names[first:]


def _first_id_s(path: Path) -> float | None:
    try:
        with path.open("rb") as file:
            found = _ID.match(file.read(_FIRST_LINE_BYTES))
    except OSError:
        return None
    return _id_s(found.group(1)) if found else None


def _id_s(ulid: bytes) -> float | None:
    try:
        return (ids.decode(ulid.decode()) >> _RANDOM_BITS) / _MS
    except ValueError:
        return None


def _all_older(data: bytes, since: float | None) -> bool:
    """True if everything before these lines was written before ``since``."""
    found = _ID.match(data[:_FIRST_LINE_BYTES]) if since is not None else None
    start = _id_s(found.group(1)) if found else None
    # WHY a millisecond: that is how exact an id is
    return start is not None and since is not None and start + 1 / _MS < since


def _matching(
    segment: str, start: int, data: bytes, query: Query, *, newest_first: bool
) -> Iterator[Hit]:
    if not query.may_hold(data):
        return
    complete = data.endswith(b"\n")
    lines = data.split(b"\n")
    if complete:
        lines.pop()
    at = start
    hits = []
    for number, raw in enumerate(lines):
        offset, at = at, at + len(raw) + 1
        last = number == len(lines) - 1
        if (last and not complete and len(raw) <= RECORD_BYTES_MAX) or not query.may_hold(raw):
            continue
        hit = _parsed(segment, offset, raw)
        if hit.record is None or query.matches(hit.record):
            if newest_first:
                hits.append(hit)
            else:
                yield hit
    yield from reversed(hits)


def _parsed(segment: str, offset: int, raw: bytes) -> Hit:
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return Hit(segment, offset, raw, None, f"not JSON: {error}")
    if not isinstance(record, dict):
        return Hit(segment, offset, raw, None, "not a JSON object")
    return Hit(segment, offset, raw, record)


def _blocks(path: Path, *, newest_first: bool) -> Iterator[tuple[int, bytes]]:
    """Yield where whole lines start, and the lines. What is no line at all comes in pieces."""
    with path.open("rb") as file:
        yield from (_backwards if newest_first else _forwards)(file.fileno())


def _forwards(descriptor: int) -> Iterator[tuple[int, bytes]]:
    start, rest = 0, b""
    while block := os.pread(descriptor, BLOCK_BYTES, start + len(rest)):
        data = rest + block
        cut = data.rfind(b"\n") + 1 or (len(data) if len(data) > 2 * BLOCK_BYTES else 0)
        if cut:
            yield start, data[:cut]
        start, rest = start + cut, data[cut:]
    if rest:
        yield start, rest


def _backwards(descriptor: int) -> Iterator[tuple[int, bytes]]:
    end, rest = os.fstat(descriptor).st_size, b""
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        data = os.pread(descriptor, end - start, start) + rest
        cut = data.find(b"\n") + 1 if start else 0
        if start and (not cut or cut == len(data)) and len(data) <= 2 * BLOCK_BYTES:
            end, rest = start, data  # the line begins further in front
            continue
        if start and cut == len(data):
            cut = 0
        yield start + cut, data[cut:]
        end, rest = start, data[:cut]
