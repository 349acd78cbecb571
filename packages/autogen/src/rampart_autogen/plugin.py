"""The plugin: tells Rampart that this package knows AutoGen's executors, tools and agents.

MUST NOT import AutoGen: every program that uses Rampart loads this module.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rampart import Adapter, Guard, hookimpl

_EXECUTOR = ("autogen_core.code_executor", "CodeExecutor")
_TOOL = ("autogen_core.tools", "BaseTool")
_WORKBENCH = ("autogen_core.tools", "Workbench")
_AGENT = ("autogen_agentchat.agents", "BaseChatAgent")
_TEAM = ("autogen_agentchat.teams", "BaseGroupChat")
_CLASSIC_EXECUTOR = ("autogen.coding.base", "CodeExecutor")
_CLASSIC_AGENT = ("autogen.agentchat.conversable_agent", "ConversableAgent")
_KINDS = (_EXECUTOR, _TOOL, _WORKBENCH, _AGENT, _TEAM, _CLASSIC_EXECUTOR, _CLASSIC_AGENT)


class AutoGenAdapter:
    """Guards AutoGen code executors, tools, workbenches, agents and teams, of both lineages."""

    name = "autogen"

    def supports(self, obj: object) -> bool:
        """True for an AutoGen code executor, tool, workbench, agent or team."""
        return any(_is(obj, kind) for kind in _KINDS)

    def protect(self, obj: Any, guard: Guard, **options: Any) -> Any:
        """Return a guarded executor or workbench around ``obj``, or a guarded copy of a tool.

        Agents and teams are guarded in place. ``options`` are those of
        ``rampart_autogen.guard_tool``, and only a tool takes them.
        """
        if _is(obj, _TOOL):
            from rampart_autogen.tools import guard_tool

            return guard_tool(obj, guard, **options)
        if options:
            raise TypeError(f"only a tool takes options, not {type(obj).__name__}")
        if _is(obj, _WORKBENCH):
            from rampart_autogen.workbench import guard_workbench

            return guard_workbench(obj, guard)
        if _is(obj, _EXECUTOR):
            from rampart_autogen.executor import guard_executor

            return guard_executor(obj, guard)
        return _protect_user(obj, guard)

    def instrument(self, guard: Guard) -> Sequence[str]:
        """Put ``guard`` in front of every executor, tool and workbench of this process."""
        from rampart_autogen.instrument import instrument

        return instrument(guard)

    def uninstrument(self) -> None:
        """Undo ``instrument``."""
        if "rampart_autogen.instrument" in sys.modules:
            from rampart_autogen.instrument import uninstrument

            uninstrument()

    @property
    def gaps(self) -> Sequence[str]:
        """What ``instrument`` does not cover."""
        from rampart_autogen.instrument import GAPS

        return GAPS

    def coverage(self, obj: Any, guard: Guard) -> Sequence[str]:
        """Return the ways to ``obj`` that pass ``guard``."""
        from rampart_autogen.instrument import coverage

        return coverage(obj, guard)


def _protect_user(obj: Any, guard: Guard) -> Any:
    """Guard what uses tools and executors, or an executor of the classic lineage."""
    if _is(obj, _TEAM) or _is(obj, _AGENT):
        from rampart_autogen.agents import guard_agent, guard_team

        return guard_team(obj, guard) if _is(obj, _TEAM) else guard_agent(obj, guard)
    from rampart_autogen.classic import guard_classic_agent, guard_classic_executor

    make = guard_classic_agent if _is(obj, _CLASSIC_AGENT) else guard_classic_executor
    return make(obj, guard)


def _is(obj: object, which: tuple[str, str]) -> bool:
    module, name = which
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(obj, kind)


@hookimpl
def rampart_adapters() -> list[Adapter]:
    """Return the adapter for AutoGen."""
    return [AutoGenAdapter()]
