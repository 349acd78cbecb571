"""What ``rampart`` blocks mean: the guard of each agent, task and tool.

INVARIANT: a block tightens and never loosens. Whoever may write a crew's files must not be able to
take away what the guard of the program denies; so both must allow a call (decisions/0055).
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rampart import ConfigError, Decision, Guard, RampartError, Review, ToolCall

from rampart_crewai.settings import Block

_log = logging.getLogger("rampart.crewai")
_EXPIRED: Final = "approval_expired"


class BlockGuard(Guard):
    """The crew's guard, and the policy of a block: a call needs the leave of both.

    Each of them decides and records a call; ``base`` is asked last, so its record says what became
    of the call. ``trial`` (``mode: monitor``): what the block's policy would refuse is logged and
    nothing else. Without ``asks`` a question is a denial.
    """

    def __init__(
        self, base: Guard, extra: Guard | None, *, trial: bool = False, asks: bool = True
    ) -> None:
        self._base = base
        self._extra = extra
        self._trial = trial
        self._asks = asks

    def call(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> ToolCall:
        """As ``Guard.call``."""
        return self._base.call(tool, params, **context)

    def derived(self, *, agent: str | None = None, ask_timeout_s: float | None = None) -> Guard:
        """As ``Guard.derived``."""
        base = self._base.derived(agent=agent, ask_timeout_s=ask_timeout_s)
        return BlockGuard(base, self._extra, trial=self._trial, asks=self._asks)

    def check(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """As ``Guard.check``: the stricter of both."""
        call = self.call(tool, params, **context)
        decision = self._base.check(call)
        if self._extra is None or self._trial:
            return decision
        extra = self._extra.check(call)
        order = ("allow", "watch", "ask", "deny")
        return extra if order.index(extra.action) > order.index(decision.action) else decision

    async def acheck(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """As ``check``, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.check, self.call(tool, params, **context))

    def enforce(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """As ``Guard.enforce``: both decide, and record."""
        call = self.call(tool, params, **context)
        if self._extra is not None and self._trial:
            self._tried(call, self._extra.check(call))
        elif self._extra is not None:
            decision = self._extra.enforce(call)
            if not decision.allowed:
                return self._unasked(decision)
        return self._unasked(self._base.enforce(call))

    async def aenforce(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """As ``enforce``, without blocking the event loop. A cancelled wait runs nothing."""
        call = self.call(tool, params, **context)
        if self._extra is not None and self._trial:
            self._tried(call, await self._extra.acheck(call))
        elif self._extra is not None:
            decision = await self._extra.aenforce(call)
            if not decision.allowed:
                return self._unasked(decision)
        return self._unasked(await self._base.aenforce(call))

    @property
    def answers(self) -> bool:
        """As ``Guard.answers``: no, there are two who may ask."""
        return False

    @property
    def reviews(self) -> bool:
        """As ``Guard.reviews``."""
        extra = self._extra is not None and not self._trial and self._extra.reviews
        return extra or self._base.reviews

    def review(
        self,
        tool: str | ToolCall,
        params: Mapping[str, object] | None = None,
        response: object = None,
        **context: Any,
    ) -> Review:
        """As ``Guard.review``: what both let through."""
        call = self.call(tool, params, **context)
        if self._extra is not None and not self._trial:
            first = self._extra.review(call, None, response)
            if not first.allowed:
                return first
            response = first.response
        return self._base.review(call, None, response)

    async def areview(
        self,
        tool: str | ToolCall,
        params: Mapping[str, object] | None = None,
        response: object = None,
        **context: Any,
    ) -> Review:
        """As ``review``, without blocking the event loop."""
        import asyncio

        call = self.call(tool, params, **context)
        return await asyncio.to_thread(self.review, call, None, response)

    def close(self) -> None:
        """Close nothing: the parts belong to others."""

    def _tried(self, call: ToolCall, decision: Decision) -> None:
        if not decision.allowed:
            _log.warning(
                "on trial, %s of %s would be %s: %s",
                call.tool,
                call.agent or "an agent",
                {"ask": "asked about"}.get(decision.action, "denied"),
                decision.message,
            )

    def _unasked(self, decision: Decision) -> Decision:
        if self._asks or decision.rule != _EXPIRED:
            return decision
        return replace(decision, message="it needs an approval, and nobody is asked here")


@dataclass
class Blocks:
    """The guards of a crew's agents, made once for each ``rampart`` block."""

    guard: Guard
    data_dir: str | Path | None = None
    workspace: str | Path | None = None
    _agents: dict[str, tuple[Block, Guard]] = field(default_factory=dict)
    _opened: dict[tuple[str, Path | None], Guard] = field(default_factory=dict)

    def __post_init__(self) -> None:
        atexit.register(self.close)

    def __bool__(self) -> bool:
        return bool(self._agents)

    def add(self, agent: object, block: Block) -> None:
        """Say that ``block`` is about ``agent`` and its copies. Raises: ConfigError."""
        identity = str(getattr(agent, "key", ""))
        known = self._agents.get(identity)
        if known is not None and known[0] != block:
            raise ConfigError(
                f"{block.where}: another agent with this role, goal and backstory has other"
                f" settings: {known[0].where}"
            )
        self._agents[identity] = (block, self.guard_for(block, self.guard))

    def guard_of(self, agent: object) -> Guard | None:
        """Return the guard of an agent's block; None if it has none."""
        # WHY the key and not the object: CrewAI copies agents, and a copy has the same key
        found = self._agents.get(str(getattr(agent, "key", "")))
        return found[1] if found is not None else None

    def block_of(self, agent: object) -> Block | None:
        """Return an agent's block, or None."""
        found = self._agents.get(str(getattr(agent, "key", "")))
        return found[0] if found is not None else None

    def guard_for(self, block: Block, base: Guard) -> Guard:
        """Return ``base`` tightened by a block. Raises: ConfigError."""
        timeout_s = 0.0 if block.ask == "deny" else block.ask_timeout_s
        changed = base.derived(agent=block.agent or None, ask_timeout_s=timeout_s)
        asks = block.ask == "wait"
        if not block.profile and block.policy is None:
            return changed if asks else BlockGuard(changed, None, asks=False)
        extra = self._open(block, timeout_s)
        return BlockGuard(changed, extra, trial=block.mode == "monitor", asks=asks)

    def close(self) -> None:
        """Close what was opened for the blocks; calls that need it are denied from then on."""
        atexit.unregister(self.close)
        for guard in self._opened.values():
            guard.close()

    def _open(self, block: Block, timeout_s: float | None) -> Guard:
        key = (block.profile, block.policy)
        if key not in self._opened:
            try:
                self._opened[key] = Guard(
                    block.policy,
                    profile=block.profile or None,
                    data_dir=self.data_dir,
                    workspace=self.workspace,
                )
            except RampartError as error:
                raise ConfigError(f"{block.where}: {error.message}", help=error.help) from error
        return self._opened[key].derived(ask_timeout_s=timeout_s)
