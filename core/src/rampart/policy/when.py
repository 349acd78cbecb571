"""The ``when`` block of a rule: node → Condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args

from rampart.intercept.catalog.vocabulary import ALL_EFFECTS
from rampart.model import Origin
from rampart.policy import fields
from rampart.policy.composer import Mapping, Node, Scalar
from rampart.policy.document import After, Comparison, Condition, DepthRange
from rampart.policy.domains import canonical_domain
from rampart.policy.fields import fail
from rampart.policy.occasion_readers import read_after, read_call_count, read_time
from rampart.policy.paths import path_pattern_problem
from rampart.policy.regex import compile_regex
from rampart.policy.stages import read_kinds

_ORIGINS: Final[tuple[str, ...]] = get_args(Origin)
_OF_CALLS: Final = frozenset(
    {"session_matches", "session_not_matches", "agent_depth", "after", "call_count", "time"}
    | {"response_matches", "response_not_matches", "response_credentials"}
)

Reader = Callable[[Node, str], Any]


def read_condition(node: Node) -> Condition:
    """Return the condition of a rule. Raises: PolicyError."""
    found = fields.mapping(node, "when")
    for key, item in found.entries:
        if key.text == "default":
            return _read_default(found, item)
    return _read(found, _READERS, "when")


def _read_default(node: Mapping, item: Node) -> Condition:
    if not fields.boolean(item, "default"):
        fail(item, "`default: false` says nothing", "leave it out")
    if len(node.entries) > 1:
        fail(item, "`default: true` stands alone: it matches every call")
    return Condition()


def _read(node: Mapping, readers: dict[str, Reader], what: str) -> Condition:
    values: dict[str, Any] = {}
    for key, item in node.entries:
        name = key.text
        reader = readers.get(name)
        if reader is None:
            fail(
                key, f"unknown key `{name}` in {what}", fields.nearest(name, {*readers, "default"})
            )
        values[name] = reader(item, name)
    return Condition(**values)


def _read_upstream(node: Node, what: str) -> Condition:
    found = fields.mapping(node, what)
    if not found.entries:
        fail(node, "upstream is empty", "say what the earlier action must be")
    return _read_earlier(found, what)


def _read_earlier(found: Mapping, what: str) -> Condition:
    for key, _ in found.entries:
        if key.text in _OF_CALLS or key.text == "upstream":
            fail(
                key,
                f"`{key.text}` cannot stand inside {what}",
                f"it is about the call: put it beside {what}",
            )
    return _read(found, _UPSTREAM_READERS, what)


def _read_after(node: Node, what: str) -> tuple[After, ...]:
    return read_after(node, what, lambda earlier: _read_earlier(earlier, what))


def _globs(node: Node, what: str) -> tuple[str, ...]:
    return fields.checked_texts(node, what, fields.glob)


def _paths(node: Node, what: str) -> tuple[str, ...]:
    def check(pattern: str) -> str:
        if problem := path_pattern_problem(pattern):
            raise ValueError(problem)
        return pattern

    return fields.checked_texts(node, what, check)


def _domains(node: Node, what: str) -> tuple[str, ...]:
    return fields.checked_texts(node, what, canonical_domain)


def _effects(node: Node, what: str) -> tuple[str, ...]:
    def check(name: str) -> str:
        if name not in ALL_EFFECTS:
            # WHY: nothing brings other effects, so the rule would never apply, in silence
            hint = fields.nearest(name, ALL_EFFECTS)
            raise ValueError(f"no such effect; {hint.replace('the keys', 'the effects')}")
        return name

    return fields.checked_texts(node, what, check)


def _origins(node: Node, what: str) -> tuple[str, ...]:
    def check(name: str) -> str:
        if name not in _ORIGINS:
            raise ValueError(f"not an origin: expected {', '.join(_ORIGINS)}")
        return name

    return fields.checked_texts(node, what, check)


def _regexes(node: Node, what: str) -> tuple[str, ...]:
    def check(pattern: str) -> str:
        compile_regex(pattern)
        return pattern

    return fields.checked_texts(node, what, check)


def _depth(node: Node, what: str) -> DepthRange:
    if isinstance(node, Scalar):
        exact = fields.integer(node, what)
        return DepthRange(exact, exact)
    found = fields.mapping(node, what)
    if not found.entries:
        fail(node, f"{what} is empty", "for example {gte: 2}")
    least, most, unequal = 0, None, None
    for key, item in found.entries:
        bound = fields.integer(item, key.text)
        match key.text:
            case "gte" | "gt" | "eq":
                least = max(least, bound + (key.text == "gt"))
            case "lte" | "lt" | "ne":
                pass
            case _:
                fail(
                    key,
                    f"unknown key `{key.text}` in {what}",
                    "the keys are: eq, gt, gte, lt, lte, ne",
                )
        if key.text in ("lte", "lt", "eq"):
            upper = bound - (key.text == "lt")
            most = upper if most is None else min(most, upper)
        if key.text == "ne":
            unequal = bound
    return DepthRange(least, most, unequal)


def _param_globs(node: Node, what: str) -> dict[str, tuple[str, ...]]:
    found = fields.mapping(node, what)
    if not found.entries:
        fail(node, f"{what} is empty", "name a parameter and a glob")
    return {key.text: _globs(item, f"{what}.{key.text}") for key, item in found.entries}


def _params(node: Node, what: str) -> dict[str, Comparison]:
    found = fields.mapping(node, what)
    if not found.entries:
        fail(node, f"{what} is empty", "name a parameter and what it must be")
    return {key.text: _comparison(item, f"{what}.{key.text}") for key, item in found.entries}


def _comparison(node: Node, what: str) -> Comparison:
    if not isinstance(node, Mapping):
        fail(node, f"{what} must be a mapping of operators", "for example {eq: 5} or {in: [a, b]}")
    if not node.entries:
        fail(node, f"{what} is empty", f"the operators are: {', '.join(sorted(_OPERATORS))}")
    values: dict[str, Any] = {}
    for key, item in node.entries:
        if key.text not in _OPERATORS:
            fail(
                key,
                f"unknown operator `{key.text}` in {what}",
                fields.nearest(key.text, _OPERATORS),
            )
        name, reader = _OPERATORS[key.text]
        values[name] = reader(item, f"{what}.{key.text}")
    if values.get("exists") is False and len(values) > 1:
        fail(node, f"{what}: a parameter that does not exist has no value to compare")
    return Comparison(**values)


def _value(node: Node, what: str) -> tuple[object, ...]:
    return (fields.value(node, what),)


def _values(node: Node, what: str) -> tuple[object, ...]:
    return tuple(fields.value(item, what) for item in fields.sequence(node, what))


_OPERATORS: Final[dict[str, tuple[str, Reader]]] = {
    "eq": ("eq", _value),
    "ne": ("ne", _value),
    "gt": ("gt", fields.number),
    "gte": ("gte", fields.number),
    "lt": ("lt", fields.number),
    "lte": ("lte", fields.number),
    "in": ("is_in", _values),
    "not_in": ("not_in", _values),
    "matches": ("matches", _regexes),
    "exists": ("exists", fields.boolean),
}

_READERS: Final[dict[str, Reader]] = {
    "command_matches": _globs,
    "command_not_matches": _globs,
    "command_contains": _globs,
    "command_env_assignments": _globs,
    "program": _globs,
    "path_matches": _paths,
    "path_not_matches": _paths,
    "url_matches": _globs,
    "domain_matches": _domains,
    "domain_not_matches": _domains,
    "tool_param_matches": _param_globs,
    "params": _params,
    "origin": _origins,
    "opaque": fields.boolean,
    "effect": _effects,
    "effect_not": _effects,
    "session_matches": _globs,
    "session_not_matches": _globs,
    "agent_depth": _depth,
    "upstream": _read_upstream,
    "after": _read_after,
    "call_count": read_call_count,
    "time": read_time,
    "response_matches": _regexes,
    "response_not_matches": _regexes,
    "response_credentials": read_kinds,
}

_UPSTREAM_READERS: Final[dict[str, Reader]] = {
    "tool": _globs,
    **{name: reader for name, reader in _READERS.items() if name not in {*_OF_CALLS, "upstream"}},
}
