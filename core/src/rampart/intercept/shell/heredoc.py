"""Here-documents: their delimiter and where their text ends."""

from __future__ import annotations

from rampart.intercept.shell.lexer import Lexer
from rampart.intercept.shell.model import Word
from rampart.intercept.shell.syntax import HereDocument, Literal, RawWord, Unparsable


def here_document(word: Word | RawWord, strip_tabs: bool) -> HereDocument:
    """Return the here-document that ``word``, as read from the text, delimits."""
    source = word.source
    if "$'" in source or '$"' in source or "`" in source:
        raise Unparsable("a here-document with an unusual delimiter")
    if isinstance(word, Word):
        quoted = any(mark in source for mark in "'\"\\")
        return HereDocument(word.text, quoted, strip_tabs)
    quoted, text = False, ""
    for part in word.parts:
        if isinstance(part, Literal):
            quoted = quoted or part.quoted
            text += part.text
        else:
            text += part.source
    if "\n" in text:
        raise Unparsable("a here-document with an unusual delimiter")
    return HereDocument(text, quoted, strip_tabs)


def read_documents(lexer: Lexer) -> None:
    """Read the text of every pending here-document from the start of a line on."""
    pending, lexer.pending = lexer.pending, []
    for document in pending:
        body = _body(lexer, document)
        if document.quoted:
            document.body = (Literal(body, True),)
        else:
            reader = type(lexer)(body, lexer.depth, lexer.budget)
            document.body = reader.document_parts()


def _body(lexer: Lexer, document: HereDocument) -> str:
    """Return the lines up to the delimiter and move behind it; without one, up to the end."""
    text, lines, size = lexer.text, list[str](), len(lexer.text)
    while lexer.pos < size:
        line = _line(lexer)
        if not document.quoted:
            # WHY: bash joins continued lines before it looks for the delimiter
            joined = False
            while _continued(line) and lexer.pos < size:
                line, joined = line[:-1] + _line(lexer), True
            if joined and line.lstrip("\t") == document.delimiter:
                raise Unparsable("a here-document whose delimiter stands on two lines")
        if document.strip_tabs:
            line = line.lstrip("\t")
        if line == document.delimiter:
            return "".join(lines)
        lines.append(line + "\n")
    if text.endswith("\n") or not lines:
        return "".join(lines)
    return "".join(lines)[:-1]


def _line(lexer: Lexer) -> str:
    end = lexer.text.find("\n", lexer.pos)
    if end < 0:
        end = len(lexer.text)
    line = lexer.text[lexer.pos : end]
    lexer.pos = end + 1
    return line


def _continued(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1
