"""Brace expansion: ``{a,b}``, ``{1..9}``, nested, on words whose parts are not expanded yet."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from rampart.intercept.shell.syntax import Literal, Parameter, Part, Unparsable
from rampart.limits import EXPANSION_WORDS_MAX, SHELL_DEPTH_MAX

_RANGE: Final = re.compile(
    r"(?:(-?\d+)\.\.(-?\d+)|([A-Za-z])\.\.([A-Za-z]))(?:\.\.(-?\d+))?\Z", re.ASCII
)
_NAME_REST: Final = re.compile(r"[A-Za-z0-9_]+")
_TOKENS: Final = re.compile(r"[{},]|[^{},]+")

Parts = tuple[Part, ...]


def expand_braces(parts: Parts) -> list[Parts]:
    """Return the words that ``parts`` stand for; one where there is nothing to expand.

    Raises: Unparsable over the limit of words.
    """
    if not any(
        isinstance(part, Literal) and not part.quoted and "{" in part.text for part in parts
    ):
        return [parts]
    braces = sum(part.text.count("{") for part in parts if isinstance(part, Literal))
    _bound(max(braces, len(parts)))
    tokens: list[Part] = []
    for part in parts:
        if isinstance(part, Literal) and not part.quoted:
            tokens += [Literal(text, False) for text in _TOKENS.findall(part.text)]
        else:
            tokens.append(part)
    pairs = _pairs(tokens)
    return [_renamed(word) for word in _expand(tokens, 0, len(tokens), pairs, 0)]


def _renamed(parts: list[Part]) -> Parts:
    """Let names grow: braces are expanded before names are read, so ``$a{b,c}`` is ``$ab $ac``."""
    found: list[Part] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Literal) and not part.quoted and _is_bare(last):
            match = _NAME_REST.match(part.text)
            rest = match.group() if match else ""
            if rest and isinstance(last, Parameter):
                found[-1] = Parameter(last.source + rest, False, last.name + rest)
                if len(rest) < len(part.text):
                    found.append(Literal(part.text[len(rest) :], False))
                continue
        found.append(part)
    return tuple(found)


def _is_bare(part: Part | None) -> bool:
    """Tell whether a part is ``$name`` without braces and quotes."""
    return (
        isinstance(part, Parameter)
        and not part.quoted
        and part.source == f"${part.name}"
        and part.name.isidentifier()
    )


def _is(part: Part, char: str) -> bool:
    return isinstance(part, Literal) and not part.quoted and part.text == char


def _pairs(tokens: list[Part]) -> dict[int, tuple[int, list[int]]]:
    """Map each opening brace to its closing one and to the commas between them."""
    found: dict[int, tuple[int, list[int]]] = {}
    stack: list[tuple[int, list[int]]] = []
    for index, token in enumerate(tokens):
        if _is(token, "{"):
            stack.append((index, []))
        elif _is(token, "}") and stack:
            opener, commas = stack.pop()
            found[opener] = (index, commas)
        elif _is(token, ",") and stack:
            stack[-1][1].append(index)
    return found


def _expand(
    tokens: list[Part], start: int, end: int, pairs: dict[int, tuple[int, list[int]]], depth: int
) -> list[list[Part]]:
    if depth > SHELL_DEPTH_MAX:
        raise Unparsable("braces nested too deeply")
    words: list[list[Part]] = [[]]
    at = start
    while at < end:
        closer, commas = pairs.get(at, (0, []))
        if closer and commas:
            choices: list[list[Part]] = []
            edges = [at, *commas, closer]
            for left, right in pairwise(edges):
                choices += _expand(tokens, left + 1, right, pairs, depth + 1)
                _bound(len(choices))
        elif closer and (found := _range(tokens, at, closer)) is not None:
            choices = [[Literal(text, False)] for text in found]
        else:
            for word in words:
                word.append(tokens[at])
            at += 1
            continue
        _bound(len(words) * len(choices))
        words = [[*word, *choice] for word in words for choice in choices]
        at = closer + 1
    return words


def _range(tokens: list[Part], opener: int, closer: int) -> list[str] | None:
    if closer != opener + 2:
        return None
    inner = tokens[opener + 1]
    match = _RANGE.match(inner.text) if isinstance(inner, Literal) and not inner.quoted else None
    if match is None:
        return None
    first, last, low, high, step = match.groups()
    letters = first is None
    start, stop = (ord(low), ord(high)) if letters else (_int(first), _int(last))
    width = abs(_int(step)) if step else 1
    width = (width or 1) * (1 if stop >= start else -1)
    _bound(abs(stop - start) // abs(width) + 1)
    numbers = range(start, stop + (1 if width > 0 else -1), width)
    if letters:
        return [chr(number) for number in numbers]
    padded = any(re.match(r"-?0\d", edge) for edge in (first, last))
    size = max(len(first), len(last)) if padded else 0
    return [f"{number:0{size}d}" for number in numbers]


def _int(text: str) -> int:
    if len(text) > 18:
        raise Unparsable("a range of braces that is too large")
    return int(text)


def _bound(count: int) -> None:
    if count > EXPANSION_WORDS_MAX:
        raise Unparsable(f"braces that stand for more than {EXPANSION_WORDS_MAX} words")
