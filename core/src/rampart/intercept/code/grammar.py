"""How other languages write strings, comments and calls, and what their functions do, as data.

The operations are those of ``calls``, with three more kinds: ``either`` (one text is a shell line,
several are a program and its words), ``mode`` (a file opened with a mode) and ``eval`` (source).
``name?word`` counts only in a source that holds ``word``; ``.name`` is a method of anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from rampart.intercept.code.call_tables import (
    ELIXIR,
    GO,
    JAVASCRIPT,
    JULIA,
    LUA,
    OCTAVE,
    PERL,
    PHP,
    RUBY,
    C,
    R,
)
from rampart.intercept.code.calls import Operation, parse_operation

_SLASHES: Final = r"//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
_HASH: Final = r"(?<![$\\])#[^\n]*"
_SINGLE: Final = r"'(?:[^'\\\n]|\\.)*+'"
_SINGLE_LINES: Final = r"'(?:[^'\\]|\\.)*+'"
_DOUBLE: Final = r'"(?:[^"\\]|\\.)*+"'
_DOUBLE_LINE: Final = r'"(?:[^"\\\n]|\\.)*+"'
_TICKS: Final = r"`(?:[^`\\]|\\.)*+`"
_BRACKETED: Final = (
    r"\s*(?:\{[^{}]*+\}|\([^()]*+\)|\[[^\[\]]*+\]|<[^<>]*+>|([/|!,~#])(?:(?!\1)[^\\]|\\.)*+\1)"
)


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a language writes what the lexical reader looks for."""

    name: str
    token: re.Pattern[str]
    joins: frozenset[str]
    interpolation: re.Pattern[str] | None
    calls: str
    bare: bool = False  # a call needs no parentheses
    sigils: bool = False  # variables start with `$`, `@` or `%`
    powers: re.Pattern[str] | None = None  # names that start programs, and may not be passed around

    def table(self, source: str) -> dict[str, tuple[Operation, ...]]:
        """Return the calls that count in ``source``."""
        plain, gated = _table(self.calls)
        extra = {name: operations for name, word, operations in gated if word in source}
        return plain | extra if extra else plain


_Row = tuple[Operation, ...]


@cache
def _table(text: str) -> tuple[dict[str, _Row], tuple[tuple[str, str, _Row], ...]]:
    plain: dict[str, _Row] = {}
    gated: list[tuple[str, str, _Row]] = []
    for line in text.strip().splitlines():
        names, _, operations = line.partition(" => ")
        row = tuple(parse_operation(each) for each in operations.split())
        for entry in names.split():
            name, question, word = entry.partition("?")
            if question:
                gated.append((name, word, row))
            else:
                plain[name] = row
    return plain, tuple(gated)


def _token(
    *, comment: str, raw: str = "", cooked: str = "", command: str = "", words: str = ""
) -> re.Pattern[str]:
    parts = [rf"(?P<comment>{comment})"]
    for name, pattern in (("command", command), ("words", words), ("cooked", cooked), ("raw", raw)):
        if pattern:
            parts.append(rf"(?P<{name}>{pattern})")
    parts += [
        r"(?P<name>[A-Za-z_]\w*[!?]?)",
        r"(?P<link>::|->|\?\.|&\.|\.(?!\.))",
        r"(?P<op>\S|\n)",
    ]
    # WHY: the pattern of bracketed text refers to its own opening character
    return re.compile("|".join(parts).replace(r"\1", r"(?P=mark)"), re.DOTALL)


def _marked(prefix: str) -> str:
    return prefix + _BRACKETED.replace("([/|!,~#])", "(?P<mark>[/|!,~#])")


_REGEX_LITERAL: Final = r"(?<=[(,=:!&|?;])[ ]*/(?![*/])(?:[^/\\\n]|\\.)++/\w*"
_DOLLAR_BRACES: Final = re.compile(r"\$\{([^{}]*)\}")
_HASH_BRACES: Final = re.compile(r"#\{([^{}]*)\}")
_DOLLARS: Final = re.compile(r"\$(?:\(([^()]*)\)|(\w+))")
_VARIABLES: Final = re.compile(
    r"[$@]\{?(\w+)\}?(?:(?:->)?(?:\[[^\]\n]{0,80}\]|\{[^}\n]{0,80}\}))*|\{\$([^{}]*)\}"
)

