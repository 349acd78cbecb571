"""Inquiry: one call while it is being decided, and what its conditions are tests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rampart.model import Action, ToolCall
from rampart.policy.past import Past
from rampart.policy.paths import Budget


class Inquiry:
    """One call while it is being decided, with what was found out about its earlier actions.

    ``lasting`` turns false as soon as the moment or the past was asked for: then the same call may
    get another answer later. ``place`` is the index in ``actions`` of the one under test.
    """

    __slots__ = (
        "actions", "budget", "call", "first", "lasting", "now", "past", "place", "reached",
    )  # fmt: skip

    def __init__(
        self,
        call: ToolCall,
        actions: Sequence[Action] = (),
        *,
        now: float = 0.0,
        past: Past | None = None,
    ) -> None:
        self.call = call
        self.actions = actions
        self.now = now
        self.past = past
        self.place = 0
        self.lasting = True
        self.budget = Budget()
        self.reached: dict[tuple[int, int], bool] = {}
        self.first: dict[int, tuple[int, bool]] = {}

    def spent(self, rule: str) -> bool:
        """True if a rule that applies once was used by an earlier call."""
        self.lasting = False
        return self.past is not None and self.past.spent(rule)


ActionTest = Callable[[Action, Inquiry], bool]
Pair = tuple[ActionTest, ActionTest]
"""Two tests: does this restrict, and does this grant."""
