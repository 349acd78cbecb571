"""The examples of rules, put to the proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rampart.authoring.samples import described, examples_of
from rampart.authoring.stage import Stage
from rampart.policy.document import Policy, PolicyDocument, Rule


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """One example: ``problems`` says what is wrong with it, nothing if it holds."""

    policy: str
    rule: str
    name: str
    where: str
    problems: tuple[str, ...]


def example_results(document: PolicyDocument, stage: Stage) -> Iterator[ExampleResult]:
    """Yield what became of each example of a file that one call alone can show."""
    for policy in document.policies:
        for rule in policy.rules:
            if policy.enabled and one_call_can_show(policy, rule, stage.now):
                yield from rule_results(policy, rule, stage)


def rule_results(policy: Policy, rule: Rule, stage: Stage) -> Iterator[ExampleResult]:
    """Yield what became of each example of a rule."""
    if not rule.examples.match and not rule.examples.not_match:
        return
    alone = stage.alone(policy, rule)
    for wanted, sample, where in examples_of(policy, rule):
        kind = "match" if wanted else "not_match"
        name = f"{policy.name}/{rule.id} {kind}: {described(sample)}"
        problems: tuple[str, ...] = ()
        if alone(sample) is not wanted:
            whole = stage.decide(sample)
            by = f"{whole.policy}/{whole.rule}" if whole.policy else whole.rule
            problems = (
                f"- expected  the rule {'matches' if wanted else 'does not match'}",
                f"+ found     it {'does not' if wanted else 'does'}",
                f"all rules together say {whole.action}, by {by}",
            )
        yield ExampleResult(policy.name, rule.id, name, where, problems)


def one_call_can_show(policy: Policy, rule: Rule, now: float) -> bool:
    """True if a rule rests on nothing but the call: neither the past, the hour, nor who asks."""
    when, scope = rule.when, policy.match
    if rule.expires_at is not None and rule.expires_at <= now:
        return False
    return not (
        when.after
        or when.call_count
        or when.time
        or when.agent_depth
        or when.session_matches
        or when.session_not_matches
        or scope.agent
        or scope.session
    )
