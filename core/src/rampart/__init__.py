"""Rampart, a policy firewall for AI agents."""

from rampart.enforcement import EnforcementPoint, frozen_copy, refusal
from rampart.errors import Denied, RampartError, UnsupportedObject
from rampart.guard import Guard
from rampart.hookspecs import Adapter, hookimpl
from rampart.model import Action, Decision, ToolCall, Verdict, denial_text
from rampart.toolmap import ToolMap, ToolMapping, plain

__all__ = [
    "Action",
    "Adapter",
    "Decision",
    "Denied",
    "EnforcementPoint",
    "Guard",
    "RampartError",
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
