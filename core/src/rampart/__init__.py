"""Rampart, a policy firewall for AI agents."""

from typing import TYPE_CHECKING, Any

from rampart.asking import Answer, AskedCall, Asker, Outcome
from rampart.enforcement import EnforcementPoint, frozen_copy, refusal
from rampart.errors import ConfigError, Denied, RampartError, UnsupportedObject
from rampart.guard import Guard
from rampart.hookspecs import Adapter, Instrumentation, hookimpl
from rampart.instrumentation import Coverage
from rampart.model import Action, Decision, Review, ToolCall, Verdict, denial_text
from rampart.toolmap import ToolMap, ToolMapping, plain

if TYPE_CHECKING:
    from rampart.transport import AsyncGuardedTransport, GuardedTransport

__all__ = [
    "Action",
    "Adapter",
    "Answer",
    "AskedCall",
    "Asker",
    "AsyncGuardedTransport",
    "ConfigError",
    "Coverage",
    "Decision",
    "Denied",
    "EnforcementPoint",
    "Guard",
    "GuardedTransport",
    "Instrumentation",
    "Outcome",
    "RampartError",
    "Review",
    "ToolCall",
    "ToolMap",
    "ToolMapping",
    "UnsupportedObject",
    "Verdict",
    "denial_text",
    "frozen_copy",
    "hookimpl",
    "plain",
    "refusal",
]


def __getattr__(name: str) -> Any:
    if name in ("AsyncGuardedTransport", "GuardedTransport"):  # they import httpx
        from rampart import transport

        return getattr(transport, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
