r"""Commands of database clients, between the statements: ``\! ls``, ``.shell ls``, ``system ls``.

They are not SQL: psql, mysql and sqlite3 take them out of the text before a server sees it.
"""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.code.findings import Findings, Text

_EXECUTES: Final = frozenset({"executes"})

# psql reads a backslash command anywhere outside of quotes
_ESCAPE: Final = re.compile(r"\\![ \t]*([^\n]+)")
_TO_PROGRAM: Final = re.compile(r"\\(?:gx?|o|out|w|write)[ \t]*\|[ \t]*([^\n]+)")
_BACKSLASH: Final = re.compile(
    r"(?:^|(?<=[\s;]))\\(i|ir|include|include_relative|\.|o|out|w|write|lo_import|T|tee|P|pager)"
    r"[ \t]+([^\n\\;]+)",
    re.MULTILINE,
)
_COPY: Final = re.compile(r"\\copy\b([^\n]*)", re.IGNORECASE)
_COPIED: Final = re.compile(r"\b(from|to)[ \t]+('[^'\n]+'|[^\s;]+)", re.IGNORECASE)
_EXPORT: Final = re.compile(r"\\lo_export\s+\d+\s+(\S+)")
_DOT: Final = re.compile(
    r"^[ \t]*\.(shell|system|output|once|read|import|backup|save|clone|restore|open|load|log|trace"
    r"|excel)"
    r"\b[ \t]*([^\n]*)",
    re.MULTILINE,
)
_WORDED: Final = re.compile(
    r"(?:^|;)[ \t]*(system|source|pager|tee)[ \t]+([^\n;]+)", re.IGNORECASE | re.MULTILINE
)
_SERVER_WORDS: Final = frozenset(
    {"reload", "flush", "start", "stop", "drop", "sync", "restart", "restore", "enable", "wait"}
    | {"kill", "shutdown", "suspend", "refresh", "unload", "load"}
)
"""What follows ``SYSTEM`` where it is a statement of the server."""
_COMMANDS_MAX: Final = 500  # a dump holds data, not commands; each one costs some 10 us
_STREAMS: Final = frozenset({"stdin", "stdout", "pstdin", "pstdout", "off", "program", ""})


def read_client_commands(text: str, findings: Findings) -> None:
    """Add what the client's own commands in ``text`` run, read and write to ``findings``."""
    if text.count("\\") > _COMMANDS_MAX or text.count("\n.") > _COMMANDS_MAX:
        findings.opaque(text[:200], "more commands of a client than can be looked at")
        return
    if "\\" in text:
        _read_backslashes(text, findings)
    if "." in text:
        for found in _DOT.finditer(text):
            _read_dot(found[1], _words(found[2]), found[2].strip(), findings)
    for found in _WORDED.finditer(text):
        name, rest = found[1].lower(), found[2].strip()
        if name == "system" and rest.partition(" ")[0].lower() in _SERVER_WORDS:
            continue
        _perform(name, rest, findings)


def _read_backslashes(text: str, findings: Findings) -> None:
    for pattern in (_ESCAPE, _TO_PROGRAM):
        for found in pattern.finditer(text):
            findings.shell(Text(found[1]))
    for found in _BACKSLASH.finditer(text):
        if not found[2].startswith("|"):
            _perform(found[1], found[2].strip(), findings)
    for line in _COPY.finditer(text):
        for found in _COPIED.finditer(line[1]):
            _file("read" if found[1].lower() == "from" else "write", found[2], findings)
    for found in _EXPORT.finditer(text):
        _file("write", found[1], findings)


def _perform(name: str, rest: str, findings: Findings) -> None:
    match name:
        case "system" | "P" | "pager":
            findings.shell(Text(rest))
        case "i" | "ir" | "include" | "include_relative" | "." | "source":
            findings.path("read", Text(_bare(rest)), _EXECUTES)
        case "lo_import":
            _file("read", rest, findings)
        case _:
            _file("write", rest, findings)


def _read_dot(name: str, words: list[str], rest: str, findings: Findings) -> None:
    last = next((word for word in reversed(words) if not word.startswith("-")), "")
    first = next((word for word in words if not word.startswith("-")), "")
    match name:
        case "shell" | "system":
            if rest:
                findings.shell(Text(rest))
        case _ if rest.startswith(("|", "'|", '"|')):
            findings.shell(Text(_bare(rest).lstrip("|")))
        case "read" | "load":
            if first:
                findings.path("read", Text(first), _EXECUTES)
        case "import":
            _file("read", first, findings)
        case "restore" | "open":
            _file("read", last, findings)
            _file("write", last, findings)
        case "excel":
            pass
        case _:
            _file("write", last, findings)


def _file(tool: str, name: str, findings: Findings) -> None:
    path = _bare(name)
    if path.lower() not in _STREAMS:
        findings.path(tool, Text(path))


def _words(text: str) -> list[str]:
    return [_bare(each) for each in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", text)]


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
