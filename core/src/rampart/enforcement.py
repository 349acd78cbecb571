"""The point where a framework's tool meets the guard: arguments go in, a decision comes out.

MUST answer deny for any exception, and when a parameter that the mapping needs is missing.
MUST decide a copy of the arguments, and hand exactly that copy back to be run.
MUST let a call that passed an outer layer of a tool pass the layers inside it, once.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from rampart.asking import Answer, AskedCall, Asker, Outcome
from rampart.errors import Denied, InputError, RampartError
from rampart.model import (
    RULE_INTERNAL_ERROR,
    RULE_INVALID_INPUT,
    Decision,
    Review,
    denial_text,
    withheld,
)
from rampart.permits import Inside, Permit, hand_on, inside_of, let, mark, take
from rampart.toolmap import ToolMapping, plain

if TYPE_CHECKING:
    from rampart.guard import Guard
    from rampart.streams import ResponseStream

P = ParamSpec("P")
R = TypeVar("R")
Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_log = logging.getLogger("rampart.adapters")
_made: ContextVar[list[EnforcementPoint] | None] = ContextVar("rampart_made", default=None)


@contextmanager
def points_made() -> Iterator[list[EnforcementPoint]]:
    """Collect the points that are made inside the ``with`` block, whoever makes them."""
    made: list[EnforcementPoint] = []
    token = _made.set(made)
    try:
        yield made
    finally:
        _made.reset(token)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A question that was recorded and waits to be put to a person."""

    guard: Guard
    asker: Asker
    asked: AskedCall
    context: Mapping[str, Any]


def _nobody(_guard: Guard) -> Mapping[str, Any]:
    return {}


