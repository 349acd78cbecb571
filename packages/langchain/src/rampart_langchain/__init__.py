"""Rampart for LangChain: guarded tools, and a middleware for agents.

Names are imported when they are first used: the plugin must stay light, because every program that
uses Rampart loads it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rampart_langchain.calls import ToolCalls, guard_tool_node
    from rampart_langchain.middleware import RampartMiddleware
    from rampart_langchain.tools import guard_tool

__all__ = ["RampartMiddleware", "ToolCalls", "guard_tool", "guard_tool_node"]

_HOME = {
    "RampartMiddleware": "rampart_langchain.middleware",
    "ToolCalls": "rampart_langchain.calls",
    "guard_tool": "rampart_langchain.tools",
    "guard_tool_node": "rampart_langchain.calls",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
