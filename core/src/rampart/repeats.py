"""Repeats: the answers to calls that were decided before (decisions/0010).

A decision is a function of the call, the directory it happens in, the policy, the moment, and where
the links on its paths lead. An answer is given again only while every one of these is what it was.

MUST NOT outlive a change of the policy, of a link, or of a rule that expires.
MUST NOT remember anything that a plugin, or a condition unknown to this module, has a say in.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary, ref

from rampart.limits import NAME_CHARS_MAX, REPEAT_ACTIONS_MAX, REPEAT_CHARS_MAX, REPEATS_MAX
from rampart.model import Action, Decision, Host, ToolCall
from rampart.policy import Condition, Footprint, Rule, Scope
from rampart.sources import PolicyInForce

Resolve = Callable[[str], str]
Key = tuple[object, ...]

# INVARIANT: what a rule says with these depends on the call and its actions alone. A field that
# looks at anything else must stay out of these lists: a policy that uses one is then decided anew
# each time.
_STATIC_CONDITIONS: Final = frozenset(
    {"command_matches", "command_not_matches", "command_contains", "command_env_assignments"}
    | {"program", "path_matches", "path_not_matches", "url_matches", "domain_matches"}
    | {"domain_not_matches", "tool_param_matches", "params", "origin", "effect", "effect_not"}
    | {"session_matches", "session_not_matches", "opaque", "agent_depth", "tool", "upstream"}
)
# INVARIANT: the engine says of every answer whether one of these had a say in it
# (``Judgement.lasting``); only answers in which none had are handed to ``keep``.
_WATCHED: Final = frozenset({"after", "call_count", "time", "once", "webhook"})
_STATIC_RULE: Final = frozenset(
    {"id", "action", "when", "message", "suggest", "expires_at", "examples", "where"}
)
_STATIC_SCOPE: Final = frozenset({"tool", "agent", "session"})


class Basis(NamedTuple):
    """What an answer rests on besides the call, and what the call leaves behind if it is let run.

    ``footprint`` is None where the policy asks nothing about the past.
    """

    policies: PolicyInForce
    links: Links | None
    footprint: Footprint | None = None


class _Entry(NamedTuple):
    policies: ref[PolicyInForce]
    since: float
    until: float
    links: tuple[tuple[str, str], ...]
    decision: Decision
    footprint: Footprint | None


class Links:
    """Follows links, and notes which ones were asked for and where they led."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self.followed: list[tuple[str, str]] = []

    def __call__(self, path: str) -> str:
        """Return where ``path`` leads."""
        target = self._resolve(path)
        self.followed.append((path, target))
        return target


class Repeats:
    """Decisions by call. Safe between threads."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._rules: WeakKeyDictionary[PolicyInForce, _Rules] = WeakKeyDictionary()

    def find(
        self, key: Key, policies: PolicyInForce, now: float, resolve: Resolve | None
    ) -> tuple[Decision, Footprint | None] | None:
        """Return a new copy of the answer, if all that it rests on is as it was.

        With it comes the footprint, which is a function of the call as well.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.policies() is not policies or not entry.since <= now < entry.until:
            return None
        for path, target in entry.links:
            if resolve is None or resolve(path) != target:
                return None
        return _copy(entry.decision), entry.footprint

    def keep(self, key: Key, decision: Decision, basis: Basis, *, now: float) -> None:
        """Remember an answer that rests on nothing but ``key`` and ``basis``."""
        if decision.pending is not None:
            return  # a webhook is asked each time
        policies, links, footprint = basis
        followed = tuple(links.followed) if links is not None else ()
        rules = self._rules.get(policies)
        if rules is None:
            rules = self._rules[policies] = _Rules(policies)
        if not rules.static or len(followed) > REPEAT_ACTIONS_MAX:
            return
        since, until = rules.unchanged(now)
        if len(self._entries) >= REPEATS_MAX:
            self._entries.clear()
        self._entries[key] = _Entry(
            rules.policies, since, until, followed, _own(decision), footprint
        )


