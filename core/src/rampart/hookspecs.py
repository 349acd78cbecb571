"""The hooks. A plugin is a module or object whose functions are marked with ``rampart.hookimpl``.

Plugins are found through the entry-point group ``rampart``. Every hook collects from every plugin;
nothing that a plugin answers can loosen a decision. The guide is ``core/docs/plugins.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import pluggy

from rampart.model import Action, Decision, ToolCall

if TYPE_CHECKING:
    import click

    from rampart.guard import Guard
    from rampart.toolmap import ToolMap

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


@runtime_checkable
class Instrumentation(Protocol):
    """What an adapter may offer besides: guard all that its framework runs in this process.

    An adapter that has these two methods is one; ``Adapter`` does not ask for them. They are called
    under a lock, and in turn: never ``instrument`` twice without ``uninstrument`` between. An
    attribute ``gaps``, a sequence of texts, may name what stays uncovered.
    """

    name: str

    def instrument(self, guard: Guard) -> Sequence[str]:
        """Put ``guard`` in front of every tool, and return what that covers, one text a path.

        It imports the framework; an ImportError says that it is not installed. Raises: ConfigError
        for a version that it does not know; whatever it raises, ``uninstrument`` is called next.
        """
        ...

    def uninstrument(self) -> None:
        """Undo exactly what ``instrument`` did, finished or not; harmless if there is nothing."""
        ...


@runtime_checkable
class Covering(Protocol):
    """What an adapter may offer besides: say which ways to a guarded object are covered."""

    name: str

    def coverage(self, obj: Any, guard: Guard) -> Sequence[str]:
        """Return the ways to ``obj`` that pass ``guard``, one text each; none if it is not ours."""
        ...


class Specs:
    """The hook signatures; pluggy checks implementations against them."""

    @hookspec
    def rampart_adapters(self) -> Iterable[Adapter]:  # type: ignore[empty-body]
        """Return the framework adapters that this plugin brings."""

    @hookspec
    def rampart_tools(self) -> Iterable[ToolMap]:  # type: ignore[empty-body]
        """Return what tools of other people stand for; it goes before what adapters know."""

    @hookspec
    def rampart_commands(self) -> Iterable[click.Command]:  # type: ignore[empty-body]
        """Return commands for the ``rampart`` program."""

    @hookspec
    def rampart_catalog(self) -> Iterable[Mapping[str, object] | str]:  # type: ignore[empty-body]
        """Return what programs do with their words: entries of the command catalog by program.

        Each is a mapping, or YAML text with the same in it. It is asked once, when the plugin is
        registered. What is said about a program that is known already adds to that.
        """

    @hookspec
    def rampart_before_decision(
        self, call: ToolCall, actions: tuple[Action, ...]
    ) -> Decision | None:
        """Return a decision to tighten the policy's own, or None. A looser one has no effect."""

    @hookspec
    def rampart_after_decision(self, call: ToolCall, decision: Decision) -> None:
        """Observe a decision after it was recorded. Errors are reported and change nothing."""
