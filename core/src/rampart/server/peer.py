"""What the kernel says about the process at the other end of the local socket."""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rampart.errors import AuthError

_CREDENTIALS: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid
_OWN_PROCESS: Final = re.compile(r"/proc/(?:self|thread-self)(?=/|$)")
_OWN_DESCRIPTOR: Final = re.compile(r"/dev/fd(?=/)")
_STANDARD_STREAM: Final = {"/dev/stdin": "0", "/dev/stdout": "1", "/dev/stderr": "2"}


@dataclass(frozen=True, slots=True)
class Peer:
    """A process. ``pid`` is 0 where it lives in a namespace that this one cannot see."""

    pid: int
    uid: int


def peer_of(connection: socket.socket, *, uid: int) -> Peer:
    """Return the process that connected. Raises: AuthError unless it runs as ``uid``."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    peer = Peer(*_CREDENTIALS.unpack(data)[:2])
    if peer.uid != uid:
        raise AuthError(f"a process of user {peer.uid} may not ask here")
    return peer


def shares_process_ids(peer: Peer) -> bool:
    """True if a process number means the same process to the peer as it does here."""
    try:
        there, here = Path(f"/proc/{peer.pid}/ns/pid").stat(), Path("/proc/self/ns/pid").stat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def working_directory(pid: int, *, uid: int) -> str:
    """Return a process's working directory.

    Where the kernel does not tell (the process is gone, or hides itself), it is ``/proc/PID/cwd``:
    true, absolute, and no project directory, so that nothing that is allowed there is allowed here.
    """
    folder = _process_folder(pid, uid=uid)
    return (_link(folder / "cwd") if folder else "") or f"/proc/{pid}/cwd"


def program_path(path: str, pid: int, *, uid: int) -> str:
    """Return ``path`` as it reads from here.

    A process that runs ``/proc/self/exe`` or ``/dev/fd/3`` means its own; the service's would be
    another file.
    """
    if path in _STANDARD_STREAM:
        path = f"/dev/fd/{_STANDARD_STREAM[path]}"
    own = _OWN_DESCRIPTOR.sub(f"/proc/{pid}/fd", _OWN_PROCESS.sub(f"/proc/{pid}", path, 1), 1)
    if own == path or _process_folder(pid, uid=uid) is None:
        return path
    return _link(Path(own)) or own


def _process_folder(pid: int, *, uid: int) -> Path | None:
    folder = Path("/proc") / str(pid)
    try:
        return folder if pid > 0 and folder.stat().st_uid == uid else None
    except OSError:
        return None


def _link(path: Path) -> str:
    try:
        target = str(path.readlink())
    except (OSError, ValueError):
        return ""
    return target if target.startswith("/") else ""
