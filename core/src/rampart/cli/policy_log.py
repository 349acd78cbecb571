"""The calls of an audit log, for commands that decide them once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rampart.model import ToolCall

if TYPE_CHECKING:
    from rampart.authoring.replay import Recorded

CALLS_MAX: Final = 100_000  # of one log: the newest
_TEXTS: Final = ("agent", "session", "run_id", "call_id", "cwd")


def recorded_calls(directory: Path) -> list[Recorded]:
    """Return the newest calls of a log, oldest first; nothing if there is no log.

    Raises: AuditError for a log that cannot be read.
    """
    from collections import deque

    from rampart.audit.read import read_records

    if not directory.exists():
        return []
    found: deque[Recorded] = deque(maxlen=CALLS_MAX)
    for record in read_records(directory):
        found.extend(_recorded(record))
    return list(found)


def _recorded(record: dict[str, object]) -> Iterator[Recorded]:
    from rampart.audit.record import parse_time
    from rampart.authoring.replay import Recorded

    tool, params, depth = record.get("tool"), record.get("params"), record.get("depth")
    if record.get("type") != "decision" or not isinstance(tool, str):
        return
    if not isinstance(params, dict) or set(params) == {"size", "sha256"}:
        return  # too large to be recorded as it was
    texts = {name: str(record.get(name) or "") for name in _TEXTS}
    call = ToolCall(tool, params, depth=depth if isinstance(depth, int) else 0, **texts)
    try:
        moment = parse_time(str(record.get("time")))
    except ValueError:
        return
    yield Recorded(call, moment, str(record.get("id", "")))
