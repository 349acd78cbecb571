"""Checkpoints, as the writer makes them: signed statements of how far the log is, and of its tree.

MUST hold the log's lock, and sign only what is on the disk.
MUST NOT sign a tree that does not continue the last one that was signed.
MUST NOT read more of the log than was written since then, or since its segment began.

The state of the tree is kept beside the log in ``audit.tree``. It is a shortcut, and believed only
if the tree that grows from it passes through the last root that was signed.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rampart import strict_json
from rampart.audit.frontier import Frontier
from rampart.audit.fs import AuditDirectory, AuditFile, first_seq, segment_name
from rampart.audit.keys import KeyStore, Signer
from rampart.audit.note import SIGNATURE_START, Checkpoint, checkpoint_text, open_checkpoint
from rampart.audit.record import GENESIS, line_digest
from rampart.errors import AuditError, AuditTampered, AuditUnavailable, InputError, ProofInvalid
from rampart.limits import CHECKPOINT_RECORDS, CHECKPOINT_S, NOTE_BYTES_MAX, RECORD_BYTES_MAX

_READ_BYTES: Final = 1024 * 1024
_STATE_BYTES_MAX: Final = 16 * 1024  # 64 hashes and a name
_HEAD_BYTES: Final = 256  # `prev` stands within these
_BLANK: Final = b"\n\n"


class CheckpointFailed(AuditUnavailable):
    """No checkpoint could be written. The log itself is sound, and goes on."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a log ends: ``size`` records, the last with ``digest``, ``offset`` in ``segment``."""

    segment: str
    offset: int
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Point:
    """The tree over everything before a place in the log."""

    tree: Frontier
    segment: str
    offset: int
    digest: str


class Checkpoints:
    """Signs the log of one directory. Not safe for threads: its one user is ``Journal``."""

    def __init__(
        self, keys: KeyStore, *, records: int = CHECKPOINT_RECORDS, seconds: float = CHECKPOINT_S
    ) -> None:
        self._keys = keys
        self._records = records
        self.seconds = seconds
        self._point: _Point | None = None
        self._last: Checkpoint | None = None  # what `_point` is known to continue
        self.covered = 0  # records in the newest checkpoint that this process knows of
        self._at = time.monotonic()

    def due(self, size: int) -> bool:
        """True if a log of ``size`` records needs a checkpoint now."""
        new = size - self.covered
        return new >= self._records or (new > 0 and time.monotonic() - self._at >= self.seconds)

    def put_off(self) -> None:
        """Try again after the usual time."""
        self._at = time.monotonic()

    def require_continued(self, directory: AuditDirectory, size: int) -> None:
        """Refuse a log that is shorter than what was signed. Raises: AuditTampered, OSError."""
        file = directory.open_checkpoints()
        try:
            note, _end = _newest(file)
        finally:
            file.close()
        if note is not None:
            self.covered = _read(note).size
            if self.covered > size:
                raise AuditTampered(f"the log holds {size} records, but {self.covered} were signed")

    def tree_at(self, directory: AuditDirectory, end: End) -> Frontier | None:
        """Return the tree over the whole log, None if what was signed cannot be verified here.

        Raises: AuditTampered, AuditUnavailable, OSError.
        """
        file = directory.open_checkpoints()
        try:
            last = self._verified(_newest(file)[0])
        except AuditUnavailable:
            return None
        finally:
            file.close()
        self._point, self._last = self._grown(directory, end, last), last
        return self._point.tree

    def next_keys(self) -> tuple[Signer, Signer]:
        """Return the key in use and the one that is to follow. Raises: AuditUnavailable."""
        return self._keys.signer(), self._keys.next_signer()

    def write(self, directory: AuditDirectory, end: End, *, rotate: bool = False) -> bytes | None:
        """Sign the log up to ``end``, durably; return the note, or None if that is signed already.

        With ``rotate`` by the key in use and the next one, which then takes its place. Raises:
        CheckpointFailed, AuditTampered.
        """
        try:
            return self._write(directory, end, rotate=rotate)
        except (OSError, ImportError) as error:
            raise CheckpointFailed(f"no checkpoint could be written: {error}") from None
        except AuditUnavailable as error:
            text = f"no checkpoint could be written: {error.message}"
            raise CheckpointFailed(text, help=error.help) from None

    def _write(self, directory: AuditDirectory, end: End, *, rotate: bool) -> bytes | None:
        file = directory.open_checkpoints()
        try:
            newest, place = _newest(file)
            last = self._verified(newest)
            if file.size() > place:  # what a crash left of a checkpoint that nobody was told about
                file.cut(place)
            if last is not None and last.size == end.size and not rotate:
                self._done(last)
                return None
            point = self._grown(directory, end, last)
            signers = self.next_keys() if rotate else (self._keys.signer(),)
            root = point.tree.root()
            text = f"{signers[0].name}\n{end.size}\n{base64.b64encode(root).decode()}\n"
            note = f"{text}\n{''.join(signer.sign(text) for signer in signers)}".encode()
            _append(file, place, note + b"\n")
        finally:
            file.close()
        if rotate:
            self._keys.take_next()
        self._point = point
        self._last = Checkpoint(signers[0].name, end.size, root)
        self._done(self._last)
        with contextlib.suppress(OSError, AuditError):
            directory.replace_state(_dump(point))
        return note

    def _done(self, last: Checkpoint) -> None:
        self.covered, self._at = last.size, time.monotonic()

    def _verified(self, note: bytes | None) -> Checkpoint | None:
        if note is None:
            return None
        keys = self._keys.public_keys()
        if not keys:
            raise AuditUnavailable(f"{self._keys.public_path}: the keys of this log are gone")
        try:
            return open_checkpoint(note, keys)
        except ProofInvalid as error:
            raise AuditTampered(f"the newest checkpoint is not ours: {error.message}") from None

    def _grown(self, directory: AuditDirectory, end: End, last: Checkpoint | None) -> _Point:
        """Return the tree at ``end``, which passes through ``last``. Raises: AuditTampered."""
        if last is not None and last.size > end.size:
            raise AuditTampered(f"the log holds {end.size} records, but {last.size} were signed")
        known = self._point
        if known is not None and last is not None and self._last == last:
            return _advanced(directory, known, end, None)
        failure = AuditTampered("the log has no beginning")
        for start in self._starts(directory, last.size if last else 0):
            try:
                return _advanced(directory, start, end, last)
            except AuditTampered as error:
                failure = error
        raise failure

    def _starts(self, directory: AuditDirectory, size: int) -> Iterator[_Point]:
        """Yield where the tree may grow from, at most ``size`` large: the nearest first."""
        kept = _parsed(directory.read_state(_STATE_BYTES_MAX))
        if kept is not None and kept.tree.size <= size:
            yield kept
        for name in reversed(directory.segments()):
            number = first_seq(name)
            if number == 0:
                yield _Point(Frontier(), name, 0, GENESIS)
            elif number <= size and (found := _begun(directory, name)) is not None:
                yield found


