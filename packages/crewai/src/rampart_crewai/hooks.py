"""Hooks that see every tool call of this process, whoever makes it.

MUST catch every exception and answer False: CrewAI ignores a hook that raises, and runs the tool.
MUST leave a guarded tool to its own guard: one decision per call.
LIMIT: ``crewai.hooks.clear_all_hooks()`` removes them; ``tool.run()`` outside an agent passes by; a
hook that is installed later may still change the arguments (a guarded tool decides the final ones).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from crewai.hooks import (
    register_after_tool_call_hook,
    register_before_tool_call_hook,
    unregister_after_tool_call_hook,
    unregister_before_tool_call_hook,
)
from crewai.hooks.tool_hooks import ToolCallHookContext
from rampart import Decision, EnforcementPoint, Guard, denial_text, frozen_copy

from rampart_crewai.tools import point_of, tool_map, who_asks

_DENIALS_MAX: Final = 256  # denied calls whose text was not yet asked for: one per running thread

_installed: dict[int, Hooks] = {}
_lock = threading.Lock()


def install_hooks(guard: Guard) -> None:
    """Decide every tool call of every agent and crew in this process; once per guard."""
    with _lock:
        hooks = _installed.get(id(guard))
        if hooks is None:
            hooks = _installed[id(guard)] = Hooks(guard)
        # WHY again: `clear_all_hooks` may have removed them
        hooks.remove()
        hooks.add()


def uninstall_hooks(guard: Guard | None = None) -> None:
    """Remove the hooks of one guard, or of all."""
    with _lock:
        for key in [id(guard)] if guard is not None else list(_installed):
            if (hooks := _installed.pop(key, None)) is not None:
                hooks.remove()


class Hooks:
    """The pair of hooks of one guard: one decides, the other gives the model the reason."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._denials: OrderedDict[int, tuple[object, str]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self) -> None:
        """Register both."""
        register_before_tool_call_hook(self.before)
        register_after_tool_call_hook(self.after)

    def remove(self) -> None:
        """Unregister both."""
        unregister_before_tool_call_hook(self.before)
        unregister_after_tool_call_hook(self.after)

    def before(self, context: ToolCallHookContext) -> bool | None:
        """Answer False to block a call."""
        try:
            return self._before(context)
        except Exception as error:  # noqa: BLE001 - INVARIANT: an exception here would run the tool
            name = getattr(context, "tool_name", "tool")
            text = f"the decision failed: {type(error).__name__}"
            decision = Decision("deny", text, rule="internal_error")
            self._remember(getattr(context, "tool_input", None), denial_text(str(name), decision))
            return False

    def after(self, context: ToolCallHookContext) -> str | None:
        """Return the reason of a denial, in place of CrewAI's general sentence."""
        with self._lock:
            found = self._denials.pop(id(context.tool_input), None)
        return found[1] if found is not None else None

    def _before(self, context: ToolCallHookContext) -> bool | None:
        original = getattr(context.tool, "_original_tool", None)
        if point_of(original) is not None:
            return None
        name, arguments = context.tool_name, frozen_copy(context.tool_input or {})
        kind = object if original is None else type(original)
        mapping = tool_map().find(kind, getattr(original, "name", name), arguments)
        point = EnforcementPoint(
            self._guard,
            name,
            mapping,
            subject=original,
            context=lambda guard: who_asks(guard, context.agent),
        )
        decision = point.enforce(arguments)
        if decision.allowed:
            return None
        self._remember(context.tool_input, denial_text(name, decision))
        return False

    def _remember(self, tool_input: object, text: str) -> None:
        with self._lock:
            # WHY the input as well: while it is held no other object can get its id
            self._denials[id(tool_input)] = (tool_input, text)
            while len(self._denials) > _DENIALS_MAX:
                self._denials.popitem(last=False)
