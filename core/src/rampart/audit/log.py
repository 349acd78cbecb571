"""AuditLog: what the gate appends to. Threads share one write and one sync.

MUST return from ``append`` only once the record is durable, and raise in every other case.
MUST NOT retry inside the call that failed; a later call, after a pause, opens the log again and
    verifies its end, and until that succeeds every call is refused.
MUST NOT let a forked child share a lock, a queue or a descriptor with its parent.

Group commit: the first thread that finds no leader leads. It takes up to
``GROUP_COMMIT_RECORDS_MAX`` records that wait, commits them together, and hands leadership to the
next one that waits.

LIMIT: a sync that the kernel never returns from holds the thread that leads it. The threads behind
it get their ``AuditUnavailable`` in time; the leader's call is never answered, so nothing runs.

Checkpoints are written by whoever leads: when enough records are not in one, when a record has
waited long enough, and when the log is closed. One that fails is no reason to refuse a call: what
it would have signed is on the disk, and the next one covers it. It is told as a warning.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol, Self

from rampart.audit.checkpoints import CheckpointFailed, Checkpoints
from rampart.audit.fs import LockTimeout
from rampart.audit.journal import Appended, Journal
from rampart.audit.record import encode_fields
from rampart.clock import Clock, SystemClock
from rampart.errors import AuditError, AuditUnavailable
from rampart.ids import UlidFactory
from rampart.limits import (
    AUDIT_RETRY_S,
    AUDIT_RETRY_S_MAX,
    AUDIT_TIMEOUT_S,
    CHECKPOINT_S,
    GROUP_COMMIT_RECORDS_MAX,
    SEGMENT_BYTES_MAX,
)

_log = logging.getLogger(__name__)
_CLOSE_S: Final = 1.0  # a program that ends does not wait longer for the last checkpoint
_open_logs: weakref.WeakSet[AuditLog] = weakref.WeakSet()


class Publisher(Protocol):
    """Who takes checkpoints to where the log's user cannot reach them."""

    def publish(self, note: bytes) -> None:
        """Take one, and return at once."""

    def drain(self) -> None:
        """Return once what was taken has been sent."""


class _Entry:
    """One record on its way, and the thread that waits for it.

    All flags change under the log's mutex: ``lead`` makes the owner the leader, ``taken`` says that
    a leader has it, ``gone`` that its owner has given up, ``done`` that the outcome stands.
    ``after`` is whom the owner wakes next.
    """

    __slots__ = ("after", "done", "error", "fields", "gone", "lead", "result", "taken", "wake")

    def __init__(self, fields: bytes) -> None:
        self.fields = fields
        self.wake = threading.Lock()
        self.wake.acquire()
        self.lead = self.taken = self.gone = self.done = False
        self.after: _Entry | None = None
        self.result: Appended | None = None
        self.error: AuditError | None = None

    def finish(self, result: Appended | None, error: AuditError | None) -> None:
        self.result, self.error, self.done, self.lead = result, error, True, False

    def wake_next(self) -> None:
        after, self.after = self.after, None
        if after is not None:
            after.wake.release()


