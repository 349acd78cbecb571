"""Arithmetic of ``$((…))``: the value, where every operand is known."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Final

from rampart.limits import SHELL_DEPTH_MAX

_TOKEN: Final = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+|[0-9]+#[0-9A-Za-z@_]+|[0-9]+)|([A-Za-z_][A-Za-z0-9_]*)"
    r"|(\*\*|<<=?|>>=?|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\+\+|--|[-+*/%<>&|^!~?:()=,]))",
    re.ASCII,
)
_ASSIGNED: Final = re.compile(
    r"(?:\+\+|--)\s*([A-Za-z_]\w*)|([A-Za-z_]\w*)(?:\[[^\]]*\])?\s*(?:\+\+|--|(?:[-+*/%&|^]|<<|>>)?=(?!=))",
    re.ASCII,
)
_TOKENS_MAX: Final = 200  # LIMIT: a longer expression has no known value


class _UnknownValue(Exception):
    """The expression has no value that is known here."""


def _divide(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _power(base: int, exponent: int) -> int:
    if exponent < 0:
        raise _UnknownValue
    return pow(base, exponent, 1 << 64)


_BINARY: Final[dict[str, tuple[int, Callable[[int, int], int]]]] = {
    "||": (1, lambda a, b: int(bool(a) or bool(b))),
    "&&": (2, lambda a, b: int(bool(a) and bool(b))),
    "|": (3, operator.or_),
    "^": (4, operator.xor),
    "&": (5, operator.and_),
    "==": (6, lambda a, b: int(a == b)),
    "!=": (6, lambda a, b: int(a != b)),
    "<": (7, lambda a, b: int(a < b)),
    ">": (7, lambda a, b: int(a > b)),
    "<=": (7, lambda a, b: int(a <= b)),
    ">=": (7, lambda a, b: int(a >= b)),
    "<<": (8, lambda a, b: a << (b & 63)),
    ">>": (8, lambda a, b: a >> (b & 63)),
    "+": (9, operator.add),
    "-": (9, operator.sub),
    "*": (10, operator.mul),
    "/": (10, _divide),
    "%": (10, lambda a, b: a - b * _divide(a, b)),
    "**": (11, _power),
}


def evaluate(text: str, lookup: Callable[[str], str | None]) -> int | None:
    """Return the value of ``text``, or None if it is not known or not an expression.

    ``lookup`` returns the text of a variable, or None. Nothing is assigned: an expression that
    assigns has no known value.
    """
    try:
        return _Expression(_tokens(text), lookup).value()
    except (_UnknownValue, ZeroDivisionError, OverflowError, ValueError):
        return None


def assigned_names(text: str) -> list[str]:
    """Return the variables that the expression ``text`` may change."""
    return [match.group(1) or match.group(2) for match in _ASSIGNED.finditer(text)]


def names_in(text: str) -> list[str]:
    """Return the variables that the expression ``text`` may read."""
    return re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text)


def _tokens(text: str) -> list[str]:
    tokens, at = list[str](), 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or len(tokens) >= _TOKENS_MAX:
            raise _UnknownValue
        tokens.append(match.group().strip())
        at = match.end()
    return tokens


def _wrap(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


class _Expression:
    """Precedence climbing over a list of tokens."""

    def __init__(self, tokens: list[str], lookup: Callable[[str], str | None]) -> None:
        self._tokens = tokens
        self._lookup = lookup
        self._at = 0
        self._depth = 0

    def value(self) -> int:
        if not self._tokens:
            return 0
        found = self._comma()
        if self._at < len(self._tokens):
            raise _UnknownValue
        return found

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._at += 1
        return True

    def _comma(self) -> int:
        found = self._ternary()
        while self._take(","):
            found = self._ternary()
        return found

    def _ternary(self) -> int:
        self._depth += 1
        if self._depth > SHELL_DEPTH_MAX:
            raise _UnknownValue
        condition = self._binary(1)
        if self._take("?"):
            yes = self._comma()
            if not self._take(":"):
                raise _UnknownValue
            no = self._ternary()
            condition = yes if condition else no
        self._depth -= 1
        return condition

    def _binary(self, level: int) -> int:
        left = self._unary()
        while (found := _BINARY.get(self._next())) is not None and found[0] >= level:
            power = self._next() == "**"
            self._at += 1
            right = self._binary(found[0] if power else found[0] + 1)
            left = _wrap(found[1](left, right))
        return left

    def _unary(self) -> int:
        signs: list[str] = []
        while self._next() in ("+", "-", "!", "~"):
            signs.append(self._next())
            self._at += 1
        found = self._operand()
        for sign in reversed(signs):
            found = {"+": found, "-": -found, "!": int(not found), "~": ~found}[sign]
        return _wrap(found)

    def _operand(self) -> int:
        operand = self._next()
        self._at += 1
        if operand == "(":
            found = self._comma()
            if not self._take(")"):
                raise _UnknownValue
            return found
        if operand[:1].isdigit():
            return _number(operand)
        if re.match(r"[A-Za-z_]", operand):
            text = self._lookup(operand)
            if text is None:
                raise _UnknownValue
            return _number(text.strip() or "0")
        raise _UnknownValue


def _number(text: str) -> int:
    if len(text) > 20:
        raise _UnknownValue
    match = re.fullmatch(
        r"([-+]?)(?:(\d+)#(\w+)|(0[xX])([0-9a-fA-F]+)|(0[0-7]+)|(\d+))", text, re.ASCII
    )
    if match is None:
        raise _UnknownValue
    sign, base, digits, _, hexadecimal, octal, decimal = match.groups()
    if base:
        if not 2 <= int(base) <= 36:
            raise _UnknownValue  # LIMIT: bases up to 64 exist and nobody uses them
        found = int(digits, int(base))
    elif hexadecimal:
        found = int(hexadecimal, 16)
    else:
        found = int(octal, 8) if octal else int(decimal)
    return _wrap(-found if sign == "-" else found)
