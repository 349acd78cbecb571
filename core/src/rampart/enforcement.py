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
from typing import TYPE_CHECKING, Any

from rampart.errors import Denied, InputError, RampartError
from rampart.model import RULE_INTERNAL_ERROR, RULE_INVALID_INPUT, Decision, denial_text
from rampart.toolmap import ToolMapping, plain

if TYPE_CHECKING:
    from rampart.guard import Guard

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

_log = logging.getLogger("rampart.adapters")
_permit: ContextVar[_Permit | None] = ContextVar("rampart_permit", default=None)


@dataclass(slots=True)
class _Permit:
    """An allowed call on its way from an outer layer of a tool to the innermost one."""

    point: EnforcementPoint
    view: Mapping[str, Any]
    used: bool = False


def _nobody(_guard: Guard) -> Mapping[str, Any]:
    return {}


class EnforcementPoint:
    """A guard in front of one tool.

    ``hidden`` names the arguments that the model does not choose; ``subject`` is the tool, for
    mappings that read its attributes; ``context`` says who asks, as ``Guard.enforce`` takes it.
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
    ) -> None:
        self.guard = guard
        self.name = name
        self.mapping = mapping
        self.hidden = frozenset(hidden)
        self._subject = subject
        self._context = context
        self._signatures: dict[Callable[..., Any], inspect.Signature] = {}

    def __deepcopy__(self, memo: object) -> EnforcementPoint:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return EnforcementPoint, (None, self.name, ToolMapping())

    def enforce(self, arguments: Mapping[str, Any]) -> Decision:
        """Decide, record, and wait for a person where the policy asks for one. Never raises."""
        try:
            guard, tool, params, missing = self._call(arguments)
            decision = guard.enforce(tool, params, **self._context(guard))
            return _complete(decision, tool, missing)
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong, the tool does not run
            return _failed(self.name, error)

    async def aenforce(self, arguments: Mapping[str, Any]) -> Decision:
        """As ``enforce``, without blocking the event loop. A cancelled wait runs nothing."""
        try:
            guard, tool, params, missing = self._call(arguments)
            decision = await guard.aenforce(tool, params, **self._context(guard))
            return _complete(decision, tool, missing)
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong, the tool does not run
            return _failed(self.name, error)

    def allow(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Arguments:
        """Return the arguments to call ``function`` with. Raises: Denied."""
        if self._passed(function, args, kwargs):
            return args, dict(kwargs)
        args, kwargs = self._frozen(args, kwargs)
        self._require(self.enforce(self.view(function, args, kwargs)))
        return args, kwargs

    async def aallow(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Arguments:
        """As ``allow``, without blocking the event loop."""
        if self._passed(function, args, kwargs):
            return args, dict(kwargs)
        args, kwargs = self._frozen(args, kwargs)
        self._require(await self.aenforce(self.view(function, args, kwargs)))
        return args, kwargs

    @contextmanager
    def passing(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Iterator[None]:
        """Let exactly this call pass the next layer inside, once."""
        token = _permit.set(_Permit(self, self.view(function, args, kwargs)))
        try:
            yield
        finally:
            _permit.reset(token)

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
        return self.guard, *self.mapping.call(self.name, seen, self._subject)

    def _passed(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> bool:
        permit = _permit.get()
        if permit is None or permit.used or permit.point is not self:
            return False
        permit.used = plain(permit.view) == plain(self.view(function, args, kwargs))
        return permit.used

    def _frozen(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        try:
            given = frozen_copy({str(n): value for n, value in enumerate(args)})
            chosen = frozen_copy({k: v for k, v in kwargs.items() if k not in self.hidden})
        except RampartError as error:
            decision = refusal(error)
            raise Denied(denial_text(self.name, decision), decision) from error
        return tuple(given.values()), {**kwargs, **chosen}

    def _require(self, decision: Decision) -> None:
        if not decision.allowed:
            raise Denied(denial_text(self.name, decision), decision)


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


def _complete(decision: Decision, tool: str, missing: str) -> Decision:
    if missing and decision.allowed:
        text = f"{tool}: parameter `{missing}` is missing"
        return dataclasses.replace(decision, action="deny", message=text, rule=RULE_INVALID_INPUT)
    return decision


def _failed(name: str, error: Exception) -> Decision:
    if isinstance(error, InputError):
        return refusal(error)
    _log.error("no decision about %s", name, exc_info=error)
    text = f"the decision failed: {type(error).__name__}"
    return Decision("deny", text, rule=RULE_INTERNAL_ERROR)
