"""Rules ready to run: what the engine walks over for each action."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rampart.model import ToolCall, Verdict, Webhook
from rampart.policy.conditions import compile_condition, narrows
from rampart.policy.document import Condition, Policy, Rule, Scope
from rampart.policy.inquiry import ActionTest
from rampart.policy.past import identity
from rampart.policy.paths import Places
from rampart.policy.texts import compile_text_globs


@dataclass(slots=True, eq=False)
class CompiledPolicy:
    """A policy's name, its rank (0 is named first), and whether it concerns a call.

    ``tightens``: what it says may make an answer stricter and nothing else; no call rests on it.
    """

    name: str
    rank: int
    concerns: Callable[[ToolCall], bool] | None
    tightens: bool = False


@dataclass(slots=True, eq=False)
class CompiledRule:
    """One rule. ``order`` sorts by policy rank, then by place in the policy."""

    order: int
    policy: CompiledPolicy
    id: str
    verdict: Verdict
    when: Condition
    restricts: ActionTest
    grants: ActionTest
    narrows: bool
    expires_at: float
    message: str
    suggest: tuple[str, ...]
    redacts: bool = False
    """It is a ``watch`` that also takes out what it finds in a response."""
    webhook: Webhook | None = None
    """It is an ``ask`` that is answered by this endpoint."""
    once: str = ""
    """The key under which a rule that applies once is used up; empty for all others."""


def compile_policy(policy: Policy, rank: int, *, tightens: bool = False) -> CompiledPolicy:
    """Return a policy without its rules."""
    return CompiledPolicy(policy.name, rank, _concerns(policy.match), tightens)


def compile_rule(rule: Rule, policy: CompiledPolicy, order: int, places: Places) -> CompiledRule:
    """Return a rule with its conditions compiled."""
    restricts, grants = compile_condition(rule.when, places)
    return CompiledRule(
        order=order,
        policy=policy,
        id=rule.id,
        verdict=_verdict(rule),
        when=rule.when,
        restricts=restricts,
        grants=grants,
        narrows=narrows(rule.when),
        expires_at=math.inf if rule.expires_at is None else rule.expires_at,
        message=rule.message,
        suggest=rule.suggest,
        redacts=rule.action == "redact",
        webhook=rule.webhook,
        once=_once_key(rule, policy),
    )


def _verdict(rule: Rule) -> Verdict:
    match rule.action:
        case "redact":
            return "watch"
        case "webhook":
            return "ask"
        case _:
            return rule.action


def _once_key(rule: Rule, policy: CompiledPolicy) -> str:
    """Return what tells a rule from others: another name, condition or expiry is a new rule."""
    if not rule.once:
        return ""
    return identity(policy.name, rule.id, rule.action, rule.when, rule.expires_at)


def _concerns(scope: Scope) -> Callable[[ToolCall], bool] | None:
    if not scope.agent and not scope.session:
        return None
    agent = compile_text_globs(scope.agent or ("*",))
    session = compile_text_globs(scope.session or ("*",))
    return lambda call: agent(call.agent) and session(call.session)
