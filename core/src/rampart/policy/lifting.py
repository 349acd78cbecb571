"""Lifting: what a user's own overrides take away from what other policies ask for.

MUST NOT lift a deny, or a question to a webhook.
MUST count a grant of an override as any other grant: on the normal form, never on what is opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rampart.policy.candidates import RuleTable
from rampart.policy.compiled import CompiledRule
from rampart.policy.inquiry import Inquiry
from rampart.policy.paths import Places

_CARRYING = frozenset({"call", "command", "redirect"})
"""The origins of actions that a call consists of; the others follow from these."""


class Lifting:
    """The grants among the overrides, each with the tools that it is about."""

    def __init__(
        self, rules: Sequence[tuple[CompiledRule, Callable[[str], bool]]], places: Places
    ) -> None:
        self._rules = [(rule, fits) for rule, fits in rules if rule.verdict == "allow"]
        self._places = places
        self._tables: dict[tuple[int, ...], RuleTable] = {}

    def __bool__(self) -> bool:
        return bool(self._rules)

    def places(self, inquiry: Inquiry) -> frozenset[int]:
        """Return which actions of a call an override covers, by their index.

        Where it covers every program, redirection and call that the action list consists of, all of
        them count: what follows from a command, and the text as a whole, are then covered too.
        """
        covered = set()
        carrying = []
        for place, action in enumerate(inquiry.actions):
            if action.whole:
                continue
            if action.origin in _CARRYING:
                carrying.append(place)
            if action.grantable and not action.opaque and self._covers(place, inquiry):
                covered.add(place)
        inquiry.place = 0
        if carrying and covered.issuperset(carrying):
            return frozenset(range(len(inquiry.actions)))
        return frozenset(covered)

    def _covers(self, place: int, inquiry: Inquiry) -> bool:
        action = inquiry.actions[place]
        inquiry.place = place
        return any(
            inquiry.now < rule.expires_at
            and (rule.policy.concerns is None or rule.policy.concerns(inquiry.call))
            and rule.grants(action, inquiry)
            and not (rule.once and inquiry.spent(rule.once))
            for rule in self._table(action.tool).candidates(action, inquiry.budget)
        )

    def _table(self, tool: str) -> RuleTable:
        fitting = tuple(index for index, (_, fits) in enumerate(self._rules) if fits(tool))
        table = self._tables.get(fitting)
        if table is None:
            chosen = (self._rules[index][0] for index in fitting)
            table = self._tables[fitting] = RuleTable(chosen, self._places)
        return table
