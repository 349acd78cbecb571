"""Finding plugins and calling their hooks: a broken one is named and never loosens a decision."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import pluggy

from rampart.errors import PluginError
from rampart.hookspecs import PROJECT, Adapter, Specs
from rampart.model import RULE_PLUGIN_ERROR, STRICTNESS, Action, Decision, ToolCall

GROUP: Final = "rampart"
_log = logging.getLogger("rampart.plugins")


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One installed plugin.

    Its entry point, distribution and version, and why it failed (empty: it works).
    """

    name: str
    distribution: str
    version: str
    error: str = ""


class Plugins:
    """The registered plugins.

    A plugin that does not import, or names an unknown hook, is kept with its error.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Specs)
        self.installed: list[PluginInfo] = []

    def load_entry_points(self) -> None:
        """Register every plugin of the entry-point group, in order of name, each on its own."""
        # WHY: pluggy's own loader stops at the first plugin whose import fails
        for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
            distribution = entry.dist.name if entry.dist else ""
            version = entry.dist.version if entry.dist else ""
            error = ""
            try:
                self.register(entry.load(), name=entry.name)
            except Exception as problem:  # noqa: BLE001 - a foreign module may raise anything; it is named, not hidden
                error = f"{type(problem).__name__}: {problem}"
                _log.warning("plugin %s cannot be used: %s", entry.name, error)
            self.installed.append(PluginInfo(entry.name, distribution, version, error))

    def register(self, plugin: object, *, name: str | None = None) -> None:
        """Add one plugin.

        Raises: PluginError for a hook that does not exist or has another signature.
        """
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            self._manager.unregister(plugin, name)
            raise PluginError(f"plugin {name or plugin!r}: {error}") from None

    def adapters(self) -> Iterator[Adapter]:
        """Yield every adapter.

        Raises: PluginError naming the plugin that answers something else.
        """
        for name, answer in self._each("rampart_adapters"):
            for adapter in answer or ():
                if not isinstance(adapter, Adapter):
                    raise PluginError(f"plugin {name}: {adapter!r} is not an adapter")
                yield adapter

    def commands(self) -> Iterator[tuple[str, Any]]:
        """Yield (plugin name, command) for the ``rampart`` program."""
        for name, answer in self._each("rampart_commands"):
            for command in answer or ():
                yield name, command

    def tighten(self, call: ToolCall, actions: tuple[Action, ...], decision: Decision) -> Decision:
        """Return the strictest of ``decision`` and what the plugins say.

        A plugin that fails denies.
        """
        for failed in self.installed:
            if failed.error:
                return _denied(f"plugin {failed.name} cannot be used: {failed.error}", decision)
        for implementation in self._manager.hook.rampart_before_decision.get_hookimpls():
            decision = _tightened(implementation, call, actions, decision)
        return decision

    @property
    def silent(self) -> bool:
        """True if no plugin has a say in decisions."""
        for plugin in self.installed:
            if plugin.error:
                return False
        return not self._manager.hook.rampart_before_decision.get_hookimpls()

    def observe(self, call: ToolCall, decision: Decision) -> None:
        """Tell every plugin what was decided. An error is reported and changes nothing."""
        for implementation in self._manager.hook.rampart_after_decision.get_hookimpls():
            try:
                _call(implementation, call=call, decision=decision)
            except Exception:  # noqa: BLE001 - foreign code; observers change nothing
                _log.exception("plugin %s failed to observe a decision", implementation.plugin_name)

    def _each(self, hook: str) -> Iterator[tuple[str, Any]]:
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                yield implementation.plugin_name, _call(implementation)
            except Exception as error:
                raise PluginError(
                    f"plugin {implementation.plugin_name}: {hook}: {error}"
                ) from error


def _tightened(
    implementation: pluggy.HookImpl, call: ToolCall, actions: tuple[Action, ...], decision: Decision
) -> Decision:
    name = implementation.plugin_name
    try:
        answer = _call(implementation, call=call, actions=actions)
    except Exception as error:  # noqa: BLE001 - foreign code; any failure is a denial that names it
        return _denied(f"plugin {name} failed: {type(error).__name__}: {error}", decision)
    if answer is None:
        return decision
    if not isinstance(answer, Decision) or answer.action not in STRICTNESS:
        return _denied(
            f"plugin {name} answered {type(answer).__name__} instead of a decision", decision
        )
    if STRICTNESS[answer.action] <= STRICTNESS[decision.action]:
        return decision
    answer.policy = answer.policy or f"plugin:{name}"
    answer.generation = decision.generation
    answer.matched = (answer.policy, *decision.matched)
    return answer


def _call(implementation: pluggy.HookImpl, **arguments: object) -> Any:
    # WHY: pluggy's multicall stops at the first implementation that raises; each one is called on
    # its own
    return implementation.function(*(arguments[name] for name in implementation.argnames))


def _denied(message: str, decision: Decision) -> Decision:
    return Decision(
        "deny",
        message,
        rule=RULE_PLUGIN_ERROR,
        matched=decision.matched,
        generation=decision.generation,
    )


def installed_plugins() -> Plugins:
    """Return the plugins of this process, loaded once.

    ``RAMPART_DISABLE_PLUGIN_AUTOLOAD=1`` loads none.
    """
    return _loaded(os.environ.get("RAMPART_DISABLE_PLUGIN_AUTOLOAD") != "1")


@functools.cache
def _loaded(from_entry_points: bool) -> Plugins:
    plugins = Plugins()
    if from_entry_points:
        plugins.load_entry_points()
    return plugins
