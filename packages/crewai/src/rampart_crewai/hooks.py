"""Hooks that see every tool call of this process, whoever makes it.

MUST catch every exception and answer False: CrewAI ignores a hook that raises, and runs the tool.
MUST leave a guarded tool to its own guard: one decision per call.
MUST put the arguments that were decided in the place of those that came.
LIMIT: ``crewai.hooks.clear_all_hooks()`` removes them; ``tool.run()`` outside an agent passes by; a
hook that is installed later may still change the arguments (a guarded tool decides the final ones).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, Final

from crewai.hooks import (
    register_after_tool_call_hook,
    register_before_tool_call_hook,
    unregister_after_tool_call_hook,
    unregister_before_tool_call_hook,
)
from crewai.hooks.tool_hooks import ToolCallHookContext
from crewai.tools import BaseTool
from crewai.tools.agent_tools.base_agent_tools import BaseAgentTool
from crewai.utilities.string_utils import sanitize_tool_name
from rampart import Decision, EnforcementPoint, Guard, denial_text, frozen_copy, plain

from rampart_crewai import asking
from rampart_crewai.blocks import Blocks
from rampart_crewai.tools import point_of, tool_map

_CALLS_MAX: Final = 256  # calls between the two hooks: one per running thread

_installed: dict[int, Hooks] = {}
_lock = threading.Lock()
_noting: list[bool] = []
_pass: ContextVar[_Pass | None] = ContextVar("rampart_crewai_pass", default=None)


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
                for blocks in hooks.blocks:
                    blocks.close()


def installed(guard: Guard) -> bool:
    """True if the hooks of ``guard`` are installed."""
    with _lock:
        return id(guard) in _installed


def note_passes(on: bool) -> None:
    """Note which calls were let through, or stop doing so; ``passed`` asks."""
    _noting[:] = [True] if on else []


def passed(name: str, arguments: Mapping[str, Any]) -> bool:
    """True, once, for the call that the hooks let through just now."""
    noted = _pass.get()
    if noted is None or noted.used:
        return False
    noted.used = sanitize_tool_name(name) == noted.name and plain(arguments) == noted.arguments
    return noted.used


def apply_blocks(guard: Guard, blocks: Blocks) -> None:
    """Install the hooks; for the agents of ``blocks`` they ask the guards of those."""
    install_hooks(guard)
    with _lock:
        hooks = _installed[id(guard)]
        if all(known is not blocks for known in hooks.blocks):
            hooks.blocks.append(blocks)


@dataclass(slots=True)
class _Pass:
    """A call on its way from the hook to the tool."""

    name: str
    arguments: object
    used: bool = False


@dataclass(slots=True)
class _Call:
    """A call between the two hooks. It holds its input, so that no other object gets that id."""

    tool_input: object
    text: str = ""
    point: EnforcementPoint | None = None
    arguments: Mapping[str, Any] | None = None
    token: Token[int] | None = None


class Hooks:
    """The pair of hooks of one guard: one decides, the other speaks to the model."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.blocks: list[Blocks] = []
        self._calls: OrderedDict[int, _Call] = OrderedDict()
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
            tool_input = getattr(context, "tool_input", None)
            self._remember(_Call(tool_input, text=denial_text(str(name), decision)))
            return False

    def after(self, context: ToolCallHookContext) -> str | None:
        """Return what the model reads in place of the output, or None to leave it."""
        try:
            return self._after(context)
        except Exception as error:  # noqa: BLE001 - INVARIANT: an exception here would show the output
            text = f"its output cannot be reviewed: {type(error).__name__}"
            return denial_text(
                str(context.tool_name), Decision("deny", text, rule="internal_error")
            )

    def _after(self, context: ToolCallHookContext) -> str | None:
        _pass.set(None)
        with self._lock:
            call = self._calls.pop(id(context.tool_input), None)
        if call is None:
            return None
        if call.token is not None:
            asking.back(call.token)
        if call.text or call.point is None:
            # WHY the reason: CrewAI says only "blocked by hook"
            return call.text or None
        review = call.point.review(call.arguments or {}, context.tool_result or "")
        return str(review.response)

    def _before(self, context: ToolCallHookContext) -> bool | None:
        original = getattr(context.tool, "_original_tool", None)
        if point_of(original) is not None:
            return None
        decided = frozen_copy(context.tool_input or {})
        point = self._point(context, original, decided)
        decision = point.enforce(_seen(original, decided))
        if not decision.allowed:
            text = denial_text(context.tool_name, decision)
            self._remember(_Call(context.tool_input, text=text))
            return False
        if context.tool_input is not None:
            context.tool_input.clear()
            context.tool_input.update(decided)
        if _noting:
            _pass.set(_Pass(context.tool_name, plain(decided)))
        call = _Call(context.tool_input)
        if isinstance(original, BaseAgentTool):
            call.token = asking.deeper()
        if point.reviews:
            call.point, call.arguments = point, decided
        if call.token is not None or call.point is not None:
            self._remember(call)
        return None

    def _point(
        self, context: ToolCallHookContext, original: object, arguments: Mapping[str, Any]
    ) -> EnforcementPoint:
        name = context.tool_name
        kind = object if original is None else type(original)
        mapping = tool_map().find(kind, getattr(original, "name", name), arguments)
        return EnforcementPoint(
            self._guard_of(context.agent),
            name,
            mapping,
            subject=original,
            context=lambda guard: asking.who_asks(
                guard, context.agent, task=context.task, crew=context.crew
            ),
        )

    def _guard_of(self, agent: object) -> Guard:
        """Return the guard of an agent's own settings, or the general one."""
        for blocks in self.blocks:
            if (guard := blocks.guard_of(agent)) is not None:
                return guard
        return self.guard

    def _remember(self, call: _Call) -> None:
        with self._lock:
            self._calls[id(call.tool_input)] = call
            while len(self._calls) > _CALLS_MAX:
                self._calls.popitem(last=False)


def _seen(tool: object, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as given and as the tool's schema reads them.

    WHY both: a schema may rename an argument (an alias) or fill one in; a rule must see the path
    that will be opened. What the schema refuses does not run, and is decided as given.
    """
    schema = getattr(tool, "args_schema", None)
    if not isinstance(tool, BaseTool) or not getattr(schema, "model_fields", None):
        return dict(given)
    try:
        return {**given, **schema.model_validate(dict(given)).model_dump()}  # type: ignore[union-attr]  # a model, as its fields say
    except ValueError:
        return dict(given)
