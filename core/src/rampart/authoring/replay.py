"""Replay: calls that were really made, decided once more by other policies, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rampart.authoring.trial import Reached, StillClock, spoken
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.model import Decision, ToolCall
from rampart.plugins import Plugins
from rampart.session import History
from rampart.sources import PolicyInForce


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call of the audit log. ``time`` is in epoch seconds; ``id`` is its record's."""

    call: ToolCall
    time: float
    id: str = ""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One call and the answer of today. ``reached`` are the rules that spoke, if asked for."""

    recorded: Recorded
    decision: Decision
    reached: frozenset[Reached] = field(default_factory=frozenset)


def replay(
    calls: Iterable[Recorded],
    policies: PolicyInForce,
    *,
    hosts: HostFacts,
    plugins: Plugins | None = None,
    listens: bool = False,
) -> Iterator[Replayed]:
    """Decide calls as if each came at its time, in one history.

    A call that would be let run has happened for those after it. With ``listens`` say which rules
    spoke about each, whatever they said.
    """
    clock = StillClock(0.0)
    history = History(clock=clock)
    gate = Gate(policies, hosts=hosts, plugins=plugins, clock=clock, history=history)
    for each in calls:
        clock.time = max(clock.time, each.time)
        decision = gate.rehearse(each.call)
        reached = spoken(gate, hosts, each.call, clock.time) if listens else frozenset[Reached]()
        yield Replayed(each, decision, reached)
    history.close()
