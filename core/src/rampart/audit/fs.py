"""The files of a log: the only module that creates, writes, syncs, cuts and locks them.

MUST NOT follow a symbolic link, and MUST NOT use anything but a regular file with a single name.
MUST refuse a directory or file that another user owns, or that group or others may write to.
MUST make the directory entry of a new file durable before anything in it counts.
MUST NOT report a write or a sync as done unless the kernel said so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path
from typing import Final, Self

from rampart.errors import AuditUnavailable

LOCK_NAME: Final = "audit.lock"
CHECKPOINTS_NAME: Final = "audit.checkpoints"
STATE_NAME: Final = "audit.tree"
_SEGMENT: Final = re.compile(r"audit-[0-9]{20}\.jsonl")
_OTHERS_MAY_WRITE: Final = 0o022
_OPEN_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_PAUSE_S: Final = 0.0002
_LOCK_PAUSE_S_MAX: Final = 0.005


class LockTimeout(AuditUnavailable):
    """Another process held the lock for too long. Nothing was written."""


def segment_name(first_seq: int) -> str:
    """Return the name of the segment whose first record has this number."""
    return f"audit-{first_seq:020d}.jsonl"


def first_seq(name: str) -> int:
    """Return the number of the first record of a segment, from its name."""
    return int(name.removeprefix("audit-").removesuffix(".jsonl"))


class AuditFile:
    """One open file of a log. ``append`` goes to the end, wherever another process has moved it."""

    def __init__(self, directory: AuditDirectory, name: str, fd: int) -> None:
        self._directory = directory
        self._fd = fd
        self.name = name

    def size(self) -> int:
        """Return the size in bytes."""
        return os.fstat(self._fd).st_size

    def in_place(self) -> bool:
        """True if the file still stands in its directory under its name."""
        return self._directory.names(self.name, self._fd)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Return up to ``size_bytes`` from ``offset``; fewer only at the end of the file."""
        parts: list[bytes] = []
        while size_bytes > 0:
            part = os.pread(self._fd, size_bytes, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size_bytes -= len(part)
        return b"".join(parts)

    def append(self, data: bytes) -> int:
        """Write ``data`` in one call and return how many bytes were taken.

        Never writes the rest: a short write is the first sign of a full disk, and its caller takes
        it back.
        """
        return os.write(self._fd, data)

    def sync(self) -> None:
        """Return once data and length are durable."""
        _sync(self._fd)

    def cut(self, size_bytes: int) -> None:
        """Cut the file to ``size_bytes``, durably."""
        os.ftruncate(self._fd, size_bytes)
        os.fsync(self._fd)

    def empty(self) -> None:
        """Cut everything off, without making that durable."""
        os.ftruncate(self._fd, 0)

    def lock(self, deadline: float) -> None:
        """Take the exclusive lock before ``deadline`` (monotonic). Raises: LockTimeout."""
        pause = _LOCK_PAUSE_S
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LockTimeout("another process holds the audit log's lock") from None
                time.sleep(min(pause, left))
                pause = min(pause * 2, _LOCK_PAUSE_S_MAX)
            else:
                return

    def unlock(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the descriptor.

        A lock taken through it is gone unless another process shares it.
        """
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class AuditDirectory:
    """The open directory of a log. Every file is opened relative to it."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a log's directory; create it with mode 0700 if it is missing.

        Raises: AuditUnavailable if it cannot be used or is not safe, OSError from the disk.
        """
        path = path.absolute()
        if not os.path.lexists(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_directory(path.parent)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise AuditUnavailable(
                    f"{path}: not a directory, or a symbolic link to one",
                    help="name the directory itself",
                ) from None
            raise
        try:
            _require_ours(os.fstat(fd), path)
        except AuditUnavailable:
            os.close(fd)
            raise
        return cls(path, fd)

    def in_place(self) -> bool:
        """True if the path still names this directory."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self._fd))

    def names(self, name: str, fd: int) -> bool:
        """True if ``name`` in this directory is the file behind ``fd``."""
        try:
            found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(fd))

    def segments(self) -> list[str]:
        """Return the names of all segments, oldest first."""
        return sorted(name for name in self._listed() if _SEGMENT.fullmatch(name))

    def _listed(self) -> list[str]:
        return os.listdir(self._fd)  # noqa: PTH208 - a path could name another directory by now

    def torn(self, segment: str) -> list[str]:
        """Return the names of the torn tails that were cut off a segment, oldest first."""
        prefix = f"{segment}.torn-"
        numbers = [
            int(name.removeprefix(prefix))
            for name in self._listed()
            if name.startswith(prefix) and name.removeprefix(prefix).isdecimal()
        ]
        return [f"{prefix}{number}" for number in sorted(numbers)]

    def open_lock(self) -> AuditFile:
        """Open the lock file; create it if it is missing."""
        return self._open(LOCK_NAME, os.O_CREAT)

    def open_file(self, name: str) -> AuditFile:
        """Open a file that exists."""
        return self._open(name, 0)

    def create_segment(self, name: str) -> AuditFile:
        """Create a segment, or another file of the log, durably. Raises: FileExistsError."""
        file = self._open(name, os.O_CREAT | os.O_EXCL)
        os.fsync(self._fd)
        return file

    def open_checkpoints(self) -> AuditFile:
        """Open the file of checkpoints; create it, durably, if it is missing."""
        try:
            return self._open(CHECKPOINTS_NAME, 0)
        except FileNotFoundError:
            return self.create_segment(CHECKPOINTS_NAME)

    def read_state(self, size_bytes_max: int) -> bytes:
        """Return the state of the tree; nothing if there is none that can be used."""
        try:
            file = self._open(STATE_NAME, 0)
        except (OSError, AuditUnavailable):
            return b""
        try:
            return file.read(0, size_bytes_max)
        finally:
            file.close()

    def replace_state(self, data: bytes) -> None:
        """Replace the state of the tree. Whoever reads sees the old one or the new one.

        It is not synced: what a crash leaves of it is compared with what was signed.
        """
        fresh = f"{STATE_NAME}.new"
        file = self._open(fresh, os.O_CREAT)
        try:
            file.empty()
            written = file.append(data)
        finally:
            file.close()
        if written == len(data):
            os.replace(fresh, STATE_NAME, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def save_torn(self, segment: str, data: bytes) -> str:
        """Keep the bytes of a torn tail beside its segment, durably; return the file's name."""
        taken = self.torn(segment)
        number = int(taken[-1].rpartition("-")[2]) + 1 if taken else 1
        file = self._open(f"{segment}.torn-{number}", os.O_CREAT | os.O_EXCL)
        try:
            written = file.append(data)
            if written != len(data):
                raise AuditUnavailable(f"{file.name}: short write")
            file.sync()
        finally:
            file.close()
        os.fsync(self._fd)
        return file.name

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _open(self, name: str, flags: int) -> AuditFile:
        path = self.path / name
        try:
            fd = os.open(name, _OPEN_FLAGS | flags, 0o600, dir_fd=self._fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise AuditUnavailable(f"{path}: a symbolic link; it is not followed") from None
            raise
        try:
            status = os.fstat(fd)
            _require_ours(status, path)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise AuditUnavailable(f"{path}: not a regular file with a single name")
        except AuditUnavailable:
            os.close(fd)
            raise
        return AuditFile(self, name, fd)


def _require_ours(status: os.stat_result, path: Path) -> None:
    if status.st_uid != os.geteuid():
        raise AuditUnavailable(
            f"{path}: belongs to another user", help="choose another one with --data-dir"
        )
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise AuditUnavailable(f"{path}: others may write to it", help=f"chmod go-w {path}")


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync(fd: int) -> None:
    # WHY: on macOS only F_FULLFSYNC reaches the medium, and there is no fdatasync
    full: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        fcntl.fcntl(fd, full)
    else:
        os.fdatasync(fd)
