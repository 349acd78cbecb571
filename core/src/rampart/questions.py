"""Questions that a framework puts to people in a way of its own, and what becomes of them.

The question is an approval like any other: recorded when it is asked and when it is answered, bound
to the call, used once. It may also be answered by ``rampart approve``; the first answer counts.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from rampart.errors import ApprovalError, RampartError
from rampart.limits import APPROVAL_KEPT_S
from rampart.model import RULE_APPROVAL_DENIED, Decision, ToolCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rampart.approval import Question

_log = logging.getLogger("rampart")


class QuestionPoint(Protocol):
    """A decision point in this process, which may answer its own questions."""

    def ask(self, call: ToolCall, question: Question) -> tuple[Decision, bool]:
        """Decide and record a call; say whether its question was open before."""
        ...

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        """Wait for an answer; allow or deny."""
        ...

    def resolve(self, approval_id: str, approve: bool, *, by: str, reason: str = "") -> object:
        """Answer a question."""
        ...


class Questions:
    """The questions of one decision point; ``timeout_s`` bounds a wait."""

    def __init__(self, point: QuestionPoint, timeout_s: float) -> None:
        self._point = point
        self._timeout_s = timeout_s

    def ask(self, call: ToolCall, key: str) -> tuple[Decision, bool]:
        """As ``Guard.enforce``, but an ``ask`` is handed out at once.

        ``key`` tells the question from others about the same call, also after a restart: asked
        again it is the same question, recorded once, and the second value says so.
        """
        from rampart.approval import Question

        return self._point.ask(call, Question(key, APPROVAL_KEPT_S))

    def answer(self, decision: Decision, approve: bool, *, by: str, reason: str = "") -> Decision:
        """Answer the question that ``decision`` asks, record who did, and return allow or deny."""
        try:
            self._point.resolve(decision.approval_id, approve, by=by, reason=reason)
        except ApprovalError:
            _log.info("approval %s was answered elsewhere", decision.approval_id)
        outcome = self._point.finish(decision, 0.0)
        if approve or not outcome.allowed:
            return outcome
        return replace(outcome, action="deny", message=reason, rule=RULE_APPROVAL_DENIED)

    def replace(self, decision: Decision, *, by: str) -> Decision | None:
        """Close the question because its call is replaced by another one.

        None if it was open; else what became of it: the other call has no answer.
        """
        try:
            self._point.resolve(
                decision.approval_id, False, by=by, reason="replaced by other arguments"
            )
        except ApprovalError:
            return self._point.finish(decision, 0.0)
        return None

    def wait(self, decision: Decision) -> Decision:
        """Wait until somebody answers; nobody can answer any more when this returns."""
        try:
            return self._point.finish(decision, self._timeout_s)
        finally:
            self._withdraw(decision)

    async def await_answer(
        self, decision: Decision, waiting: Callable[[Decision], Awaitable[Decision]]
    ) -> Decision:
        """As ``wait``, in the way of ``waiting``. A cancelled wait runs nothing."""
        import asyncio

        try:
            return await waiting(decision)
        finally:
            await asyncio.shield(asyncio.to_thread(self._withdraw, decision))

    def _withdraw(self, decision: Decision) -> None:
        with suppress(RampartError):  # answered, or nobody can say; there is no allow without it
            self._point.resolve(
                decision.approval_id, False, by="rampart", reason="nobody waits for it any more"
            )
