"""PowerShell and Windows batch lines, read by their command words."""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.code.findings import NONE, UNKNOWN, Findings, Text

TOO_LONG: Final = "source too long to be analysed"
DOWNLOADED: Final = "runs text that it downloads or only knows at run time"

_SOURCE_CHARS_MAX: Final = 64 * 1024
_STATEMENT: Final = re.compile(r"[;\n|{}]|&&")
_WORD: Final = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[^\s,]+")
_COMMENT: Final = re.compile(
    r"<#.*?(?:#>|\Z)|(?m:^[ \t]*(?:#|rem\s|::)[^\n]*)", re.DOTALL | re.IGNORECASE
)
_URL: Final = re.compile(r"https?://[^\s'\")]+", re.IGNORECASE)
_DOWNLOAD: Final = re.compile(
    r"DownloadString|DownloadData|Invoke-WebRequest|Invoke-RestMethod|\biwr\b|\birm\b|\bcurl\b",
    re.IGNORECASE,
)
_EVALUATE: Final = re.compile(
    r"(?:^|[\s;|(&{])(?:Invoke-Expression|iex)\b|\[scriptblock\]::Create|-EncodedCommand\b|\s-enc?\s",
    re.IGNORECASE,
)
_WINDOWS_PATH: Final = re.compile(
    r"(?:^|[\s\"'=,;|&(])(?:[a-z]:|%[a-z]+%|\$env:\w+|\$home|~|\\)\\[^\s]", re.IGNORECASE
)
_SHELLS: Final = frozenset({"cmd", "powershell", "pwsh", "findstr", "certutil", "start"})
_VALUE_OPTIONS: Final = frozenset(
    {
        "-path",
        "-literalpath",
        "-filepath",
        "-destination",
        "-outfile",
        "-uri",
        "-argumentlist",
        "-name",
        "-value",
    }
)

_TOOLS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("remove-item", "rm", "ri", "del", "erase", "rd", "rmdir"), ("delete",)),
    **dict.fromkeys(("clear-content", "clear-item"), ("delete",)),
    **dict.fromkeys(("get-content", "gc", "type", "cat", "get-childitem", "gci"), ("read",)),
    **dict.fromkeys(("import-csv", "more", "certutil"), ("read",)),
    **dict.fromkeys(("set-content", "sc", "add-content", "ac", "out-file"), ("write",)),
    **dict.fromkeys(("new-item", "ni"), ("write",)),
    **dict.fromkeys(("copy-item", "copy", "cp", "xcopy", "robocopy"), ("read", "write")),
    **dict.fromkeys(("move-item", "move", "mv", "rename-item", "ren"), ("delete", "write")),
}  # fmt: skip
_EFFECTS: Final = {
    "format-volume": frozenset({"irreversible"}),
    "format": frozenset({"irreversible"}),
    "clear-disk": frozenset({"irreversible"}),
    "diskpart": frozenset({"irreversible"}),
    "remove-partition": frozenset({"irreversible"}),
    "vssadmin": frozenset({"irreversible"}),
    "cipher": frozenset({"irreversible"}),
    "stop-computer": frozenset({"halts"}),
    "restart-computer": frozenset({"halts"}),
    "shutdown": frozenset({"halts"}),
    "stop-process": frozenset({"kills"}),
    "taskkill": frozenset({"kills"}),
    "stop-service": frozenset({"kills"}),
    "set-executionpolicy": frozenset({"disables-security"}),
    "set-mppreference": frozenset({"disables-security"}),
    "add-mppreference": frozenset({"disables-security"}),
    "netsh": frozenset({"system-change"}),
    "bcdedit": frozenset({"system-change"}),
    "schtasks": frozenset({"persistence"}),
    "register-scheduledtask": frozenset({"persistence"}),
    "new-service": frozenset({"persistence"}),
    "new-localuser": frozenset({"accounts"}),
    "add-localgroupmember": frozenset({"accounts"}),
    "reg": frozenset({"system-change"}),
    "set-itemproperty": frozenset({"system-change"}),
    "new-itemproperty": frozenset({"system-change"}),
    "wevtutil": frozenset({"covers-tracks"}),
    "clear-eventlog": frozenset({"covers-tracks"}),
    "start-process": frozenset({"runs-code"}),
}
_REQUESTS: Final = frozenset(
    {
        "invoke-webrequest",
        "iwr",
        "invoke-restmethod",
        "irm",
        "curl",
        "wget",
        "start-bitstransfer",
        "certutil",
        "bitsadmin",
    }
)


def is_windows_line(text: str) -> bool:
    """True for a line of a program of Windows with a path of Windows: ``type %TEMP%/a``."""
    first = _WORD.search(text)
    if first is None or _WINDOWS_PATH.search(text) is None:
        return False
    name = _unquoted(first.group()).lower().removesuffix(".exe")
    return name in _TOOLS or name in _EFFECTS or name in _SHELLS


def read_powershell(text: str, findings: Findings) -> None:
    """Add what the lines of a PowerShell or batch script are seen to do."""
    if len(text) > _SOURCE_CHARS_MAX:
        findings.opaque(text[:200], TOO_LONG)
        return
    code = _COMMENT.sub(" ", text)
    for url in dict.fromkeys(_URL.findall(code)):
        findings.url(Text(url))
    if _EVALUATE.search(code):
        effects = (
            frozenset({"runs-downloaded"}) if _DOWNLOAD.search(code) else frozenset({"runs-code"})
        )
        findings.opaque(text[:400], DOWNLOADED, effects)
    for statement in _STATEMENT.split(code):
        _read_statement(statement, findings)


def _read_statement(statement: str, findings: Findings) -> None:
    words = [_unquoted(word) for word in _WORD.findall(statement)[:64]]
    while words and (words[0] in ("&", ".", "(") or words[0].startswith("$") or words[0] == "="):
        words = words[1:]
    if words and words[0].lower().removesuffix(".exe") == "cmd":  # `cmd /c type a` types a
        at = next((i for i, word in enumerate(words) if word[:2].lower() in ("/c", "/k")), 0)
        words = words[at + 1 :]
    if not words:
        return
    name = words[0].lower().removesuffix(".exe").lstrip("(")
    options = {word.lower() for word in words[1:] if word[:1] in "-/" and len(word) > 1}
    operands = _operands(words[1:], slashes="-" not in name)
    effects = _EFFECTS.get(name, NONE)
    if effects:
        findings.note(statement[:400], effects)
    if name in _REQUESTS and not any(_URL.search(word) for word in operands):
        findings.url(Text(operands[0], known=False) if operands else UNKNOWN)
    tools = _TOOLS.get(name, ())
    extra = NONE
    if options & {"-recurse", "-r", "/s", "-rec"}:
        extra |= {"recursive"}
    if options & {"-force", "/q", "/f", "-fo"}:
        extra |= {"force"}
    for index, tool in enumerate(tools):
        if index < len(operands):
            operand = operands[index]
            findings.path(tool, Text(operand, known="$" not in operand), extra)


def _operands(words: list[str], *, slashes: bool) -> list[str]:
    """Return the words that are no options; batch commands also write them as ``/s``."""
    found: list[str] = []
    for word in words:
        if word.lower() in _VALUE_OPTIONS or (word.startswith("-") and len(word) > 1):
            continue
        if slashes and re.fullmatch(r"/[a-zA-Z]{1,2}(?::\S*)?", word):
            continue
        found.append(word)
    return found


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word
