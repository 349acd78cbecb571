"""Rules about what a call returned: which of them speak, and what they leave of it.

MUST let a rule that withholds win over every other, and one that takes something out over silence.
MUST NOT answer anything for a response that could not be searched to its end.
In a policy the rules speak in order about each action: ``watch`` and ``redact`` let the next ones
speak too, ``deny``, ``ask`` and ``allow`` end the turn. What nobody speaks about is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rampart.credentials import MARK_START
from rampart.model import Action, Decision, ToolCall, Verdict
from rampart.policy.compiled import CompiledPolicy, CompiledRule
from rampart.policy.inquiry import Inquiry
from rampart.policy.response_expressions import Expressions
from rampart.policy.response_search import ResponseSearch
from rampart.policy.response_text import Cuts, read_response, rebuilt

_ITSELF: Final = frozenset({"call", "command"})


@dataclass(frozen=True, slots=True)
class Taken:
    """How many places of a response one rule took out."""

    policy: str
    rule: str
    places: int


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What the rules say about a response, what they leave of it, and its text as they saw it."""

    decision: Decision
    response: object
    taken: tuple[Taken, ...]
    text: bytes


@dataclass(slots=True, eq=False)
class ResponseRule:
    """A rule about responses. ``fits`` says whether its policy is about a tool.

    ``narrow``: it says which actions it is about. Any other rule is about the call and the programs
    that it runs, and not about each file that they touch.
    """

    rule: CompiledRule
    fits: Callable[[str], bool]
    narrow: bool


class ResponseRules:
    """All rules on responses of an engine, compiled. Safe to share between threads.

    Raises: PolicyError if their expressions are too large together.
    """

    def __init__(self, rules: Iterable[ResponseRule]) -> None:
        self._rules = tuple(sorted(rules, key=lambda each: each.rule.order))
        self._expressions = Expressions([each.rule.when for each in self._rules])

    def __bool__(self) -> bool:
        return bool(self._rules)

    def review(
        self, inquiry: Inquiry, response: object, *, generation: str, late: Callable[[], bool]
    ) -> Reviewed:
        """Say what of ``response`` may be shown; ``late`` says that it takes too long.

        Raises: InputTooLarge for a response over its bounds.
        """
        text = read_response(response)
        search = ResponseSearch(self._expressions, text, late)
        rules = [
            each
            for each in self._rules
            if inquiry.now < each.rule.expires_at and search.could_match(each.rule)
        ]
        verdict = _Verdict()
        if rules:
            for action in inquiry.actions or (Action(inquiry.call.tool, "call"),):
                _hear(rules, action, inquiry, search, verdict)
        decision = verdict.decision(inquiry.call, generation)
        if decision.action == "deny" or not verdict.redacting:
            return Reviewed(decision, response, (), text.data)
        cuts, taken = _merged(verdict.redacting, search)
        shown = rebuilt(response, text.leaves, Cuts(text.data, cuts))
        return Reviewed(decision, shown, taken, text.data)


def _hear(
    rules: Sequence[ResponseRule],
    action: Action,
    inquiry: Inquiry,
    search: ResponseSearch,
    verdict: _Verdict,
) -> None:
    """Let every policy speak about one action."""
    done: CompiledPolicy | None = None
    for each in rules:
        rule = each.rule
        if rule.policy is done or not _concerns(each, action, inquiry):
            continue
        if rule.verdict == "allow":
            grants = action.grantable and not action.opaque and rule.grants(action, inquiry)
            if grants and search.is_all(rule):
                done = rule.policy
        elif rule.restricts(action, inquiry) and search.matches(rule):
            verdict.take(rule, action)
            if rule.verdict != "watch":
                done = rule.policy


def _concerns(each: ResponseRule, action: Action, inquiry: Inquiry) -> bool:
    policy = each.rule.policy
    if not each.fits(action.tool):
        return False
    if policy.concerns is not None and not policy.concerns(inquiry.call):
        return False
    if each.narrow or len(inquiry.actions) <= 1:  # the only action speaks for the call
        return True
    return not action.whole and action.origin in _ITSELF


class _Verdict:
    """The strictest answer so far, and who gave it."""

    def __init__(self) -> None:
        self.redacting: dict[CompiledRule, None] = {}
        self._rule: CompiledRule | None = None
        self._because: Action | None = None
        self._spoke: set[CompiledPolicy] = set()

    def take(self, rule: CompiledRule, action: Action) -> None:
        """Note what a rule says."""
        self._spoke.add(rule.policy)
        if rule.redacts:
            self.redacting[rule] = None
        if self._rule is None or _level(rule) > _level(self._rule):
            self._rule, self._because = rule, action

    def decision(self, call: ToolCall, generation: str) -> Decision:
        """Return the answer. An ``ask`` withholds: the call was made, and nobody is asked."""
        rule = self._rule
        if rule is None:
            return Decision("allow", generation=generation)
        name = rule.policy.name
        names = (policy.name for policy in sorted(self._spoke, key=lambda each: each.rank))
        action: Verdict = "watch" if rule.verdict == "watch" else "deny"
        return Decision(
            action,
            rule.message or f"policy {name} {_verb(rule)} what {call.tool} returned",
            policy=name,
            rule=rule.id,
            matched=(name, *(other for other in names if other != name)),
            suggestions=rule.suggest,
            generation=generation,
            because=self._because,
        )


def _level(rule: CompiledRule) -> int:
    return 2 if rule.verdict != "watch" else int(rule.redacts)


def _verb(rule: CompiledRule) -> str:
    if rule.redacts:
        return "takes something out of"
    return "watches" if rule.verdict == "watch" else "withholds"


def _merged(
    rules: Iterable[CompiledRule], search: ResponseSearch
) -> tuple[list[tuple[int, int, bytes]], tuple[Taken, ...]]:
    """Return what to cut, sorted and apart from each other, and who took how many places."""
    found = {rule: search.finds(rule) for rule in rules}
    merged: list[tuple[int, int, bytes]] = []
    for start, end, mark in sorted(find for finds in found.values() for find in finds):
        if merged and start < merged[-1][1]:
            first, last, other = merged[-1]
            merged[-1] = (first, max(last, end), other)
        else:
            merged.append((start, end, f"{MARK_START}{mark}]".encode()))
    taken = (Taken(rule.policy.name, rule.id, len(finds)) for rule, finds in found.items())
    return merged, tuple(taken)
