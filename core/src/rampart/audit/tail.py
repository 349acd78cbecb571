"""Reading back what the writer needs: the newest record, and what others appended. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from rampart import strict_json
from rampart.audit.record import GENESIS, HASH_TAIL_BYTES, VERSION, line_digest, parse_time
from rampart.errors import AuditTampered, InputError
from rampart.ids import decode
from rampart.limits import RECORD_BYTES_MAX

_HASH_START: Final = b',"hash":"'


@dataclass(frozen=True, slots=True)
class Tail:
    """What the next record continues.

    ``seq`` is -1 before the first record; ``saved`` names what a ``recovered`` record accounts for.
    """

    seq: int = -1
    digest: str = GENESIS
    id: str = ""
    time: float = 0.0
    type: str = ""
    prev: str = ""
    saved: str = ""


EMPTY: Final = Tail()


def parse_line(line: bytes) -> Tail:
    """Return what a line without its newline says.

    Raises: AuditTampered if it is not a record of this log.
    """
    body, tail = line[:-HASH_TAIL_BYTES] + b"}", line[-HASH_TAIL_BYTES:]
    own = hashlib.sha256(body).hexdigest()
    if tail != _HASH_START + own.encode("ascii") + b'"}':
        raise AuditTampered("the newest record is not the one that was written: its hash is wrong")
    try:
        record = strict_json.loads_object(line, size_bytes_max=RECORD_BYTES_MAX)
        seq, ulid, time, kind, prev = (record[key] for key in ("seq", "id", "time", "type", "prev"))
        if record["v"] != VERSION:
            raise AuditTampered(
                f"a record of version {record['v']}, which this program cannot continue"
            )
        if not (isinstance(seq, int) and isinstance(kind, str) and isinstance(prev, str)):
            raise AuditTampered("the newest record has fields of another type")
        decode(str(ulid))
        saved = record.get("saved", "") if kind == "recovered" else ""
        return Tail(
            seq, line_digest(line), str(ulid), parse_time(str(time)), kind, prev, str(saved)
        )
    except (InputError, KeyError, ValueError) as error:
        raise AuditTampered(f"the newest record cannot be read: {error}") from None


def follow(tail: Tail, lines: list[bytes]) -> Tail:
    """Return the tail after ``lines``, each of which must continue the one before.

    Raises: AuditTampered.
    """
    for line in lines:
        found = parse_line(line)
        if found.seq != tail.seq + 1 or found.prev != tail.digest:
            raise AuditTampered(f"record {found.seq} does not continue record {tail.seq}")
        if found.id <= tail.id:
            raise AuditTampered(f"record {found.seq} has an id that does not follow")
        tail = found
    return tail
