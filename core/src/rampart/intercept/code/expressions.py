"""Tokens, calls and values of a source that has no parser of ours.

Reads a text by its grammar's tokens: which arguments a call has, and what they stand for as far as
literals, names that are assigned once, and a few functions that keep their text decide it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from rampart.intercept.code.findings import UNKNOWN, Text
from rampart.intercept.code.grammar import Grammar
from rampart.intercept.code.quoting import unescape

_TOKENS_MAX: Final = 10_000  # LIMIT: about 1 µs a token
_STEPS_MAX: Final = 20_000  # LIMIT: tokens looked at again as arguments, in arguments
_NESTING_MAX: Final = 4  # source inside source
_VALUES_MAX: Final = 20  # calls inside calls whose value is asked for
_ARGUMENT_TOKENS_MAX: Final = 2000
_OPENERS: Final = {"(": ")", "[": "]", "{": "}"}
_ENDS: Final = frozenset({";", "\n", "}", ")", "]"})
_END_WORDS: Final = frozenset(
    {"if", "unless", "or", "and", "do", "while", "until", "then", "end", "rescue"}
)
_JOINERS: Final = frozenset(
    {
        "path.join",
        "path.resolve",
        "File.join",
        "filepath.Join",
        "file.path",
        "().join",
        "().resolve",
        "join",
        "resolve",
    }
)
_PASSED: Final = frozenset(
    {
        "glob",
        "Dir.glob",
        "File.expand_path",
        "expand_path",
        "bsd_glob",
        "realpath",
        "URI.parse",
        "URI",
        "new",
        "URL",
        "path.expand",
    }
)
_HOME: Final = re.compile(
    r"(?:os\.|\(\)\.|require\((?:node:)?os\)\.)?homedir\(\)|os\.UserHomeDir\(\)|Dir\.home|process\.env(?:\.HOME|\[HOME\])"
    r"|\$?(?:ENV|_SERVER)(?:\[HOME\]|\{HOME\})|ENV\.fetch\(HOME\)|(?:(?:os|Sys)\.)?[gG]etenv\(HOME\)"
)


class Token(NamedTuple):
    """One token: a string, command (for a shell), words, name, link or op."""

    kind: str
    text: str
    known: bool = True


class Argument(NamedTuple):
    """One argument: its text, or its words if it is a list, and its tokens."""

    text: Text
    words: tuple[Text, ...] | None
    tokens: tuple[Token, ...]


class Expressions:
    """The tokens of one source, and the values of its expressions.

    Ends within its budget: ``exhausted`` says that the rest was not looked at.
    """

    def __init__(self, grammar: Grammar, text: str, home: str) -> None:
        self._grammar = grammar
        self._home = home
        self._steps = _STEPS_MAX
        self._values = 0
        self._active: set[str] = set()
        self.inner: list[str] = []
        self.tokens = self._tokenize(text)
        self._assignments = self._assigned()

    @property
    def exhausted(self) -> bool:
        """True if the source has more tokens, or deeper calls, than are looked at."""
        return self._steps < 0

    def _tokenize(self, text: str) -> list[Token]:
        tokens: list[Token] = []
        for found in self._grammar.token.finditer(text):
            kind = found.lastgroup or "op"
            value = found.group()
            if kind == "comment":
                continue
            if len(tokens) > _TOKENS_MAX:
                self._steps = -1
                break
            if found.group("name") is not None:
                tokens.append(Token("name", value))
            elif kind in ("link", "op"):
                tokens.append(Token(kind, value))
            else:
                tokens.append(self._literal(_group_of(found), value))
        return tokens

    def _literal(self, kind: str, value: str) -> Token:
        if kind == "words":
            return Token(
                "words", value[value.index(next(c for c in value if c in "{([<")) + 1 : -1]
            )
        body = _unquoted(value)
        if kind == "raw":
            return Token("string", unescape(body))
        known = True
        pattern = self._grammar.interpolation
        if pattern is not None:
            for found in pattern.finditer(body):
                self.inner += [
                    each for each in found.groups() if each and ("(" in each or "`" in each)
                ]
            body, count = pattern.subn("$unknown", body)
            known = count == 0
        return Token("command" if kind == "command" else "string", unescape(body), known)

    def _assigned(self) -> dict[str, tuple[Token, ...]]:
        """Return the expressions of the names that are assigned once."""
        found: dict[str, tuple[Token, ...]] = {}
        tokens = self.tokens
        for index in range(1, len(tokens) - 1):
            sign = tokens[index].text
            if tokens[index].kind != "op" or sign != "=" or tokens[index + 1].text == "=":
                continue
            before = tokens[index - 2 : index] if tokens[index - 1].text == ":" else ()
            name = before[0] if before else tokens[index - 1]
            if name.kind != "name":
                continue
            # INVARIANT: a name that is assigned twice is unknown: no tokens
            found[name.text] = () if name.text in found else _expression(tokens, index + 1)
        return found

    def arguments(self, start: int) -> list[Argument] | None:
        """Return the arguments of the call whose name ends before ``start``, if it is one."""
        tokens = self.tokens
        if start >= len(tokens):
            return None
        if tokens[start].text == "(" and tokens[start].kind == "op":
            end = _closing(tokens, start)
            self._steps -= end - start
            return self._split(tokens[start + 1 : end])
        if not self._grammar.bare:
            return None
        first = tokens[start]
        if first.kind == "op" and first.text not in ("$", "@", "%", "[", "*", "<", "\\", "~"):
            return None
        end = start
        nesting = 0
        while end < len(tokens) and end - start < _ARGUMENT_TOKENS_MAX:
            token = tokens[end]
            if token.kind == "op":
                if token.text in _OPENERS:
                    nesting += 1
                elif nesting and token.text in ")]}":
                    nesting -= 1
                elif nesting == 0 and token.text in _ENDS:
                    break
            elif token.kind == "name" and token.text in _END_WORDS and nesting == 0:
                break
            end += 1
        return self._split(tokens[start:end]) if end > start else None

    def _split(self, tokens: list[Token]) -> list[Argument]:
        self._steps -= len(tokens)
        if self._steps < 0:
            return []
        parts: list[list[Token]] = [[]]
        nesting = 0
        for token in tokens[:_ARGUMENT_TOKENS_MAX]:
            if token.kind == "op":
                nesting += (token.text in _OPENERS) - (token.text in ")]}")
                if token.text in (",", ";") and nesting == 0:
                    parts.append([])
                    continue
                if token.text == "\n":
                    continue
            parts[-1].append(token)
        return [self._argument(part) for part in parts if part]

    def _argument(self, tokens: list[Token]) -> Argument:
        words: tuple[Text, ...] | None = None
        if tokens[0].kind == "words":
            words = tuple(Text(word) for word in tokens[0].text.split())
        elif tokens[0].text in ("[", "{") and tokens[-1].text in ("]", "}"):
            words = tuple(each.text for each in self._split(tokens[1:-1]))
        return Argument(self._value(tokens), words, tuple(tokens))

    def _value(self, tokens: list[Token]) -> Text:
        """Return the text of an expression, with ``$unknown`` for what is no literal."""
        if self._values > _VALUES_MAX or not tokens:
            return UNKNOWN
        head = _home_length(tokens)
        if head == len(tokens):
            return Text(self._home)
        if head and tokens[head].text in ("+", "..", "."):  # os.homedir() + "/.netrc"
            rest = self._value(tokens[head + 1 :])
            return Text(self._home + rest.text, rest.known)
        self._values += 1
        try:
            called = self._called_value(tokens)
        finally:
            self._values -= 1
        if called is not None:
            return called
        found, known, after_unknown = "", True, False
        for token in _terms(tokens, self._grammar):
            if token is None:
                found += "" if after_unknown else UNKNOWN.text
                known, after_unknown = False, True
                continue
            text = Text(token.text, token.known)
            if token.kind == "name":
                text = self._assigned_value(token.text)
            found += text.text if text.known or not after_unknown else ""
            known, after_unknown = known and text.known, not text.known
        return Text(found, known) if found else UNKNOWN

    def _assigned_value(self, name: str) -> Text:
        tokens = self._assignments.get(name)
        if not tokens or name in self._active or len(self._active) > _NESTING_MAX:
            return UNKNOWN
        self._active.add(name)
        try:
            return self._value(list(tokens))
        finally:
            self._active.discard(name)

    def _called_value(self, tokens: list[Token]) -> Text | None:
        """Return the text of ``path.join(…)``, ``glob …`` and other calls that keep it."""
        if tokens[0].kind != "name":
            return None
        if tokens[0].text == "require" and tokens[-1].text == ")":
            tokens = _without_require(tokens)
        end = 0
        while end < len(tokens) and tokens[end].kind in ("name", "link"):
            end += 1
        chain = plain_text(tokens[:end]).replace("::", ".").replace("->", ".")
        rest = tokens[end:]
        if rest and rest[0].text == "(" and rest[-1].text == ")":
            rest = rest[1:-1]
        if tokens[0].text in ("new", "glob") and end == 2 and rest:
            chain = tokens[0].text
        if not rest or chain not in _JOINERS | _PASSED:
            if tokens[0].text in _PASSED and len(tokens) > 1 and end == 1:
                return self._value(tokens[1:])
            return None
        parts = [each.text for each in self._split(rest)]
        if chain in _PASSED:
            return parts[0] if parts else UNKNOWN
        return Text("/".join(part.text for part in parts), all(part.known for part in parts))


def _home_length(tokens: list[Token]) -> int:
    """Return how many tokens at the start say where the home is."""
    found = _HOME.match(plain_text(tokens))
    if found is None:
        return 0
    left, count = found.end(), 0
    while left > 0:
        left -= len(tokens[count].text)
        count += 1
    return count if left == 0 else 0


def _without_require(tokens: list[Token]) -> list[Token]:
    """Turn ``require("path").join(…)`` into ``path.join(…)``."""
    head = tokens[1:4]
    if len(head) == 3 and head[0].text == "(" and head[1].kind == "string" and head[2].text == ")":
        return [Token("name", head[1].text.removeprefix("node:")), *tokens[4:]]
    return tokens


def _group_of(found: re.Match[str]) -> str:
    groups = found.groupdict()
    return next(
        name for name in ("command", "words", "cooked", "raw") if groups.get(name) is not None
    )


def _unquoted(value: str) -> str:
    if value[0] in "'\"`":
        return value[1:-1]
    if value[0] == ":":
        return value[1:]
    if value.startswith("[["):
        return value[2:-2]
    start = re.match(r"%?[a-zA-Z]{0,2}\s*", value)
    return value[(start.end() if start else 0) + 1 : -1]


def _closing(tokens: list[Token], start: int) -> int:
    nesting = 0
    for index in range(start, min(len(tokens), start + _ARGUMENT_TOKENS_MAX)):
        if tokens[index].kind == "op":
            nesting += (tokens[index].text == "(") - (tokens[index].text == ")")
            if nesting == 0:
                return index
    return min(len(tokens), start + _ARGUMENT_TOKENS_MAX)


def _expression(tokens: list[Token], start: int) -> tuple[Token, ...]:
    """Return the tokens of an expression that begins at ``start``."""
    nesting = 0
    for index in range(start, min(len(tokens), start + 60)):
        token = tokens[index]
        if token.kind != "op":
            continue
        if token.text in _OPENERS:
            nesting += 1
        elif token.text in ")]}":
            nesting -= 1
        if nesting < 0 or (nesting == 0 and token.text in (";", "\n", ",")):
            return tuple(tokens[start:index])
    return tuple(tokens[start : start + 60])


def _terms(tokens: list[Token], grammar: Grammar) -> list[Token | None]:
    """Return the literals and single names that are joined; None for everything else."""
    while len(tokens) > 2 and tokens[0].text == "(" and _closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    found: list[Token | None] = []
    nesting = 0
    for index, token in enumerate(tokens):
        if token.kind == "op":
            nesting += (token.text in _OPENERS) - (token.text in ")]}")
        if nesting:
            found.append(None)
        elif token.kind in ("string", "words"):
            found.append(token)
        elif token.kind == "name":
            before = tokens[index - 1].kind if index else ""
            after = tokens[index + 1] if index + 1 < len(tokens) else None
            alone = before != "link" and (after is None or _joins(after, grammar))
            found.append(token if alone else None)
        elif not _joins(token, grammar) and not (grammar.sigils and token.text in "$@%"):
            found.append(None)
    return found


def _joins(token: Token, grammar: Grammar) -> bool:
    return token.text in grammar.joins or (token.text == "." and ".." in grammar.joins)


def plain_text(tokens: list[Token] | tuple[Token, ...]) -> str:
    """Return the first tokens as they stand, without spaces."""
    return "".join(token.text for token in tokens[:40])