class EnforcementPoint:
    """A guard in front of one tool.

    ``hidden`` names the arguments that the model does not choose; ``subject`` is the tool, for
    mappings that read its attributes; ``context`` says who asks, as ``Guard.enforce`` takes it;
    ``asker`` puts questions to people where the framework has its own way to them.
    Copies of a tool share its point; one that was pickled has no guard any more, and denies.
    """

    def __init__(
        self,
        guard: Guard | None,
        name: str,
        mapping: ToolMapping,
        *,
        subject: object = None,
        hidden: Iterable[str] = (),
        context: Callable[[Guard], Mapping[str, Any]] = _nobody,
        asker: Asker | None = None,
    ) -> None:
        self.guard = guard
        self.name = name
        self.mapping = mapping
        self.hidden = frozenset(hidden)
        self.subject = subject
        self._context = context
        self._asker = asker
        self._inside: Inside | None = None
        self._signatures: dict[Callable[..., Any], inspect.Signature] = {}
        if (made := _made.get()) is not None:
            made.append(self)

    def __deepcopy__(self, memo: object) -> EnforcementPoint:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return EnforcementPoint, (None, self.name, ToolMapping())

    def enforce(self, arguments: Mapping[str, Any]) -> Decision:
        """Decide, record, and wait for a person where the policy asks for one.

        Raises nothing but what an ``asker`` stops the framework's run with. A person's edit of the
        arguments is a denial here; ``decide`` hands it out.
        """
        return _unedited(self.decide(arguments))

    async def aenforce(self, arguments: Mapping[str, Any]) -> Decision:
        """As ``enforce``, without blocking the event loop. A cancelled wait runs nothing."""
        return _unedited(await self.adecide(arguments))

    def decide(self, arguments: Mapping[str, Any]) -> Outcome:
        """As ``enforce``, with the arguments that a person put in place of these, if any."""
        try:
            opened = self._open(arguments)
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong, the tool does not run
            return _failed(self.name, error)
        if isinstance(opened, Outcome):
            return opened
        answer = opened.asker.ask(opened.asked)  # WHY not above: it may stop the framework's run
        try:
            if answer is None:
                return Outcome(opened.guard.questions.wait(opened.asked.decision))
            return self._answered(opened, answer)
        except Exception as error:  # noqa: BLE001 - INVARIANT: as above
            return _failed(self.name, error)

    async def adecide(self, arguments: Mapping[str, Any]) -> Outcome:
        """As ``decide``, without blocking the event loop. A cancelled wait runs nothing."""
        opened: _Opened | Outcome
        try:
            if self._key(arguments):
                opened = await _in_a_thread(self._open, arguments)
            else:
                guard, tool, params, missing = self._call(arguments)
                decision = await guard.aenforce(tool, params, **self._context(guard))
                opened = Outcome(_complete(decision, tool, missing))
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong, the tool does not run
            return _failed(self.name, error)
        if isinstance(opened, Outcome):
            return opened
        answer = opened.asker.ask(opened.asked)
        try:
            if answer is None:
                waiting, decision = opened.guard.await_answer, opened.asked.decision
                return Outcome(await opened.guard.questions.await_answer(decision, waiting))
            return await _in_a_thread(self._answered, opened, answer)
        except Exception as error:  # noqa: BLE001 - INVARIANT: as above
            return _failed(self.name, error)

    @property
    def reviews(self) -> bool:
        """False when no rule in force looks at what tools return: ``review`` may be skipped."""
        return self.guard is None or self.guard.reviews

    def review(self, arguments: Mapping[str, Any], output: Any) -> Review:
        """Return what the model may see of ``output``. Never raises.

        ``arguments`` are those that were decided; call it with what the tool returned, before the
        model sees it. Hand on ``review.response``: the same structure, with what a rule takes out
        replaced by marks, or the text that the model reads instead (``review.allowed`` is False).
        """
        try:
            guard, tool, params, _missing = self._call(arguments)
            if not guard.reviews:
                return Review(Decision("allow"), output)
            return guard.review(tool, params, output, **self._context(guard))
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong, the output is withheld
            return withheld(self.name, _failed(self.name, error).decision)

    def review_stream(self, arguments: Mapping[str, Any]) -> ResponseStream:
        """As ``review``, for a text that comes in pieces: see ``Guard.review_stream``."""
        guard, tool, params, _missing = self._call(arguments)
        return guard.review_stream(tool, params, **self._context(guard))

    async def areview(self, arguments: Mapping[str, Any], output: Any) -> Review:
        """As ``review``, without blocking the event loop."""
        try:
            guard, tool, params, _missing = self._call(arguments)
            if not guard.reviews:
                return Review(Decision("allow"), output)
            return await guard.areview(tool, params, output, **self._context(guard))
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong, the output is withheld
            return withheld(self.name, _failed(self.name, error).decision)

    def allow(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Arguments:
        """Return the arguments to call ``function`` with. Raises: Denied."""
        if self.passed(function, args, kwargs):
            return args, dict(kwargs)
        args, kwargs = self._frozen(args, kwargs)
        outcome = self.decide(self.view(function, args, kwargs))
        return self._required(outcome, function, (args, kwargs))

    async def aallow(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Arguments:
        """As ``allow``, without blocking the event loop."""
        if self.passed(function, args, kwargs):
            return args, dict(kwargs)
        args, kwargs = self._frozen(args, kwargs)
        outcome = await self.adecide(self.view(function, args, kwargs))
        return self._required(outcome, function, (args, kwargs))

    @contextmanager
    def passing(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Iterator[Permit]:
        """Let exactly this call pass the next layer inside, once; ``used`` says if one did."""
        with let(Permit(self, self.view(function, args, kwargs))) as permit:
            yield permit

    def mark(self, wrapper: Callable[..., Any], function: Callable[..., Any]) -> None:
        """Note that ``wrapper`` is ``function`` behind this point; ``decide_for`` reads it."""
        mark(wrapper, Inside(self, function))

    def decide_for(self, function: object) -> None:
        """Decide as the point of ``function`` does, and let what is allowed pass there.

        For a tool that is made of another framework's, or of a guarded function: one call, one
        decision. Nothing changes unless ``function`` is behind the same guard already.
        """
        inside = inside_of(function)
        if inside is not None and inside.point.guard is self.guard:
            self._inside, point = inside, inside.point
            self.name, self.mapping, self.subject = point.name, point.mapping, point.subject

    @contextmanager
    def handing_on(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Iterator[Permit]:
        """Let exactly this call pass the point that ``decide_for`` found, once.

        ``used`` says if it did: that point has reviewed the output then.
        """
        inside = self._inside
        if inside is None or inside_of(function) is not inside:
            yield Permit(self, {})
            return
        chosen = {key: value for key, value in kwargs.items() if key not in self.hidden}
        with hand_on(self, inside, args, chosen) as permit:
            yield permit

    def view(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what the model chose, by name and with defaults; nothing that is injected."""
        chosen = {key: value for key, value in kwargs.items() if key not in self.hidden}
        try:
            bound = self._signature(function).bind_partial(*args, **chosen)
        except (TypeError, ValueError):  # no signature, or arguments that the call will refuse
            return {**{f"argument_{n}": value for n, value in enumerate(args)}, **chosen}
        bound.apply_defaults()
        seen: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                seen |= value
            elif kind is inspect.Parameter.VAR_POSITIONAL:
                seen |= {f"{name}_{n}": item for n, item in enumerate(value)}
            elif name not in self.hidden:
                seen[name] = value
        return seen

    def _signature(self, function: Callable[..., Any]) -> inspect.Signature:
        # WHY: reading a signature costs more than a decision; a method bound to its tool is a new
        # partial at each call, but of the same function
        key = function.func if isinstance(function, functools.partial) else function
        signature = self._signatures.get(key)
        if signature is None:
            signature = self._signatures[key] = inspect.signature(function)
        return signature

    def _call(self, arguments: Mapping[str, Any]) -> tuple[Guard, str, dict[str, object], str]:
        if self.guard is None:
            raise InputError("this tool lost its guard when it was pickled; protect it again")
        seen = {str(key): plain(value) for key, value in arguments.items()}
        return self.guard, *self.mapping.call(self.name, seen, self.subject)

    def passed(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> bool:
        """True, once, for the call that an outer layer was allowed to make."""
        return take(self, lambda: self.view(function, args, kwargs))

    def _frozen(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        try:
            given = frozen_copy({str(n): value for n, value in enumerate(args)})
            chosen = frozen_copy({k: v for k, v in kwargs.items() if k not in self.hidden})
        except RampartError as error:
            decision = refusal(error)
            raise Denied(denial_text(self.name, decision), decision) from error
        return tuple(given.values()), {**kwargs, **chosen}

    def _required(
        self, outcome: Outcome, function: Callable[..., Any], arguments: Arguments
    ) -> Arguments:
        if not outcome.decision.allowed:
            raise Denied(denial_text(self.name, outcome.decision), outcome.decision)
        if outcome.edited is None:
            return arguments
        _args, kwargs = arguments
        kept = {key: value for key, value in kwargs.items() if key in self.hidden}
        edited = {**outcome.edited, **kept}  # INVARIANT: nobody edits what is injected
        try:
            self._signature(function).bind_partial(**outcome.edited)
        except TypeError as error:
            decision = refusal(InputError(f"the edited arguments do not fit: {error}"))
            raise Denied(denial_text(self.name, decision), decision) from error
        return (), edited

    def _key(self, arguments: Mapping[str, Any]) -> str:
        if self._asker is None or self.guard is None or not self.guard.answers:
            return ""
        return self._asker.key(self.name, arguments)

    def _open(self, arguments: Mapping[str, Any]) -> _Opened | Outcome:
        guard, tool, params, missing = self._call(arguments)
        context, key = self._context(guard), self._key(arguments)
        if not key or self._asker is None:
            return Outcome(_complete(guard.enforce(tool, params, **context), tool, missing))
        decision, known = guard.questions.ask(guard.call(tool, params, **context), key)
        if decision.action != "ask" or missing:
            return Outcome(_complete(decision, tool, missing))
        asked = AskedCall(self.name, plain(arguments), decision, key, known)
        return _Opened(guard, self._asker, asked, context)

    def _answered(self, opened: _Opened, answer: Answer) -> Outcome:
        questions, decision, by = opened.guard.questions, opened.asked.decision, answer.by
        if answer.arguments is None or not answer.approve:
            said = questions.answer(decision, answer.approve, by=by, reason=answer.message)
            return Outcome(said)
        if (closed := questions.replace(decision, by=by)) is not None:
            return Outcome(closed if not closed.allowed else _used(closed))
        guard, tool, params, missing = self._call(answer.arguments)
        call = guard.call(tool, params, **opened.context)
        decision, _known = questions.ask(call, f"{opened.asked.key} edited")
        if decision.action == "ask" and not missing:
            # WHY: who wrote these arguments has agreed to them; a denial stays one
            decision = questions.answer(decision, True, by=by)
        return Outcome(_complete(decision, tool, missing), answer.arguments)


def refusal(error: RampartError) -> Decision:
    """Return the denial for a call that could not even be read."""
    return Decision("deny", error.message, rule=RULE_INVALID_INPUT)


def frozen_copy(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that will be decided and run: later changes by the caller reach neither.

    Raises: InputError naming an argument that cannot be copied.
    """
    copied = {}
    for name, value in arguments.items():
        try:
            copied[name] = copy.deepcopy(value)
        except Exception as error:  # whatever a foreign __deepcopy__ raises
            text = f"argument `{name}` cannot be copied: {type(value).__name__}"
            raise InputError(text) from error
    return copied


def _used(decision: Decision) -> Decision:
    text = "another answer came first, for the arguments as they were"
    return dataclasses.replace(decision, action="deny", message=text)


async def _in_a_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    import asyncio  # WHY here: `import rampart` stays light

    return await asyncio.to_thread(function, *args, **kwargs)


def _unedited(outcome: Outcome) -> Decision:
    if outcome.edited is None or not outcome.decision.allowed:
        return outcome.decision
    return refusal(InputError("the arguments were edited; this tool cannot take others"))


def _complete(decision: Decision, tool: str, missing: str) -> Decision:
    if missing and decision.action != "deny":
        text = f"{tool}: parameter `{missing}` is missing"
        return dataclasses.replace(decision, action="deny", message=text, rule=RULE_INVALID_INPUT)
    return decision


def _failed(name: str, error: Exception) -> Outcome:
    if isinstance(error, InputError):
        return Outcome(refusal(error))
    _log.error("no decision about %s", name, exc_info=error)
    text = f"the decision failed: {type(error).__name__}"
    return Outcome(Decision("deny", text, rule=RULE_INTERNAL_ERROR))
