"""Reading a log: as a stream of records, or line by line for tools that show what is broken.

Reading verifies nothing; ``verify`` does. It works on a log that is being written to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rampart import strict_json
from rampart.errors import AuditError, AuditUnavailable, InputError
from rampart.limits import RECORD_BYTES_MAX

_SEGMENT: Final = re.compile(r"audit-[0-9]{20}\.jsonl")


@dataclass(frozen=True, slots=True)
class ReadLine:
    """One line of a segment, without its newline. ``record`` is None where ``problem`` says why.

    ``line`` counts from 1; ``offset`` is in bytes.
    """

    segment: str
    line: int
    offset: int
    raw: bytes
    record: dict[str, object] | None
    problem: str = ""


def read_records(directory: Path) -> Iterator[dict[str, object]]:
    """Yield every record, oldest first; an incomplete last line is left out.

    Raises: AuditUnavailable if there is no log or it cannot be opened, AuditError at a line that is
    no record.
    """
    for found in read_lines(directory):
        if found.record is not None:
            yield found.record
        elif found.problem != INCOMPLETE:
            raise AuditError(f"{found.segment}:{found.line}: {found.problem}")


def read_lines(directory: Path, *, after: tuple[str, int] = ("", 0)) -> Iterator[ReadLine]:
    """Yield every line, oldest first, readable or not.

    ``after`` is a segment's name and an offset in it: what stands before is skipped, and line
    numbers count from there. Raises: AuditUnavailable if there is no log or it cannot be opened.
    """
    for name in segment_names(directory):
        if name < after[0]:
            continue
        try:
            yield from _lines(Path(directory) / name, after[1] if name == after[0] else 0)
        except OSError as error:
            raise AuditUnavailable(f"{name}: {error.strerror or error}") from None


def segment_names(directory: Path) -> list[str]:
    """Return the names of a log's segments, oldest first.

    Raises: AuditUnavailable if there are none.
    """
    try:
        names = sorted(
            path.name for path in Path(directory).iterdir() if _SEGMENT.fullmatch(path.name)
        )
    except OSError as error:
        raise AuditUnavailable(f"{directory}: {error.strerror or error}") from None
    if not names:
        raise AuditUnavailable(f"{directory}: there is no audit log here")
    return names


INCOMPLETE: Final = "the line is not complete"


def _lines(path: Path, offset: int) -> Iterator[ReadLine]:
    with path.open("rb") as file:
        file.seek(offset)
        number = 0
        while line := file.readline(RECORD_BYTES_MAX + 1):
            number += 1
            yield _parsed(path.name, number, offset, line)
            offset += len(line)


def _parsed(segment: str, number: int, offset: int, line: bytes) -> ReadLine:
    raw = line.removesuffix(b"\n")
    if raw is line or len(raw) == len(line):
        problem = INCOMPLETE if len(line) <= RECORD_BYTES_MAX else "the line is too long"
        return ReadLine(segment, number, offset, raw, None, problem)
    try:
        record = strict_json.loads_object(raw, size_bytes_max=RECORD_BYTES_MAX)
    except InputError as error:
        return ReadLine(segment, number, offset, raw, None, error.message)
    return ReadLine(segment, number, offset, raw, record)
