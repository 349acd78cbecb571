"""Guarding a whole process: which framework is behind which guard, and what that covers.

MUST hold a framework for one guard at a time, and undo exactly what was done for it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from rampart.errors import ConfigError
from rampart.functions import GUARD
from rampart.hookspecs import Covering, Instrumentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from rampart.guard import Guard
    from rampart.hookspecs import Adapter
    from rampart.plugins import Plugins


def _nothing() -> None:
    """Undo nothing."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What stands behind a guard: the ways to a tool that are covered, and those that are not.

    Printable. As a context manager it undoes an ``instrument`` at the end of the block.
    """

    subject: str
    paths: tuple[str, ...]
    gaps: tuple[str, ...] = ()
    undo: Callable[[], None] = field(default=_nothing, repr=False, compare=False)

    def __str__(self) -> str:
        lines = [f"{self.subject}: guarded" if self.paths else f"{self.subject}: not guarded"]
        lines += [f"  + {path}" for path in self.paths]
        lines += [f"  - not covered: {gap}" for gap in self.gaps]
        return "\n".join(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()


@dataclass(frozen=True, slots=True)
class _Held:
    guard: Guard
    adapter: Instrumentation
    coverage: Coverage


_held: dict[str, _Held] = {}
_lock: Final = threading.RLock()


def instrument(guard: Guard, framework: str, plugins: Plugins) -> Coverage:
    """Put ``guard`` in front of all that ``framework`` runs in this process.

    The same guard again changes nothing. Raises: ConfigError if no installed adapter can do it, if
    the framework is not installed or not one that the adapter knows, or if another guard holds it.
    """
    with _lock:
        held = _held.get(framework)
        if held is not None and held.guard is guard:
            return held.coverage
        if held is not None:
            raise ConfigError(
                f"{framework} is instrumented by another guard already",
                help=f'call uninstrument("{framework}") on that guard first; guards do not nest',
            )
        adapter = _adapter_of(framework, plugins.adapters())
        try:
            covered = adapter.instrument(guard)
        except ImportError as error:
            adapter.uninstrument()
            raise ConfigError(
                f"{framework} cannot be instrumented: {error}",
                help=f"is it installed? pip install rampart-{framework}",
            ) from error
        except BaseException:
            # INVARIANT: nothing stays half guarded, and the caller is told
            adapter.uninstrument()
            raise
        coverage = Coverage(
            framework,
            tuple(covered),
            tuple(getattr(adapter, "gaps", ())),
            lambda: uninstrument(guard, framework),
        )
        _held[framework] = _Held(guard, adapter, coverage)
        return coverage


def uninstrument(guard: Guard, framework: str | None = None) -> None:
    """Undo ``instrument``, for one framework or for all that ``guard`` holds.

    What is not instrumented stays as it is. Raises: ConfigError if another guard holds it.
    """
    with _lock:
        mine = [name for name, held in _held.items() if held.guard is guard]
        if framework is not None and framework in _held and framework not in mine:
            raise ConfigError(
                f"{framework} is instrumented by another guard",
                help="only the guard that instrumented a framework can undo it",
            )
        for name in mine if framework is None else [framework]:
            held = _held.pop(name, None)
            if held is not None:
                held.adapter.uninstrument()


def coverage_of(guard: Guard, obj: object, plugins: Plugins) -> Coverage:
    """Return which ways to ``obj`` pass ``guard``: an object, a list, or a framework's name."""
    if isinstance(obj, str):
        held = _held.get(obj)
        return held.coverage if held is not None and held.guard is guard else Coverage(obj, ())
    if isinstance(obj, list | tuple):
        each = [coverage_of(guard, item, plugins) for item in obj]
        return Coverage(
            f"{len(each)} objects",
            tuple(f"{one.subject}: {path}" for one in each for path in one.paths),
            tuple(f"{one.subject}: {gap}" for one in each for gap in one.gaps)
            + tuple(one.subject for one in each if not one.paths),
        )
    name = str(getattr(obj, "name", None) or getattr(obj, "__name__", type(obj).__name__))
    if getattr(obj, GUARD, None) is guard:
        return Coverage(
            name, (f"{name}(...)",), ("the function that was decorated, called by itself",)
        )
    for adapter in plugins.adapters():
        if adapter.supports(obj) and isinstance(adapter, Covering):
            return Coverage(name, tuple(adapter.coverage(obj, guard)))
    return Coverage(name, ())


def _adapter_of(framework: str, adapters: Iterator[Adapter]) -> Instrumentation:
    known = []
    for adapter in adapters:
        if isinstance(adapter, Instrumentation):
            known.append(adapter.name)
            if adapter.name == framework:
                return adapter
    names = ", ".join(sorted(known)) or "none"
    raise ConfigError(
        f"no installed adapter can instrument {framework!r}",
        help=f"known: {names}; install rampart-langchain, rampart-crewai or rampart-autogen",
    )
