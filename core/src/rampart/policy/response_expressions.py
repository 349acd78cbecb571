"""What rules look for in responses: expressions and kinds of credentials, searched in one pass.

One RE2 set says which of them may match; only those are then looked for one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rampart.credentials import NAMED_KINDS, SHAPES, Shape
from rampart.errors import PolicyError
from rampart.limits import RESPONSE_SET_BYTES_MAX
from rampart.policy.document import Condition
from rampart.policy.regex import compile_regex, compile_set
from rampart.policy.response_text import ResponseText

Span = tuple[int, int]

_ANCHORS: Final = ("^", "$", r"\A", r"\z")
_TAKEN_GROUP: Final = "secret"  # the named group that says which part of a find is taken out
_LOOK_AROUND: Final = re.compile(r"\(\?<?[!=][^)]*\)")
_POSSESSIVE: Final = re.compile(r"([*?}])\+")


@dataclass(slots=True, eq=False)
class Expression:
    """One expression, or one shape of a credential.

    ``label`` is what stands in the place of a find, empty if that depends on the rule. ``whole``
    says whether it matches all of a text. ``anchored``: it may ask for the start or end of a text.
    """

    label: str
    find: Callable[[bytes], Iterable[Span]]
    whole: Callable[[bytes], bool]
    anchored: bool


class _Sought(NamedTuple):
    """The numbers of what one condition asks for."""

    wanted: frozenset[int]
    patterns: frozenset[int]
    excluded: frozenset[int]


class Expressions:
    """The expressions of many conditions, each under a number. Raises: PolicyError."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._all: list[Expression] = []
        self._numbers: dict[tuple[str, str], tuple[int, ...]] = {}
        announcing: list[str] = []
        for when in conditions:
            for pattern in (*when.response_matches, *when.response_not_matches):
                self._add("pattern", pattern, [_of_pattern(pattern)], [pattern], announcing)
            for kind in when.response_credentials:
                shapes = [shape for shape in SHAPES if shape.kind == kind]
                first = [announcement(shape) for shape in shapes]
                self._add("kind", kind, [_of_shape(shape) for shape in shapes], first, announcing)
        self._conditions = tuple(conditions)  # INVARIANT: kept, as their ids are keys
        self._sought = {id(when): self._sought_by(when) for when in self._conditions}
        self._anchored = any(each.anchored for each in self._all)
        try:
            self._search = compile_set(announcing, size_bytes_max=RESPONSE_SET_BYTES_MAX)
        except ValueError as error:
            raise PolicyError(f"the expressions on responses: {error}") from None

    def _add(
        self,
        sort: str,
        name: str,
        expressions: Sequence[Expression],
        patterns: Sequence[str],
        announcing: list[str],
    ) -> None:
        if (sort, name) in self._numbers:
            return
        at = len(announcing)
        announcing += patterns
        self._all += expressions
        self._numbers[sort, name] = tuple(range(at, len(announcing)))

    def __getitem__(self, number: int) -> Expression:
        return self._all[number]

    def wanted(self, when: Condition) -> frozenset[int]:
        """Return the numbers of what a condition looks for."""
        return self._sought[id(when)].wanted

    def patterns(self, when: Condition) -> frozenset[int]:
        """Return the numbers of ``response_matches`` alone."""
        return self._sought[id(when)].patterns

    def excluded(self, when: Condition) -> frozenset[int]:
        """Return the numbers of what a condition excludes."""
        return self._sought[id(when)].excluded

    def _sought_by(self, when: Condition) -> _Sought:
        def numbers(sort: str, names: Iterable[str]) -> frozenset[int]:
            return frozenset(number for name in names for number in self._numbers[sort, name])

        patterns = numbers("pattern", when.response_matches)
        kinds = numbers("kind", when.response_credentials)
        excluded = numbers("pattern", when.response_not_matches)
        return _Sought(patterns | kinds, patterns, excluded)

    def hits(self, text: ResponseText) -> set[int]:
        """Return the numbers of the expressions that may match, and of all that do.

        Raises: InputTooLarge if the text cannot be searched to its end.
        """
        found = set(self._search(text.data))
        if self._anchored and text.leaves != [(0, len(text.data))]:
            # WHY: `^` and `$` mean the ends of a text, also where it stands inside a structure
            for start, end in text.leaves:
                found.update(self._search(text.data[start:end]))
        return found


def announcement(shape: Shape) -> str:
    """Return an RE2 expression that matches wherever a shape does, and not much more often."""
    if shape.kind not in NAMED_KINDS:
        given = shape.pattern.flags
        flags = ("i" if given & re.IGNORECASE else "") + ("s" if given & re.DOTALL else "")
        # WHY: RE2 has no look-around and no possessive repeats; without them it matches more
        text = _LOOK_AROUND.sub("", shape.pattern.pattern).replace(r"\Z", r"\z")
        text = _POSSESSIVE.sub(r"\1", text)
        return f"(?{flags}:{text})" if flags else text
    return f"(?i:{'|'.join(map(re.escape, shape.hints))})"


def _of_pattern(pattern: str) -> Expression:
    regex = compile_regex(pattern)
    group = regex.groupindex.get(_TAKEN_GROUP, 0)

    def find(data: bytes) -> Iterable[Span]:
        for match in regex.finditer(data):
            span = match.span(group)
            # WHY: a part that did not take part in a find leaves the whole of it
            yield span if span[0] >= 0 else match.span(0)

    plain = pattern.replace("[^", "[")  # a class that excludes is no anchor
    anchored = any(anchor in plain for anchor in _ANCHORS)
    return Expression("", find, lambda data: regex.fullmatch(data) is not None, anchored)


def _of_shape(shape: Shape) -> Expression:
    def find(data: bytes) -> Iterable[Span]:
        text = data.decode("utf-8", "surrogateescape")
        return shape.find(text) if text.isascii() else _in_bytes(text, shape.find(text))

    return Expression(shape.kind, find, lambda _data: False, anchored=False)


def _in_bytes(text: str, spans: Iterable[Span]) -> Iterable[Span]:
    """Yield spans of characters, which come in order, as spans of the text's bytes."""
    at, size = 0, 0
    for start, end in spans:
        first = size + _size(text[at:start])
        at, size = end, first + _size(text[start:end])
        yield first, size


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
