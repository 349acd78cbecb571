"""Escapes in string literals, as most languages share them."""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:x\{?([0-9A-Fa-f]{1,6})\}?|u\{?([0-9A-Fa-f]{1,6})\}?|([0-7]{1,3})|(.))", re.DOTALL
)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_LETTERS_RARE: Final = {"e": "\x1b", "0": "\0", "\n": ""}


def unescape(text: str) -> str:
    """Return the text that a literal with backslash escapes stands for."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    hexadecimal = found.group(1) or found.group(2)
    if hexadecimal:
        return chr(min(int(hexadecimal, 16), 0x10FFFF))
    if found.group(3):
        return chr(int(found.group(3), 8))
    letter = found.group(4)
    return _LETTERS.get(letter) or _LETTERS_RARE.get(letter, letter)
