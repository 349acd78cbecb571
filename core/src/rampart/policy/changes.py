"""Single rules switched off, or given another word, by the policy that is named itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rampart.errors import PolicyError
from rampart.policy.document import Policy, PolicyDocument, Rule, RuleChange
from rampart.policy.fields import nearest


def with_changes(documents: Sequence[PolicyDocument]) -> tuple[PolicyDocument, ...]:
    """Return documents, the most specific first, with what the first one's ``rules`` say of others.

    Raises: PolicyError for a name that none of the others has, or where another one has ``rules``.
    """
    for document in documents[1:]:
        if document.changes:
            raise PolicyError(
                "`rules` cannot stand here: only the policy that is named itself may change rules",
                where=document.changes[0].where,
                help="copy them into the file that extends this one",
            )
    if not documents or not documents[0].changes:
        return tuple(documents)
    first, others = documents[0], documents[1:]
    wanted = {change.name: change for change in first.changes}
    _require_known(first.changes, others)
    return (first, *(_changed(document, wanted) for document in others))


def _require_known(changes: Sequence[RuleChange], others: Sequence[PolicyDocument]) -> None:
    policies = [policy for document in others for policy in document.policies]
    known = {policy.name for policy in policies}
    known |= {_name(policy, rule) for policy in policies for rule in policy.rules}
    for change in changes:
        if change.name not in known:
            hint = nearest(change.name, known)
            raise PolicyError(
                f"there is no rule `{change.name}` among those that this policy extends",
                where=change.where,
                help=hint if hint.startswith("did") else "`rampart policy show` lists them",
            )


def _changed(document: PolicyDocument, wanted: dict[str, RuleChange]) -> PolicyDocument:
    policies = tuple(
        replace(policy, rules=tuple(_rules(policy, wanted))) for policy in document.policies
    )
    return replace(document, policies=policies)


def _rules(policy: Policy, wanted: dict[str, RuleChange]) -> list[Rule]:
    kept = []
    for rule in policy.rules:
        change = wanted.get(_name(policy, rule)) or wanted.get(policy.name)
        if change is None:
            kept.append(rule)
        elif change.action is not None:
            kept.append(replace(rule, action=change.action, webhook=None))
    return kept


def _name(policy: Policy, rule: Rule) -> str:
    return f"{policy.name}/{rule.id}"
