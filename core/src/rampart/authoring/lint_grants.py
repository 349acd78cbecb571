"""Findings about what grants do: what they reach, and what they never get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rampart.authoring.findings import Finding
from rampart.authoring.samples import described, samples_of
from rampart.authoring.stage import Sample, Stage, sample_of
from rampart.intercept.catalog import builtin_catalog
from rampart.model import Decision
from rampart.policy.document import Policy, Rule

_SERIOUS: Final = frozenset(
    {"irreversible", "privileged", "publishes", "persistence", "accounts", "deploys", "escapes"}
    | {"disables-security", "covers-tracks", "loader-change", "credential", "widens-access"}
)
_LINES_SHOWN: Final = 2


def grant_findings(stage: Stage, policy: Policy, rule: Rule, where: str) -> Iterator[Finding]:
    """Yield what is to be known about one ``allow`` or ``watch``."""
    if rule.when.of_response or _needs_more_than_a_call(rule):
        return
    yield from _overridden(stage, policy, rule)
    if rule.action == "allow":
        yield from _wide(stage, policy, rule, where)


def _needs_more_than_a_call(rule: Rule) -> bool:
    when = rule.when
    return bool(
        when.after or when.call_count or when.time or when.session_matches or when.agent_depth
    )


def _overridden(stage: Stage, policy: Policy, rule: Rule) -> Iterator[Finding]:
    """A grant of which every call that can be made up is stopped by one other rule."""
    alone = stage.alone(policy, rule)
    stopped: list[tuple[Sample, Decision]] = []
    for sample in samples_of(policy, rule):
        if policy.match.agent or policy.match.session or not alone(sample):
            continue
        decision = stage.decide(sample)
        if decision.action not in ("deny", "ask") or not decision.policy:
            return
        if not _grants_itself(stage, policy, rule, sample) or decision.policy == policy.name:
            return
        stopped.append((sample, decision))
    if not stopped or len({(d.policy, d.rule, d.action) for _, d in stopped}) > 1:
        return
    sample, decision = stopped[0]
    other = next(each for each in stage.engine.policies if each.name == decision.policy)
    hint = "strictest wins across policies: change that rule, or drop this one"
    if policy.priority > other.priority:
        hint = f"`priority` orders who is named, never who wins; the {hint}"
    else:
        hint = f"the {hint}"
    yield Finding(
        "overridden",
        rule.where,
        f"`{decision.policy}/{decision.rule}` says {decision.action} to all that this allows, such "
        f"as `{described(sample)}`",
        hint,
        policy.name,
        rule.id,
    )


def _grants_itself(stage: Stage, policy: Policy, rule: Rule, sample: Sample) -> bool:
    """True if the rule grants something of the call and is heard doing it."""
    return any(
        (hearing.policy, hearing.rule) == (policy.name, rule.id)
        for _, hearings in stage.hear(sample)
        for hearing in hearings
    )


def _wide(stage: Stage, policy: Policy, rule: Rule, where: str) -> Iterator[Finding]:
    shown: list[str] = []
    for line in _lines_of(_programs(rule)):
        sample = sample_of(line)
        if not stage.decide(sample).allowed:
            continue
        serious = {
            effect
            for action, hearings in stage.hear(sample)
            for hearing in hearings
            if (hearing.policy, hearing.rule) == (policy.name, rule.id) and not action.whole
            for effect in action.effects & _SERIOUS
        }
        if serious:
            shown.append(f"`{line}` ({', '.join(sorted(serious))})")
    if shown:
        more = len(shown) - _LINES_SHOWN
        rest = f", and {more} more" if more > 0 else ""
        yield Finding(
            "wide-grant",
            where,
            f"this also lets run: {'; '.join(shown[:_LINES_SHOWN])}{rest}",
            "name what is meant, or let another policy ask: when: {effect: [irreversible, …]}",
            policy.name,
            rule.id,
        )


def _programs(rule: Rule) -> set[str]:
    """Return the programs that a grant names, with a wildcard for what they get."""
    found = {name for name in rule.when.program if "*" not in name and "?" not in name}
    for pattern in rule.when.command_matches:
        head = pattern.partition(" ")[0]
        if "*" in pattern and (" " in pattern or pattern.endswith("*")):
            found.add(head.rstrip("*"))
    return {name for name in found if name and "*" not in name and "?" not in name}


def _lines_of(programs: set[str]) -> Iterator[str]:
    catalog = builtin_catalog()
    for name in sorted(programs):
        entry = catalog.find(name)
        for line in entry.examples if entry else ():
            yield str(line)
