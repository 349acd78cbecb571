"""The plugin: tells Rampart that this package knows AutoGen's executors, tools and workbenches.

MUST NOT import AutoGen: every program that uses Rampart loads this module.
"""

from __future__ import annotations

import sys
from typing import Any

from rampart import Adapter, Guard, hookimpl

_KINDS = (
    ("autogen_core.code_executor", "CodeExecutor"),
    ("autogen_core.tools", "BaseTool"),
    ("autogen_core.tools", "Workbench"),
)


class AutoGenAdapter:
    """Guards AutoGen code executors, tools and workbenches."""

    name = "autogen"

    def supports(self, obj: object) -> bool:
        """True for an AutoGen code executor, tool or workbench."""
        return any(_is(obj, module, name) for module, name in _KINDS)

    def protect(self, obj: Any, guard: Guard, **options: Any) -> Any:
        """Return a guarded executor or workbench around ``obj``, or a guarded copy of a tool.

        ``options`` are those of ``rampart_autogen.guard_tool``, and only a tool takes them.
        """
        if _is(obj, "autogen_core.tools", "BaseTool"):
            from rampart_autogen.tools import guard_tool

            return guard_tool(obj, guard, **options)
        if options:
            raise TypeError(f"only a tool takes options, not {type(obj).__name__}")
        if _is(obj, "autogen_core.tools", "Workbench"):
            from rampart_autogen.workbench import guard_workbench

            return guard_workbench(obj, guard)
        from rampart_autogen.executor import guard_executor

        return guard_executor(obj, guard)


def _is(obj: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(obj, kind)


@hookimpl
def rampart_adapters() -> list[Adapter]:
    """Return the adapter for AutoGen."""
    return [AutoGenAdapter()]
