"""Hints: what the names of tools and parameters nobody knows say about what they do.

A hint only adds actions of origin ``argument``, which tighten and never grant.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rampart.intercept.params import CODE_NAMES, plain_name
from rampart.limits import NAME_CHARS_MAX, PATH_BYTES_MAX, URL_BYTES_MAX

_PARTS: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_DELETES: Final = frozenset(
    {"delete", "remove", "rm", "unlink", "trash", "purge", "erase", "destroy", "rmdir", "wipe"}
)
_EDITS: Final = frozenset({"edit", "editor", "replace", "patch", "modify", "insert", "multiedit"})
_WRITES: Final = frozenset(
    {"write", "create", "save", "append", "put", "update", "set", "touch", "mkdir", "make", "store"}
    | {"push", "commit"}
    | {"download", "export", "dump", "generate", "overwrite", "add"}
)
_MOVES: Final = frozenset({"move", "rename", "mv"})
_COPIES: Final = frozenset({"copy", "cp", "link", "symlink", "duplicate"})
_UPLOADS: Final = frozenset({"upload", "publish", "share", "send", "attach"})
_INSTALLS: Final = frozenset({"install", "sideload"})
_THROUGHOUT: Final = frozenset({"search", "grep", "tree", "archive", "zip", "compress", "tar"})
"""What a tool does with all that is below the directory that it gets."""
_FILES: Final = frozenset({"file", "files", "document", "documents"})
_DIRECTORIES: Final = frozenset(
    {"directory", "directories", "dir", "folder", "folders", "tree", "rmtree", "rmdir"}
)
_STORES: Final = frozenset(
    {"github", "gitlab", "bitbucket", "gdrive", "drive", "dropbox", "onedrive", "sharepoint", "box"}
    | {"s3", "gcs", "azure", "blob", "minio", "supabase", "firebase", "sftp", "ftp"}
)
_OWN_NAMES: Final = """
kubectl helm docker git gh aws gcloud az terraform tofu pulumi psql mongosh heroku ssh sudo
"""
_PROGRAMS: Final = {name: name for name in _OWN_NAMES.split()} | {
    "redis": "redis-cli",
    "k8s": "kubectl",
}
"""Tools that are named after a program and get the words after its name."""
_NONE: Final[frozenset[str]] = frozenset()

_SOURCE_NAMES: Final = frozenset({"source", "src", "from", "old", "oldpath", "sourcepath"})
_TARGET_NAMES: Final = frozenset(
    {
        "destination",
        "dest",
        "dst",
        "to",
        "new",
        "newpath",
        "destinationpath",
        "targetpath",
        "output",
    }
    | {"outputpath", "outputfile", "outfile", "saveto", "savepath"}
)
_COMMAND_KEYS: Final = frozenset(
    {"command", "cmd", "commandline", "shellcommand", "bashcommand", "shell", "bash", "commands"}
)
_COMMAND_TOOLS: Final = frozenset(
    {"exec", "execute", "shell", "bash", "terminal", "command", "run", "sh", "process", "spawn"}
)
_PATH_PARTS: Final = frozenset(
    {"path", "paths", "file", "files", "filename", "filepath", "directory", "dir", "folder"}
    | {"pathname", "filenames"}
)
_URL_PARTS: Final = frozenset(
    {"url", "urls", "uri", "endpoint", "link", "href", "webhook", "website", "site", "baseurl"}
    | {"target", "address", "server", "host", "hostname", "domain", "origin", "proxy", "callback"}
)
_QUERY_KEYS: Final = frozenset({"query", "sql", "statement", "queries"})
_SEARCHES: Final = frozenset(
    {"search", "docs", "documentation", "web", "wiki", "wikipedia", "google", "bing", "brave"}
    | {"tavily", "lookup", "ask", "faq", "help", "knowledge", "arxiv", "library", "question"}
)
_DATABASES: Final = frozenset(
    {"sql", "db", "database", "postgres", "postgresql", "mysql", "mariadb", "sqlite", "bigquery"}
    | {"snowflake", "clickhouse", "duckdb", "redshift", "mssql", "supabase", "warehouse", "neon"}
)
_EDITOR_COMMANDS: Final = frozenset(
    {"view", "create", "str_replace", "insert", "undo_edit", "delete", "rename", "read", "write"}
)
_LANGUAGES: Final = {
    "python": "python",
    "py": "python",
    "ipython": "python",
    "jupyter": "python",
    "notebook": "python",
    "node": "javascript",
    "javascript": "javascript",
    "js": "javascript",
    "typescript": "javascript",
    "ruby": "ruby",
    "perl": "perl",
    "php": "php",
    "bash": "shell",
    "shell": "shell",
    "sql": "sql",
    "powershell": "powershell",
    "lua": "lua",
}

_PLAIN_PATH: Final = re.compile(r"(?:~[\w.-]*|\$HOME|\$\{HOME\})?(?:/[^\0\n\s]+)+/?|~/?|/")
_WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:\\[^\n\0<>|\"]+")
_HOST_TEXT: Final = re.compile(
    r"(?:[\w-]+\.)+[A-Za-z]{2,}(?::\d+)?(?:/\S*)?|localhost(?::\d+)?(?:/\S*)?"
    r"|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\S*)?|\[[0-9A-Fa-f:.]+\](?::\d+)?(?:/\S*)?"
)
_VERB_CHARS_MAX: Final = 200  # a verb, and what may stand between it and what it is about
_SQL: Final = re.compile(
    r"\s*(?:--|/\*|(?:\(\s*)?(?:DROP|TRUNCATE|DELETE|UPDATE|INSERT|ALTER|GRANT|REVOKE|CREATE|COPY"
    r"|SELECT|WITH|ATTACH|BEGIN|COMMIT|ROLLBACK|START\s+TRANSACTION|EXEC|EXECUTE|CALL|EXPLAIN"
    r"|FLUSHALL|FLUSHDB|MERGE\s+INTO|SET\s+\w+\s*=|USE\s+\w+\s*;)(?!\w))",
    re.IGNORECASE,
)


def words_of(name: str) -> tuple[str, ...]:
    """Return the lower-case words of a name: ``readFile``, ``read_file`` and ``read-file``."""
    return _words(name[:NAME_CHARS_MAX])


@lru_cache(maxsize=2048)
def _words(name: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in _PARTS.split(name) if part)


def file_tool(tool: str, key: str, command: str = "") -> str:
    """Return what a tool of this name does to the file that its parameter ``key`` names."""
    plain = plain_name(key)
    words = frozenset(words_of(tool))
    if command in _EDITOR_COMMANDS:
        return {"view": "read", "read": "read", "create": "write", "write": "write"}.get(
            command, "delete" if command == "delete" else "edit"
        )
    if plain in _TARGET_NAMES:
        return "write"
    if words & _DELETES:
        return "delete"
    if words & _MOVES:
        return "delete" if plain in _SOURCE_NAMES or plain in ("path", "file") else "write"
    if words & _COPIES and plain in _SOURCE_NAMES:
        return "read"
    if words & _EDITS:
        return "edit"
    if words & _WRITES and not words & {"upload"}:
        return "write"
    return "read"


def effects_of(tool: str) -> frozenset[str]:
    """Return the effects that a tool's name announces for the files that it is given."""
    words = frozenset(words_of(tool))
    effects = frozenset({"uploads"}) if words & _UPLOADS else _NONE
    if (words & _DIRECTORIES and words & _DELETES) or words & _THROUGHOUT:
        effects |= {"recursive"}
    return effects | {"installs", "executes"} if words & _INSTALLS else effects


