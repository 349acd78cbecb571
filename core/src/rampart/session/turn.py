"""Turn: one call on its way through the gate, and its dealings with the past.

The gate decides with ``Turn.past``, takes what the answer uses up, records, and then leaves the
marks. What cannot be written raises StateUnavailable; the gate answers deny.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import replace

from rampart.errors import StateUnavailable
from rampart.model import Decision, ToolCall, Verdict
from rampart.policy.past import Counter, Footprint, Mark
from rampart.session import tables
from rampart.session.history import Fact, History, Taken
from rampart.session.trail import Trail
from rampart.session.whose import Whose


class Snapshot:
    """The past of one call (a ``Past``): each question is asked once, and its answer noted."""

    def __init__(self, history: History, whose: Whose, now: float) -> None:
        self._history = history
        self._whose = whose
        self._now = now
        self._facts: dict[tuple[object, ...], Fact] = {}

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What was asked, with the answers."""
        return tuple(self._facts.values())

    def happened(self, mark: Mark, *, within_s: float | None, calls: int | None) -> bool:
        """True if ``mark`` was left in the last ``within_s`` seconds and ``calls`` calls."""
        whose, since = self._whose.key(mark.by), self._since(within_s)
        question = functools.partial(
            tables.happened, whose=whose, mark=mark, since=since, calls=calls
        )
        return self._answer((mark.key, within_s, calls), question)

    def reached(self, counter: Counter, *, count: int, window_s: float | None) -> bool:
        """True if at least ``count`` calls were counted in the last ``window_s`` seconds."""
        whose, since = self._whose.key(counter.by), self._since(window_s)
        question = functools.partial(
            tables.reached, whose=whose, counter=counter, count=count, since=since
        )
        return self._answer((counter.key, count, window_s), question)

    def spent(self, rule: str) -> bool:
        """True if the rule with this key, which applies once, was used."""
        return self._answer((rule,), functools.partial(tables.spent, rule=rule))

    def _since(self, seconds: float | None) -> float | None:
        return None if seconds is None else self._now - seconds

    def _answer(self, key: tuple[object, ...], question: tables.Question) -> bool:
        known = self._facts.get(key)
        if known is None:
            known = self._facts[key] = question, self._history.ask(question)
        return known[1]


class Turn:
    """One call and the past. ``footprint`` is what it leaves if it is let run."""

    def __init__(
        self, history: History, call: ToolCall, footprint: Footprint, *, now: float
    ) -> None:
        whose = history.whose(call)
        self.past = Snapshot(history, whose, now)
        self._history = history
        self._trail = Trail(whose, footprint)
        self._once: Sequence[tuple[str, Verdict]] = ()
        self._taken: Taken | None = None

    def decided(self, once: Sequence[tuple[str, Verdict]], forgets: tuple[str, ...]) -> None:
        """Note which one-time rules spoke, and what an approval of the call would forget."""
        self._trail = replace(self._trail, forgets=forgets)
        self._once = once

    def take(self, decision: Decision, *, runs: bool) -> bool:
        """Take what the answer uses up. False: another call was faster, so decide again.

        A call that does not run uses up only the one-time rules that stopped it; a question uses up
        nothing before it is answered.
        """
        once = tuple(key for key, word in self._once if _counts(word, decision.action))
        if runs:
            trail = replace(self._trail, once=once)
        elif decision.action == "deny" and once:
            trail = Trail(self._trail.whose, Footprint(), once)
        else:
            return True
        if trail.takes:
            self._taken = self._history.take(trail, self.past.facts)
            return self._taken is not None
        return True

    def leave(self) -> None:
        """Leave the marks of a call that is let run."""
        trail = replace(self._trail, forgets=())
        if trail.leaves:
            self._history.leave(trail)

    def give_back(self) -> None:
        """Undo ``take``: the call does not run after all. Never raises."""
        taken, self._taken = self._taken, None
        if taken is not None:
            # what stays taken can only make later answers stricter
            with contextlib.suppress(StateUnavailable):
                self._history.give_back(taken)

    def approved(self) -> None:
        """Take and leave everything at once: a person approved exactly this call."""
        trail = self._whole()
        if trail.takes or trail.leaves:
            self._history.run(trail)

    def hold(self, approval_id: str, until: float) -> None:
        """Keep what the call leaves until the person who is asked has answered."""
        trail = self._whole()
        if trail.takes or trail.leaves:
            self._history.hold(approval_id, trail, until)

    def _whole(self) -> Trail:
        return replace(self._trail, once=tuple(key for key, _ in self._once))


def _counts(word: Verdict, answer: Verdict) -> bool:
    """True if a rule that said ``word`` had its effect on ``answer``."""
    return word == answer or (word in ("allow", "watch") and answer in ("allow", "watch"))
