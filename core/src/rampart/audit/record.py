"""One record: what it holds and how it becomes a line. Pure.

The format is specified in ``core/docs/audit.md``. INVARIANT: a line is built once, from values that
are already redacted; what is hashed is the bytes of the line, never a value that was parsed and
written again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from rampart import strict_json
from rampart.audit.redact import Redactor
from rampart.errors import AuditUnavailable, InputError
from rampart.limits import RECORD_BYTES_MAX
from rampart.model import Action, Decision, ToolCall

__all__ = [
    "GENESIS",
    "HASH_TAIL_BYTES",
    "VERSION",
    "Head",
    "Line",
    "Redactor",
    "approval_fields",
    "build_line",
    "decision_fields",
    "encode_fields",
    "line_digest",
    "response_fields",
]

VERSION: Final = 1
GENESIS: Final = "0" * 64  # `prev` of the first record
HASH_TAIL_BYTES: Final = len(',"hash":""}') + 64
CLOCK_BACK_S_MIN: Final = 0.001  # smaller steps are rounding
RESERVED: Final = frozenset({"v", "seq", "id", "time", "prev", "hash", "clock_back_s"})
_PARAMS_DEPTH: Final = 2  # a field of a record that is an object itself
_HEAD_BYTES_MAX: Final = 512  # what `build_line` adds around the fields, with room


class ApprovalFacts(Protocol):
    """What a record says about an approval."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def resolved_by(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def rule(self) -> str: ...


class Head:
    """What all records of one batch say alike: when they were written.

    ``time`` is in seconds since the epoch; ``clock_back_s`` is how far that stands behind the
    newest record's time. Raises: AuditUnavailable for a time that is no date.
    """

    __slots__ = ("middle", "start")

    def __init__(self, time: float, clock_back_s: float = 0.0) -> None:
        back = f',"clock_back_s":{clock_back_s:.6f}' if clock_back_s >= CLOCK_BACK_S_MIN else ""
        self.start = f'{{"v":{VERSION},"seq":'
        self.middle = f'","time":"{format_time(time)}"{back},"prev":"'


class Line(NamedTuple):
    """A record as written: ``data`` ends with a newline; ``digest`` is the next one's ``prev``."""

    data: bytes
    hash: str
    digest: str


def encode_fields(fields: Mapping[str, object]) -> bytes:
    """Return a record's own fields as a JSON object that fits into a line.

    Fields that make it too large are replaced by ``{size, sha256}`` of their JSON, the largest
    first. Raises: AuditUnavailable for fields that cannot be recorded.
    """
    if not isinstance(fields.get("type"), str) or not fields["type"]:
        raise AuditUnavailable("a record needs a `type`")
    if not RESERVED.isdisjoint(fields):
        raise AuditUnavailable(f"the log itself sets {sorted(RESERVED)}")
    try:
        data = strict_json.dumps(dict(fields))
        if len(data) <= RECORD_BYTES_MAX - _HEAD_BYTES_MAX:
            return data
        return _shortened({name: strict_json.dumps(value) for name, value in fields.items()})
    except InputError as error:
        raise AuditUnavailable(f"a record cannot be written: {error.message}") from None


def _shortened(parts: dict[str, bytes]) -> bytes:
    for name in sorted(parts, key=lambda name: len(parts[name]), reverse=True):
        if name != "type":
            digest = hashlib.sha256(parts[name]).hexdigest()
            parts[name] = strict_json.dumps({"size": len(parts[name]), "sha256": digest})
        data = b",".join(strict_json.dumps(key) + b":" + parts[key] for key in sorted(parts))
        if len(data) + 2 <= RECORD_BYTES_MAX - _HEAD_BYTES_MAX:
            return b"{" + data + b"}"
    raise AuditUnavailable("a record has too many fields")


def build_line(head: Head, place: tuple[int, str, str], fields: bytes) -> Line:
    """Return the line for ``fields``, which come from ``encode_fields``.

    ``place`` is the record's number, its id, and the previous line's digest.
    """
    seq, ulid, prev = place
    start = f'{head.start}{seq},"id":"{ulid}{head.middle}{prev}",'
    body = start.encode("ascii") + fields[1:]
    own = hashlib.sha256(body).hexdigest()
    line = b'%b,"hash":"%b"}' % (body[:-1], own.encode("ascii"))
    if len(line) > RECORD_BYTES_MAX:
        raise AuditUnavailable(f"a record of {len(line)} bytes; the limit is {RECORD_BYTES_MAX}")
    return Line(line + b"\n", own, line_digest(line))


