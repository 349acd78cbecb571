"""Python source → its syntax tree, within bounds, and what to make of a text that has none."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Final

# LIMIT: parsing takes about 0.25 ms a kilobyte, and 5 µs for every field of an f-string.
_SOURCE_CHARS_MAX: Final = 64 * 1024
_BRACES_MAX: Final = 3000
_TOKENS_MAX: Final = 16_000
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
# WHY: the compiler warns about escapes and literals in the agent's source, which is not this
# program's; a filter on the source's own name touches no other warning and no other thread.
_SOURCE_NAME: Final = "<source of a call>"
warnings.filterwarnings("ignore", module=_SOURCE_NAME)

_HARMLESS_CHARS_MAX: Final = 4096
_REACHES: Final = re.compile(
    r"__|\\|[!`%]|\b(?:exec|eval|compile|open|execfile|getattr|setattr|globals|locals|vars|input"
    r"|breakpoint|help|os|sys|subprocess|builtins|file|raw_input|reload|popen|system)\b"
)
_IMPORTED: Final = re.compile(r"\b(?:import[ \t]+([\w., \t]+)|from[ \t]+([\w.]+)[ \t]+import\b)")
_HARMLESS_TEXT: Final = """
abc bisect calendar cmath collections copy dataclasses datetime decimal difflib enum fractions
functools heapq itertools json keyword math numbers operator pprint random re statistics string
textwrap time typing unicodedata uuid zoneinfo
"""
_HARMLESS_MODULES: Final = frozenset(_HARMLESS_TEXT.split())


def is_too_long(text: str) -> bool:
    """True if parsing ``text`` would take longer than a decision may."""
    return (
        len(text) > _SOURCE_CHARS_MAX
        or text.count("{") > _BRACES_MAX
        or (len(text) > _TOKENS_MAX and len(_TOKEN.findall(text)) > _TOKENS_MAX)
    )


def is_harmless(text: str) -> bool:
    """True if a text that does not parse names nothing that reaches outside the interpreter.

    Another version of Python may run it, so only what is known to be harmless counts.
    """
    if len(text) > _HARMLESS_CHARS_MAX or _REACHES.search(text):
        return False
    modules = [names or module for names, module in _IMPORTED.findall(text)]
    return text.count("import") == len(modules) and all(
        name.strip().partition(".")[0] in _HARMLESS_MODULES
        for names in modules
        for name in names.split(",")
    )


def parse_python(text: str) -> ast.AST | None:
    """Return the syntax tree of ``text``, None if it has none or nests too deeply."""
    try:
        return ast.parse(text, _SOURCE_NAME)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None
