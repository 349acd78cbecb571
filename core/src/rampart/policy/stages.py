"""The two moments at which rules speak: before a call, and about what it returned.

A rule that says something about the response speaks at the second only. What such a rule, and one
that asks a webhook, may say besides is checked here.
"""

from __future__ import annotations

from rampart.credentials import KINDS, OWN_KINDS
from rampart.policy import fields
from rampart.policy.composer import Node, Scalar
from rampart.policy.document import Rule
from rampart.policy.fields import fail
from rampart.policy.regex import compile_regex


def read_kinds(node: Node, what: str) -> tuple[str, ...]:
    """Return kinds of credentials; ``true`` means all that are known by their own form."""
    if isinstance(node, Scalar) and node.plain and node.text in ("true", "false"):
        if node.text == "false":
            fail(node, f"`{what}: false` says nothing", "leave it out")
        return OWN_KINDS

    def check(kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"not a kind of credential: {fields.nearest(kind, KINDS)}")
        return kind

    return fields.checked_texts(node, what, check)


def require_sense(rule: Rule, node: Node) -> None:
    """Refuse a rule whose parts do not fit together. ``node`` is where it stands.

    Raises: PolicyError.
    """
    if (rule.action == "webhook") != (rule.webhook is not None):
        if rule.webhook is None:
            fail(node, "`action: webhook` without a `webhook`", "say webhook: {url: https://…}")
        fail(node, f"a `webhook` beside `action: {rule.action}`", "its action is webhook")
    if rule.once and rule.webhook is not None:
        fail(node, "`once` beside a webhook", "the endpoint itself can say allow one time")
    if rule.when.of_response:
        _require_response_sense(rule, node)
    elif rule.action == "redact":
        fail(
            node,
            "`action: redact` without a condition on the response",
            "say what is taken out: response_matches or response_credentials",
        )


def _require_response_sense(rule: Rule, node: Node) -> None:
    when = rule.when
    if rule.action == "webhook":
        fail(
            node,
            "a webhook cannot decide about a response",
            "it would be sent what may not leave this machine: use deny, redact or watch",
        )
    if rule.once:
        fail(node, "`once` is about calls, and this rule is about what they return")
    for name in ("after", "call_count"):
        if getattr(when, name):
            fail(node, f"`{name}` is about calls, and this rule is about what they return")
    if rule.action == "allow" and when.response_credentials:
        fail(
            node,
            "`response_credentials` finds credentials; it cannot say that a response is harmless",
            "name what the response may be with response_matches",
        )
    if rule.action == "redact":
        if not when.response_matches and not when.response_credentials:
            fail(node, "`action: redact` needs response_matches or response_credentials")
        for pattern in when.response_matches:
            if compile_regex(pattern).fullmatch("") is not None:
                fail(node, f"`{pattern}` matches the empty text: it would take out nothing")
