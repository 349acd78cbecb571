"""Times of a policy: durations, and hours and days in a zone.

Zones come from the machine's time zone database through ``zoneinfo``, once, when a policy loads
(decisions/0041).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Final

from rampart.policy.document import TimeWindow

UTC_NAME: Final = "UTC"
LOCAL_NAME: Final = "local"
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY_MINUTES: Final = 24 * 60
_HOURS: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?")
_DURATION: Final = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h|d|w))+")
_PART: Final = re.compile(r"([\d.]+)(ms|s|m|h|d|w)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def read_duration(text: str) -> float:
    """Return the seconds of ``90s``, ``10m``, ``1h30m`` or ``7d``. Raises: ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError("a duration is a number with a unit: 30s, 10m, 1h30m, 7d")
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(text))
    if seconds <= 0:
        raise ValueError("a duration must be longer than nothing")
    return seconds


def read_hours(text: str) -> tuple[int, int]:
    """Return the minutes of the day of ``09:00-17:00``. Raises: ValueError."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError("hours are written like 09:00-17:00")
    first_hour, first_minute, last_hour, last_minute = (int(part or 0) for part in found.groups())
    start, end = first_hour * 60 + first_minute, last_hour * 60 + last_minute
    if first_minute > 59 or last_minute > 59 or start >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise ValueError("a day has the hours from 00:00 to 24:00")
    if start == end:
        raise ValueError("from and to are the same: say 00:00-24:00 for the whole day")
    return start, end


def read_days(text: str) -> tuple[int, ...]:
    """Return the days of ``mon`` or ``mon-fri``, Monday being 0. Raises: ValueError."""
    first, dash, last = (part.strip().lower() for part in text.partition("-"))
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"a day is one of {', '.join(DAYS)}, or a range such as mon-fri")
    start = DAYS.index(first)
    length = (DAYS.index(last) - start) % 7 + 1 if dash else 1
    return tuple((start + step) % 7 for step in range(length))


def find_zone(name: str) -> tzinfo | None:
    """Return a zone, None for the machine's own. Raises: ValueError if it does not exist."""
    if name == LOCAL_NAME:
        return None
    if name == UTC_NAME:
        return UTC
    from zoneinfo import ZoneInfo  # WHY: few policies need it

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name, or no file of a zone
        raise ValueError(
            "no such time zone: expected a name such as Europe/Berlin, UTC, or local"
        ) from None


def compile_time(window: TimeWindow) -> Callable[[float], bool]:
    """Return the test whether a moment, in epoch seconds, is inside a window."""
    zone = find_zone(window.zone)
    days = frozenset(window.days or range(7))
    hours = window.hours or ((0, _DAY_MINUTES),)

    def contains(now: float) -> bool:
        moment = datetime.fromtimestamp(now, zone)
        minute, today = moment.hour * 60 + moment.minute, moment.weekday()
        for start, end in hours:
            if start < end:
                if start <= minute < end and today in days:
                    return True
            # a range over midnight belongs to the day on which it begins
            elif (minute >= start and today in days) or (minute < end and (today - 1) % 7 in days):
                return True
        return False

    return contains
