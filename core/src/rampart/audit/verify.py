"""Is this the log that was written? Needs only its files, and shares no code with the writer.

What is checked, and what a chain cannot prove, is specified in ``core/docs/audit.md``.

MUST NOT import the modules that write a log: a mistake in them must not excuse itself.
MUST end in exactly one verdict, whatever the files hold.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from rampart.limits import RECORD_BYTES_MAX

Verdict = Literal["ok", "tampered", "torn", "unreadable", "rollback"]

EXIT_CODES: Final[dict[Verdict, int]] = {
    "ok": 0,
    "tampered": 1,
    "torn": 2,
    "unreadable": 3,
    "rollback": 4,
}

_VERSION: Final = 1
_LOCK_NAME: Final = "audit.lock"
_LOCK_WAIT_S: Final = 2.0
_LOCK_PAUSE_S: Final = 0.01
_SEGMENT: Final = re.compile(r"audit-([0-9]{20})\.jsonl")
_HASH: Final = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_HASH_BYTES: Final = len(',"hash":""}') + 64
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_FIRST_PREV: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a log: the segment, the line (from 1), and the record expected or found there."""

    segment: str
    line: int
    seq: int
    id: str = ""

    def __str__(self) -> str:
        return f"{self.segment}:{self.line}"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What was known about a log at an earlier time, and kept elsewhere.

    ``head`` is the SHA-256 of the last of ``records`` lines, without its newline.
    """

    records: int
    head: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a log proves.

    ``records`` were verified; ``head`` is the SHA-256 of the last of their lines.
    """

    verdict: Verdict
    records: int
    reason: str = ""
    where: Where | None = None
    head: str = _FIRST_PREV

    @property
    def exit_code(self) -> int:
        """What a program answers: 0 ok, 1 tampered, 2 torn tail, 3 unreadable, 4 rolled back."""
        return EXIT_CODES[self.verdict]

    @property
    def anchor(self) -> Anchor:
        """What to keep elsewhere, for a later verification to also see changes to the end."""
        return Anchor(self.records, self.head)


def verify_log(directory: Path, *, anchor: Anchor | None = None) -> Verification:
    """Verify every record of the log in ``directory``, from the first to the last.

    With ``anchor`` also that the log still begins with what was there when the anchor was taken.
    Never raises for what the files hold. A log that is being written to is verified up to the
    newest record.
    """
    check = _Check(Path(directory), anchor)
    try:
        check.run()
    except _Broken as broken:
        return check.verification(broken.verdict, broken.reason, broken.where)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return check.verification("unreadable", f"{name}{error.strerror or error}")
    return check.verification("ok")


class _Broken(Exception):
    def __init__(self, verdict: Verdict, reason: str, where: Where | None = None) -> None:
        super().__init__(reason)
        self.verdict, self.reason, self.where = verdict, reason, where


