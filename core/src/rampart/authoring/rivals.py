"""Rivals: the rules that speak about the same calls as one rule, and who wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rampart.authoring.samples import described, samples_of
from rampart.authoring.stage import Stage
from rampart.model import Verdict
from rampart.policy.document import Policy, PolicyDocument, Rule


@dataclass(frozen=True, slots=True)
class Rival:
    """Another rule that speaks about a call of this one's, with the call as a proof."""

    policy: str
    rule: str
    says: Verdict
    text: str
    wins: bool


def find_rules(documents: tuple[PolicyDocument, ...], name: str) -> Iterator[tuple[Policy, Rule]]:
    """Yield the rules called ``policy/rule``, ``rule``, or all of a ``policy``."""
    for document in documents:
        for policy in document.policies:
            for rule in policy.rules:
                if name in (f"{policy.name}/{rule.id}", rule.id, policy.name):
                    yield policy, rule


def rivals_of(stage: Stage, policy: Policy, rule: Rule) -> tuple[Rival, ...]:
    """Return the rules that also speak about calls that a rule is about, one proof for each."""
    found: dict[tuple[str, str], Rival] = {}
    alone = stage.alone(policy, rule)
    for sample in samples_of(policy, rule):
        if sample.answered or not alone(sample):
            continue
        decision = stage.decide(sample)
        for _, hearings in stage.hear(sample):
            for each in hearings:
                key = (each.policy, each.rule)
                if key == (policy.name, rule.id):
                    continue
                wins = key == (decision.policy, decision.rule)
                if key not in found or (wins and not found[key].wins):
                    found[key] = Rival(*key, each.verdict, described(sample), wins)
    return tuple(sorted(found.values(), key=lambda rival: not rival.wins))
