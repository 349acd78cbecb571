"""One source text in some language → the actions of origin ``code`` that running it would bring."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from rampart.errors import InputTooLarge
from rampart.intercept.catalog.load import Catalog
from rampart.intercept.code.editing import read_awk, read_sed
from rampart.intercept.code.findings import Findings, LineReader, Setting, Text
from rampart.intercept.code.lexical import read_lexically
from rampart.intercept.code.notebook import read_notebook
from rampart.intercept.code.powershell import read_powershell
from rampart.intercept.code.sql import read_sql
from rampart.limits import CODE_BYTES_MAX
from rampart.model import Action, Host

UNKNOWN_LANGUAGE: Final = "source in a language that is not understood"

_NOT_NAME: Final = re.compile(r"[^a-z+#]+")
_ALIASES: Final = {
    "py": "python",
    "ipython": "python",
    "pypy": "python",
    "jupyter": "python",
    "cpython": "python",
    "pycon": "python",
    "uv": "python",
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
    "deno": "javascript",
    "bun": "javascript",
    "ts": "javascript",
    "tsx": "javascript",
    "typescript": "javascript",
    "ecmascript": "javascript",
    "rb": "ruby",
    "irb": "ruby",
    "jruby": "ruby",
    "pl": "perl",
    "luajit": "lua",
    "gawk": "awk",
    "mawk": "awk",
    "nawk": "awk",
    "golang": "go",
    "rscript": "r",
    "jl": "julia",
    "matlab": "octave",
    "ex": "elixir",
    "exs": "elixir",
    "iex": "elixir",
    "pwsh": "powershell",
    "ps": "powershell",
    "cmd": "powershell",
    "bat": "powershell",
    "batch": "powershell",
    "dos": "powershell",
    "sh": "shell",
    "bash": "shell",
    "zsh": "shell",
    "dash": "shell",
    "ksh": "shell",
    "console": "shell",
    "terminal": "shell",
    "shellscript": "shell",
    "psql": "sql",
    "mysql": "sql",
    "mariadb": "sql",
    "sqlite": "sql",
    "postgres": "sql",
    "postgresql": "sql",
    "plsql": "sql",
    "tsql": "sql",
    "cql": "sql",
    "hiveql": "sql",
    "redis": "sql",
}
_READERS: Final[dict[str, Callable[[str, Findings], None]]] = {
    "python": read_notebook,
    "sql": read_sql,
    "awk": read_awk,
    "sed": read_sed,
    "powershell": read_powershell,
    "shell": lambda text, findings: findings.shell(Text(text)),
}
_LEXICAL: Final = frozenset(
    {"javascript", "ruby", "perl", "php", "lua", "go", "r", "c", "julia", "octave", "elixir"}
)
# Languages of data: there is nothing to run in them.
_DATA: Final = frozenset(
    {"json", "yaml", "yml", "toml", "xml", "html", "css", "text", "txt", "plain", "markdown", "md"}
    | {"csv", "diff", "jq", "bc", "dc", "regex", "graphql"}
)
_FILENAME: Final = re.compile(
    r"\s*(?:#|//|--|<!--|/\*)\s*file ?name:[ \t]*([^\s*>]+)", re.IGNORECASE
)


def canonical_language(language: str) -> str:
    """Return the name that this package uses, such as ``python`` or ``shell``."""
    name = _NOT_NAME.sub("", language.strip().lower())
    return _ALIASES.get(name, name)


_SOURCE_US: Final = 20  # what reading source costs, beside what it does
_CHARS_PER_US: Final = 20


def source_actions(
    language: str,
    text: str,
    host: Host,
    *,
    cwd: str | None,
    depth: int,
    catalog: Catalog | None = None,
) -> list[Action]:
    """Return what running ``text`` would do, as far as the text decides it.

    ``cwd`` is where it runs: empty for the host's, None if it cannot be known. ``depth`` counts the
    texts around this one. ``catalog`` knows the programs that it starts, None for the built-in one.
    What is dangerous in kind and only known at run time is ``opaque``; a program that does nothing
    to files, hosts or programs has no actions.

    Raises: InputTooLarge over CODE_BYTES_MAX, or for more than ACTIONS_MAX actions.
    """
    if len(text) > CODE_BYTES_MAX or (
        len(text) * 4 > CODE_BYTES_MAX
        and not text.isascii()
        and len(text.encode("utf-8", "surrogatepass")) > CODE_BYTES_MAX
    ):
        raise InputTooLarge(f"source of over {CODE_BYTES_MAX} bytes")
    findings = Findings(Setting(host, cwd, depth, _line_reader(catalog)))
    if host.budget is not None:
        host.budget.spend(_SOURCE_US + len(text) // _CHARS_PER_US)
    named = _FILENAME.match(text)
    if named is not None:
        findings.path("write", Text(named.group(1)))
    name = canonical_language(language)
    reader = _READERS.get(name)
    if reader is not None:
        reader(text, findings)
    elif name in _LEXICAL:
        read_lexically(name, text, findings)
    elif name not in _DATA:
        findings.opaque(text, UNKNOWN_LANGUAGE)
    return findings.result()


def _line_reader(catalog: Catalog | None) -> LineReader:
    # WHY: a command line holds source and source holds command lines; the two readers meet here
    from rampart.intercept import commands

    return commands if catalog is None else commands.Lines(catalog)