class _Check:
    """One pass over the lines of a log."""

    def __init__(self, directory: Path, anchor: Anchor | None) -> None:
        self._directory = directory
        self._anchor = anchor
        self._records = 0
        self._head = _FIRST_PREV
        self._id = ""
        self._type = ""
        self._name = ""  # the segment being read, and the number of its line
        self._line = 0

    def verification(
        self, verdict: Verdict, reason: str = "", where: Where | None = None
    ) -> Verification:
        return Verification(verdict, self._records, reason, where, self._head)

    def run(self) -> None:
        names = self._later_segments()
        if not names:
            raise _Broken("unreadable", f"{self._directory}: there is no audit log here")
        while names:
            name = names.pop(0)
            self._require_expected(name)
            with (self._directory / name).open("rb") as file:
                self._read(file, newest=not names)
                # WHY: a log in use may have been rotated since we looked, and this segment sealed
                if not names and (names := self._later_segments()):
                    self._read(file, newest=False)
        if self._anchor is not None and self._records < self._anchor.records:
            raise _Broken(
                "rollback", f"the log holds {self._records} records; it held {self._anchor.records}"
            )

    def _later_segments(self) -> list[str]:
        names = (path.name for path in self._directory.iterdir())
        return sorted(name for name in names if _SEGMENT.fullmatch(name) and name > self._name)

    def _require_expected(self, name: str) -> None:
        first = not self._name
        self._name, self._line = name, 1
        if int(name[len("audit-") : -len(".jsonl")]) != self._records:
            raise self._tampered(f"record {self._records} was expected: a segment is missing")
        if not first and self._type != "seal":
            raise self._tampered("the segment before this one is not sealed")
        self._line = 0

    def _read(self, file: IO[bytes], *, newest: bool) -> None:
        for line in self._lines(file, newest=newest):
            self._line += 1
            if not line.endswith(b"\n"):
                if newest and not _has_newline(file):
                    raise _Broken("torn", "the last line is not complete", self._where())
                raise self._tampered("a line is not complete, or too long")
            if self._line > 1 and self._type == "seal":
                raise self._tampered("a record stands after the seal of its segment")
            self._record(line[:-1])
        if not newest and self._line == 0:
            raise self._tampered("a segment is empty")

    def _where(self, ulid: str = "") -> Where:
        return Where(self._name, self._line, self._records, ulid)

    def _tampered(self, reason: str, ulid: str = "") -> _Broken:
        return _Broken("tampered", reason, self._where(ulid))

    def _lines(self, file: IO[bytes], *, newest: bool) -> Iterator[bytes]:
        limit = RECORD_BYTES_MAX + 1
        while line := file.readline(limit):
            if newest and not line.endswith(b"\n") and len(line) < limit:
                # WHY: it may be a record that is being written; under the lock nobody writes
                with self._no_writer():
                    line += file.readline(limit - len(line))
            yield line

    @contextlib.contextmanager
    def _no_writer(self) -> Iterator[None]:
        """Hold writers off for a moment, where the lock file can be opened."""
        try:
            fd = os.open(
                self._directory / _LOCK_NAME,
                os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
            )
        except OSError:
            yield
            return
        try:
            deadline = time.monotonic() + _LOCK_WAIT_S
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(_LOCK_PAUSE_S)
            yield
        finally:
            os.close(fd)

    def _record(self, line: bytes) -> None:
        record = self._parsed(line)
        ulid, kind, seq = str(record["id"]), record["type"], record["seq"]
        if seq != self._records or isinstance(seq, bool):
            raise self._tampered(f"record {seq} stands where {self._records} belongs", ulid)
        if record["prev"] != self._head:
            raise self._tampered("the record does not continue the one before it", ulid)
        if ulid <= self._id:
            raise self._tampered("the id does not follow the one before it", ulid)
        if (kind == "continue") != (self._line == 1 and self._records > 0):
            reason = "a segment, and nothing else, begins with a `continue` record"
            raise self._tampered(reason, ulid)
        self._head = hashlib.sha256(line).hexdigest()
        if (
            self._anchor is not None
            and self._anchor.records == self._records + 1
            and self._anchor.head != self._head
        ):
            reason = "the record is not the one that the anchor names"
            raise _Broken("rollback", reason, self._where(ulid))
        self._records += 1
        self._id, self._type = ulid, str(kind)

    def _parsed(self, line: bytes) -> dict[str, object]:
        tail = _HASH.fullmatch(line, max(0, len(line) - _HASH_BYTES))
        if tail is None:
            raise self._tampered("the line does not end with its hash")
        if hashlib.sha256(line[:-_HASH_BYTES] + b"}").hexdigest().encode() != tail[1]:
            raise self._tampered("the record's hash is wrong")
        try:
            record = _decoder.decode(line.decode("ascii"))
        except (ValueError, RecursionError):
            raise self._tampered("the line is not strict JSON") from None
        if not isinstance(record, dict):
            raise self._tampered("the line is not an object")
        if record.get("v") != _VERSION:
            reason = f"a record of version {record.get('v')!r}"
            raise _Broken("unreadable", reason, self._where())
        if not _has_expected_fields(record):
            raise self._tampered("a field of the record is missing or malformed")
        return record


def _has_expected_fields(record: dict[str, object]) -> bool:
    ulid, moment = record.get("id"), record.get("time")
    return (
        isinstance(record.get("seq"), int)
        and isinstance(record.get("type"), str)
        and isinstance(record.get("prev"), str)
        and isinstance(ulid, str)
        and _ULID.fullmatch(ulid) is not None
        and isinstance(moment, str)
        and _TIME.fullmatch(moment) is not None
    )


def _has_newline(file: IO[bytes]) -> bool:
    """True if a newline comes anywhere in the rest of a file, which may be long and empty."""
    while chunk := file.read(RECORD_BYTES_MAX):
        if b"\n" in chunk:
            return True
    return False


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse(name: str) -> object:
    raise ValueError(name)


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_refuse)
