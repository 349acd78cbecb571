"""The plugin: tells Rampart that this package knows LangChain's tools.

MUST NOT import LangChain: every program that uses Rampart loads this module.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rampart import Adapter, Guard, hookimpl


class LangChainAdapter:
    """Guards LangChain tools."""

    name = "langchain"

    def supports(self, obj: object) -> bool:
        """True for a LangChain tool."""
        tools = sys.modules.get("langchain_core.tools")
        return tools is not None and isinstance(obj, tools.BaseTool)

    def protect(
        self,
        obj: Any,
        guard: Guard,
        *,
        tool: str | None = None,
        params: Mapping[str, str] | None = None,
        on_deny: str = "message",
    ) -> Any:
        """Return a guarded copy of a tool; see ``rampart_langchain.guard_tool``."""
        from rampart_langchain.tools import guard_tool

        return guard_tool(obj, guard, tool=tool, params=params, on_deny=on_deny)


@hookimpl
def rampart_adapters() -> list[Adapter]:
    """Return the adapter for LangChain."""
    return [LangChainAdapter()]
