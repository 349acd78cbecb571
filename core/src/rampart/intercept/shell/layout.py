"""What separates commands: blanks, comments, line ends, keywords."""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.shell.heredoc import read_documents
from rampart.intercept.shell.lexer import Lexer
from rampart.intercept.shell.syntax import Unparsable

OPENERS: Final = frozenset(
    {"if", "while", "until", "for", "select", "case", "function", "coproc", "{", "[[", "!", "time"}
)
_CLOSERS: Final = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "in", "}", "]]"})
RESERVED: Final = OPENERS | _CLOSERS
BLANKS: Final = re.compile(r"(?:[ \t]|\\\n)*")
KEYWORD: Final = re.compile(
    r"(?:if|then|elif|else|fi|do|done|esac|while|until|for|select|case|function|coproc|time"
    r"|\{|\}|\[\[|!)(?=(?:\\\n)*(?:[ \t\n;&|<>()]|\Z))"
)
_BLANK_STARTS: Final = frozenset({" ", "\t", "\\"})


class Layout(Lexer):
    """Moves between commands."""

    __slots__ = ()

    def skip_blanks(self) -> None:
        """Skip blanks and continued line ends."""
        if self.text[self.pos : self.pos + 1] not in _BLANK_STARTS:
            return
        match = BLANKS.match(self.text, self.pos)
        if match is not None:
            self.pos = match.end()

    def skip_lines(self) -> None:
        """Skip blanks, comments and line ends; a line end starts pending here-documents."""
        text = self.text
        while True:
            self.skip_blanks()
            char = text[self.pos : self.pos + 1]
            if char == "#":
                end = text.find("\n", self.pos)
                self.pos = len(text) if end < 0 else end
            elif char == "\n":
                self.pos += 1
                if self.pending:
                    read_documents(self)
            else:
                return

    def expect(self, closer: str) -> None:
        """Move behind ``closer``."""
        self.skip_lines()
        if closer == ")":
            if not self.text.startswith(")", self.pos):
                raise Unparsable("unclosed `(`")
        elif not self.keyword_in(frozenset({closer})):
            raise Unparsable(f"`{closer}` is missing")
        self.pos += len(closer)

    def no_joined_operator(self, longer: str) -> None:
        """Refuse an operator whose characters stand on two lines."""
        if self.text.startswith("\\\n", self.pos):
            match = BLANKS.match(self.text, self.pos)
            end = match.end() if match else self.pos
            if self.text[end : end + 1] in longer and end < len(self.text):
                raise Unparsable("line continuation inside an operator")

    def keyword_in(self, stops: frozenset[str]) -> bool:
        """Tell whether one of ``stops`` stands here."""
        if not stops:
            return False
        match = KEYWORD.match(self.text, self.pos)
        return match is not None and match.group() in stops