@lru_cache(maxsize=2048)  # WHY: an agent has few tools and calls them often
def deletes_files(tool: str) -> bool:
    """True if a tool's name says that it removes files or directories."""
    words = frozenset(words_of(tool))
    return bool(words & (_DELETES | {"deletes"}) and words & (_FILES | _DIRECTORIES))


def is_elsewhere(tool: str) -> bool:
    """True if the files of a tool of this name are another machine's: a forge, a cloud store."""
    return bool(frozenset(words_of(tool)) & _STORES)


def program_of(tool: str) -> str:
    """Return the program whose words a tool of this name gets, or nothing."""
    return next((_PROGRAMS[word] for word in words_of(tool) if word in _PROGRAMS), "")


def is_path_key(key: str) -> bool:
    """True if a parameter of this name holds a path."""
    words = words_of(key)
    plain = plain_name(key)
    return bool(words) and (
        words[-1] in _PATH_PARTS or plain in _PATH_PARTS or plain in _SOURCE_NAMES | _TARGET_NAMES
    )


def is_plain_path(text: str) -> bool:
    """True if a text is an absolute path or one under a home directory, and nothing else."""
    if len(text) > PATH_BYTES_MAX:
        return False
    return _PLAIN_PATH.fullmatch(text) is not None or _WINDOWS_PATH.fullmatch(text) is not None


def is_url_key(key: str) -> bool:
    """True if a parameter of this name may hold an address."""
    words = words_of(key)
    return bool(words) and (words[-1] in _URL_PARTS or plain_name(key) in _URL_PARTS)


def is_address(text: str) -> bool:
    """True if a text without a scheme can be an address: a domain name, an IP address."""
    # WHY: the beginning tells; a longer address is refused when it is read
    return _HOST_TEXT.fullmatch(text[:URL_BYTES_MAX]) is not None


def is_command(tool: str, key: str, text: str) -> bool:
    """True if a parameter of this name is text for a shell."""
    plain = plain_name(key)
    if plain in _COMMAND_KEYS or words_of(key)[-1:] in (("command",), ("cmd",)):
        return not (text in _EDITOR_COMMANDS and frozenset(words_of(tool)) & (_EDITS | {"file"}))
    if plain in ("args", "arguments", "argv", "subcommand") and program_of(tool):
        return True
    return plain in ("script", "input", "line") and bool(frozenset(words_of(tool)) & _COMMAND_TOOLS)


def language_of(tool: str, key: str, text: str, language: str) -> str:
    """Return the language if a parameter of this name is source text, else nothing."""
    plain = plain_name(key)
    if plain == "sql":
        return "sql"
    if plain in _QUERY_KEYS:
        words = frozenset(words_of(tool))
        if words & _SEARCHES and not words & _DATABASES:
            return ""  # WHY: `drop table syntax` is a question to a search engine
        return "sql" if _SQL.match(text.lstrip()[:_VERB_CHARS_MAX]) else ""
    if plain in _LANGUAGES:
        return _LANGUAGES[plain]
    if plain in CODE_NAMES or plain == "script":
        return language or _language_named(tool)
    if plain in ("input", "query", "cell", "expression"):
        return _language_named(tool) or ("python" if plain == "expression" and "__" in text else "")
    return ""


def _language_named(tool: str) -> str:
    return next((_LANGUAGES[word] for word in words_of(tool) if word in _LANGUAGES), "")
