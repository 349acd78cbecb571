"""Simple commands: assignments, words, redirections, and functions that start like one."""

from __future__ import annotations

import re
from typing import Any, Final

from rampart.intercept.shell.heredoc import here_document
from rampart.intercept.shell.layout import RESERVED, Layout
from rampart.intercept.shell.model import Word
from rampart.intercept.shell.syntax import (
    ArrayLiteral,
    Assignment,
    Function,
    Node,
    Part,
    RawWord,
    Redirection,
    Simple,
    Unparsable,
)

DECLARATIONS: Final = frozenset(
    {"declare", "typeset", "local", "export", "readonly", "alias", "eval"}
)

_REDIRECTION_COST: Final = 3  # reading one takes as long as this many words
_ASSIGNMENT_COST: Final = 2  # setting a variable copies those before it
_DOCUMENTS_MAX: Final = 16  # as in bash
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(\+?=)|\[)")
_DECLARED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?=)(?=\()")
_REDIRECT: Final = re.compile(
    r"([0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\})?(&>>|&>|<<<|<<-|<<|<>|<&|<(?!\()|>>|>&|>\||>(?!\())"
)
EMPTY_LIST: Final = re.compile(r"\((?:[ \t]|\\\n)*\)")


class Simples(Layout):
    """Reads simple commands."""

    __slots__ = ()

    def function_body(self, name: str, start: int) -> Function:
        """Read the body of a function; the grammar provides this."""
        raise AssertionError(name, start)

    def simple(self, allowed: str = "") -> Node:
        """Read a simple command, or a function definition that starts like one."""
        text, start = self.text, self.pos
        found = Simple([], [], [], "", True)
        self.budget.add(found)
        words: list[Any] = found.words
        end = start
        while True:
            self.skip_blanks()
            char = text[self.pos : self.pos + 1]
            if char in "\n;|)#" or (char == "&" and not text.startswith("&>", self.pos)):
                break
            if char in "<>&{0123456789" and self._redirect_into(found):
                pass
            elif char == "(":
                if len(words) == 1 and not found.assignments and not found.redirects:
                    return self._function(found, start)
                raise Unparsable("unexpected `(`")
            elif not (words and found.plain) and self._assignment_into(found):
                pass
            elif self._word_into(found, allowed):
                self.plain_words(words)
            else:
                raise Unparsable(f"unexpected `{char}`")
            end = self.pos
        if end == start:
            raise Unparsable(f"unexpected `{text[self.pos : self.pos + 2] or 'end'}`".strip())
        found.source = text[start:end]
        found.tail = found.cut if found.cut < len(words) else 0
        return found

    def _word_into(self, found: Simple, allowed: str) -> bool:
        word = self.word()
        if word is None:
            return False
        if not found.words and word.source in RESERVED - {allowed} and not found.redirects:
            raise Unparsable(f"unexpected `{word.source}`")
        if type(word) is not Word or word.source in DECLARATIONS:
            found.plain = False
        found.words.append(word)
        return True

    def _redirect_into(self, found: Simple) -> bool:
        redirect = self.redirection()
        if redirect is None:
            return False
        found.redirects.append(redirect)
        if redirect.op[0] == "&" and not found.cut:
            found.cut = len(found.words)
        found.plain = False
        return True

    def _function(self, found: Simple, start: int) -> Function:
        name = found.words[0]
        match = EMPTY_LIST.match(self.text, self.pos)
        if match is None or not isinstance(name, Word):
            raise Unparsable("unexpected `(`")
        self.pos = match.end()
        self.budget.simples.pop()
        return self.function_body(name.text, start)

    def _assignment_into(self, found: Simple) -> bool:
        """Read ``name=value`` in front of a command, or as an argument of a declaration."""
        text, start = self.text, self.pos
        declared = bool(found.words)
        match = (_DECLARED if declared else _ASSIGNMENT).match(text, start)
        if match is None:
            return False
        self.budget.count(_ASSIGNMENT_COST)
        subscript: tuple[Part, ...] | None = None
        self.pos, operator = match.end(), match.group(2)
        if operator is None:
            found_subscript = self._subscript()
            if found_subscript is None:
                self.pos = start
                return False
            subscript, operator = found_subscript
        value = self._value()
        assignment = Assignment(
            text[start : self.pos], match.group(1), subscript, operator == "+=", value
        )
        found.plain = False
        if declared:
            found.words.append(assignment)
        else:
            found.assignments.append(assignment)
        return True

    def _subscript(self) -> tuple[tuple[Part, ...], str] | None:
        """Read ``subscript]=``; None if it is not one, and then the text is a word."""
        start, depth, simples = self.pos, self.depth, len(self.budget.simples)
        if ~start in self.failed:
            return None
        try:
            subscript = self.subscript()
            operator = "+=" if self.text.startswith("+=", self.pos) else "="
            if self.text.startswith(operator, self.pos):
                self.pos += len(operator)
                return subscript, operator
        except Unparsable:
            self.depth = depth  # WHY: an unclosed bracket is a pattern, and text may follow it
        self.failed.add(~start)
        del self.budget.simples[simples:]
        return None

    def _value(self) -> Word | RawWord | ArrayLiteral:
        text, start = self.text, self.pos
        if text.startswith("(", start):
            return self._array()
        if text[start : start + 1] in ("", " ", "\t", "\n", ";", "&", "|", ")"):
            return Word("", True, "")
        word = self.word()
        return Word("", True, "") if word is None else word

    def _array(self) -> ArrayLiteral:
        start = self.pos
        self.deeper()
        self.pos += 1
        items: list[tuple[tuple[Part, ...] | None, Word | RawWord]] = []
        while True:
            self.skip_lines()
            if self.text.startswith(")", self.pos):
                self.pos += 1
                self.depth -= 1
                return ArrayLiteral(self.text[start : self.pos], tuple(items))
            subscript = None
            if self.text.startswith("[", self.pos):
                at = self.pos
                self.pos += 1
                keyed = self._subscript()
                if keyed is None:
                    self.pos = at
                else:
                    subscript = keyed[0]
                    items.append((subscript, self._scalar()))
                    continue
            self.budget.count()
            word = self.word()
            if word is None:
                raise Unparsable("an array that cannot be read")
            items.append((subscript, word))

    def _scalar(self) -> Word | RawWord:
        value = self._value()
        if isinstance(value, ArrayLiteral):
            raise Unparsable("an array inside an array")
        return value

    # redirections

    def redirection(self) -> Redirection | None:
        """Read one redirection, or None where none starts."""
        match = _REDIRECT.match(self.text, self.pos)
        if match is None:
            return None
        self.budget.count(_REDIRECTION_COST)
        self.pos = match.end()
        descriptor, operator = match.group(1, 2)
        self.no_joined_operator("<>&|-(")
        self.skip_blanks()
        if descriptor is None:
            fd = None
        else:
            # LIMIT: bash gives {name} a descriptor from 10 on; which one is not known
            fd = 10 if descriptor[0] == "{" else min(int(descriptor[:9]), 2**31)
        word = self.word()
        if word is None:
            raise Unparsable(f"a `{operator}` without a target")
        if operator in ("<<", "<<-"):
            if len(self.pending) >= _DOCUMENTS_MAX:
                raise Unparsable(f"more than {_DOCUMENTS_MAX} here-documents in one line")
            document = here_document(word, operator == "<<-")
            self.pending.append(document)
            return Redirection(operator, fd, document)
        return Redirection(operator, fd, word)
