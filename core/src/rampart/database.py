"""A SQLite file that several threads and processes share, safely.

MUST refuse a file that others could write to: it holds what decisions rest on.
MUST answer an error for a file that cannot be read or written, in the words of its user.
MUST NOT use a connection that a parent process opened.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rampart.errors import InputError, RampartError

_OTHERS_MAY_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class Layout:
    """What a database holds. ``error`` is what its users raise, ``name`` how they call it."""

    name: str
    schema: str
    version: int
    error: type[RampartError]
    busy_s: float


class Database:
    """One SQLite file, opened when it is first used. Without a path it lives in memory.

    Safe to share between threads; any number of processes may open it. ``on_fork`` is called in a
    child process, for what else its user has to make anew.
    """

    def __init__(
        self, path: Path | None, layout: Layout, *, on_fork: Callable[[], None] | None = None
    ) -> None:
        self.path = path
        self._on_fork = on_fork
        self._layout = layout
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._reset()
        _open_databases.add(self)

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change the database: all of it, or nothing if the block raises."""
        with self.connected() as connection:
            # WHY: IMMEDIATE takes the write lock at once, where waiting works; upgrading a reader
            # would fail
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Read the database. Raises the layout's error for whatever goes wrong with it."""
        if self._pid != os.getpid():  # a fork that Python did not see
            self.after_fork_in_child()
        with self._lock:
            if self._closed:
                raise self._layout.error(f"{self._where}: the {self._layout.name} are closed")
            try:
                if self._connection is None:
                    self._connection = _connect(self.path, self._layout)
                yield self._connection
            except (sqlite3.Error, OSError, ValueError, OverflowError, InputError) as error:
                # ValueError: text that is not Unicode; OverflowError: a number beyond 64 bits
                raise self._layout.error(f"{self._where}: {error}") from error

    def exists(self) -> bool:
        """True if there may be something to read."""
        if self._connection is not None or self.path is None:
            return self._connection is not None
        try:
            return self.path.exists()
        except OSError:
            return True  # whoever opens it meets the same trouble, and says so

    def close(self) -> None:
        """Close the database. Later uses raise the layout's error."""
        with self._lock:
            self._closed = True
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    @property
    def _where(self) -> str:
        return str(self.path or "memory")

    # Processes

    def before_fork(self) -> None:
        """Let no thread be inside the database while the process forks, and leave it no connection.

        WHY: SQLite keeps its locks per process in memory. A child with a copy of them would
        believe that it holds what its parent holds.
        """
        self._lock.acquire()
        if self.path is None:
            return
        if self._connection is not None and not self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
                self._connection = None

    def after_fork_in_parent(self) -> None:
        """Go on; the next use opens the database again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with locks of this process's own."""
        if self._connection is not None and self.path is not None:
            _inherited.append(self._connection)  # closing it would touch the parent's locks
            self._connection = None
        self._reset()
        if self._on_fork is not None:
            self._on_fork()


def _connect(path: Path | None, layout: Layout) -> sqlite3.Connection:
    if path is not None:
        _prepare(path, layout)
    connection = sqlite3.connect(
        path or ":memory:", timeout=layout.busy_s, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, layout.version):
            raise layout.error(f"{path}: written by another version of Rampart")
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {layout.schema} PRAGMA user_version = {layout.version}; COMMIT;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(path: Path, layout: Layout) -> None:
    """Create the file with mode 0600 if it is missing, and look at whose it is.

    INVARIANT: no descriptor of a file that is there. Closing one drops the POSIX locks that other
    connections of this process hold; another process then takes itself for the last one, removes
    the write-ahead log, and what it wrote (an approval) is never seen here.
    """
    with contextlib.suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        raise layout.error(f"{path}: a symbolic link")
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise layout.error(f"{path}: not a regular file with a single name")
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        raise layout.error(f"{path}: belongs to another user, or others may write to it")


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: Final[list[sqlite3.Connection]] = []


class _Fork:
    """What happens to all open databases around a fork."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._databases: list[Database] = []

    def before(self) -> None:
        self._one_at_a_time.acquire()
        self._databases = list(_open_databases)
        for database in self._databases:
            database.before_fork()

    def after_in_parent(self) -> None:
        for database in self._databases:
            database.after_fork_in_parent()
        self._databases = []
        self._one_at_a_time.release()

    def after_in_child(self) -> None:
        for database in self._databases:
            database.after_fork_in_child()
        self._databases = []
        self._one_at_a_time = threading.Lock()


_fork = _Fork()
os.register_at_fork(
    before=_fork.before,
    after_in_parent=_fork.after_in_parent,
    after_in_child=_fork.after_in_child,
)
