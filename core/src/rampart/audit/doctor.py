"""Is this directory fit for a log? Tries what the log relies on, on files of its own.

What is promised about the log holds where appending, locking, renaming and syncing do what POSIX
says. Network and some container file systems do not; this finds out before anybody relies on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, Literal

from rampart.audit.fs import AuditDirectory, LockTimeout
from rampart.errors import AuditError
from rampart.limits import SEGMENT_BYTES_MAX

State = Literal["ok", "warn", "fail"]
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"}
)
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_SYNCS: Final = 20
_SLOW_SYNC_S: Final = 0.05  # a call that is recorded would be felt
_FREE_BYTES_MIN: Final = 2 * SEGMENT_BYTES_MAX
_FREE_BYTES_GOOD: Final = 16 * SEGMENT_BYTES_MAX
_MOUNTS: Final = Path("/proc/self/mounts")
_OTHERS_MAY_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried, and what came of it."""

    name: str
    state: State
    detail: str


def examine(directory: Path) -> list[Finding]:
    """Try everything in ``directory``, which must exist; leave nothing behind. Never raises."""
    found = [
        _tried("directory", lambda: _directory(directory)),
        _tried("file system", lambda: _file_system(directory)),
        _tried("free space", lambda: _free_space(directory)),
    ]
    probe = directory / f".doctor-{secrets.token_hex(8)}"
    try:
        probe.mkdir(mode=0o700)
    except OSError as error:
        return [*found, Finding("writing", "fail", f"{probe}: {error.strerror}")]
    try:
        for name, trial in _TRIALS.items():
            with _opened(probe / name.replace(" ", "-")) as opened:
                found.append(_tried(name, lambda trial=trial, at=opened: trial(at)))  # type: ignore[misc]
    except (OSError, AuditError) as error:
        found.append(Finding("writing", "fail", str(error)))
    finally:
        shutil.rmtree(probe, ignore_errors=True)
    return found


def file_system_of(path: Path, mounts: str) -> str:
    """Return the type of the file system that ``path`` is on, from a table of mounts."""
    best, kind = "", ""
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        place = words[1].replace("\\040", " ")
        inside = place == "/" or str(path) == place or str(path).startswith(f"{place}/")
        if inside and len(place) >= len(best):
            best, kind = place, words[2]
    return kind


def _tried(name: str, trial: Callable[[], tuple[State, str]]) -> Finding:
    try:
        state, detail = trial()
    except (OSError, AuditError) as error:
        return Finding(name, "fail", str(error))
    return Finding(name, state, detail)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[AuditDirectory]:
    opened = AuditDirectory.open(path)
    try:
        yield opened
    finally:
        opened.close()


def _directory(path: Path) -> tuple[State, str]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "fail", "a symbolic link; the log is refused there"
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        return "fail", f"belongs to another user, or others may write to it (chmod go-w {path})"
    if status.st_mode & 0o077:
        return "warn", f"others may read what calls held (chmod 700 {path})"
    return "ok", "ours alone"


def _file_system(path: Path) -> tuple[State, str]:
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "ok", "not known here"
    kind = file_system_of(path.resolve(), mounts)
    if kind in _NETWORK:
        return "fail", f"{kind}: locks and syncs do not promise what the log needs"
    if kind in _VOLATILE:
        return "warn", f"{kind}: gone when the machine restarts"
    return "ok", kind or "not known"


def _free_space(path: Path) -> tuple[State, str]:
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    if free < _FREE_BYTES_MIN or (found.f_files and not found.f_favail):
        return "fail", f"{free >> 20} MiB and {found.f_favail} files left: calls are soon denied"
    state: State = "ok" if free >= _FREE_BYTES_GOOD else "warn"
    return state, f"{free >> 20} MiB"


def _appending(at: AuditDirectory) -> tuple[State, str]:
    first = at.create_segment("audit-probe")
    second = at.open_file("audit-probe")
    try:
        for file, data in ((first, b"1\n"), (second, b"2\n"), (first, b"3\n")):
            if file.append(data) != len(data):
                return "fail", "a short write"
        if first.read(0, 6) != b"1\n2\n3\n":
            return "fail", "what two writers append overwrites each other (O_APPEND)"
        first.cut(2)
        if second.size() != 2 or second.append(b"4\n") != 2 or first.read(0, 9) != b"1\n4\n":
            return "fail", "a write that was taken back is still there"
    finally:
        first.close()
        second.close()
    return "ok", "two writers, in order; what is cut off is gone"


def _locking(at: AuditDirectory) -> tuple[State, str]:
    ours = at.open_lock()
    ours.lock(time.monotonic())
    child = os.fork()
    if child == 0:  # only system calls from here: other threads may hold any lock
        os._exit(_lock_in_child(at.path / "audit.lock"))
    try:
        _pid, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            return "fail", "another process gets the lock that we hold (flock)"
    finally:
        ours.close()
    again = at.open_lock()
    try:
        again.lock(time.monotonic())
    except LockTimeout:
        return "fail", "a lock outlives the one who held it"
    finally:
        again.close()
    return "ok", "held against other processes; free when its holder is gone"


def _lock_in_child(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    except OSError:
        return 2
    return 1


def _renaming(at: AuditDirectory) -> tuple[State, str]:
    for data in (b"one", b"two"):
        at.replace_state(data)
        if at.read_state(16) != data:
            return "fail", "a file does not take another one's place"
    return "ok", "one file takes the other one's place"


def _links(at: AuditDirectory) -> tuple[State, str]:
    (at.path / "audit-link").symlink_to("audit.lock")
    try:
        at.open_file("audit-link").close()
    except (OSError, AuditError):
        return "ok", "symbolic links are refused"
    return "fail", "a symbolic link was followed (O_NOFOLLOW)"


def _syncing(at: AuditDirectory) -> tuple[State, str]:
    file = at.create_segment("audit-probe")
    times = []
    try:
        for _ in range(_SYNCS):
            file.append(b"x" * 512 + b"\n")
            start = time.perf_counter()
            file.sync()
            times.append(time.perf_counter() - start)
    finally:
        file.close()
    typical = median(times)
    state: State = "warn" if typical > _SLOW_SYNC_S else "ok"
    return state, f"{typical * 1000:.2f} ms for each record, {max(times) * 1000:.2f} ms at worst"


_TRIALS: Final[dict[str, Callable[[AuditDirectory], tuple[State, str]]]] = {
    "appending": _appending,
    "locking": _locking,
    "renaming": _renaming,
    "links": _links,
    "syncing": _syncing,
}
