"""One response while it is searched: each thing is looked for once, and only if a rule asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rampart.errors import InputTooLarge
from rampart.limits import RESPONSE_FINDS_MAX
from rampart.policy.compiled import CompiledRule
from rampart.policy.response_expressions import Expressions, Span
from rampart.policy.response_text import ResponseText

Find = tuple[int, int, str]
"""Where something stands, and what shall stand there instead."""


class ResponseSearch:
    """What rules find in one response.

    ``late`` says that it takes too long. Every method raises InputTooLarge then, and where there
    is more to find than ``RESPONSE_FINDS_MAX``.
    """

    def __init__(
        self, expressions: Expressions, text: ResponseText, late: Callable[[], bool]
    ) -> None:
        self._expressions = expressions
        self._text = text
        self._late = late
        self._hits = expressions.hits(text)
        self._finds: dict[CompiledRule, tuple[Find, ...]] = {}
        self._matches: dict[CompiledRule, bool] = {}
        self._spans: dict[int, list[Span]] = {}
        self._count = 0
        self._require_time()

    def could_match(self, rule: CompiledRule) -> bool:
        """False if nothing that ``rule`` looks for is there."""
        wanted = self._expressions.wanted(rule.when)
        return not wanted or not self._hits.isdisjoint(wanted)

    def matches(self, rule: CompiledRule) -> bool:
        """True if the response is what ``rule`` is about."""
        known = self._matches.get(rule)
        if known is None:
            if self._expressions.wanted(rule.when):
                known = bool(self.finds(rule)) or self._is_empty_find(rule)
            else:
                known = not self._is_excluded(rule)
            self._matches[rule] = known
        return known

    def is_all(self, rule: CompiledRule) -> bool:
        """True if the response as a whole is what ``rule`` is about: a grant needs that."""
        if self._is_excluded(rule):
            return False
        numbers, data = self._expressions.patterns(rule.when), self._text.data
        return not numbers or any(self._expressions[number].whole(data) for number in numbers)

    def finds(self, rule: CompiledRule) -> tuple[Find, ...]:
        """Return the places that ``rule`` is about.

        An exclusion takes out the finds that it touches, and no others.
        """
        known = self._finds.get(rule)
        if known is None:
            mark = f"{rule.policy.name}/{rule.id}"
            excluded = _Joined(
                span
                for number in self._expressions.excluded(rule.when)
                for span in self._spans_of(number)
            )
            known = self._finds[rule] = tuple(
                (*span, self._expressions[number].label or mark)
                for number in self._expressions.wanted(rule.when)
                for span in self._spans_of(number)
                if not excluded.touches(span)
            )
        return known

    def _is_excluded(self, rule: CompiledRule) -> bool:
        return not self._hits.isdisjoint(self._expressions.excluded(rule.when))

    def _is_empty_find(self, rule: CompiledRule) -> bool:
        """True if all that is found is an empty place, as by ``^$``, and nothing is excluded."""
        if rule.redacts or self._is_excluded(rule):
            return False
        found = self._hits.intersection(self._expressions.patterns(rule.when))
        return bool(found) and not any(map(self._spans_of, found))

    def _spans_of(self, number: int) -> list[Span]:
        known = self._spans.get(number)
        if known is None:
            found: set[Span] = set()
            if number in self._hits:
                expression, data = self._expressions[number], self._text.data
                self._collect(expression.find(data), 0, found)
                if expression.anchored and self._text.leaves != [(0, len(data))]:
                    for start, end in self._text.leaves:
                        self._collect(expression.find(data[start:end]), start, found)
            known = self._spans[number] = sorted(found)
        return known

    def _collect(self, spans: Iterable[Span], offset: int, found: set[Span]) -> None:
        self._require_time()
        for start, end in spans:
            self._require_time()
            if start == end:
                continue
            found.add((start + offset, end + offset))
            self._count += 1
            if self._count > RESPONSE_FINDS_MAX:
                raise InputTooLarge(
                    f"a response with more than {RESPONSE_FINDS_MAX} places that rules are about"
                )

    def _require_time(self) -> None:
        if self._late():
            raise InputTooLarge("a response that takes too long to search")


class _Joined:
    """Spans, those that touch joined, asked whether one of them shares a place with another."""

    def __init__(self, spans: Iterable[Span]) -> None:
        joined: list[Span] = []
        for start, end in sorted(spans):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        self._joined: Sequence[Span] = joined

    def touches(self, span: Span) -> bool:
        """True if some span shares a place with ``span``."""
        start, end = span
        low, high = 0, len(self._joined)
        while low < high:
            middle = (low + high) // 2
            if self._joined[middle][1] <= start:
                low = middle + 1
            else:
                high = middle
        return low < len(self._joined) and self._joined[low][0] < end
