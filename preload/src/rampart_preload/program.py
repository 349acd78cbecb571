"""The program to run: which file it is, and whether the library can be loaded into it."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Final

from rampart.errors import RampartError

EXIT_NOT_EXECUTABLE: Final = 126
EXIT_NOT_FOUND: Final = 127

_PATH_DEFAULT: Final = "/bin:/usr/bin"
_ELF_HEADER: Final = struct.Struct("<4sBB10x2xHIQQQIHHH")  # up to e_phnum; 64 bits, little-endian
_ELF_64_LITTLE: Final = (2, 1)
_SEGMENT_INTERPRETER: Final = 3  # PT_INTERP
_SEGMENTS_MAX: Final = 128  # a real program has about a dozen
_MACHINES: Final = {"x86_64": 62, "aarch64": 183}
_SCRIPT_LINE_BYTES: Final = 256  # what the kernel reads
_SCRIPT_DEPTH: Final = (
    4  # a script may name a script as its interpreter; the kernel ends there, too
)


class NotFound(RampartError):
    """There is no such program."""

    code = "command_not_found"
    exit_code = EXIT_NOT_FOUND


class NotExecutable(RampartError):
    """The file is there and cannot be executed."""

    code = "command_not_executable"
    exit_code = EXIT_NOT_EXECUTABLE


def find_program(name: str) -> str:
    """Return the path that a shell would execute for ``name``.

    Raises: NotFound, NotExecutable.
    """
    if "/" in name:
        candidates = [name]
    else:
        folders = os.environ.get("PATH", _PATH_DEFAULT).split(":")
        candidates = [os.path.join(folder, name) if name else "" for folder in folders]  # noqa: PTH118 - an empty folder must stay one
    present = [path for path in candidates if path and os.path.exists(path)]  # noqa: PTH110 - as above
    for path in present:
        if os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113 - as above
            return path
    if present:
        raise NotExecutable(f"{name}: permission denied")
    raise NotFound(f"{name}: command not found")


def obstacle(path: str, *, depth: int = 0) -> str:
    """Return why the library cannot be loaded into ``path``; empty if nothing stands against it."""
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            head = file.read(_SCRIPT_LINE_BYTES)
            if head.startswith(b"#!"):
                words = head[2:].split(b"\n", 1)[0].split()
                inner = os.fsdecode(words[0]) if words else ""
                return obstacle(inner, depth=depth + 1) if inner and depth < _SCRIPT_DEPTH else ""
            if _changes_user(status):
                return "runs as another user"
            return _elf_obstacle(head, file.fileno())
    except OSError:
        return ""  # WHY: only a warning depends on it; the kernel will say what is wrong


def _changes_user(status: os.stat_result) -> bool:
    as_owner = bool(status.st_mode & stat.S_ISUID) and status.st_uid != os.getuid()
    as_group = bool(status.st_mode & stat.S_ISGID) and status.st_gid != os.getgid()
    return as_owner or as_group


def _elf_obstacle(head: bytes, descriptor: int) -> str:
    if not head.startswith(b"\x7fELF") or len(head) < _ELF_HEADER.size:
        return ""
    _magic, bits, order, machine, _version, _entry, table, _sections, _flags, _size, each, count = (
        _ELF_HEADER.unpack_from(head)
    )
    if (bits, order) != _ELF_64_LITTLE or machine != _MACHINES.get(os.uname().machine, machine):
        return "is built for another architecture"
    if each < struct.calcsize("<I"):
        return ""
    segments = os.pread(descriptor, each * min(count, _SEGMENTS_MAX), table)
    kinds = [
        struct.unpack_from("<I", segments, offset)[0]
        for offset in range(0, len(segments) - each + 1, each)
    ]
    return "" if _SEGMENT_INTERPRETER in kinds else "is statically linked"
