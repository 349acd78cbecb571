"""Conditional expressions: ``[[ … ]]``."""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.shell.model import Word
from rampart.intercept.shell.simple import Simples
from rampart.intercept.shell.syntax import Part, RawWord, Test, Unparsable

_TEST_END: Final = re.compile(r"\]\](?=[ \t\n;&|)<>\\]|\Z)")
_TEST_RUN: Final = re.compile(r"&&|\|\||!(?=[ \t\n()])|[()]|[<>](?!\()")
_REGEX_RUN: Final = re.compile(r"[^ \t\n\\'\"$`()]+")
_CONNECTIVES: Final = frozenset({"&&", "||", "(", ")", "!"})
_UNARY: Final = re.compile(r"-[a-zA-Z]")
_BINARY: Final = re.compile(r"=|==|!=|=~|<|>|-(?:eq|ne|lt|le|gt|ge|ef|nt|ot)")
_DONE: Final = ["", ")"]  # stands for an expression in parentheses


class Conditionals(Simples):
    """Reads conditional expressions."""

    __slots__ = ()

    def test(self, start: int) -> Test:
        """Read a conditional expression behind its opening brackets."""
        words: list[Word | RawWord] = []
        while True:
            self.skip_lines()
            if _TEST_END.match(self.text, self.pos):
                self.pos += 2
                _check([word.source for word in words])
                return Test(words, self.text[start : self.pos])
            words.append(self._test_word(words))

    def _test_word(self, words: list[Word | RawWord]) -> Word | RawWord:
        if words and words[-1].source == "=~":
            return self._regex()
        match = _TEST_RUN.match(self.text, self.pos)
        if match is not None:
            self.pos = match.end()
            return Word(match.group(), True, match.group())
        self.budget.count()
        word = self.word()
        if word is None:
            raise Unparsable("a `[[` that cannot be read")
        return word

    def _regex(self) -> RawWord:
        """Read the right side of ``=~``, in which parentheses and ``|`` are plain."""
        start, parts, level = self.pos, list[Part](), 0
        text = self.text
        while self.pos < len(text):
            match = _REGEX_RUN.match(text, self.pos)
            if match is not None:
                self.pos = match.end()
                continue
            char = text[self.pos]
            if char in "()":
                level += 1 if char == "(" else -1
                self.pos += 1
                if level < 0:
                    self.pos -= 1
                    break
            elif char in " \t\n":
                if level == 0:
                    break
                self.pos += 1
            else:
                self._special(char, parts)
        return RawWord(text[start : self.pos], tuple(parts))


def _check(tokens: list[str]) -> None:
    """Refuse what is no expression: a shell without ``[[`` might run parts of it."""
    operand: list[str] = []
    level = 0
    for item in [*tokens, "&&"]:
        if item not in _CONNECTIVES:
            operand.append(item)
            continue
        if operand == ["!"] or item == "!" or (item == "(" and not operand):
            level += item == "("
            operand = [] if item != "!" or not operand else [*operand, item]
            continue
        if item == "(" or not _is_operand(operand):
            raise Unparsable("a `[[` that cannot be read")
        level -= item == ")"
        operand = [] if item != ")" else list(_DONE)
    if level:
        raise Unparsable("a `[[` that cannot be read")


def _is_operand(words: list[str]) -> bool:
    if words == _DONE or len(words) == 1:
        return True
    if len(words) == 2:
        return _UNARY.fullmatch(words[0]) is not None
    return len(words) == 3 and _BINARY.fullmatch(words[1]) is not None
