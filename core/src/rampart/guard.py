"""Guard: what a Python program holds. It decides calls, and puts itself in front of tools.

Everything heavy is imported when a guard is made, so that ``import rampart`` stays light.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, ParamSpec, Protocol, Self, TypeVar

from rampart.errors import ServiceUnavailable, UnsupportedObject
from rampart.functions import guarded_function
from rampart.limits import APPROVAL_POLL_S, APPROVAL_TIMEOUT_S
from rampart.model import (
    EMPTY,
    RULE_SERVICE_UNAVAILABLE,
    Decision,
    Review,
    ToolCall,
    withheld,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from subprocess import CompletedProcess
    from types import TracebackType

    from rampart.instrumentation import Coverage
    from rampart.plugins import Plugins
    from rampart.questions import Questions
    from rampart.streams import ResponseStream

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("rampart")
_CONTEXT_NAMES: Final = ("agent", "session", "run_id", "call_id", "cwd", "depth")
_context: ContextVar[Mapping[str, Any]] = ContextVar("rampart_context", default=EMPTY)


class DecisionPoint(Protocol):
    """Where decisions are made: a ``Gate`` in this process, or a service."""

    def check(self, call: ToolCall) -> Decision:
        """Preview a call."""
        ...

    def enforce(self, call: ToolCall) -> Decision:
        """Decide and record a call; an ``ask`` does not wait."""
        ...

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        """Wait for the approval of an ``ask``; answer allow or deny."""
        ...

    def poll(self, decision: Decision) -> Decision | None:
        """Return the outcome of an ``ask``, or None while it is pending."""
        ...


class ReviewPoint(Protocol):
    """A decision point that also looks at what tools return."""

    @property
    def reviews(self) -> bool:
        """True if some rule in force looks at responses."""
        ...

    def review(self, call: ToolCall, response: object) -> Review:
        """Say what a model may see of what a call returned, and record it."""
        ...


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """How a guard behaves.

    ``fail_open`` matters for a remote service only: it decides while none is reachable.
    """

    agent: str = ""
    session: str = ""
    ask_timeout_s: float = APPROVAL_TIMEOUT_S
    fail_open: bool = True
    close: Callable[[], None] = field(default=lambda: None)


class Guard:
    """Stands between a program and its tools.

    ``Guard()`` decides in this process with the profile ``standard`` and records in the data
    directory.

    ``policy`` is a file, or policy text (anything with a line break); ``profile`` names a built-in
    one. ``workspace`` is the project directory, by default the one that holds the working
    directory. ``agent`` and ``session`` name who asks; rules on what happened before are about a
    session, without a name about what the agent did through this guard. ``ask_timeout_s`` bounds
    the wait for a person, after which the answer is deny. Raises: PolicyError or PolicyMissing if
    the policy does not load, ConfigError or AuditError if the data directory or the log cannot be
    used.
    """

    def __init__(
        self,
        policy: str | Path | None = None,
        *,
        profile: str | None = None,
        data_dir: str | Path | None = None,
        workspace: str | Path | None = None,
        agent: str = "",
        session: str = "",
        ask_timeout_s: float = APPROVAL_TIMEOUT_S,
    ) -> None:
        from rampart.embedded import open_gate

        point, close = open_gate(
            policy,
            profile=profile,
            data_dir=data_dir,
            workspace=workspace,
            ask_timeout_s=ask_timeout_s,
        )
        self._start(
            point,
            GuardOptions(agent, session, ask_timeout_s=ask_timeout_s, fail_open=False, close=close),
        )

    @classmethod
    def connect(
        cls,
        url: str | None = None,
        *,
        token: str | None = None,
        agent: str = "",
        session: str = "",
        ask_timeout_s: float = APPROVAL_TIMEOUT_S,
        fail_open: bool | None = None,
    ) -> Guard:
        """Return a guard whose decisions are made by a running service.

        ``url`` and ``token`` default to ``RAMPART_URL`` and ``RAMPART_TOKEN``; ``fail_open`` to
        ``RAMPART_FAIL_OPEN``, which is on: while no service can be reached calls are allowed, with
        one warning. Raises: ConfigError.
        """
        from rampart.client import connect

        remote = connect(url, token=token, fail_open=fail_open)
        return cls.of(
            remote.point,
            GuardOptions(
                agent, session, ask_timeout_s, fail_open=remote.fail_open, close=remote.point.close
            ),
        )

    @classmethod
    def of(cls, point: DecisionPoint, options: GuardOptions | None = None) -> Guard:
        """Return a guard on a decision point that already exists."""
        guard = cls.__new__(cls)
        guard._start(point, options or GuardOptions())  # noqa: SLF001 - our own
        return guard

    def _start(self, point: DecisionPoint, options: GuardOptions) -> None:
        self._point = point
        self._options = options
        self._warned = False

    # Decisions

    def check(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """Preview a call: no record is left and nobody is asked.

        ``context`` may name ``agent session run_id call_id cwd depth``.
        """
        return self._reach(self._point.check, self.call(tool, params, **context))

    def enforce(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """Decide and record a call, and wait for a person where the policy asks for one.

        Answers allow, watch or deny; the caller may run the tool only if ``decision.allowed``.
        """
        decision = self._reach(self._point.enforce, self.call(tool, params, **context))
        if decision.action != "ask":
            return decision
        return self._point.finish(decision, self._options.ask_timeout_s)

    async def acheck(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """As ``check``, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(
            self._reach, self._point.check, self.call(tool, params, **context)
        )

    async def aenforce(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> Decision:
        """As ``enforce``, without blocking the event loop. A cancelled wait runs nothing."""
        import asyncio

        call = self.call(tool, params, **context)
        decision = await asyncio.to_thread(self._reach, self._point.enforce, call)
        return decision if decision.action != "ask" else await self.await_answer(decision)

    async def await_answer(self, decision: Decision) -> Decision:
        """Wait for the answer to the question that ``decision`` asks, on the event loop."""
        import asyncio

        deadline = asyncio.get_running_loop().time() + self._options.ask_timeout_s
        while asyncio.get_running_loop().time() < deadline:
            outcome = await asyncio.to_thread(self._point.poll, decision)
            if outcome is not None:
                return outcome
            await asyncio.sleep(APPROVAL_POLL_S)
        return await asyncio.to_thread(self._point.finish, decision, 0.0)

    @property
    def answers(self) -> bool:
        """True if this process may answer questions: decisions are made in it, by no service."""
        return hasattr(self._point, "ask")

    @property
    def questions(self) -> Questions:
        """Questions that a framework puts to people in a way of its own; needs ``answers``."""
        from rampart.questions import Questions

        return Questions(self._point, self._options.ask_timeout_s)  # type: ignore[arg-type]  # `answers` says so

    def call(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> ToolCall:
        """Return the call with everything that is known about who asks."""
        if isinstance(tool, ToolCall):
            return tool
        unknown = set(context) - set(_CONTEXT_NAMES)
        if unknown:
            raise TypeError(
                f"unknown context {sorted(unknown)}: expected some of {', '.join(_CONTEXT_NAMES)}"
            )
        defaults = {"agent": self._options.agent, "session": self._options.session}
        return ToolCall(
            tool, {} if params is None else params, **{**defaults, **_context.get(), **context}
        )

    def _reach(self, ask: Callable[[ToolCall], Decision], call: ToolCall) -> Decision:
        try:
            return ask(call)
        except ServiceUnavailable as error:
            return self._unreachable(error)

    def _unreachable(self, error: ServiceUnavailable) -> Decision:
        if not self._options.fail_open:
            return Decision("deny", error.message, rule=RULE_SERVICE_UNAVAILABLE)
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: calls are allowed until it answers (RAMPART_FAIL_OPEN)", error.message
            )
        return Decision("allow", f"{error.message}; fail-open", rule=RULE_SERVICE_UNAVAILABLE)

    # What tools return

    @property
    def reviews(self) -> bool:
        """False when no rule in force looks at what tools return: there is nothing to review."""
        return bool(getattr(self._point, "reviews", False))

    def review(
        self,
        tool: str | ToolCall,
        params: Mapping[str, object] | None = None,
        response: object = None,
        **context: Any,
    ) -> Review:
        """Say what the model may see of what a call returned; it is recorded, never its text.

        ``response`` is any plain data: text, bytes, numbers, lists, mappings. The answer's
        ``response`` is what to hand on: the same, with what a rule takes out replaced by marks, or
        a text that says why it is withheld. ``context`` is as for ``enforce``.
        """
        return self._reach_review(self.call(tool, params, **context), response)

    async def areview(
        self,
        tool: str | ToolCall,
        params: Mapping[str, object] | None = None,
        response: object = None,
        **context: Any,
    ) -> Review:
        """As ``review``, without blocking the event loop."""
        import asyncio

        call = self.call(tool, params, **context)
        return await asyncio.to_thread(self._reach_review, call, response)

    def review_stream(
        self, tool: str | ToolCall, params: Mapping[str, object] | None = None, **context: Any
    ) -> ResponseStream:
        """Return what reviews a text that comes in pieces: see ``ResponseStream``.

        With a remote service all of it is held back until the end.
        """
        from rampart.streams import ResponseStream

        call = self.call(tool, params, **context)
        preview = getattr(self._point, "check_response", None)
        pieces = preview is not None and getattr(self._point, "reviews_pieces", False)

        def review(text: str) -> Review:
            return self._reach_review(call, text)

        def look(text: str) -> Review:
            seen: Review = preview(call, text) if preview is not None else review(text)
            return seen

        return ResponseStream(review, look, whole=self.reviews and not pieces)

    def _reach_review(self, call: ToolCall, response: object) -> Review:
        if not self.reviews:
            return Review(Decision("allow"), response)
        point: ReviewPoint = self._point  # type: ignore[assignment]  # it says that it reviews
        try:
            return point.review(call, response)
        except ServiceUnavailable as error:
            decision = self._unreachable(error)
            return Review(decision, response) if decision.allowed else withheld(call.tool, decision)

    # Doing something behind the guard

    def run(self, command: str | Sequence[str], **options: Any) -> CompletedProcess[str]:
        """Run a program if its call is allowed, and return what it printed.

        A list is a program and its arguments, a text a line for the shell. ``options`` are ``cwd``,
        ``env``, ``input``, ``timeout_s`` and ``check``. Raises: Denied, and what
        ``subprocess.run`` raises.
        """
        from rampart.primitives import run

        return run(self, command, **options)

    async def arun(self, command: str | Sequence[str], **options: Any) -> CompletedProcess[str]:
        """As ``run``, without blocking the event loop. A cancelled call ends the program."""
        from rampart.primitives import arun

        return await arun(self, command, **options)

    def open(self, path: str | PathLike[str], mode: str = "r", **options: Any) -> IO[Any]:
        """Open a file as ``open`` does, if reading or writing it is allowed. Raises: Denied."""
        from rampart.primitives import open_file

        return open_file(self, path, mode, **options)

    # Putting the guard in front of something

    @contextmanager
    def context(self, **values: Any) -> Iterator[None]:
        """Name who asks for every call inside the ``with`` block.

        ``agent session run_id call_id cwd depth``.
        """
        unknown = set(values) - set(_CONTEXT_NAMES)
        if unknown:
            raise TypeError(
                f"unknown context {sorted(unknown)}: expected some of {', '.join(_CONTEXT_NAMES)}"
            )
        token = _context.set({**_context.get(), **values})
        try:
            yield
        finally:
            _context.reset(token)

    def tool(
        self, tool: str | None = None, *, params: Mapping[str, str] | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function so that it runs only if its call is allowed.

        Otherwise it raises ``Denied``.

        ``tool`` is the Rampart tool it stands for, by default its own name. ``params`` maps the
        tool's parameters to the function's, as in ``@guard.tool("exec", params={"command":
        "line"})``; others keep their names.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            return guarded_function(self, function, tool or function.__name__, params or {})

        return decorate

    def protect(self, obj: Any, **options: Any) -> Any:
        """Return a guarded object of the same kind.

        A tool, a list of tools, an agent, a crew, an executor, a function.

        ``options`` go to the adapter that knows ``obj``. Raises: UnsupportedObject, which says what
        is supported.
        """
        from rampart.plugins import installed_plugins

        return protect(self, obj, installed_plugins(), options)

    def instrument(self, framework: str) -> Coverage:
        """Put this guard in front of every tool of a framework in this process; change no code.

        ``framework`` is ``langchain``, ``crewai``, ``autogen`` or what a plugin brings. Tools that
        are made or imported later are covered too. Answers what is covered and what is not; as a
        context manager the answer undoes it at the end. The same guard again changes nothing.
        Raises: ConfigError if it cannot be done, or another guard holds the framework.
        """
        from rampart.instrumentation import instrument
        from rampart.plugins import installed_plugins

        return instrument(self, framework, installed_plugins())

    def uninstrument(self, framework: str | None = None) -> None:
        """Undo ``instrument`` exactly, for one framework or for all that this guard holds."""
        from rampart.instrumentation import uninstrument

        uninstrument(self, framework)

    def coverage(self, obj: Any) -> Coverage:
        """Say which ways to ``obj`` pass this guard: a guarded object, or a framework's name."""
        from rampart.instrumentation import coverage_of
        from rampart.plugins import installed_plugins

        return coverage_of(self, obj, installed_plugins())

    def derived(self, *, agent: str | None = None, ask_timeout_s: float | None = None) -> Guard:
        """Return a guard on the same policy and log that names another agent, or waits otherwise.

        Closing it closes nothing; once this one is closed, it denies.
        """
        from dataclasses import replace

        changes = {"agent": agent, "ask_timeout_s": ask_timeout_s}
        said = {name: value for name, value in changes.items() if value is not None}
        options = replace(self._options, close=lambda: None, **said)  # type: ignore[arg-type]  # of the types above
        return Guard.of(self._point, options)

    def close(self) -> None:
        """Close the log and the approvals. The guard denies afterwards."""
        self._options.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def protect(guard: Guard, obj: Any, plugins: Plugins, options: Mapping[str, Any]) -> Any:
    """Ask the adapters which of them knows ``obj``.

    Lists are guarded item by item, functions as they are.
    """
    names = []
    for adapter in plugins.adapters():
        names.append(adapter.name)
        if adapter.supports(obj):
            return adapter.protect(obj, guard, **options)
    if isinstance(obj, list | tuple):
        return type(obj)(protect(guard, item, plugins, options) for item in obj)
    if inspect.isroutine(obj):
        return guarded_function(
            guard, obj, options.get("tool") or obj.__name__, options.get("params") or {}
        )
    known = ", ".join(sorted(names)) or "no framework"
    raise UnsupportedObject(
        f"no installed adapter knows {type(obj).__module__}.{type(obj).__qualname__}",
        help=f"supported: functions, lists, and the objects of {known};"
        " install rampart-langchain, rampart-crewai or rampart-autogen for more",
    )
