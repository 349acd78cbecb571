"""The local socket: one request, one answer, then close (`core/docs/wire.md`).

It has threads of its own and blocking sockets: a guarded program waits inside an exec call, and the
event loop would cost it more than the decision.

MUST NOT answer a process of another user.
MUST NOT replace a socket that somebody listens on.
MUST answer deny to whatever it does not understand.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rampart.config import ensure_private_directory
from rampart.errors import AuthError, ConfigError, InputTooLarge, ProtocolError
from rampart.limits import (
    SOCKET_FRAME_BYTES_MAX,
    SOCKET_TIMEOUT_S,
    SOCKET_WORKERS,
    WEBHOOK_SOCKET_S,
)
from rampart.model import Decision, ToolCall, Verdict
from rampart.server.peer import (
    Peer,
    peer_of,
    program_path,
    shares_process_ids,
    working_directory,
)
from rampart.wire import (
    FLAG_MONITOR,
    FLAG_PREVIEW,
    HEADER,
    ExecQuery,
    decode_query,
    encode_answer,
    frame_size,
)

if TYPE_CHECKING:
    from rampart.gate import Gate

_PATH_BYTES_MAX: Final = 107  # sun_path is 108 bytes on Linux, its NUL included
_BACKLOG: Final = 512  # a parallel build starts hundreds of programs at once
_KNOWN_FLAGS: Final = FLAG_MONITOR | FLAG_PREVIEW
_log = logging.getLogger("rampart.server")


class SocketServer:
    """Answers the preload library."""

    def __init__(self, gate: Gate, path: Path, *, workers: int = SOCKET_WORKERS) -> None:
        self._gate = gate
        self.path = path
        self._uid = os.geteuid()
        self._listener: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"rampart-socket-{n}", daemon=True)
            for n in range(workers)
        ]

    def start(self) -> None:
        """Bind and listen. Raises: ConfigError, also if another service listens there."""
        self._listener = bind(self.path)
        status = self.path.lstat()
        self._inode = (status.st_dev, status.st_ino)
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take no more connections, finish those under way, remove the file if it is still ours."""
        if self._listener is None:
            return
        with _locked(self.path.parent):
            try:
                status = self.path.lstat()
                if (status.st_dev, status.st_ino) == self._inode:
                    self.path.unlink()
            except FileNotFoundError:
                pass
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes every thread in accept()
        deadline = time.monotonic() + 2 * SOCKET_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._listener.close()
        self._listener = None

    def _work(self) -> None:
        listener = self._listener
        assert listener is not None
        while True:
            try:
                connection, _address = listener.accept()
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.EBADF):
                    return  # closed
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    time.sleep(0.01)  # LIMIT: no descriptors left; let others finish
                continue
            with connection:
                try:
                    self._serve(connection)
                except Exception:  # noqa: BLE001 - the peer gets no answer and denies; the thread goes on
                    _log.exception("a query on the local socket failed")

    def _serve(self, connection: socket.socket) -> None:
        deadline = time.monotonic() + SOCKET_TIMEOUT_S
        try:
            peer = peer_of(connection, uid=self._uid)
            verdict, reason = self._answer(connection, peer, deadline)
            # WHY: the decision may have waited for the disk longer than a request may take
            connection.settimeout(max(deadline - time.monotonic(), SOCKET_TIMEOUT_S / 2))
            connection.sendall(encode_answer(verdict, reason))
        except AuthError as error:
            _log.warning("%s", error)
        except OSError:
            pass  # WHY: the peer is gone or too slow; it denies or does what its fail-open says

    def _answer(
        self, connection: socket.socket, peer: Peer, deadline: float
    ) -> tuple[Verdict, str]:
        try:
            query = decode_query(_receive(connection, deadline))
            call = exec_call(query, peer)
        except (ProtocolError, InputTooLarge) as error:
            _discard(connection)
            return "deny", error.message
        if query.flags & FLAG_PREVIEW:
            decision = self._gate.check(call)
        else:
            monitor = bool(query.flags & FLAG_MONITOR)
            decision = self._gate.enforce(call, monitor=monitor, patience_s=WEBHOOK_SOCKET_S)
        return decision.action, reason_of(decision)


