"""Finding plugins and calling their hooks: a broken one is named and never loosens a decision.

MUST deny, naming the plugin, when a hook about a decision raises, answers nonsense or hangs.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import pluggy

from rampart.errors import PluginError
from rampart.hookspecs import PROJECT, Adapter, Specs
from rampart.limits import (
    PLUGIN_DECIDE_S,
    PLUGIN_LOAD_S,
    PLUGIN_OBSERVE_S,
    PLUGIN_THREADS_MAX,
)
from rampart.model import RULE_PLUGIN_ERROR, STRICTNESS, Action, Decision, ToolCall
from rampart.policy import PolicyDocument
from rampart.sources import catalog_document, catalog_of
from rampart.workers import Overdue, Workers

if TYPE_CHECKING:
    from rampart.toolmap import ToolMap

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
        self._workers: dict[str, Workers] = {}
        self.installed: list[PluginInfo] = []
        self.documents: list[PolicyDocument] = []
        """What plugins add to the catalog of programs, each in a document of its own."""

    def load_entry_points(self) -> None:
        """Register every plugin of the entry-point group, in order of name, each on its own."""
        # WHY: pluggy's own loader stops at the first plugin whose import fails
        for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
            distribution = entry.dist.name if entry.dist else ""
            version = entry.dist.version if entry.dist else ""
            error = ""
            try:
                with _watched(entry.name, "its import"):
                    loaded = entry.load()
                self.register(loaded, name=entry.name)
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
            self._add_catalog(plugin)
        except (pluggy.PluginValidationError, ValueError) as error:
            self._manager.unregister(plugin, name)
            raise PluginError(f"plugin {name or plugin!r}: {error}") from None

    def _add_catalog(self, plugin: object) -> None:
        """Ask a plugin for its entries of the catalog, and check them. Raises: ValueError."""
        for implementation in self._manager.hook.rampart_catalog.get_hookimpls():
            if implementation.plugin is plugin:
                name = implementation.plugin_name
                try:
                    with _watched(name, "rampart_catalog"):
                        entries = _call(implementation)
                    document = catalog_document(f"plugin:{name}", entries)
                    catalog_of([document])
                except Exception as error:  # noqa: BLE001 - foreign code may raise anything; it is named
                    raise ValueError(f"rampart_catalog: {error}") from None
                self.documents.append(document)

    def adapters(self) -> Iterator[Adapter]:
        """Yield every adapter.

        Raises: PluginError naming the plugin that answers something else.
        """
        for name, answer in self._each("rampart_adapters"):
            for adapter in answer or ():
                if not isinstance(adapter, Adapter):
                    raise PluginError(f"plugin {name}: {adapter!r} is not an adapter")
                yield adapter

    def tool_maps(self) -> Iterator[ToolMap]:
        """Yield what plugins know about tools. Raises: PluginError as ``adapters``."""
        from rampart.toolmap import ToolMap

        for name, answer in self._each("rampart_tools"):
            for known in answer or ():
                if not isinstance(known, ToolMap):
                    raise PluginError(f"plugin {name}: {known!r} is not a tool map")
                yield known

    def commands(self) -> Iterator[tuple[str, Any]]:
        """Yield (plugin name, command) for the ``rampart`` program."""
        for name, answer in self._each("rampart_commands"):
            for command in answer or ():
                yield name, command

    def tighten(self, call: ToolCall, actions: tuple[Action, ...], decision: Decision) -> Decision:
        """Return the strictest of ``decision`` and what the plugins say.

        A plugin that fails, or takes longer than ``PLUGIN_DECIDE_S``, denies. While webhooks are to
        be asked, what plugins say holds besides.
        """
        if decision.pending is not None:
            otherwise = self.tighten(call, actions, decision.pending.otherwise)
            if otherwise.action == "deny":
                return otherwise
            return replace(decision, pending=replace(decision.pending, otherwise=otherwise))
        for failed in self.installed:
            if failed.error:
                return _denied(f"plugin {failed.name} cannot be used: {failed.error}", decision)
        deadline = time.monotonic() + PLUGIN_DECIDE_S
        for implementation in self._manager.hook.rampart_before_decision.get_hookimpls():
            name = implementation.plugin_name
            try:
                answer = self._bounded(implementation, deadline, call=call, actions=actions)
            except Overdue as late:
                limit = f"all plugins together have {PLUGIN_DECIDE_S:g} s"
                return _denied(f"plugin {name} took too long: {late}; {limit}", decision)
            except Exception as error:  # noqa: BLE001 - foreign code; any failure is a denial that names it
                text = f"plugin {name} failed: {type(error).__name__}: {error}"
                decision = _denied(text, decision)
            else:
                decision = _stricter(name, answer, decision)
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
        deadline = time.monotonic() + PLUGIN_OBSERVE_S
        for implementation in self._manager.hook.rampart_after_decision.get_hookimpls():
            try:
                self._bounded(implementation, deadline, call=call, decision=decision)
            except Overdue as late:
                _log.warning(
                    "plugin %s is slow to observe a decision: %s", implementation.plugin_name, late
                )
            except Exception:  # noqa: BLE001 - foreign code; observers change nothing
                _log.exception("plugin %s failed to observe a decision", implementation.plugin_name)

    def _bounded(
        self, implementation: pluggy.HookImpl, deadline: float, **arguments: object
    ) -> object:
        """Return what a hook answers. Raises: what it raises, and Overdue."""
        name = implementation.plugin_name
        workers = self._workers.get(name)
        if workers is None:
            made = Workers(f"rampart-plugin-{name}", PLUGIN_THREADS_MAX)
            workers = self._workers.setdefault(name, made)
        run = functools.partial(_call, implementation, **arguments)
        return workers.run(run, max(deadline - time.monotonic(), 0.0))

    def _each(self, hook: str) -> Iterator[tuple[str, Any]]:
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                yield implementation.plugin_name, _call(implementation)
            except Exception as error:
                raise PluginError(
                    f"plugin {implementation.plugin_name}: {hook}: {error}"
                ) from error


def _stricter(name: str, answer: object, decision: Decision) -> Decision:
    """Return what holds after the plugin ``name`` answered."""
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


@contextmanager
def _watched(name: str, what: str) -> Iterator[None]:
    """Report a plugin that takes long to load.

    WHY not a deadline: code that imports must stay in the thread that imports it, or two threads
    wait for each other's modules. Nothing is decided meanwhile.
    """
    text = "plugin %s: %s has taken %g s and goes on; no call is decided before it ends"
    timer = threading.Timer(PLUGIN_LOAD_S, _log.warning, (text, name, what, PLUGIN_LOAD_S))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