def line_digest(line: bytes) -> str:
    """Return the SHA-256 of a line without its newline: the next record's ``prev``."""
    return hashlib.sha256(line).hexdigest()


def format_time(seconds: float) -> str:
    """Return a time as RFC 3339 in UTC with microseconds.

    Raises: AuditUnavailable beyond the year 9999.
    """
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise AuditUnavailable(f"the clock says {seconds}, which is not a date") from None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Return seconds since the epoch for what ``format_time`` wrote. Raises: ValueError."""
    return datetime.fromisoformat(text).timestamp()


def decision_fields(
    call: ToolCall,
    decision: Decision,
    *,
    redactor: Redactor,
    monitor: bool = False,
    actions: Sequence[Action] = (),
) -> dict[str, object]:
    """Return the fields of a ``decision`` record, redacted. Never raises for what a call holds."""
    value = redactor.value
    fields: dict[str, object] = {
        "type": "decision",
        "tool": value(call.tool),
        "params": value(call.params, _PARAMS_DEPTH),
        "agent": value(call.agent),
        "session": value(call.session),
        "run_id": value(call.run_id),
        "call_id": value(call.call_id),
        "cwd": value(call.cwd),
        "depth": value(call.depth),
        "decision": {
            "action": decision.action,
            "policy": value(decision.policy),
            "rule": value(decision.rule),
            "message": value(decision.message),
            "matched": value(decision.matched, _PARAMS_DEPTH + 1),
        },
        "generation": decision.generation,
        "duration_us": round(decision.duration_us, 1),
    }
    if decision.approval_id:
        fields["approval_id"] = decision.approval_id
    if monitor:
        fields["monitor"] = True
    if decision.because is not None:
        fields["because"] = value(_action(decision.because), _PARAMS_DEPTH)
    if actions:
        fields["actions"] = value([_action(action) for action in actions], _PARAMS_DEPTH)
    if decision.consulted:
        fields["webhooks"] = value(
            [
                {
                    "policy": each.policy,
                    "rule": each.rule,
                    "action": each.action,
                    "message": each.message,
                    **({"failure": each.failure} if each.failure else {}),
                }
                for each in decision.consulted
            ],
            _PARAMS_DEPTH,
        )
    return fields


def response_fields(
    call: ToolCall,
    decision: Decision,
    *,
    redactor: Redactor,
    text: bytes | None,
    taken: Sequence[tuple[str, str, int]] = (),
) -> dict[str, object]:
    """Return the fields of a ``response`` record: what was decided about what ``call`` returned.

    ``text`` is the response as the rules saw it, None if it could not be read. INVARIANT: nothing
    of it is in the record but its size and a keyed digest; a plain digest of a short text gives the
    text away. ``taken`` says how many places which rule took out.
    """
    fields = decision_fields(call, decision, redactor=redactor)
    fields["type"] = "response"
    fields["response"] = (
        {"unreadable": True}
        if text is None
        else {"size": len(text), "hmac_sha256": redactor.digest(text)}
    )
    if taken:
        fields["taken"] = redactor.value(
            [{"policy": policy, "rule": rule, "places": places} for policy, rule, places in taken],
            _PARAMS_DEPTH,
        )
    return fields


def approval_fields(
    approval: ApprovalFacts, *, redactor: Redactor | None = None
) -> dict[str, object]:
    """Return the fields of an ``approval`` record, redacted."""
    value = (redactor or Redactor()).value
    return {
        "type": "approval",
        "approval_id": value(approval.id),
        "status": approval.status,
        "by": value(approval.resolved_by),
        "reason": value(approval.reason),
        "digest": approval.digest,
        "policy": value(approval.policy),
        "rule": value(approval.rule),
    }


def _action(action: Action) -> dict[str, object]:
    named = {
        "tool": action.tool,
        "origin": action.origin,
        "command": action.command,
        "path": action.path,
        "url": action.url,
        "opaque": action.opaque,
    }
    return {name: value for name, value in named.items() if value}
