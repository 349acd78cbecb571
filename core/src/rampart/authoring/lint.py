"""Lint: what a policy file says, and what its author may not have meant by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from rampart.authoring.cases import read_inline_cases
from rampart.authoring.examples import one_call_can_show, rule_results
from rampart.authoring.findings import Finding
from rampart.authoring.lint_conditions import condition_findings, scope_findings
from rampart.authoring.lint_grants import grant_findings
from rampart.authoring.lint_order import order_findings
from rampart.authoring.stage import Stage
from rampart.authoring.tree import Tree, line_and_column
from rampart.errors import PolicyError
from rampart.policy.document import Policy, PolicyDocument, Rule

_FOUND: Final = "+ found     "


def lint(document: PolicyDocument, stage: Stage) -> tuple[Finding, ...]:
    """Return the findings about one file, in its order; ``stage`` has all documents in force."""
    tree = Tree(document)
    found = list(_test_findings(document))
    for number, policy in enumerate(document.policies):
        at: tuple[str | int, ...] = ("policies", number)
        found += scope_findings(policy, tree, at)
        if not policy.enabled:
            continue
        found += order_findings(policy)
        for index, rule in enumerate(policy.rules):
            found += _rule_findings(stage, policy, rule, tree, (*at, "rules", index))
    unique = {(each.code, each.where, each.message): each for each in found}
    return tuple(sorted(unique.values(), key=lambda each: line_and_column(each.where)))


def _rule_findings(
    stage: Stage, policy: Policy, rule: Rule, tree: Tree, at: tuple[str | int, ...]
) -> Iterator[Finding]:
    for each in condition_findings(policy, rule, tree, at, now=stage.now):
        yield replace(each, policy=policy.name, rule=rule.id)
    yield from _example_findings(stage, policy, rule)
    if rule.action in ("allow", "watch"):
        yield from grant_findings(stage, policy, rule, tree.where(*at, "when"))


def _example_findings(stage: Stage, policy: Policy, rule: Rule) -> Iterator[Finding]:
    if not one_call_can_show(policy, rule, stage.now):
        return  # tests with steps do
    for each in rule_results(policy, rule, stage):
        if each.problems:
            yield Finding(
                "example-fails",
                each.where,
                f"this example does not hold: {each.problems[1].removeprefix(_FOUND)} match",
                "`rampart explain` shows what the call would do",
                policy.name,
                rule.id,
            )


def _test_findings(document: PolicyDocument) -> Iterator[Finding]:
    try:
        read_inline_cases(document)
    except PolicyError as error:
        message = error.message.removeprefix(f"{error.where}: ")
        yield Finding("test-invalid", error.where, message, error.help)
