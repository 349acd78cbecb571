"""The keys ``after``, ``call_count`` and ``time`` of a ``when`` block: nodes → values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast, get_args

from rampart.limits import CALL_COUNT_MAX, HISTORY_KEEP_S
from rampart.policy import composer, fields
from rampart.policy.composer import Mapping, Node, Scalar
from rampart.policy.document import After, CallCount, Condition, TimeWindow
from rampart.policy.fields import fail
from rampart.policy.past import By
from rampart.policy.times import find_zone, read_days, read_duration, read_hours

ReadCondition = Callable[[Mapping], Condition]

AFTER_KEYS: Final = frozenset({"within", "calls", "by", "until_approved"})
CALL_COUNT_KEYS: Final = frozenset({"tool", "gte", "window", "by"})
TIME_KEYS: Final = frozenset({"hours", "days", "zone"})

_BY: Final = get_args(By)


def read_after(node: Node, what: str, read_earlier: ReadCondition) -> tuple[After, ...]:
    """Return what an earlier action must be; of several blocks one is enough."""
    items = fields.sequence(node, what) if isinstance(node, composer.Sequence) else (node,)
    return tuple(_after(item, what, read_earlier) for item in items)


def _after(node: Node, what: str, read_earlier: ReadCondition) -> After:
    found = fields.mapping(node, what)
    entries = {key.text: item for key, item in found.entries}
    earlier = [entry for entry in found.entries if entry[0].text not in AFTER_KEYS]
    if not earlier:
        fail(node, f"{what} does not say what the earlier action was", "for example {tool: fetch}")
    within, calls, by = entries.get("within"), entries.get("calls"), entries.get("by")
    name = entries.get("until_approved")
    return After(
        what=read_earlier(Mapping(tuple(earlier), found.where)),
        within_s=None if within is None else _duration(within, f"{what}.within"),
        calls=None if calls is None else _count(calls, f"{what}.calls"),
        by="session" if by is None else _by(by, f"{what}.by", ("session", "agent")),
        until_approved="" if name is None else fields.text(name, f"{what}.until_approved"),
    )


def read_call_count(node: Node, what: str) -> CallCount:
    """Return how many calls are too many."""
    entries = _entries(node, what, CALL_COUNT_KEYS)
    if "gte" not in entries:
        fail(node, f"{what} has no gte", "for example {tool: fetch, gte: 100, window: 1h}")
    tool, window, by = entries.get("tool"), entries.get("window"), entries.get("by")
    return CallCount(
        gte=_count(entries["gte"], f"{what}.gte"),
        tool=() if tool is None else fields.checked_texts(tool, f"{what}.tool", fields.glob),
        window_s=None if window is None else _duration(window, f"{what}.window"),
        by="global" if by is None else _by(by, f"{what}.by", _BY),
    )


def read_time(node: Node, what: str) -> TimeWindow:
    """Return hours, days and the zone that they are meant in."""
    entries = _entries(node, what, TIME_KEYS)
    hours, days, zone = entries.get("hours"), entries.get("days"), entries.get("zone")
    if hours is None and days is None:
        fail(node, f"{what} names neither hours nor days", "for example {hours: 09:00-17:00}")
    name = "UTC" if zone is None else fields.text(zone, f"{what}.zone")
    try:
        find_zone(name)
    except ValueError as error:
        fail(cast("Node", zone), f"`{name}`: {error}")
    found = _values(days, f"{what}.days", read_days)
    return TimeWindow(
        hours=_values(hours, f"{what}.hours", read_hours),
        days=tuple(sorted({day for some in found for day in some})),
        zone=name,
    )


def _entries(node: Node, what: str, known: frozenset[str]) -> dict[str, Node]:
    found = fields.mapping(node, what)
    for key, _ in found.entries:
        if key.text not in known:
            fail(key, f"unknown key `{key.text}` in {what}", fields.nearest(key.text, known))
    return {key.text: item for key, item in found.entries}


def _values(node: Node | None, what: str, read: Callable[[str], Any]) -> tuple[Any, ...]:
    if node is None:
        return ()
    items = (node,) if isinstance(node, Scalar) else fields.sequence(node, what)
    return tuple(_value(item, what, read) for item in items)


def _value(node: Node, what: str, read: Callable[[str], Any]) -> Any:
    text = fields.text(node, what)
    try:
        return read(text)
    except ValueError as error:
        fail(node, f"`{text}`: {error}")


def _duration(node: Node, what: str) -> float:
    seconds: float = _value(node, what, read_duration)
    if seconds > HISTORY_KEEP_S:
        days = int(HISTORY_KEEP_S // 86400)
        fail(node, f"{what} is longer than {days} days", "no older calls are remembered")
    return seconds


def _count(node: Node, what: str) -> int:
    number = fields.integer(node, what)
    if not 1 <= number <= CALL_COUNT_MAX:
        fail(node, f"{what} must be a number from 1 to {CALL_COUNT_MAX}")
    return number


def _by(node: Node, what: str, known: tuple[str, ...]) -> By:
    word = fields.text(node, what)
    if word not in known:
        fail(node, f"unknown word `{word}` in {what}: expected {', '.join(known)}")
    return cast("By", word)
