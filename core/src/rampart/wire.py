"""The local socket's wire format: one request and one answer per connection, bytes throughout.

A guarded program asks from inside a vfork child, so the format needs no escaping, no allocation and
no parser there: it can be sent as a list of pointers at the caller's own strings.
`core/docs/wire.md` is the specification; the C library in `preload/` is its other half. Integers
are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from rampart.errors import InputTooLarge, ProtocolError
from rampart.limits import SOCKET_FRAME_BYTES_MAX
from rampart.model import Verdict

MAGIC: Final = b"RMP1"
VERSION: Final = 1
FLAG_MONITOR: Final = 1  # the asker will not block, whatever the answer
FLAG_PREVIEW: Final = 2  # answer only: no record, no approval
HEADER: Final = struct.Struct(
    "<4sIHHII"
)  # magic, frame bytes, version, flags, argc, pid (0: the peer itself)
ANSWER_HEADER: Final = struct.Struct("<4sBB")  # magic, verdict, bytes of reason

_FIXED_STRINGS: Final = 4  # agent, session, cwd, path
_REASON_BYTES_MAX: Final = 255
_VERDICTS: Final[tuple[Verdict, ...]] = ("allow", "watch", "ask", "deny")


@dataclass(frozen=True, slots=True)
class ExecQuery:
    """May this program run? ``path`` and ``argv`` as the program gave them.

    ``cwd`` empty when it was not sent.
    """

    path: bytes
    argv: tuple[bytes, ...]
    agent: bytes = b""
    session: bytes = b""
    cwd: bytes = b""
    flags: int = 0
    pid: int = 0


def encode_query(query: ExecQuery) -> bytes:
    """Return a request frame. Raises: InputTooLarge, ProtocolError for a NUL inside a string."""
    strings = (query.agent, query.session, query.cwd, query.path, *query.argv)
    if any(b"\0" in text for text in strings):
        raise ProtocolError("a string in a query holds a NUL byte")
    body = b"\0".join(strings) + b"\0"
    size = HEADER.size + len(body)
    if size > SOCKET_FRAME_BYTES_MAX:
        raise InputTooLarge(f"query of {size} bytes; the limit is {SOCKET_FRAME_BYTES_MAX}")
    return HEADER.pack(MAGIC, size, VERSION, query.flags, len(query.argv), query.pid) + body


def frame_size(header: bytes) -> int:
    """Return the size of a whole frame from its first ``HEADER.size`` bytes.

    Raises: ProtocolError for another magic or version, InputTooLarge for a frame over its bound.
    """
    magic, size, version, _flags, _argc, _pid = HEADER.unpack(header)
    if magic != MAGIC or version != VERSION:
        raise ProtocolError("not a Rampart query, or another version of it")
    if size > SOCKET_FRAME_BYTES_MAX:
        raise InputTooLarge(f"query of {size} bytes; the limit is {SOCKET_FRAME_BYTES_MAX}")
    if size <= HEADER.size:
        raise ProtocolError("query without a body")
    return int(size)


def decode_query(frame: bytes) -> ExecQuery:
    """Parse a whole request frame.

    Raises as ``frame_size``, and ProtocolError if strings and counts disagree.
    """
    if len(frame) < HEADER.size or len(frame) != frame_size(frame[: HEADER.size]):
        raise ProtocolError("query is not as long as it says")
    _magic, _size, _version, flags, argc, pid = HEADER.unpack_from(frame)
    if not frame.endswith(b"\0"):
        raise ProtocolError("query does not end with a NUL byte")
    strings = frame[HEADER.size : -1].split(b"\0")
    if len(strings) != _FIXED_STRINGS + argc:
        raise ProtocolError(
            f"query says {argc} arguments and holds {len(strings) - _FIXED_STRINGS}"
        )
    agent, session, cwd, path = strings[:_FIXED_STRINGS]
    return ExecQuery(path, tuple(strings[_FIXED_STRINGS:]), agent, session, cwd, flags, pid)


def encode_answer(verdict: Verdict, reason: str) -> bytes:
    """Return an answer.

    The reason is cut at a character's boundary and has no control characters.
    """
    printable = "".join(character if character.isprintable() else " " for character in reason)
    text = (
        printable.encode("utf-8", "replace")[:_REASON_BYTES_MAX].decode("utf-8", "ignore").encode()
    )
    return ANSWER_HEADER.pack(MAGIC, _VERDICTS.index(verdict), len(text)) + text


def decode_answer(data: bytes) -> tuple[Verdict, str]:
    """Parse an answer. Raises: ProtocolError for anything that is not one; the caller must deny."""
    if len(data) < ANSWER_HEADER.size:
        raise ProtocolError("answer is too short")
    magic, verdict, size = ANSWER_HEADER.unpack_from(data)
    if magic != MAGIC or verdict >= len(_VERDICTS) or len(data) != ANSWER_HEADER.size + size:
        raise ProtocolError("not a Rampart answer")
    return _VERDICTS[verdict], data[ANSWER_HEADER.size :].decode("utf-8", "replace")