def _advanced(
    directory: AuditDirectory, start: _Point, end: End, mark: Checkpoint | None
) -> _Point:
    """Return the tree at ``end``, grown from ``start`` and past ``mark``. Raises: AuditTampered."""
    tree, digest = start.tree.copy(), start.digest
    _require_root(tree, mark)
    place = (start.segment, start.offset)
    for line in _lines(directory, place, end):
        if line.find(f'"prev":"{digest}"'.encode(), 0, _HEAD_BYTES) < 0:
            raise AuditTampered(f"record {tree.size} does not continue the one before it")
        tree.add(line)
        digest = line_digest(line)
        _require_root(tree, mark)
    if tree.size != end.size or digest != end.digest:
        raise AuditTampered("the log is not the one that was read before")
    return _Point(tree, end.segment, end.offset, digest)


def _require_root(tree: Frontier, mark: Checkpoint | None) -> None:
    if mark is not None and tree.size == mark.size and tree.root() != mark.root:
        raise AuditTampered(f"the first {mark.size} records are not the ones that were signed")


def _lines(directory: AuditDirectory, place: tuple[str, int], end: End) -> Iterator[bytes]:
    segment, offset = place
    while True:
        file = directory.open_file(segment)
        try:
            limit = end.offset if segment == end.segment else file.size()
            while offset < limit:
                data = file.read(offset, min(_READ_BYTES, limit - offset))
                last = data.rfind(b"\n")
                if last < 0:
                    raise AuditTampered(f"{segment}: a line is too long or not complete")
                yield from data[:last].split(b"\n")
                offset += last + 1
        finally:
            file.close()
        if segment == end.segment:
            return
        names = [name for name in directory.segments() if name > segment]
        if not names:
            raise AuditTampered(f"{segment}: the segment after it is missing")
        segment, offset = names[0], 0


def _begun(directory: AuditDirectory, name: str) -> _Point | None:
    """Return the tree that the first record of a segment states, if it does."""
    file = directory.open_file(name)
    try:
        line, newline, _rest = file.read(0, RECORD_BYTES_MAX + 1).partition(b"\n")
    finally:
        file.close()
    try:
        record = strict_json.loads_object(line, size_bytes_max=RECORD_BYTES_MAX) if newline else {}
        tree = Frontier.parse(record.get("seq"), record.get("tree"))
    except (InputError, AuditTampered):
        return None
    if segment_name(tree.size) != name:
        return None
    return _Point(tree, name, 0, str(record.get("prev")))


def _dump(point: _Point) -> bytes:
    return strict_json.dumps(
        {
            "size": point.tree.size,
            "segment": point.segment,
            "offset": point.offset,
            "digest": point.digest,
            "tree": point.tree.dump(),
        }
    )


def _parsed(data: bytes) -> _Point | None:
    try:
        found = strict_json.loads_object(data, size_bytes_max=_STATE_BYTES_MAX)
        tree = Frontier.parse(found.get("size"), found.get("tree"))
        segment, offset = str(found["segment"]), int(str(found["offset"]))
        if segment_name(first_seq(segment)) != segment or offset < 0:
            return None
        return _Point(tree, segment, offset, str(found["digest"]))
    except (InputError, AuditTampered, KeyError, ValueError):
        return None


def _newest(file: AuditFile) -> tuple[bytes | None, int]:
    """Return the last whole note and where it ends.

    A note is followed by an empty line, so it is whole if that is there.
    """
    size = file.size()
    start = max(0, size - 2 * NOTE_BYTES_MAX)
    pieces = file.read(start, size - start).split(_BLANK)
    for at in range(len(pieces) - 2, 0, -1):
        if pieces[at].startswith(SIGNATURE_START.encode()):
            end = size - len(_BLANK.join(pieces[at + 1 :]))
            return pieces[at - 1] + _BLANK + pieces[at] + b"\n", end
    if start:
        raise AuditTampered(f"{file.name}: holds no checkpoint where the newest one belongs")
    return None, 0


def _read(note: bytes) -> Checkpoint:
    try:
        return checkpoint_text(note)
    except ProofInvalid as error:
        raise AuditTampered(f"the newest checkpoint cannot be read: {error.message}") from None


def _append(file: AuditFile, end: int, data: bytes) -> None:
    try:
        written = file.append(data)
        if written != len(data):
            raise AuditUnavailable(f"{file.name}: short write")
        file.sync()
    except (OSError, AuditUnavailable):
        with contextlib.suppress(OSError):
            file.cut(end)
        raise
