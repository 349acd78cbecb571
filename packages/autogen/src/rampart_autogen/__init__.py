"""Rampart for AutoGen: guarded code executors, tools and workbenches.

Names are imported when they are first used: the plugin must stay light, because every program that
uses Rampart loads it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rampart_autogen.defaults import set_default_guard
    from rampart_autogen.executor import GuardedCodeExecutor
    from rampart_autogen.tools import GuardedTool, guard_tool
    from rampart_autogen.workbench import GuardedStreamWorkbench, GuardedWorkbench

__all__ = [
    "GuardedCodeExecutor",
    "GuardedStreamWorkbench",
    "GuardedTool",
    "GuardedWorkbench",
    "guard_tool",
    "set_default_guard",
]

_HOME = {
    "GuardedCodeExecutor": "rampart_autogen.executor",
    "GuardedStreamWorkbench": "rampart_autogen.workbench",
    "GuardedTool": "rampart_autogen.tools",
    "GuardedWorkbench": "rampart_autogen.workbench",
    "guard_tool": "rampart_autogen.tools",
    "set_default_guard": "rampart_autogen.defaults",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
