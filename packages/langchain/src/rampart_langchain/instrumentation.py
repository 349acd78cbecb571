"""Every tool of LangChain in this process behind one guard, with no change to the code.

The methods of ``BaseTool`` and of all its subclasses are replaced, of those that exist and of those
that are made later.

MUST put back exactly what was there.
MUST leave a tool that ``guard.protect`` guards to its own guard: one decision per call.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.tools import BaseTool
from rampart import EnforcementPoint, Guard

from rampart_langchain.guarding import Function
from rampart_langchain.methods import (
    ainvoke_method,
    arun_method,
    denial_answer,
    goes_to_a_thread,
    outer_arun,
    outer_run,
    run_method,
)
from rampart_langchain.tools import GUARDED, new_point, point_of

COVERED: Final = (
    "BaseTool.invoke, ainvoke, batch, stream: every tool, sync and async, made now or later",
    "BaseTool.run, arun, _run, _arun: called directly",
    "create_agent, ToolNode, AgentExecutor, RunnableSequence, with_retry, with_fallbacks",
    "tools of MCP servers, toolkits and middlewares",
)
GAPS: Final = (
    "tool.func and tool.coroutine, called directly: use guard.protect(tool)",
    "a tool class that does its work in run or invoke, without _run",
    "tools that run at the model's provider",
)


@dataclass(slots=True)
class _Known:
    """The point of one tool, and what it was made from."""

    tool: weakref.ref[BaseTool]
    made_from: tuple[object, ...]
    point: EnforcementPoint


class Instrumentor:
    """Replaces the methods of LangChain's tool classes, and puts them back."""

    def __init__(self) -> None:
        self._guard: Guard | None = None
        self._saved: weakref.WeakKeyDictionary[type, dict[str, Any]] = weakref.WeakKeyDictionary()
        self._points: dict[int, _Known] = {}
        self._lock = threading.RLock()

    @property
    def guard(self) -> Guard | None:
        """The guard in front of every tool, or None."""
        return self._guard

    def instrument(self, guard: Guard) -> tuple[str, ...]:
        """Put ``guard`` in front of every tool; return what that covers."""
        with self._lock:
            self._guard = guard
            self._watch_new_classes()
            self._replace(BaseTool)  # type: ignore[type-abstract]  # the class, not an instance
            for kind in _subclasses(BaseTool):  # type: ignore[type-abstract]  # the same
                self._replace(kind)
        return COVERED

    def uninstrument(self) -> None:
        """Put every method back; harmless if none was replaced."""
        with self._lock:
            self._guard = None
            for kind, methods in list(self._saved.items()):
                for name, original in methods.items():
                    setattr(kind, name, original)
            self._saved.clear()
            self._points.clear()

    def point(self, tool: BaseTool) -> EnforcementPoint | None:
        """Return where the calls of ``tool`` are decided; None if not here."""
        guard = self._guard
        if guard is None or point_of(tool) is not None:
            return None
        made_from = (guard, tool.name, type(tool), tool.args_schema, _functions(tool))
        known = self._points.get(id(tool))
        if known is None or known.tool() is not tool or known.made_from != made_from:
            forget = _forget(self._points, id(tool))
            known = _Known(weakref.ref(tool, forget), made_from, new_point(tool, guard))
            self._points[id(tool)] = known
        return known.point

    def _watch_new_classes(self) -> None:
        original = BaseTool.__dict__["__init_subclass__"]

        def __init_subclass__(cls: type[BaseTool], /, **options: Any) -> None:  # noqa: N807 - Python's own name
            original.__get__(None, cls)(**options)
            with self._lock:
                if self._guard is not None:
                    self._replace(cls)

        self._saved.setdefault(BaseTool, {})["__init_subclass__"] = original
        BaseTool.__init_subclass__ = classmethod(__init_subclass__)  # type: ignore[assignment]  # the same signature

    def _replace(self, kind: type[BaseTool]) -> None:
        if GUARDED in kind.__dict__:
            return
        saved = self._saved.setdefault(kind, {})
        for name, make in self._makers(kind):
            original = kind.__dict__.get(name)
            if original is None or name in saved or hasattr(original, "__isabstractmethod__"):
                continue
            saved[name] = original
            setattr(kind, name, make(original))

    def _makers(self, kind: type[BaseTool]) -> Iterator[tuple[str, Callable[[Function], Function]]]:
        yield "run", lambda original: outer_run(original, denial_answer)
        yield "arun", lambda original: outer_arun(original, denial_answer)
        yield "_run", lambda original: run_method(original, self.point)
        yield "_arun", lambda original: arun_method(original, self.point)
        if "ainvoke" in kind.__dict__ and goes_to_a_thread(kind.__dict__["ainvoke"]):
            yield "ainvoke", lambda original: ainvoke_method(original, self.point)


def coverage_of_tool(tool: BaseTool, guard: Guard) -> tuple[str, ...]:
    """Return the ways to one tool that pass ``guard``."""
    point = point_of(tool)
    if point is not None and point.guard is guard:
        own = [f"{name}(...)" for name in ("func", "coroutine") if tool.__dict__.get(name)]
        return ("invoke, ainvoke, run, arun, batch, stream", "_run, _arun", *own)
    found = instrumentor.point(tool)
    return COVERED if found is not None and found.guard is guard else ()


def _subclasses(kind: type[BaseTool]) -> Iterator[type[BaseTool]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _functions(tool: BaseTool) -> tuple[object, object]:
    return tool.__dict__.get("func"), tool.__dict__.get("coroutine")


def _forget(points: dict[int, _Known], identity: int) -> Callable[[object], None]:
    def forget(gone: object) -> None:
        known = points.get(identity)
        if known is not None and known.tool is gone:  # another tool may have the id by now
            del points[identity]

    return forget


instrumentor: Final = Instrumentor()
