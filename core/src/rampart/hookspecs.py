"""The hooks. A plugin is a module or object whose functions are marked with ``rampart.hookimpl``.

Plugins are found through the entry-point group ``rampart``. Every hook collects from every plugin;
nothing that a plugin answers can loosen a decision. The guide is ``core/docs/plugins.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import pluggy

from rampart.model import Action, Decision, ToolCall

if TYPE_CHECKING:
    import click

    from rampart.guard import Guard

PROJECT: Final = "rampart"
hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)


@runtime_checkable
class Adapter(Protocol):
    """Knows one framework's objects.

    ``supports`` must answer without importing the framework: an object of a framework that was
    never imported cannot exist.
    """

    name: str

    def supports(self, obj: object) -> bool:
        """True if ``protect`` knows what to do with ``obj``."""
        ...

    def protect(self, obj: Any, guard: Guard) -> Any:
        """Return a guarded object of the same kind.

        ``obj`` itself stays as it was, except where others hold references to its parts (a crew):
        then it is guarded in place and returned.
        """
        ...


class Specs:
    """The hook signatures; pluggy checks implementations against them."""

    @hookspec
    def rampart_adapters(self) -> Iterable[Adapter]:  # type: ignore[empty-body]
        """Return the framework adapters that this plugin brings."""

    @hookspec
    def rampart_commands(self) -> Iterable[click.Command]:  # type: ignore[empty-body]
        """Return commands for the ``rampart`` program."""

    @hookspec
    def rampart_before_decision(
        self, call: ToolCall, actions: tuple[Action, ...]
    ) -> Decision | None:
        """Return a decision to tighten the policy's own, or None. A looser one has no effect."""

    @hookspec
    def rampart_after_decision(self, call: ToolCall, decision: Decision) -> None:
        """Observe a decision after it was recorded. Errors are reported and change nothing."""
