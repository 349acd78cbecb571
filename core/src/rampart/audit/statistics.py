"""What a log says in figures: counted record by record, in one pass. Pure."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from rampart.audit.query import decided, text_of
from rampart.subject import subject

VERDICTS: Final = ("allow", "watch", "ask", "deny")
_MINUTE: Final = len("2026-01-01T00:00")
_STEPS_S: Final = (60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)
_EXAMPLE_CHARACTERS: Final = 160


class Percentiles(NamedTuple):
    """How long decisions took, in microseconds."""

    p50: float
    p90: float
    p99: float
    most: float


class Slot(NamedTuple):
    """What was decided in one stretch of time, in the order of ``VERDICTS``."""

    start: datetime
    counts: tuple[int, ...]


@dataclass(slots=True)
class Spoken:
    """One rule that restricted: how often, and the newest call that it stopped."""

    policy: str
    rule: str
    verdict: str
    count: int = 0
    message: str = ""
    example: str = ""
    record_id: str = ""


class Statistics:
    """Counts records; every figure is ready at any time."""

    def __init__(self) -> None:
        self.records = 0
        self.unreadable = 0
        self.first = self.last = ""
        self.types: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.tools: dict[str, Counter[str]] = {}
        self.agents: dict[str, Counter[str]] = {}
        self.sessions: set[tuple[str, str]] = set()
        self.approvals: Counter[str] = Counter()
        self.withheld = 0
        self.restrictions: dict[tuple[str, str, str], Spoken] = {}
        self._minutes: dict[str, list[int]] = {}
        self._durations_us = array("f")

    def add(self, record: dict[str, object]) -> None:
        """Count one record."""
        self.records += 1
        kind, time = text_of(record, "type"), text_of(record, "time")
        self.types[kind] += 1
        if time:
            self.first = min(self.first or time, time)
            self.last = max(self.last, time)
        if kind == "decision":
            self._add_decision(record, time)
        elif kind == "approval":
            self.approvals[text_of(record, "status")] += 1
        elif kind == "response" and decided(record, "action") == "deny":
            self.withheld += 1

    @property
    def decisions(self) -> int:
        """How many calls were decided."""
        return self.types["decision"]

    def latency(self) -> Percentiles | None:
        """Return how long decisions took; None if there were none."""
        if not self._durations_us:
            return None
        ordered = sorted(self._durations_us)
        last = len(ordered) - 1
        p50, p90, p99 = (ordered[round(last * part)] for part in (0.5, 0.9, 0.99))
        return Percentiles(p50, p90, p99, ordered[-1])

    def durations(self, edges_us: tuple[float, ...]) -> list[int]:
        """Return how many decisions took less than each edge (and not less than the one before).

        The last number counts what took longer.
        """
        found = [0] * (len(edges_us) + 1)
        for value in self._durations_us:
            found[sum(value >= edge for edge in edges_us)] += 1
        return found

    def timeline(self, slots_max: int) -> list[Slot]:
        """Return decisions over time, in at most ``slots_max`` equal stretches without a gap."""
        moments = {_moment(text): counts for text, counts in self._minutes.items()}
        known = {moment: counts for moment, counts in moments.items() if moment is not None}
        if not known:
            return []
        first, last = min(known), max(known)
        step = _step_s(int((last - first).total_seconds()) + 60, slots_max)
        origin = datetime.fromtimestamp(first.timestamp() // step * step, UTC)
        number = int((last - origin).total_seconds() // step) + 1
        sums = [[0] * len(VERDICTS) for _ in range(number)]
        for moment, counts in known.items():
            slot = sums[int((moment - origin).total_seconds() // step)]
            for place, count in enumerate(counts):
                slot[place] += count
        return [
            Slot(origin + timedelta(seconds=step * place), tuple(counts))
            for place, counts in enumerate(sums)
        ]

    def top_restrictions(self, count: int, verdict: str = "deny") -> list[Spoken]:
        """Return the rules that spoke most often."""
        found = [each for each in self.restrictions.values() if each.verdict == verdict]
        return sorted(found, key=lambda each: (-each.count, each.policy, each.rule))[:count]

    def _add_decision(self, record: dict[str, object], time: str) -> None:
        verdict = decided(record, "action")
        self.verdicts[verdict] += 1
        for name, table in (("tool", self.tools), ("agent", self.agents)):
            key = text_of(record, name)
            counts = table.get(key)
            if counts is None:
                counts = table[key] = Counter()
            counts[verdict] += 1
        self.sessions.add((text_of(record, "agent"), text_of(record, "session")))
        duration = record.get("duration_us")
        if isinstance(duration, int | float) and not isinstance(duration, bool) and duration >= 0:
            self._durations_us.append(min(float(duration), 1e30))
        if verdict in VERDICTS:
            minute = self._minutes.setdefault(time[:_MINUTE], [0] * len(VERDICTS))
            minute[VERDICTS.index(verdict)] += 1
        if verdict in ("ask", "deny"):
            self._add_restriction(record, verdict, time)

    def _add_restriction(self, record: dict[str, object], verdict: str, time: str) -> None:
        key = (decided(record, "policy"), decided(record, "rule"), verdict)
        spoken = self.restrictions.get(key)
        if spoken is None:
            spoken = self.restrictions[key] = Spoken(*key)
        spoken.count += 1
        if time >= self.last or not spoken.record_id:
            spoken.message = decided(record, "message")
            spoken.example = subject(record.get("params"))[:_EXAMPLE_CHARACTERS]
            spoken.record_id = text_of(record, "id")


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _step_s(span_s: int, slots_max: int) -> int:
    for step in _STEPS_S:
        # WHY one more: the first stretch begins at a round time
        if span_s // step + 2 <= slots_max:
            return step
    return (span_s // slots_max // 86400 + 2) * 86400