class AuditLog:
    """An open audit log.

    Safe to share between threads; any number of processes may open the same directory.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        timeout_s: float = AUDIT_TIMEOUT_S,
        checkpoint_s: float = CHECKPOINT_S,
        publisher: Publisher | None = None,
    ) -> None:
        self._journal = journal
        self._timeout_s = timeout_s
        self._checkpoint_s = checkpoint_s
        self._publisher = publisher
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._queue: deque[_Entry] = deque()
        self._leading = False
        self._closed = False
        self._failure: AuditError | None = None
        self._pause_s = 0.0
        self._retry_at = 0.0
        self._timer: threading.Timer | None = None

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Clock | None = None,
        ids: UlidFactory | None = None,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        timeout_s: float = AUDIT_TIMEOUT_S,
        checkpoints: Checkpoints | None = None,
        publisher: Publisher | None = None,
    ) -> Self:
        """Open the log in ``directory``; create it if it is missing, and recover a torn tail.

        ``checkpoints`` sign it as it grows; ``publisher`` is given each of them. Raises:
        AuditUnavailable if it cannot be used, AuditTampered if its end is not sound.
        """
        clock = clock or SystemClock()
        journal = Journal(
            directory,
            clock=clock,
            ids=ids or UlidFactory(clock),
            segment_bytes_max=segment_bytes_max,
            checkpoints=checkpoints,
        )
        seconds = CHECKPOINT_S if checkpoints is None else checkpoints.seconds
        log = cls(journal, timeout_s=timeout_s, checkpoint_s=seconds, publisher=publisher)
        try:
            journal.reopen(time.monotonic() + timeout_s)
        except (OSError, AuditError) as error:
            journal.close()
            raise _audit_error(error) from error
        _open_logs.add(log)
        return log

    def append(self, fields: Mapping[str, object]) -> Appended:
        """Append one record and return once it is durable.

        ``fields`` hold at least ``type``, redacted. Raises: AuditUnavailable or AuditTampered; the
        caller must deny. The record may be in the log even so, if the time ran out while it was
        being written.
        """
        entry = _Entry(encode_fields(fields))
        if self._pid != os.getpid():
            self._after_fork()
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._mutex:
                if self._closed:
                    raise AuditUnavailable("the audit log is closed")
                self._queue.append(entry)
                if not self._leading:
                    self._leading = entry.lead = True
            if entry.lead or self._wait(entry, deadline):
                self._lead(deadline)
        except BaseException:  # an interrupt must not leave the others without a leader
            self._abandon(entry)
            raise
        entry.wake_next()
        if entry.error is not None:
            raise entry.error
        assert entry.result is not None
        return entry.result

    def close(self) -> None:
        """Close the log once what is being written is written. Further appends are refused."""
        with self._mutex:
            self._closed = True
            timer, self._timer = self._timer, None
            idle, self._leading = not self._leading, True
        if timer is not None:
            timer.cancel()
        if idle and self._pid == os.getpid():
            self._finish()

    # Group commit

    def _wait(self, entry: _Entry, deadline: float) -> bool:
        """Wait for the leader; True if this thread has become it.

        Raises: AuditUnavailable in time, whatever the leader does.
        """
        if entry.wake.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return entry.lead
        with self._mutex:
            if entry.lead or entry.done:
                return entry.lead
            self._withdraw(entry)
        raise AuditUnavailable(f"the record was not durable within {self._timeout_s} s")

    def _withdraw(self, entry: _Entry) -> None:
        entry.gone = True
        if not entry.taken and entry in self._queue:
            self._queue.remove(entry)

    def _abandon(self, entry: _Entry) -> None:
        with self._mutex:
            if not entry.done and not entry.gone:
                self._withdraw(entry)
            led, entry.lead = entry.lead, False
        entry.wake_next()
        if led:
            self._hand_over([], None, AuditUnavailable("interrupted"))

    def _lead(self, deadline: float) -> None:
        batch: list[_Entry] = []
        results: list[Appended] | None = None
        error: AuditError = AuditUnavailable("the write was interrupted")
        try:
            with self._mutex:
                while self._queue and len(batch) < GROUP_COMMIT_RECORDS_MAX:
                    batch.append(self._queue.popleft())
                    batch[-1].taken = True
            results = self._commit(batch, deadline)
        except AuditError as failure:
            error = failure
        finally:
            # INVARIANT: whatever happened, everyone in the batch gets an answer and somebody leads
            self._hand_over(batch, results, error)

    def _hand_over(
        self, batch: list[_Entry], results: list[Appended] | None, error: AuditError
    ) -> None:
        with self._mutex:
            for index, entry in enumerate(batch):
                if results is None:
                    entry.finish(None, type(error)(error.message, help=error.help))
                else:
                    entry.finish(results[index], None)
            # WHY: each thread wakes the next. Woken at once, 64 threads fight for the interpreter's
            # lock, which costs a third of the throughput.
            waiting = [entry for entry in batch if not entry.gone]
            for entry, after in pairwise(waiting):
                entry.after = after
            heir = self._queue[0] if self._queue else None
            if heir is not None:
                heir.lead = True
            else:
                self._leading = self._closed
                if self._closed:
                    self._finish()
                else:
                    self._set_timer()
        if heir is not None:  # first, so that its sync runs while the others wake up
            heir.wake.release()
        if waiting:
            waiting[0].wake.release()

    # The one thread that leads

    def _commit(self, batch: list[_Entry], deadline: float) -> list[Appended]:
        self._require_sound(deadline)
        failure: BaseException | None = None
        try:
            fields = [entry.fields for entry in batch]
            results = self._journal.append(fields, deadline) if batch else []
            self._pause_s = 0.0
            if self._journal.needs_checkpoint():
                self._checkpoint(deadline)
            return results
        except LockTimeout:
            raise
        except (OSError, AuditError) as error:
            failure = error
            raise _audit_error(error) from error
        except BaseException as error:
            failure = error  # an interrupt in the middle of a write leaves its outcome unknown
            raise
        finally:
            if failure is not None:
                self._poison(failure)

    def _require_sound(self, deadline: float) -> None:
        if self._failure is None:
            return
        if time.monotonic() < self._retry_at:
            raise type(self._failure)(f"the log is out of use: {self._failure.message}")
        try:
            self._journal.reopen(deadline)
        except (OSError, AuditError) as error:
            self._poison(error)
            raise _audit_error(error) from error
        self._failure = None

    def _poison(self, error: BaseException) -> None:
        self._journal.close()
        self._failure = _audit_error(error)
        self._pause_s = min(max(self._pause_s * 2, AUDIT_RETRY_S), AUDIT_RETRY_S_MAX)
        self._retry_at = time.monotonic() + self._pause_s

    # Checkpoints

    def _checkpoint(self, deadline: float) -> None:
        """Sign the log. Raises: AuditTampered if it is not the one that was signed before."""
        try:
            note = self._journal.checkpoint(deadline)
        except LockTimeout:
            return  # another process is at it
        except CheckpointFailed as error:
            _log.warning("%s", error)
            return
        self._tell(note)

    def _tell(self, note: bytes | None) -> None:
        sealed, self._journal.sealed = self._journal.sealed, None
        if self._publisher is not None and (newest := note or sealed) is not None:
            self._publisher.publish(newest)

    def _finish(self) -> None:
        """Sign what is left, and close. Nothing is opened again for it."""
        try:
            if self._failure is None and not self._journal.is_signed():
                self._tell(self._journal.checkpoint(time.monotonic() + _CLOSE_S))
        except (OSError, AuditError) as error:
            _log.warning("the last checkpoint is missing: %s", error)
        self._journal.close()
        if self._publisher is not None:
            self._publisher.drain()

    def _set_timer(self) -> None:
        # WHY a timer: records that nothing follows are to be signed too
        if self._timer is None and self._failure is None and not self._journal.is_signed():
            timer = threading.Timer(self._checkpoint_s, _tick, [weakref.ref(self)])
            timer.daemon = True
            with contextlib.suppress(RuntimeError):  # no thread to be had: the next record looks
                timer.start()
                self._timer = timer

    def _sign_when_idle(self) -> None:
        with self._mutex:
            self._timer = None
            if self._leading or self._closed:
                return
            self._leading = True
        self._lead(time.monotonic() + self._timeout_s)

    # Processes

    def _after_fork(self) -> None:
        """In a child: drop what belongs to the parent.

        The next append opens the log for this process.
        """
        closed = self._closed
        self._journal.close()
        self._journal.forget_ids()
        self._start()
        self._closed = closed
        self._failure = AuditUnavailable("the log was not opened in this process yet")


def _audit_error(error: BaseException) -> AuditError:
    if isinstance(error, AuditError):
        return error
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return AuditUnavailable(f"{name}{error.strerror or error}")
    return AuditUnavailable(f"interrupted: {type(error).__name__}")


def _tick(log: weakref.ref[AuditLog]) -> None:
    found = log()
    if found is not None and found._pid == os.getpid():  # noqa: SLF001 - our own
        found._sign_when_idle()  # noqa: SLF001 - our own


def _close_all() -> None:
    for log in list(_open_logs):
        log.close()


def _after_fork_in_child() -> None:
    for log in list(_open_logs):
        log._after_fork()  # noqa: SLF001 - our own


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)


def sign_now(
    directory: Path, checkpoints: Checkpoints, *, rotate_key: bool = False
) -> bytes | None:
    """Sign the log in ``directory`` as it stands, with the next key too if that is to take over.

    Returns the checkpoint; None if it is signed already. Raises: AuditError.
    """
    clock, deadline = SystemClock(), time.monotonic() + AUDIT_TIMEOUT_S
    journal = Journal(directory, clock=clock, ids=UlidFactory(clock), checkpoints=checkpoints)
    try:
        journal.reopen(deadline)
        return journal.checkpoint(deadline, rotate_key=rotate_key)
    except OSError as error:
        raise _audit_error(error) from error
    finally:
        journal.close()
