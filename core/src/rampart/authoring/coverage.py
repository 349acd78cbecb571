"""Coverage: which rules the examples, the tests and the recorded calls ever reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rampart.authoring.samples import examples_of
from rampart.authoring.stage import Stage
from rampart.authoring.trial import Reached
from rampart.policy.document import PolicyDocument


@dataclass(frozen=True, slots=True)
class Covered:
    """One rule, and how many calls of each kind it spoke about."""

    policy: str
    rule: str
    where: str
    examples: int
    tests: int
    recorded: int

    @property
    def reached(self) -> bool:
        """True if anything ever reached it."""
        return bool(self.examples or self.tests or self.recorded)


def coverage_of(
    document: PolicyDocument,
    stage: Stage,
    *,
    tests: Iterable[frozenset[Reached]],
    recorded: Iterable[frozenset[Reached]],
) -> tuple[Covered, ...]:
    """Return every rule of a file that is enabled, with what reached it."""
    shown, tried = Counter(_spoken_in_examples(stage)), _counted(tests)
    made = _counted(recorded)
    return tuple(
        Covered(policy.name, rule.id, rule.where, shown[key], tried[key], made[key])
        for policy in document.policies
        if policy.enabled
        for rule in policy.rules
        for key in (Reached(policy.name, rule.id),)
    )


def _counted(sets: Iterable[frozenset[Reached]]) -> Counter[Reached]:
    found: Counter[Reached] = Counter()
    for each in sets:
        found.update(each)
    return found


def _spoken_in_examples(stage: Stage) -> Iterable[Reached]:
    for document in stage.policies.documents:
        for policy in document.policies:
            for rule in policy.rules:
                for wanted, sample, _ in examples_of(policy, rule):
                    if not wanted:
                        continue
                    decision = stage.decide(sample)
                    spoke = {Reached(decision.policy, decision.rule)}
                    for _, hearings in stage.hear(sample):
                        spoke |= {Reached(each.policy, each.rule) for each in hearings}
                    yield from spoke
