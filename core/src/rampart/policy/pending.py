"""A decision that waits for webhooks: the engine says which, the gate asks them."""

from __future__ import annotations

from collections.abc import Mapping

from rampart.model import Action, Consultation, Decision, Pending, ToolCall
from rampart.policy.compiled import CompiledRule
from rampart.policy.messages import webhook_message


def pending_decision(
    call: ToolCall, webhooks: Mapping[CompiledRule, Action], otherwise: Decision
) -> Decision:
    """Return a question to all webhooks that rules name. INVARIANT: it is no allow until then."""
    found = tuple(
        Consultation(
            rule.webhook,
            rule.policy.name,
            rule.id,
            rule.message or webhook_message(rule, call, action),
            rule.suggest,
            action,
        )
        for rule, action in sorted(webhooks.items(), key=lambda each: each[0].order)
        if rule.webhook is not None
    )
    first = found[0]
    return Decision(
        "ask",
        first.message,
        policy=first.policy,
        rule=first.rule,
        matched=(first.policy, *(name for name in otherwise.matched if name != first.policy)),
        suggestions=first.suggestions,
        generation=otherwise.generation,
        because=first.because,
        pending=Pending(found, otherwise),
    )
