"""SQL → which statements destroy what they cannot bring back, and which run programs or use files.

Lexical: strings and comments are taken out first, so that text is never a statement.
"""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.code.findings import NONE, Findings, Text
from rampart.intercept.code.sql_clients import read_client_commands
from rampart.limits import CODE_BYTES_MAX

_TOKEN: Final = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\$\w*\$|[A-Za-z_]\w*|;|[^\s]",
    re.DOTALL,
)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_LITERAL: Final = ("'", '"', "`")
_SKIPPED: Final = ("--", "/*")

_DROPPED_TEXT: Final = """
TABLE DATABASE SCHEMA INDEX VIEW COLLECTION USER ROLE KEYSPACE TABLESPACE FUNCTION PROCEDURE
WAREHOUSE STAGE STREAM TASK CATALOG EVENT SERVER PUBLICATION SUBSCRIPTION POLICY DOMAIN SHARE PIPE
MODEL DICTIONARY PROJECTION KEYSPACE GRAPH SYNONYM PACKAGE
TRIGGER SEQUENCE MATERIALIZED OWNED COLUMN CONSTRAINT TYPE EXTENSION PARTITION LOGIN
"""
_DROPPED: Final = frozenset(_DROPPED_TEXT.split())
_PROGRAMS: Final = frozenset(
    {"XP_CMDSHELL", "SYS_EXEC", "SYS_EVAL", "LOAD_EXTENSION", "DBMS_SCHEDULER"}
)
_READERS: Final = frozenset(
    {"LOAD_FILE", "PG_READ_FILE", "PG_READ_BINARY_FILE", "PG_LS_DIR", "READFILE"}
)
_WRITERS: Final = frozenset({"LO_EXPORT", "WRITEFILE", "PG_WRITE_FILE"})
_SECRET_NAMES: Final = frozenset(
    {"PG_AUTHID", "PG_SHADOW", "ROLPASSWORD", "AUTHENTICATION_STRING", "SQL_LOGINS", "DBA_USERS"}
)
"""Columns and tables in which databases keep the passwords of their users."""
_DESTRUCTIVE: Final = frozenset({"FLUSHALL", "FLUSHDB"})
_SERVERS_PROGRAM: Final = frozenset({"runs-code", "remote", "system-change"})
_GRANTING: Final = frozenset({"GRANT", "REVOKE"})


def read_sql(text: str, findings: Findings) -> None:
    """Add what the statements of SQL ``text`` destroy, run, read and write to ``findings``."""
    if len(text) > CODE_BYTES_MAX:
        findings.opaque(text[:200], "source too long to be analysed")
        return
    read_client_commands(text, findings)
    statement: list[str] = []
    budget = findings.setting.host.budget
    for found in _TOKEN.finditer(text):
        if budget is not None:
            budget.spend(1)
        piece = found.group()
        if piece == ";":
            _read_statement(statement, findings)
            statement = []
        elif not piece.startswith(_SKIPPED):
            statement.append(piece)
    _read_statement(statement, findings)


def _read_statement(tokens: list[str], findings: Findings) -> None:
    if not tokens:
        return
    words = [piece.upper() if _WORD.fullmatch(piece) else piece for piece in tokens]
    if words[0] in ("EXPLAIN", "WITH", "BEGIN", "(") or words[:2] == ["EXPLAIN", "ANALYZE"]:
        words = _inner(words)
    effects = _effects(words)
    if effects:
        findings.note(" ".join(tokens)[:400], effects)
    _files(words, tokens, findings)


def _inner(words: list[str]) -> list[str]:
    """Return the statement from the verb that a ``WITH`` or ``BEGIN`` leads to."""
    verbs = ("DELETE", "UPDATE", "DROP", "TRUNCATE", "INSERT")
    return next((words[index:] for index, word in enumerate(words) if word in verbs), words)


def _effects(words: list[str]) -> frozenset[str]:
    first = words[0]
    rest = frozenset(words)
    if rest & _SECRET_NAMES:
        return frozenset({"credential"})
    if first == "DROP" and rest & _DROPPED:
        return frozenset({"irreversible"})
    if first == "TRUNCATE" or first in _DESTRUCTIVE:
        return frozenset({"irreversible"})
    if first == "ALTER" and "DROP" in rest:
        return frozenset({"irreversible"})
    if first in ("DELETE", "UPDATE") and _is_unbounded(words):
        return frozenset({"irreversible", "recursive"})
    if words[:2] in (["ALTER", "SYSTEM"], ["SET", "GLOBAL"]):
        return frozenset({"system-change"})
    if first in _GRANTING or (first in ("CREATE", "ALTER") and rest & {"USER", "ROLE", "LOGIN"}):
        return frozenset({"accounts"})
    return NONE


def _is_unbounded(words: list[str]) -> bool:
    """True without WHERE, or with one that every row meets: ``1=1``, ``TRUE``, ``'a'='a'``."""
    if words[0] == "UPDATE" and "SET" not in words:
        return False
    if words[0] == "DELETE" and not ("FROM" in words or len(words) < 3):
        return False
    if "WHERE" not in words:
        return "LIMIT" not in words
    rest = words[words.index("WHERE") + 1 :]
    equal = len(rest) == 3 and rest[1] == "=" and rest[0] == rest[2]
    return equal or rest in (["TRUE"], ["1"])


def _files(words: list[str], tokens: list[str], findings: Findings) -> None:
    for index, word in enumerate(words):
        literal = _literal_after(tokens, index)
        if word in _PROGRAMS or (word == "PROGRAM" and "COPY" in words):
            if literal:
                findings.note(f"{word} {literal}", _SERVERS_PROGRAM)
                findings.shell(Text(literal))
            else:
                findings.program_unknown(word)
        elif word in _READERS and literal:
            findings.path("read", Text(literal))
        elif (word in _WRITERS and literal) or (word in ("OUTFILE", "DUMPFILE") and literal):
            findings.path("write", Text(literal))
        elif word == "INFILE" and literal:
            findings.path("read", Text(literal))
        elif (
            words[0] == "COPY"
            and word in ("FROM", "TO")
            and literal
            and tokens[index + 1][0] == "'"
        ):
            findings.path("read" if word == "FROM" else "write", Text(literal))
        elif word in ("ATTACH", "BACKUP") and literal:
            findings.path("write", Text(literal))


def _literal_after(tokens: list[str], index: int) -> str:
    for piece in tokens[index + 1 : index + 4]:
        if piece[0] in _LITERAL and len(piece) > 1:
            return piece[1:-1].replace("''", "'")
        if piece not in ("(", "DATABASE", "database"):
            return ""
    return ""
