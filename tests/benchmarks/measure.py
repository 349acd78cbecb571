"""Timing one thing, and saying what it cost beside what it is compared with."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Final

_WARM_RUNS: Final = 3


@dataclass(frozen=True)
class Times:
    """Times of single runs, in microseconds, sorted."""

    values: Sequence[float]

    def at(self, share: float) -> float:
        return self.values[min(int(len(self.values) * share), len(self.values) - 1)]

    @property
    def p50(self) -> float:
        return self.at(0.5)

    @property
    def p99(self) -> float:
        return self.at(0.99)

    @property
    def worst(self) -> float:
        return self.values[-1]


@dataclass(frozen=True)
class Row:
    """One line of the table. Times are in microseconds; ``rate`` is per second."""

    name: str
    p50: float
    p99: float
    worst: float
    peer: str = ""
    peer_p50: float = 0.0
    budget: str = ""
    within: bool | None = None
    note: str = ""
    ratio: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.peer_p50:
            object.__setattr__(self, "ratio", self.p50 / self.peer_p50)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def time_each(runs: Sequence[Callable[[], object]], *, rounds: int) -> Times:
    """Time every one of ``runs`` by itself, ``rounds`` times in turn.

    Of one run return all its times, of several the median of each.
    """
    clock = time.perf_counter_ns
    taken: list[list[float]] = [[] for _ in runs]
    for run in runs:
        for _ in range(_WARM_RUNS):
            run()
    gc.collect()
    gc.freeze()  # WHY: what the harness keeps is not to be looked at again inside a run
    for _ in range(rounds):
        for run, times in zip(runs, taken, strict=True):
            start = clock()
            run()
            times.append((clock() - start) / 1000)
    gc.unfreeze()
    return Times(sorted(taken[0] if len(runs) == 1 else map(median, taken)))


def row(
    name: str,
    times: Times,
    *,
    peer: tuple[str, Times] | None = None,
    budget: str = "",
    **more: object,
) -> Row:
    """Return a row; ``peer`` was measured in the same run."""
    label, other = peer or ("", None)
    return Row(
        name,
        round(times.p50, 2),
        round(times.p99, 2),
        round(times.worst, 2),
        peer=label,
        peer_p50=round(other.p50, 2) if other else 0.0,
        budget=budget,
        **more,  # type: ignore[arg-type]  # names are checked by Row
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text in columns."""
    head = ("", "p50 us", "p99 us", "worst us", "ratio", "beside", "budget", "")
    lines: list[tuple[str, ...]] = [head]
    for each in rows:
        beside = f"{each.peer} {each.peer_p50:,.1f}" if each.peer else ""
        verdict = {True: "ok", False: "OVER", None: ""}[each.within]
        ratio = f"{each.ratio:.2f}" if each.peer_p50 else ""
        numbers = [f"{value:,.1f}" for value in (each.p50, each.p99, each.worst)]
        lines.append((each.name, *numbers, ratio, beside, each.budget, f"{verdict} {each.note}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if 0 < column < 5 else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
