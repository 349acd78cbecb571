"""Rules ready to run: what the engine walks over for each action."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rampart.model import ToolCall, Verdict
from rampart.policy.conditions import ActionTest, compile_condition, narrows
from rampart.policy.document import Condition, Policy, Rule, Scope
from rampart.policy.paths import Places
from rampart.policy.texts import compile_text_globs


@dataclass(slots=True, eq=False)
class CompiledPolicy:
    """A policy's name, its rank (0 is named first), and whether it concerns a call."""

    name: str
    rank: int
    concerns: Callable[[ToolCall], bool] | None


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


def compile_policy(policy: Policy, rank: int) -> CompiledPolicy:
    """Return a policy without its rules."""
    return CompiledPolicy(policy.name, rank, _concerns(policy.match))


def compile_rule(rule: Rule, policy: CompiledPolicy, order: int, places: Places) -> CompiledRule:
    """Return a rule with its conditions compiled."""
    restricts, grants = compile_condition(rule.when, places)
    return CompiledRule(
        order=order,
        policy=policy,
        id=rule.id,
        verdict=rule.action,
        when=rule.when,
        restricts=restricts,
        grants=grants,
        narrows=narrows(rule.when),
        expires_at=math.inf if rule.expires_at is None else rule.expires_at,
        message=rule.message,
        suggest=rule.suggest,
    )


def _concerns(scope: Scope) -> Callable[[ToolCall], bool] | None:
    if not scope.agent and not scope.session:
        return None
    agent = compile_text_globs(scope.agent or ("*",))
    session = compile_text_globs(scope.session or ("*",))
    return lambda call: agent(call.agent) and session(call.session)
