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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from rampart.audit.merkle import EMPTY_ROOT, Tree, leaf_hash
from rampart.audit.note import PublicKey, parse_public_key
from rampart.audit.signed import Coverage, Entry, coverage, read_entries
from rampart.errors import ProofInvalid
from rampart.limits import RECORD_BYTES_MAX

_Parse = Callable[[bytes], "dict[str, object] | None"]
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
_HASH_BYTES: Final = len(',"hash":""}') + 64
_sha256 = hashlib.sha256
_OWN_TYPES: Final = frozenset({"continue", "key"})
# INVARIANT: these members, in this order, begin every record (core/docs/audit.md)
_HEADER: Final = re.compile(
    rb'\{"v":1,"seq":(0|[1-9][0-9]{0,18}),"id":"([0-7][0-9A-HJKMNP-TV-Z]{25})",'
    rb'"time":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z",'
    rb'(?:"clock_back_s":[0-9]+\.[0-9]{6},)?"prev":"([0-9a-f]{64})",'
)
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

    ``head`` is the SHA-256 of the last of ``records`` lines, without its newline; ``root`` that of
    the Merkle tree over them. In hex; one of them is enough.
    """

    records: int
    head: str = ""
    root: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a log proves.

    ``records`` were verified; ``head`` is the SHA-256 of the last of their lines, ``root`` the root
    of the tree over them, in hex. ``checkpoints`` are signed by a trusted key; the newest of them,
    ``newest``, covers ``signed`` records.
    """

    verdict: Verdict
    records: int
    reason: str = ""
    where: Where | None = None
    head: str = _FIRST_PREV
    root: str = ""
    checkpoints: int = 0
    signed: int = 0
    newest: bytes = b""

    @property
    def exit_code(self) -> int:
        """What a program answers: 0 ok, 1 tampered, 2 torn tail, 3 unreadable, 4 rolled back."""
        return EXIT_CODES[self.verdict]

    @property
    def anchor(self) -> Anchor:
        """What to keep elsewhere, for a later verification to also see changes to the end."""
        return Anchor(self.records, self.head)


