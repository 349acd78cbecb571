"""The policy as the ``approval_func`` of a ``CodeExecutorAgent``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from autogen_core.code_executor import CodeBlock
from rampart import ConfigError, Decision, Guard, denial_text

from rampart_autogen.blocks import Batch

if TYPE_CHECKING:
    from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse

# INVARIANT: the agent joins blocks like this, and no block that it found holds three backquotes
_FENCED: Final = re.compile(r"```([^\n`]*)\n((?:(?!```)[\s\S])*)\n```(?:\n\n|\Z)")


def policy_approval_func(guard: Guard) -> Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]:
    """Return an ``approval_func`` that lets the policy answer, and a person where it says ask.

    For an agent whose executor cannot be replaced. A guarded executor covers more (every agent that
    uses it, and the configuration keeps it); use one of the two, or each block is decided twice.
    Raises: ConfigError if this version of autogen-agentchat has no approval functions.
    """
    try:
        from autogen_agentchat.agents import ApprovalResponse
    except ImportError:
        raise ConfigError(
            "this autogen-agentchat has no approval functions",
            help="update it, or guard the executor: guard.protect(executor)",
        ) from None

    async def approve(request: ApprovalRequest) -> ApprovalResponse:
        blocks = blocks_of(request.code)
        if blocks is None:
            unread = Decision("deny", "the code cannot be told into blocks", rule="invalid_input")
            return ApprovalResponse(approved=False, reason=denial_text("code", unread))
        denied = await Batch(guard, blocks, {}).adenied()
        return ApprovalResponse(approved=not denied, reason=denied or "allowed by policy")

    return approve


def blocks_of(text: str) -> list[CodeBlock] | None:
    """Return the blocks that an agent joined for approval; None if the text is not such a one."""
    blocks, end = [], 0
    while end < len(text):
        found = _FENCED.match(text, end)
        if found is None:
            return None
        blocks.append(CodeBlock(found.group(2), found.group(1)))
        end = found.end()
    return blocks or None
