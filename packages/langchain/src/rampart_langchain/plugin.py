"""The plugin: tells Rampart that this package knows LangChain's tools.

MUST NOT import LangChain: every program that uses Rampart loads this module.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rampart import Adapter, Guard, hookimpl

_KINDS = {
    "tool": ("langchain_core.tools", "BaseTool"),
    "toolkit": ("langchain_core.tools", "BaseToolkit"),
    "node": ("langgraph.prebuilt.tool_node", "ToolNode"),
}


class LangChainAdapter:
    """Guards LangChain's tools and toolkits, LangGraph's tool nodes, or all of a process."""

    name = "langchain"

    def supports(self, obj: object) -> bool:
        """True for a tool, a toolkit or a ``ToolNode``."""
        return any(_is(obj, kind) for kind in _KINDS)

    def protect(self, obj: Any, guard: Guard, **options: Any) -> Any:
        """Return a guarded copy; ``options`` are those of ``rampart_langchain.guard_tool``."""
        if _is(obj, "tool"):
            from rampart_langchain.tools import guard_tool

            return guard_tool(obj, guard, **options)
        if _is(obj, "toolkit"):
            from rampart_langchain.tools import guard_toolkit

            return guard_toolkit(obj, guard, **options)
        if options:
            raise TypeError(f"only a tool takes options, not {type(obj).__name__}")
        from rampart_langchain.calls import guard_tool_node

        return guard_tool_node(obj, guard)

    def coverage(self, obj: Any, guard: Guard) -> Sequence[str]:
        """Return the ways to a tool that pass ``guard``."""
        if not _is(obj, "tool"):
            return ()
        from rampart_langchain.instrumentation import coverage_of_tool

        return coverage_of_tool(obj, guard)

    def instrument(self, guard: Guard) -> Sequence[str]:
        """Put ``guard`` in front of every tool of this process."""
        from rampart_langchain.instrumentation import instrumentor

        return instrumentor.instrument(guard)

    def uninstrument(self) -> None:
        """Undo ``instrument``."""
        module = sys.modules.get("rampart_langchain.instrumentation")
        if module is not None:
            module.instrumentor.uninstrument()

    @property
    def gaps(self) -> Sequence[str]:
        """What ``instrument`` does not cover."""
        from rampart_langchain.instrumentation import GAPS

        return GAPS


def _is(obj: object, kind: str) -> bool:
    module, name = _KINDS[kind]
    known = getattr(sys.modules.get(module), name, None)
    return known is not None and isinstance(obj, known)


@hookimpl
def rampart_adapters() -> list[Adapter]:
    """Return the adapter for LangChain."""
    return [LangChainAdapter()]