def verify_log(
    directory: Path,
    *,
    anchor: Anchor | None = None,
    keys: Sequence[PublicKey] = (),
    must_be_signed: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Verify every record of the log in ``directory``, from the first to the last.

    With ``anchor`` also that the log still begins with what was there when the anchor was taken.
    With ``keys`` also that it is the log of which its checkpoints are signed; ``must_be_signed``
    asks for at least one. ``progress`` is told now and then how many records are verified. Never
    raises for what the files hold. A log that is being written to is verified up to the newest
    record.
    """
    check = _Check(Path(directory), anchor, progress)
    try:
        check.run()
        check.compare_signed(keys, must_be_signed=must_be_signed)
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

    def __init__(
        self, directory: Path, anchor: Anchor | None, progress: Callable[[int], None] | None
    ) -> None:
        self._directory = directory
        self._anchor = anchor
        self._progress = progress
        self._records = 0
        self._head = _FIRST_PREV.encode()
        self._id = b""
        self._type = ""
        self._name = ""  # the segment being read, and the number of its line
        self._line = 0
        self._tree = Tree()
        self._entries: list[Entry] = []
        self._marks: list[int] = []  # sizes at which the root is needed, the next one last
        self._roots: dict[int, bytes] = {0: EMPTY_ROOT}
        self._keys: list[tuple[int, PublicKey]] = []
        self._coverage = Coverage()

    def verification(
        self, verdict: Verdict, reason: str = "", where: Where | None = None
    ) -> Verification:
        covered = self._coverage
        root = self._tree.root().hex()
        return Verification(
            verdict,
            self._records,
            reason,
            where,
            self._head.decode(),
            root,
            covered.checkpoints,
            covered.records,
            covered.newest,
        )

    def run(self) -> None:
        names = self._later_segments()
        if not names:
            raise _Broken("unreadable", f"{self._directory}: there is no audit log here")
        self._read_entries()
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

    def _read_entries(self) -> None:
        """Read the checkpoints before the records: those that come meanwhile are not expected."""
        try:
            self._entries = read_entries(self._directory)
        except ProofInvalid as error:
            raise _Broken("tampered", error.message) from None
        sizes = {entry.checkpoint.size for entry in self._entries}
        if self._anchor is not None:
            sizes.add(self._anchor.records)
        self._marks = sorted(sizes - {0}, reverse=True)

    def compare_signed(self, keys: Sequence[PublicKey], *, must_be_signed: bool) -> None:
        self._coverage = found = coverage(self._entries, self._roots, keys, self._keys)
        if found.problem:
            raise _Broken("tampered" if found.broken else "rollback", found.problem)
        if must_be_signed and not found.checkpoints:
            raise _Broken("unreadable", "there is no checkpoint that the given keys have signed")
        if keys and self._entries and not found.checkpoints:
            raise _Broken("tampered", "no checkpoint of this log is signed by its keys")

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
        head = _HEADER.match(line)
        if head is None:
            raise self._malformed(line)
        seq, ulid, prev = head.groups()
        hashed = _sha256(line[:-_HASH_BYTES])
        whole = hashed.copy()  # WHY: both hashes begin with the same bytes
        hashed.update(b"}")
        tail = line[-_HASH_BYTES:]
        if tail != b',"hash":"%b"}' % hashed.hexdigest().encode():
            raise self._tampered("the record's hash is wrong, or is not at its end")
        if seq != b"%d" % self._records:
            text = f"record {int(seq)} stands where {self._records} belongs"
            raise self._tampered(text, ulid.decode())
        if prev != self._head:
            raise self._tampered("the record does not continue the one before it", ulid.decode())
        if ulid <= self._id:
            raise self._tampered("the id does not follow the one before it", ulid.decode())
        record = self._parsed(line)
        kind = str(record["type"])
        if kind in _OWN_TYPES or self._line == 1:
            self._own_record(record, kind)
        whole.update(tail)
        self._head = whole.hexdigest().encode()
        self._tree.append(leaf_hash(line))
        self._records += 1
        self._id, self._type = ulid, kind
        if self._marks and self._marks[-1] == self._records:
            self._mark()

    def _own_record(self, record: dict[str, object], kind: str) -> None:
        """Check what the log says about itself."""
        if (kind == "continue") != (self._line == 1 and self._records > 0):
            raise self._tampered("a segment, and nothing else, begins with a `continue` record")
        if kind == "key":
            try:
                self._keys.append((self._records, parse_public_key(str(record.get("key")))))
            except ProofInvalid as error:
                raise self._tampered(error.message) from None
        edge = [subtree.hex() for subtree in self._tree.edge()]
        if kind == "continue" and record.get("tree", edge) != edge:
            raise self._tampered("the tree that the record states is not the one before it")

    def _mark(self) -> None:
        root = self._roots[self._marks.pop()] = self._tree.root()
        anchor = self._anchor
        if (
            anchor is not None
            and anchor.records == self._records
            and (
                anchor.head not in ("", self._head.decode()) or anchor.root not in ("", root.hex())
            )
        ):
            where = Where(self._name, self._line, self._records - 1, self._id.decode())
            reason = "the records up to here are not the ones that the anchor was taken of"
            raise _Broken("rollback", reason, where)
        if self._progress is not None:
            self._progress(self._records)

    def _parsed(self, line: bytes) -> dict[str, object]:
        try:
            record = _fast_parse(line)
            if record is None:
                record = _decoder.decode(line.decode("ascii"))
        except (ValueError, RecursionError):
            raise self._tampered("the line is not strict JSON") from None
        if not isinstance(record, dict) or not isinstance(record.get("type"), str):
            raise self._tampered("the record has no type")
        return record

    def _malformed(self, line: bytes) -> _Broken:
        """Return why a line does not begin as a record does."""
        try:
            record = _decoder.decode(line.decode("ascii"))
        except (ValueError, RecursionError):
            return self._tampered("the line is not strict JSON")
        version = record.get("v") if isinstance(record, dict) else _VERSION
        sound = isinstance(version, int) and not isinstance(version, bool)
        if sound and version != _VERSION:
            return _Broken("unreadable", f"a record of version {version!r}", self._where())
        return self._tampered("the line does not begin as a record does")


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


def _no_fast_parse(line: bytes) -> dict[str, object] | None:  # noqa: ARG001 - the same signature
    return None


def _with_orjson(loads: Callable[[bytes], object], dumps: Callable[[object], bytes]) -> _Parse:
    def parse(line: bytes) -> dict[str, object] | None:
        try:
            record = loads(line)
        except ValueError:
            return None
        # WHY: what is written again as it stood has no duplicate key and nothing else that is odd
        return record if isinstance(record, dict) and dumps(record) == line else None

    return parse


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_refuse)
_fast_parse: _Parse = _no_fast_parse
with contextlib.suppress(ImportError):  # LIMIT: without it verification takes about twice as long
    import orjson

    _fast_parse = _with_orjson(orjson.loads, orjson.dumps)