GRAMMARS: Final[dict[str, Callable[[], Grammar]]] = {
    "javascript": lambda: Grammar(
        "javascript",
        _token(
            comment=f"{_SLASHES}|{_REGEX_LITERAL}", cooked=_TICKS, raw=f"{_DOUBLE_LINE}|{_SINGLE}"
        ),
        frozenset("+"),
        _DOLLAR_BRACES,
        JAVASCRIPT,
    ),
    "ruby": lambda: Grammar(
        "ruby",
        _token(
            comment=_HASH,
            command=_TICKS + "|" + _marked("%x"),
            words=r"%[wWiI](?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            cooked=_DOUBLE + r"|%Q?(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            raw=_SINGLE_LINES + r"|%q(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])|:(?=[a-z_])\w+",
        ),
        frozenset("+"),
        _HASH_BRACES,
        RUBY,
        bare=True,
    ),
    "perl": lambda: Grammar(
        "perl",
        _token(
            comment=_HASH,
            command=_TICKS + "|" + _marked(r"\bqx"),
            words=r"\bqw\s*(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            cooked=_DOUBLE + r"|\bqq\s*(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
            raw=_SINGLE_LINES + r"|\bq\s*(?:\{[^{}]*\}|\([^()]*\)|\[[^\[\]]*\])",
        ),
        frozenset("."),
        _VARIABLES,
        PERL,
        bare=True,
        sigils=True,
    ),
    "php": lambda: Grammar(
        "php",
        _token(comment=f"{_SLASHES}|{_HASH}", command=_TICKS, cooked=_DOUBLE, raw=_SINGLE_LINES),
        frozenset("."),
        _VARIABLES,
        PHP,
        bare=True,
        sigils=True,
    ),
    "lua": lambda: Grammar(
        "lua",
        _token(
            comment=r"--\[\[(?:[^\]]|\](?!\]))*+(?:\]\])?|--[^\n]*",
            raw=rf"{_DOUBLE_LINE}|{_SINGLE}|\[\[(?:[^\]]|\](?!\]))*+(?:\]\]|\Z)",
        ),
        frozenset({".."}),
        None,
        LUA,
        bare=True,
    ),
    "go": lambda: Grammar(
        "go",
        _token(comment=_SLASHES, raw=rf"{_DOUBLE_LINE}|{_TICKS}"),
        frozenset("+"),
        None,
        GO,
    ),
    "r": lambda: Grammar(
        "r",
        _token(comment=_HASH, raw=rf"{_DOUBLE}|{_SINGLE_LINES}"),
        frozenset(),
        None,
        R,
        powers=re.compile(r"(?:system2?|shell|pipe|unlink|eval)(?!\s*[(.])"),
    ),
    "julia": lambda: Grammar(
        "julia",
        _token(comment=rf"#=(?:[^=]|=(?!#))*+(?:=#)?|{_HASH}", command=_TICKS, cooked=_DOUBLE),
        frozenset("*"),
        _DOLLARS,
        JULIA,
        powers=re.compile(r"(?:run|rm|eval|ccall|Cmd|pipeline)(?!\s*[(!=])"),
    ),
    # WHY: a mark behind a name or a bracket is a transposition there, and begins no text
    "octave": lambda: Grammar(
        "octave",
        _token(comment=r"[%#][^\n]*", raw=rf"{_DOUBLE_LINE}|(?<![\w\])}}.'])'(?:[^'\n]|'')*+'"),
        frozenset(),
        None,
        OCTAVE,
        bare=True,
        powers=re.compile(r"(?:system|unix|dos|popen2?|delete|unlink|eval)(?!\s*[(\w])"),
    ),
    "elixir": lambda: Grammar(
        "elixir",
        _token(comment=_HASH, cooked=rf"{_DOUBLE}|{_SINGLE_LINES}"),
        frozenset({"<>"}),
        _HASH_BRACES,
        ELIXIR,
        bare=True,
        powers=re.compile(r"(?:shell|cmd|rm_rf!?|rm!?|eval_string)(?![:\s]*[(\"'])"),
    ),
    "c": lambda: Grammar("c", _token(comment=_SLASHES, raw=_DOUBLE_LINE), frozenset(), None, C),
}


@cache
def grammar_of(language: str) -> Grammar:
    """Return the grammar of a language; compiling one takes half a millisecond, so each waits."""
    return GRAMMARS[language]()
