"""Trial: the cases of a policy played through the gate, in memory, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rampart.authoring.cases import ABSENT, Case, Step
from rampart.authoring.samples import described
from rampart.authoring.stage import Sample
from rampart.errors import InputError
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.model import Decision, ToolCall
from rampart.plugins import Plugins
from rampart.policy.texts import compile_text_globs
from rampart.session import History
from rampart.sources import PolicyInForce


@dataclass(frozen=True, slots=True)
class Reached:
    """A rule that spoke, by the names of its policy and its own."""

    policy: str
    rule: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case. ``problems`` are lines for people, none if it holds."""

    case: Case
    problems: tuple[str, ...]
    reached: frozenset[Reached]

    @property
    def holds(self) -> bool:
        """True if every expectation was met."""
        return not self.problems


class StillClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float) -> None:
        self.time = now

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self.time

    def monotonic(self) -> float:
        """Return no time at all: nothing takes any."""
        return 0.0


def play(
    case: Case, policies: PolicyInForce, *, now: float, plugins: Plugins | None = None
) -> Outcome:
    """Play one case through a gate of its own; ``now`` counts where it does not say ``at``."""
    clock = StillClock(now if case.at is None else case.at)
    hosts = HostFacts(workspace=case.workspace, home=case.home, follow_links=False)
    gate = Gate(
        policies,
        hosts=hosts,
        plugins=plugins,
        clock=clock,
        history=History(clock=clock),
    )
    problems: list[str] = []
    reached: set[Reached] = set()
    for number, step in enumerate(case.steps, start=1):
        clock.time += step.later_s
        spoke = spoken(gate, hosts, step.call, clock.time)
        decision, shown = _answer(gate, step)
        reached |= {*spoke, Reached(decision.policy, decision.rule)}
        found = list(_problems(step, decision, shown))
        if found:
            head = f"step {number}: " if len(case.steps) > 1 else ""
            problems += [f"{head}{described(Sample(step.call))}  ({step.where})", *found]
            problems += list(_why(decision, spoke))
    return Outcome(case, tuple(problems), frozenset(reached))


def _answer(gate: Gate, step: Step) -> tuple[Decision, object]:
    if step.response is not ABSENT:
        review = gate.check_response(step.call, step.response)
        return review.decision, review.response
    return gate.rehearse(step.call, approves=step.approve), ABSENT


def _problems(step: Step, decision: Decision, shown: object) -> Iterator[str]:
    if decision.action not in step.expect:
        yield f"  - expected  {' or '.join(step.expect)}"
        yield f"  + decided   {decision.action}"
    name = f"{decision.policy}/{decision.rule}" if decision.policy else decision.rule
    if step.rule and step.rule not in (name, decision.rule):
        yield f"  - expected rule  {step.rule}"
        yield f"  + decided by     {name}"
    if step.message and not compile_text_globs((step.message,))(decision.message):
        yield f"  - expected message  {step.message}"
        yield f"  + said              {decision.message}"
    if step.shows is not ABSENT and step.shows != shown:
        yield f"  - expected to show  {step.shows!r}"
        yield f"  + shows             {shown!r}"


def _why(decision: Decision, spoke: frozenset[Reached]) -> Iterator[str]:
    name = f"{decision.policy}/{decision.rule}" if decision.policy else decision.rule
    yield f"    by {name}: {decision.message}" if decision.message else f"    by {name}"
    if decision.because is not None:
        action = decision.because
        about = action.path or action.url or action.command
        yield f"    because of  {action.tool} {about}".rstrip()
    others = sorted({f"{each.policy}/{each.rule}" for each in spoke} - {name})
    if others:
        yield f"    also spoke  {', '.join(others[:_OTHERS_SHOWN])}"


_OTHERS_SHOWN: Final = 5


def spoken(gate: Gate, hosts: HostFacts, call: ToolCall, now: float) -> frozenset[Reached]:
    """Return the rules that speak about the parts of a call when nothing happened before."""
    try:
        actions = gate.actions(call)
        engine = gate.policies.engine(hosts.host(call))
        return frozenset(
            Reached(hearing.policy, hearing.rule)
            for action in actions
            for hearing in engine.hear(call, action, now=now)
        )
    except InputError:  # the decision says so
        return frozenset()
