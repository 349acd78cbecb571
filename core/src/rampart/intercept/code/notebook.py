"""Python as agents' tools accept it: with notebook magic (``!command``, ``%magic``, ``%%cell``)."""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.code.findings import Findings, Text
from rampart.intercept.code.lexical import read_lexically
from rampart.intercept.code.python import read_python

_MAGIC: Final = re.compile(
    r"^([ \t]*)(?:[A-Za-z_][\w, ]*=[ \t]*)?(!!?|%%?)(?=[\w\s./~$\"'{(\[-])(.*(?:\\\n.*)*)$",
    re.MULTILINE,
)
_CELL: Final = re.compile(r"\s*%%(\w+)[ \t]*([^\n]*)\n?(.*)", re.DOTALL)
_SHELL_MAGIC: Final = frozenset({"sh", "bash", "shell", "system", "sx", "zsh", "script", "cmd"})
_PROGRAM_MAGIC: Final = frozenset({"pip", "conda", "mamba", "micromamba", "uv"})
_FILE_COMMANDS: Final = frozenset(
    {"cat", "cp", "mv", "rm", "rmdir", "mkdir", "ls", "ll", "less", "more"}
)
_FIELD: Final = re.compile(r"\{[^{}]*\}")


def read_notebook(text: str, findings: Findings) -> None:
    """Add what Python ``text`` does, with the commands behind its magic lines."""
    cell = _CELL.match(text) if text.lstrip()[:2] == "%%" else None
    if cell is not None:
        _read_cell(cell, findings)
        return
    if "!" in text or "%" in text:
        text = _MAGIC.sub(lambda found: _read_line(found, findings), text)
    read_python(text, findings)


def _read_cell(cell: re.Match[str], findings: Findings) -> None:
    name, options, body = cell.groups()
    if name in _SHELL_MAGIC:
        findings.shell(Text(body))
    elif name in ("writefile", "file"):
        words = [word for word in options.split() if word != "-a"]
        findings.path("write", Text(words[0].strip("\"'")) if words else Text("$unknown", False))
    elif name in ("javascript", "js", "ruby", "perl"):
        read_lexically("javascript" if name == "js" else name, body, findings)
    else:
        read_notebook(body, findings)


def _read_line(found: re.Match[str], findings: Findings) -> str:
    indent, sign, rest = found.groups()
    if sign.startswith("!"):
        findings.shell(_line(rest))
    elif sign == "%":
        # WHY: a continued expression may start a line with `%`; only words that are magic count
        name, _, line = rest.strip().partition(" ")
        if name in _SHELL_MAGIC:
            findings.shell(_line(line))
        elif name in _PROGRAM_MAGIC or name in _FILE_COMMANDS:
            findings.shell(_line(rest.strip()))
        elif name in ("run", "load", "loadpy"):
            effects = frozenset({"executes"}) if name == "run" else frozenset()
            findings.path("read", _line(line.split(" ", 1)[0]), effects)
        elif not re.fullmatch(r"[a-z_]+", name) or rest.startswith(" "):
            return found.group()
    else:
        return found.group()
    return f"{indent}pass"


def _line(text: str) -> Text:
    """Return a magic line as shell text; ``{name}`` in it is Python's to fill."""
    filled = _FIELD.sub("$unknown", text)
    return Text(filled.strip(), known=True)
