"""Upstream: the actions of the same command line whose output another one reads."""

from __future__ import annotations

from collections.abc import Mapping

from rampart.model import Action
from rampart.policy.inquiry import ActionTest, Inquiry


class Reaches:
    """Says whether some action before this one, in the same command line, matches."""

    def __init__(self, test: ActionTest) -> None:
        self._test = test

    def test(self, action: Action, inquiry: Inquiry) -> bool:
        """Search ``Action.upstream`` transitively, each action once per call."""
        known = inquiry.reached
        parents: dict[int, Action] = {}
        pending = [(earlier, action) for earlier in action.upstream]
        while pending:
            earlier, later = pending.pop()
            key = (id(self), id(earlier))
            answer = known.get(key)
            if answer is None:
                if id(earlier) in parents:
                    continue
                parents[id(earlier)] = later
                answer = self._test(earlier, inquiry)
                if not answer:
                    pending += [(first, earlier) for first in earlier.upstream]
                    continue
                known[key] = True
            if answer:
                self._remember_path(later, action, parents, known)
                return True
        known.update({(id(self), each): False for each in parents})
        return False

    def _remember_path(
        self,
        at: Action,
        end: Action,
        parents: Mapping[int, Action],
        known: dict[tuple[int, int], bool],
    ) -> None:
        while at is not end:
            known[(id(self), id(at))] = True
            at = parents[id(at)]
