"""Findings about the order of rules: what never gets its turn."""

from __future__ import annotations

from collections.abc import Iterator

from rampart.authoring.covering import covers, restricts
from rampart.authoring.findings import Finding
from rampart.policy.document import Policy, Rule

_RULES_COMPARED_MAX = 300  # in one policy: pairs grow with the square


def order_findings(policy: Policy) -> Iterator[Finding]:
    """Yield the rules of a policy that an earlier one leaves nothing to say."""
    rules = policy.rules[:_RULES_COMPARED_MAX]
    for index, later in enumerate(rules):
        for earlier in rules[:index]:
            found = _finding(policy, earlier, later)
            if found is not None:
                yield found
                break


def _finding(policy: Policy, earlier: Rule, later: Rule) -> Finding | None:
    if not _ends_the_turn(earlier, later) or not covers(earlier, later):
        return None
    what = f"`{earlier.id}` at {_short(earlier.where)}"
    if restricts(later) and not restricts(earlier):
        return Finding(
            "too-late",
            later.where,
            f"`{later.action}` comes after {what}, which allows the same: only what no grant can "
            "cover gets here",
            "put the exception first: in a policy the first rule that matches speaks",
            policy.name,
            later.id,
        )
    return Finding(
        "unreachable",
        later.where,
        f"this rule never speaks: {what} matches all that it matches, and comes first",
        "remove one of the two, or put this one first",
        policy.name,
        later.id,
    )


def _ends_the_turn(earlier: Rule, later: Rule) -> bool:
    """True if nothing is left for ``later`` where ``earlier`` speaks in the way it is compared."""
    if earlier.when.of_response:
        return earlier.action not in ("watch", "redact") and earlier.action != "allow"
    if restricts(earlier):
        return True
    # a grant leaves to a later `watch` what no grant can cover, and that is worth having
    return later.action == "allow" or restricts(later)


def _short(where: str) -> str:
    return ":".join(where.rsplit(":", 2)[1:])
