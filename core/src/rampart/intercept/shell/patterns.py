"""Patterns of ``${name#…}``, ``${name%…}`` and ``${name/…/…}``, without a regular expression.

LIMIT: patterns with more than one ``*``, or with ``?`` and ``[``, have no known result: matching
them takes more than linear time in general.
"""

from __future__ import annotations


def remove_prefix(value: str, pattern: str, *, glob: bool, longest: bool) -> str | None:
    """Return ``value`` without the start that ``pattern`` matches; None if that is not known."""
    if not glob:
        return value.removeprefix(pattern)
    if pattern == "*":
        return "" if longest else value
    pieces = _single_star(pattern)
    if pieces is None:
        return None
    start, rest = pieces
    if not value.startswith(start):
        return value
    if not rest:
        return "" if longest else value[len(start) :]
    at = value.rfind(rest, len(start)) if longest else value.find(rest, len(start))
    return value if at < 0 else value[at + len(rest) :]


def remove_suffix(value: str, pattern: str, *, glob: bool, longest: bool) -> str | None:
    """Return ``value`` without the end that ``pattern`` matches; None if that is not known."""
    found = remove_prefix(value[::-1], pattern[::-1], glob=glob, longest=longest)
    return None if found is None else found[::-1]


def replace(value: str, pattern: str, new: str, mode: str) -> str | None:
    """Return ``value`` with ``pattern`` replaced once, everywhere or at an end, by ``mode``."""
    if not pattern:
        return value
    if mode == "/":
        return value.replace(pattern, new, 1)
    if mode == "//":
        return value.replace(pattern, new)
    if mode == "/#":
        return new + value[len(pattern) :] if value.startswith(pattern) else value
    return value[: -len(pattern)] + new if value.endswith(pattern) else value


def change_case(value: str, mode: str) -> str:
    """Return ``value`` after ``^ ^^ , ,,`` without a pattern."""
    if mode == "^^":
        return value.upper()
    if mode == ",,":
        return value.lower()
    return (value[:1].upper() if mode == "^" else value[:1].lower()) + value[1:]


def _single_star(pattern: str) -> tuple[str, str] | None:
    if any(char in pattern for char in "?[(\\") or pattern.count("*") != 1:
        return None
    start, _, rest = pattern.partition("*")
    return start, rest
