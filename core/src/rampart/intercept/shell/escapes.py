"""Backslash escapes of ``$'…'``, ``echo -e`` and ``printf``."""

from __future__ import annotations

import re
from typing import Final

_SINGLE: Final = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
}
_ANSI_C: Final = re.compile(
    r"\\(?:([abeEfnrtv\\'\"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})"
    r"|U([0-9A-Fa-f]{1,8})|c(.))",
    re.DOTALL,
)
_ECHO: Final = re.compile(
    r"\\(?:([abeEfnrtv\\])|0([0-7]{0,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})"
    r"|U([0-9A-Fa-f]{1,8})|(c))"
)
_PRINTF: Final = re.compile(
    r"\\(?:([abeEfnrtv\\\"'?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})"
    r"|U([0-9A-Fa-f]{1,8}))"
)


def _code(match: re.Match[str]) -> str | None:
    single, octal, byte, short, long = match.group(1, 2, 3, 4, 5)
    if single is not None:
        return _SINGLE[single]
    if octal is not None:
        return chr(int(octal or "0", 8) & 0xFF)
    digits = byte or short or long
    if digits is None:
        return None
    value = int(digits, 16)
    return chr(value) if value < 0x110000 else ""


def ansi_c(text: str) -> str:
    """Decode what stands between ``$'`` and ``'``. Like bash, a zero byte ends the text."""

    def one(match: re.Match[str]) -> str:
        known = _code(match)
        return chr(ord(match.group(6)) & 0x1F) if known is None else known

    return _bytes(_ANSI_C.sub(one, text)).partition("\0")[0]


def echo(text: str) -> tuple[str, bool]:
    """Decode an argument of ``echo -e`` or ``printf %b``; True means that it ends the output."""
    stop = text.find("\\c")
    while stop > 0 and _escaped(text, stop):
        stop = text.find("\\c", stop + 1)
    shown = text if stop < 0 else text[:stop]
    return _bytes(_ECHO.sub(lambda match: _code(match) or "", shown)), stop >= 0


def printf(text: str) -> str:
    """Decode the literal text of a ``printf`` format."""
    return _bytes(_PRINTF.sub(lambda match: _code(match) or "", text))


def _escaped(text: str, at: int) -> bool:
    run = 0
    while run < at and text[at - run - 1] == "\\":
        run += 1
    return run % 2 == 1


def _bytes(text: str) -> str:
    """Join escapes that wrote one character byte by byte."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
