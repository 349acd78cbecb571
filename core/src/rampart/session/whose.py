"""Whose past a call belongs to: its session's, its agent's, and everybody's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rampart.model import ToolCall
from rampart.policy.past import By

_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Whose:
    """The keys under which the past of one call is kept.

    WHY digests: names come from agents, hold any character, and need not be in the file.
    """

    session: str
    agent: str

    def key(self, by: By) -> str:
        """Return the key of one kind of past."""
        match by:
            case "session":
                return self.session
            case "agent":
                return self.agent
            case "global":
                return "global"


def whose_call(call: ToolCall, nameless: str) -> Whose:
    """Return the keys for ``call``.

    Sub-agents share the past of their session, whatever their own names. Calls that name no session
    share one for each agent; ``nameless`` tells the programs that decide for themselves apart.
    """
    if call.session:
        session = _digest("session", call.session)
    else:
        session = _digest("nameless", nameless, call.agent)
    return Whose(session, _digest("agent", call.agent))


@lru_cache(maxsize=1024)
def _digest(*parts: str) -> str:
    joined = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:_DIGITS]