class _Rules:
    """What can change what a policy says: rules that expire, and conditions that are not static."""

    def __init__(self, policies: PolicyInForce) -> None:
        # WHY: policies that were replaced must not stay in memory for what was decided by them
        self.policies = ref(policies)
        found = [policy for document in policies.documents for policy in document.policies]
        rules = [rule for policy in found for rule in policy.rules]
        self.static = (
            all(_is_static(policy.match, _STATIC_SCOPE) for policy in found)
            and all(_is_static(rule, _STATIC_RULE | _WATCHED) for rule in rules)
            and all(
                _is_static(rule.when, _STATIC_CONDITIONS | _WATCHED)
                for rule in rules
                if not rule.when.of_response  # WHY: such a rule says nothing about a call
            )
        )
        self._ends = sorted({rule.expires_at for rule in rules if rule.expires_at is not None})

    def unchanged(self, now: float) -> tuple[float, float]:
        """Return from when until when the rules that have not expired are the same as now."""
        at = bisect_right(self._ends, now)
        since = self._ends[at - 1] if at else -math.inf
        return since, self._ends[at] if at < len(self._ends) else math.inf


def _is_static(value: Rule | Condition | Scope, known: frozenset[str]) -> bool:
    """True if all but the ``known`` fields of a value are empty."""
    return not any(getattr(value, each.name) for each in fields(value) if each.name not in known)


def key_of(call: ToolCall, cwd: str, workspace: str) -> Key | None:
    """Return what makes two calls the same, or None if a call is too large or too rich for that.

    INVARIANT: only exact texts, and lists of them. Equal is not the same for other values:
    ``True == 1``, and a list may change after it was looked at.
    """
    if type(call.params) is not dict or type(call.depth) is not int:
        return None
    # WHY: the longest name counts when it is kept; only these two are not part of what is compared
    if not (type(call.run_id) is type(call.call_id) is str):
        return None
    if len(call.run_id) > NAME_CHARS_MAX or len(call.call_id) > NAME_CHARS_MAX:
        return None
    if not (type(call.tool) is type(call.agent) is type(call.session) is str):
        return None
    size = 0
    items: list[object] = []
    for name, value in call.params.items():
        if type(value) is list:
            if any(type(item) is not str for item in value):
                return None
            size += sum(map(len, value)) + len(value)
            value = tuple(value)  # noqa: PLW2901 - a key must not change
        elif type(value) is not str:
            return None
        if type(name) is not str:
            return None
        size += len(name) + len(value)
        items += (name, value)
    if size > REPEAT_CHARS_MAX:
        return None
    return (call.tool, call.agent, call.session, call.depth, cwd, workspace, *items)


def watching_links(host: Host) -> tuple[Host, Links | None]:
    """Return ``host`` and what it will note about links."""
    if host.resolve is None:
        return host, None
    links = Links(host.resolve)
    return (
        Host(host.home, host.cwd, host.workspace, host.user, host.variables, links),
        links,
    )


def is_small(actions: tuple[Action, ...]) -> bool:
    """True if the actions of a call are few enough to remember what was decided about them."""
    return len(actions) <= REPEAT_ACTIONS_MAX


def _own(decision: Decision) -> Decision:
    because = decision.because
    if because is not None and because.params:
        # WHY: they are the caller's, who may change them
        params: Mapping[str, object] = MappingProxyType(dict(because.params))
        because = replace(because, params=params)
    return replace(decision, because=because)


def _copy(found: Decision) -> Decision:
    # WHY: spelled out it takes 0.4 us, `dataclasses.replace` 2.5 us
    return Decision(
        found.action,
        found.message,
        found.policy,
        found.rule,
        found.matched,
        found.suggestions,
        found.generation,
        0.0,
        found.because,
    )
