"""Comparisons of a call's parameters.

A restriction reads loosely and a grant strictly: an agent that writes ``"50000"`` for ``50000``
must not slip past a limit, and must not earn a grant by it. So a restriction takes equal texts for
equal values, looks at every entry of a list, and counts a value that cannot be ordered as out of
bounds; a grant needs exactly one value of the right type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rampart.policy.document import Comparison, ParamValue
from rampart.policy.regex import compile_regex

ValueTest = Callable[[object], bool]
ParamTest = Callable[[Mapping[str, object]], bool]

EVERY_PARAMETER: Final = "*"
_LIST_DEPTH_MAX: Final = 4  # a parameter of lists of lists beyond this is not an entry of anything
_ENTRIES_MAX: Final = (
    10_000  # more entries than any real parameter holds; above it a restriction counts
)


def lookup(params: Mapping[str, object], name: str) -> list[object]:
    """Return the values under ``name``: the parameter, and for ``a.b`` the entry inside it.

    ``*`` is every value of every parameter, at any depth.
    """
    if name == EVERY_PARAMETER:
        return _leaves(params)
    found = [params[name]] if name in params else []
    if "." in name:
        value: object = params
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return found
            value = value[part]
        found.append(value)
    return found


def _leaves(params: Mapping[str, object]) -> list[object]:
    found: list[object] = []
    pending: list[object] = list(params.values())
    while pending and len(found) <= _ENTRIES_MAX:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, list | tuple):
            pending += value
        else:
            found.append(value)
    return found


def compile_param(
    name: str, tests: Sequence[tuple[ValueTest, ValueTest]]
) -> tuple[ParamTest, ParamTest]:
    """Return the loose and strict test of one parameter, from those of its value."""
    loose = tuple(pair[0] for pair in tests)
    strict = tuple(pair[1] for pair in tests)

    def restricts(params: Mapping[str, object]) -> bool:
        values = lookup(params, name)
        if not values:
            return False
        if len(values) == 1 and isinstance(values[0], str):  # WHY: as nearly all are
            return _holds(loose, values[0])
        entries = _entries(values)
        return len(entries) > _ENTRIES_MAX or any(_holds(loose, value) for value in entries)

    def grants(params: Mapping[str, object]) -> bool:
        values = lookup(params, name)
        if len(values) != 1 or isinstance(values[0], list | tuple | Mapping):
            return False
        return _holds(strict, values[0])

    return restricts, grants


def _holds(tests: Sequence[ValueTest], value: object) -> bool:
    for test in tests:  # noqa: SIM110 - a generator costs three times as much here
        if not test(value):
            return False
    return True


def compile_comparison(name: str, comparison: Comparison) -> tuple[ParamTest, ParamTest]:
    """Return the loose and the strict test of everything that is said about one parameter."""
    pairs = [
        _equal_to(wanted) for wanted in (comparison.eq, comparison.is_in) if wanted is not None
    ]
    for unwanted in (comparison.ne, comparison.not_in):
        if unwanted is not None:
            same_text, same = _equal_to(unwanted)
            pairs.append((_negation(same), _negation(same_text)))
    if any(x is not None for x in (comparison.gt, comparison.gte, comparison.lt, comparison.lte)):
        pairs.append(_ordered(comparison))
    if comparison.matches:
        pairs.append(compile_regexes(comparison.matches))
    if not pairs:
        return _existence(name, wanted=comparison.exists is not False)
    return compile_param(name, pairs)


def compile_regexes(patterns: Sequence[str]) -> tuple[ValueTest, ValueTest]:
    """Return the tests "found somewhere in the text" and "is the whole text" for RE2 patterns."""
    compiled = tuple(compile_regex(pattern) for pattern in patterns)

    def found(value: object) -> bool:
        text = text_of(value).encode("utf-8", "replace").decode()
        return any(regex.search(text) is not None for regex in compiled)

    def whole(value: object) -> bool:
        text = text_of(value)
        if text.encode("utf-8", "replace").decode() != text:
            return False  # lone surrogates are no characters, and earn nothing
        return any(regex.fullmatch(text) is not None for regex in compiled)

    return found, whole


def text_of(value: object) -> str:
    """Return a parameter as the text that globs and regular expressions see."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _entries(values: Sequence[object]) -> list[object]:
    found: list[object] = []
    pending: list[tuple[object, int]] = [(value, 0) for value in values]
    while pending and len(found) <= _ENTRIES_MAX:
        value, depth = pending.pop()
        if isinstance(value, list | tuple) and depth < _LIST_DEPTH_MAX:
            pending += [(entry, depth + 1) for entry in value]
        else:
            found.append(value)
    return found


def _equal_to(wanted: Sequence[ParamValue]) -> tuple[ValueTest, ValueTest]:
    texts = frozenset(text_of(value) for value in wanted)

    def same(value: object) -> bool:
        return any(_same(value, other) for other in wanted)

    return lambda value: text_of(value) in texts or same(value), same


def _same(first: object, second: ParamValue) -> bool:
    if isinstance(first, bool) or isinstance(second, bool) or first is None or second is None:
        return first is second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first == second
    return isinstance(first, str) and isinstance(second, str) and first == second


def _negation(test: ValueTest) -> ValueTest:
    return lambda value: not test(value)


def _ordered(comparison: Comparison) -> tuple[ValueTest, ValueTest]:
    gt, gte, lt, lte = comparison.gt, comparison.gte, comparison.lt, comparison.lte

    def inside(number: float) -> bool:
        return (
            (gt is None or number > gt)
            and (gte is None or number >= gte)
            and (lt is None or number < lt)
            and (lte is None or number <= lte)
        )

    def loose(value: object) -> bool:
        if value is None:
            return False
        number = _number(value)
        return number is None or inside(number)

    def strict(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return math.isfinite(value) and inside(value)

    return loose, strict


def _number(value: object) -> float | None:
    """Return ``value`` as a number if it is one or reads as one, else None."""
    if isinstance(value, int):
        return value
    try:
        number = float(value) if isinstance(value, str | float) else math.nan
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _existence(name: str, *, wanted: bool) -> tuple[ParamTest, ParamTest]:
    def test(params: Mapping[str, object]) -> bool:
        return bool(lookup(params, name)) is wanted

    return test, test
