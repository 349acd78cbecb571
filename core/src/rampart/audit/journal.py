"""Journal: a log's segments as one process writes them, one batch at a time.

MUST hold the lock file's lock for everything that looks at the end of the log or changes it.
MUST confirm before every batch that the log still ends where this process believes, and read, link
    by link, what other processes appended since.
MUST acknowledge a batch only after its whole length is written and synced; a failed batch is taken
    back.
MUST alter nothing but an incomplete tail of the newest segment, keep its bytes, and record that it
    did so.
MUST NOT be used again after any error except LockTimeout: `reopen` starts from what the disk holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from rampart.audit import record, tail
from rampart.audit.checkpoints import CheckpointFailed, Checkpoints, End
from rampart.audit.fs import AuditDirectory, AuditFile, first_seq, segment_name
from rampart.audit.tail import Tail
from rampart.clock import Clock
from rampart.errors import AuditTampered, AuditUnavailable
from rampart.ids import UlidFactory
from rampart.limits import SEGMENT_BYTES_MAX

_READ_BYTES: Final = 1024 * 1024
_SCAN_BYTES: Final = 64 * 1024
_SEGMENTS_AT_ONCE_MAX: Final = (
    1000  # other processes may rotate while we look; each step is a whole segment
)


class Appended(NamedTuple):
    """A durable record: its ULID, its number, and its own hash."""

    id: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class _Position:
    """The end of the log as this process last saw it."""

    segment: str
    end: int
    tail: Tail


class Journal:
    """Appends batches to the log in ``directory``.

    Not safe for threads: its one user is ``AuditLog``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        ids: UlidFactory,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._checkpoints = checkpoints
        self._path = directory
        self._clock = clock
        self._ids = ids
        self._segment_bytes_max = segment_bytes_max
        self._directory: AuditDirectory | None = None
        self._lock: AuditFile | None = None
        self._file: AuditFile | None = None
        self._known: _Position | None = None
        self.sealed: bytes | None = None  # the newest checkpoint of a rotation

    def reopen(self, deadline: float) -> None:
        """Open the log and verify its end; and that it continues what this object saw before.

        Raises: AuditUnavailable, AuditTampered, OSError.
        """
        self.close()
        self._directory = AuditDirectory.open(self._path)
        with self._locked(deadline):
            self._file, position = self._load(self._known)
            self._set(position)
            self._catch_up()
            self._record_recoveries()
            if self._checkpoints is not None:
                self._checkpoints.require_continued(self._directory, self._end().size)

    def append(self, batch: Sequence[bytes], deadline: float) -> list[Appended]:
        """Append records (from ``encode_fields``) with one write and one sync; durable on return.

        Raises: LockTimeout if nothing was tried; AuditUnavailable, AuditTampered or OSError
        otherwise.
        """
        with self._locked(deadline):
            self._catch_up()
            if self._position.end >= self._segment_bytes_max:
                self._rotate()
            return self._write(batch)

    def checkpoint(self, deadline: float, *, rotate_key: bool = False) -> bytes | None:
        """Sign the log as it stands; return the note, or None if that is signed already.

        Raises: CheckpointFailed, after which the journal can be used on; otherwise as ``append``.
        """
        assert self._checkpoints is not None
        assert self._directory is not None
        with self._locked(deadline):
            self._catch_up()
            if rotate_key:
                present, following = self._checkpoints.next_keys()
                fields = {
                    "type": "key",
                    "key": str(following.public),
                    "previous": str(present.public),
                }
                self._write([record.encode_fields(fields)])
            return self._checkpoints.write(self._directory, self._end(), rotate=rotate_key)

    def needs_checkpoint(self) -> bool:
        """True if the log has grown enough, or waited long enough."""
        return self._checkpoints is not None and self._checkpoints.due(self._end().size)

    def is_signed(self) -> bool:
        """True if every record that this process knows of is in a checkpoint."""
        return self._checkpoints is None or self._checkpoints.covered >= self._end().size

    def _end(self) -> End:
        newest = self._position.tail
        return End(self._position.segment, self._position.end, newest.seq + 1, newest.digest)

    def close(self) -> None:
        """Close all descriptors."""
        for handle in (self._file, self._lock, self._directory):
            if handle is not None:
                with contextlib.suppress(OSError):
                    handle.close()
        self._file = self._lock = self._directory = None

    def forget_ids(self) -> None:
        """Make ids anew: in a forked child a thread that is not there may hold the old lock."""
        self._ids = UlidFactory(self._clock)

    # The lock

    @contextlib.contextmanager
    def _locked(self, deadline: float) -> Iterator[None]:
        lock = self._take_lock(deadline)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlock()

    def _take_lock(self, deadline: float) -> AuditFile:
        assert self._directory is not None
        while True:
            if self._lock is None:
                self._lock = self._directory.open_lock()
            lock = self._lock
            lock.lock(deadline)
            if not self._directory.in_place():
                raise AuditTampered(f"{self._path}: the directory was removed or replaced")
            # INVARIANT: one lock for all. A lock file that was replaced would let two processes
            # write at once.
            if lock.in_place():
                return lock
            lock.close()
            self._lock = None
            if time.monotonic() > deadline:
                raise AuditUnavailable("the lock file keeps being replaced")

    # Finding the end

    @property
    def _position(self) -> _Position:
        assert self._known is not None
        return self._known

    def _set(self, position: _Position) -> None:
        self._known = position
        if position.tail.id:
            self._ids.advance_past(position.tail.id)

    def _load(self, known: _Position | None) -> tuple[AuditFile, _Position]:
        assert self._directory is not None
        if known is not None:
            return self._load_known(known)
        names = self._directory.segments()
        if not names:
            file = self._directory.create_segment(segment_name(0))
            return file, _Position(file.name, 0, tail.EMPTY)
        file = self._directory.open_file(names[-1])
        position = self._scan(file)
        if position.tail.seq < 0 and first_seq(file.name) > 0:
            # a rotation was cut short: the newest segment has no record yet
            file.close()
            if len(names) < 2:
                raise AuditTampered(f"{names[-1]}: the segment before it is missing")
            file = self._directory.open_file(names[-2])
            position = self._scan(file)
            if position.tail.type != "seal" or segment_name(position.tail.seq + 1) != names[-1]:
                raise AuditTampered(f"{names[-2]}: does not end with the seal before {names[-1]}")
        return file, position

    def _load_known(self, known: _Position) -> tuple[AuditFile, _Position]:
        assert self._directory is not None
        try:
            file = self._directory.open_file(known.segment)
        except FileNotFoundError:
            raise AuditTampered(f"{known.segment}: removed while the log was in use") from None
        if known.end:
            lines, start = self._last_lines(file, known.end)
            if (
                not lines
                or start != known.end
                or record.line_digest(lines[-1]) != known.tail.digest
            ):
                raise AuditTampered(f"{known.segment}: changed while the log was in use")
        return file, known

    def _scan(self, file: AuditFile) -> _Position:
        """Return where the last complete line of a segment ends, and the record in it."""
        lines, end = self._last_lines(file, file.size())
        if not lines:
            return _Position(file.name, 0, tail.EMPTY)
        newest = tail.parse_line(lines[-1])
        if len(lines) > 1:
            before = tail.parse_line(lines[-2])
            tail.follow(before, lines[-1:])
        elif newest.seq != first_seq(file.name):
            raise AuditTampered(f"{file.name}: its only record has number {newest.seq}")
        elif newest.seq > 0:
            self._require_link(file.name, newest)
        elif newest.prev != record.GENESIS:
            raise AuditTampered(f"{file.name}: the first record continues another one")
        return _Position(file.name, end, newest)

    def _require_link(self, name: str, first: Tail) -> None:
        assert self._directory is not None
        older = [segment for segment in self._directory.segments() if segment < name]
        if not older:
            raise AuditTampered(f"{name}: the segment before it is missing")
        file = self._directory.open_file(older[-1])
        try:
            lines, _end = self._last_lines(file, file.size())
        finally:
            file.close()
        if not lines or record.line_digest(lines[-1]) != first.prev:
            raise AuditTampered(f"{name}: does not continue {older[-1]}")

    def _last_lines(self, file: AuditFile, size: int) -> tuple[list[bytes], int]:
        """Return the last two complete lines before ``size``, or the only one; and their end."""
        data, offset = b"", size
        while offset > 0 and data.count(b"\n") <= 2:  # two lines and the end of one before
            step = min(_SCAN_BYTES, offset)
            offset -= step
            data = file.read(offset, step) + data
        last = data.rfind(b"\n")
        if last < 0:
            return [], 0
        lines = data[:last].split(b"\n")
        # the first piece is a whole line only if it starts the file
        whole = lines if offset == 0 else lines[1:]
        return whole[-2:], offset + last + 1

    # Keeping up with other processes

    def _catch_up(self) -> None:
        for _step in range(_SEGMENTS_AT_ONCE_MAX):
            self._read_new()
            if self._position.tail.type != "seal" or not self._enter_next():
                return
        raise AuditUnavailable("other processes keep rotating the log")

    def _read_new(self) -> None:
        assert self._file is not None
        if not self._file.in_place():
            raise AuditTampered(f"{self._file.name}: removed or replaced while the log was in use")
        size = self._file.size()
        if size < self._position.end:
            raise AuditTampered(f"{self._file.name}: shorter than what was acknowledged")
        rest = b""
        while size > (read := self._position.end + len(rest)):
            data = rest + self._file.read(read, min(_READ_BYTES, size - read))
            last = data.rfind(b"\n")
            if last >= 0:
                self._advance(data[:last].split(b"\n"), last + 1)
            rest = data[last + 1 :]
        if rest:
            self._recover(rest)

    def _advance(self, lines: list[bytes], size: int) -> None:
        newest = tail.follow(self._position.tail, lines)
        self._set(_Position(self._position.segment, self._position.end + size, newest))

    def _enter_next(self) -> bool:
        """Go on to the segment after a sealed one; create it if need be.

        False if it has no record yet.
        """
        assert self._directory is not None
        name = segment_name(self._position.tail.seq + 1)
        try:
            file = self._directory.create_segment(name)
        except FileExistsError:
            file = self._directory.open_file(name)
        assert self._file is not None
        self._file.close()
        self._file = file
        self._set(_Position(name, 0, self._position.tail))
        self._read_new()
        return self._position.end > 0

    # Recovery

    def _recover(self, torn: bytes) -> None:
        """Move an incomplete tail out of the newest segment."""
        assert self._directory is not None
        assert self._file is not None
        if self._position.tail.type == "seal" and self._position.end:
            raise AuditTampered(f"{self._file.name}: something stands after its seal")
        self._directory.save_torn(self._file.name, torn)
        self._file.cut(self._position.end)
        self._record_recoveries()

    def _record_recoveries(self) -> None:
        """Append a ``recovered`` record for every saved tail that has none.

        One without a record is what a crash during recovery leaves behind.
        """
        assert self._directory is not None
        assert self._file is not None
        saved = self._directory.torn(self._file.name)
        if not saved:
            return
        named = self._recorded_recoveries()
        batch = []
        for name in saved:
            if name in named:
                continue
            file = self._directory.open_file(name)
            try:
                data = file.read(0, file.size())
            finally:
                file.close()
            fields = {
                "type": "recovered",
                "segment": self._file.name,
                "saved": name,
                "removed_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            batch.append(record.encode_fields(fields))
        if batch:
            self._write(batch)

    def _recorded_recoveries(self) -> set[str]:
        assert self._file is not None
        found = set()
        for line in self._file.read(0, self._position.end).splitlines():
            if b'"saved":"' in line and (saved := tail.parse_line(line).saved):
                found.add(saved)
        return found

    # Writing

    def _rotate(self) -> None:
        assert self._file is not None
        number = first_seq(self._file.name)
        fields = {
            "type": "seal",
            "segment": self._file.name,
            "records": self._position.tail.seq + 2 - number,
        }
        self._write([record.encode_fields(fields)], kind="seal")
        if self._checkpoints is not None and self._directory is not None:
            with contextlib.suppress(CheckpointFailed):  # the next one covers this segment too
                self.sealed = self._checkpoints.write(self._directory, self._end())
        self._enter_next()

    def _continue(self) -> bytes:
        assert self._file is not None
        newest = self._position.tail
        fields: dict[str, object] = {
            "type": "continue",
            "segment": self._file.name,
            "previous_hash": newest.digest,
            "previous_seq": newest.seq,
        }
        if self._checkpoints is not None and self._directory is not None:
            # WHY: whoever opens the log needs to read no more than its newest segment
            tree = self._checkpoints.tree_at(self._directory, self._end())
            if tree is not None:
                fields["tree"] = tree.dump()
        return record.encode_fields(fields)

    def _write(self, batch: Sequence[bytes], kind: str = "") -> list[Appended]:
        """Write records and return once they are durable."""
        first = self._position.end == 0 and self._position.tail.seq >= 0
        newest, now = self._position.tail, self._clock.now()
        head = record.Head(now, max(0.0, newest.time - now))
        lines, done, prev = [], [], newest.digest
        for seq, fields in enumerate(
            [self._continue(), *batch] if first else batch, newest.seq + 1
        ):
            ulid = self._ids.new()
            line = record.build_line(head, (seq, ulid, prev), fields)
            lines.append(line.data)
            done.append(Appended(ulid, seq, line.hash))
            prev = line.digest
        if done[0].id <= newest.id:
            raise AuditTampered(f"record {newest.seq} has an id that no later record can follow")
        data = b"".join(lines)
        self._commit(data)
        end = self._position.end + len(data)
        after = Tail(done[-1].seq, prev, done[-1].id, now, kind)
        self._known = _Position(self._position.segment, end, after)
        return done[1:] if first else done

    def _commit(self, data: bytes) -> None:
        assert self._file is not None
        end = self._position.end
        try:
            written = self._file.append(data)
            if written != len(data):  # WHY: a full disk shows up first as a short write
                raise AuditUnavailable(f"short write: {written} of {len(data)} bytes")
            self._file.sync()
        except (OSError, AuditUnavailable):
            # WHY: after a failed sync the kernel may drop what it calls written; what was not
            # acknowledged must not stay behind as if it were durable
            with contextlib.suppress(OSError):
                self._file.cut(end)
            raise