def bind(path: Path) -> socket.socket:
    """Return a listening socket at ``path``, mode 0600.

    A file that a dead service left is replaced. Raises: ConfigError.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        raise ConfigError("the local socket needs Linux", help="use --no-socket")
    if len(os.fsencode(path)) > _PATH_BYTES_MAX:
        raise ConfigError(
            f"{path}: too long for a socket: the system allows {_PATH_BYTES_MAX} bytes",
            help="choose a shorter one with --socket, or a shorter data directory",
        )
    ensure_private_directory(path.parent)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _locked(path.parent):
            _remove_stale(path)
            listener.bind(str(path))
            path.chmod(0o600)  # INVARIANT: before listen(); until then nobody can connect
            listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{path}: cannot listen: {error.strerror}") from None
    except ConfigError:
        listener.close()
        raise
    return listener


def exec_call(query: ExecQuery, peer: Peer) -> ToolCall:
    """Return a query as a tool call.

    Raises: ProtocolError for a flag or a directory that has no meaning, or a process that this
    service cannot see as the asker sees it.
    """
    if query.flags & ~_KNOWN_FLAGS:
        raise ProtocolError("query with flags of another version")
    if query.pid and not shares_process_ids(peer):
        raise ProtocolError("query about a process of another container")
    if query.cwd and not query.cwd.startswith(b"/"):
        raise ProtocolError("query with a working directory that is not absolute")
    pid = query.pid or peer.pid
    params: dict[str, object] = {
        "argv": [text_of(argument) for argument in query.argv],
        "path": program_path(text_of(query.path), pid, uid=peer.uid),
    }
    raw = b"\0".join((query.path, *query.argv))
    if not _is_text(raw):
        # WHY: two different calls can have the same text then; an approval is for one of them
        params["bytes_sha256"] = hashlib.sha256(raw).hexdigest()
    return ToolCall(
        "exec",
        params,
        agent=text_of(query.agent),
        session=text_of(query.session),
        cwd=text_of(query.cwd) or working_directory(pid, uid=peer.uid),
    )


def text_of(data: bytes) -> str:
    r"""Return bytes as text: UTF-8 as it is, any other byte as ``\xNN``.

    A backslash and letters in the place of such a byte are no syntax to a shell parser.
    """
    return data.decode("utf-8", "backslashreplace")


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def reason_of(decision: Decision) -> str:
    """Return what the guarded program prints."""
    if decision.action == "ask" and decision.approval_id:
        return f"approval pending: rampart approve {decision.approval_id}"
    return decision.message


def _receive(connection: socket.socket, deadline: float) -> bytes:
    frame = bytearray()
    _fill(connection, frame, HEADER.size, deadline)
    _fill(connection, frame, frame_size(bytes(frame)), deadline)
    return bytes(frame)


def _fill(connection: socket.socket, frame: bytearray, size: int, deadline: float) -> None:
    while len(frame) < size:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise ProtocolError("query did not arrive in time")
        connection.settimeout(left_s)
        try:
            data = connection.recv(min(size - len(frame), 65536))
        except TimeoutError:
            raise ProtocolError("query did not arrive in time") from None
        if not data:
            raise ProtocolError("query ends too early")
        frame += data


def _discard(connection: socket.socket) -> None:
    # WHY: closing on unread bytes would reset the connection before the answer is read
    left = SOCKET_FRAME_BYTES_MAX
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        while left > 0 and (data := connection.recv(65536)):
            left -= len(data)


def _remove_stale(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise ConfigError(f"{path}: is in the way and not a socket", help="choose another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(SOCKET_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise ConfigError(f"{path}: cannot be replaced: {error}") from None
    raise ConfigError(
        f"{path}: another service listens there",
        help="stop it, or start this one with another --socket or --data-dir",
    )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # WHY: two services that both find a stale socket must not remove each other's fresh one
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
