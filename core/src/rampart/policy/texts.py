"""Lists of text globs: one that matches is enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rampart.policy.glob import TextTest, compile_text_glob, is_catch_all
from rampart.policy.literals import END, START, LiteralIndex

_INDEX_FROM: Final = 8  # with fewer globs, trying each is faster than an index


def glob_literals(pattern: str) -> list[str]:
    """Return what a text between START and END must hold to match ``pattern``."""
    runs = (START + pattern + END).replace("?", "*").split("*")
    return [run for run in runs if run not in ("", START, END)]


def compile_text_globs(patterns: Sequence[str], *, fold: bool = False) -> TextTest:
    """Return the test "one of the globs matches"; with ``fold`` without regard to case."""
    if fold:
        exact = compile_text_globs([pattern.casefold() for pattern in patterns])
        return lambda text: exact(text.casefold())
    if any(is_catch_all(pattern) for pattern in patterns):
        return lambda _text: True
    tests = tuple(compile_text_glob(pattern) for pattern in patterns)
    if len(tests) == 1:
        return tests[0]
    return _few(patterns, tests) if len(tests) < _INDEX_FROM else _indexed(patterns, tests)


def compile_substrings(needles: Sequence[str]) -> tuple[TextTest, TextTest]:
    """Return a test without regard to case and one with it."""
    exact = tuple(needles)
    folded = tuple(needle.casefold() for needle in needles)

    def contains_folded(text: str) -> bool:
        text = text.casefold()
        return any(needle in text for needle in folded)

    return contains_folded, lambda text: any(needle in text for needle in exact)


def _few(patterns: Sequence[str], tests: Sequence[TextTest]) -> TextTest:
    """Try each glob whose longest literal is there: most texts hold none of them."""
    pairs = tuple(
        (max(re.split(r"[*?]", pattern), key=len), test)
        for pattern, test in zip(patterns, tests, strict=True)
    )

    def test(text: str) -> bool:
        for literal, matches in pairs:  # noqa: SIM110 - a generator costs three times as much here
            if literal in text and matches(text):
                return True
        return False

    return test


def _indexed(patterns: Sequence[str], tests: Sequence[TextTest]) -> TextTest:
    index: LiteralIndex[TextTest] = LiteralIndex()
    others = tuple(
        test
        for pattern, test in zip(patterns, tests, strict=True)
        if not index.add(glob_literals(pattern), test)
    )

    index.build()

    def test(text: str) -> bool:
        for matches in others:
            if matches(text):
                return True
        for matches in index.find(START + text + END):  # noqa: SIM110 - as above
            if matches(text):
                return True
        return False

    return test
