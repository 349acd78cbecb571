"""awk and sed programs → the commands they run and the files they use."""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.code.findings import UNKNOWN, Findings, Text
from rampart.intercept.code.quoting import unescape

_AWK_TOKEN: Final = re.compile(
    r"#[^\n]*|(?<=[~(,!&|;{\s])/(?:[^/\\\n]|\\.)++/|\"(?:[^\"\\\n]|\\.)*+\"|[A-Za-z_]\w*|>>|\|&|\|\||\S|\n"
)
_STREAMS: Final = frozenset({"/dev/stderr", "/dev/stdout", "/dev/stdin", "-"})
_NETWORK: Final = re.compile(r"/inet[46]?/(?:tcp|udp)/[^/\"]*/([^/\"]+)/([^/\"\s]+)")
_NETWORK_DYNAMIC: Final = re.compile(r"/inet[46]?/(?:tcp|udp)/")

_SOURCE_CHARS_MAX: Final = 64 * 1024

_SED_FILE: Final = re.compile(r"([rRwW])[ \t]*([^\n;}]+)")
_SED_ADDRESS: Final = re.compile(
    r"(?:\d+(?:~\d+)?|\$|/(?:[^/\\\n]|\\.)*/[IM]*|\\(.)(?:(?!\1)[^\\\n]|\\.)*\1[IM]*)"
    r"(?:\s*,\s*(?:[+~]?\d+|\$|/(?:[^/\\\n]|\\.)*/[IM]*))?\s*!?\s*"
)
_SED_SUBSTITUTE: Final = re.compile(r"([sy])([^\w\s\\])", re.DOTALL)
_SED_FLAGS: Final = re.compile(r"[gpiIMm0-9]*([ew]?)[gpiIMme0-9]*(?:[ \t]+([^\n;}]+))?")


_AWK_HOME: Final = re.compile(r'ENVIRON\[\s*"HOME"\s*\]')


def read_awk(text: str, findings: Findings) -> None:
    """Add the commands, files and connections of an awk program."""
    if len(text) > _SOURCE_CHARS_MAX:
        findings.opaque(text[:200], "source too long to be analysed")
        return
    text = _AWK_HOME.sub('"~"', text)
    tokens = [word for word in _AWK_TOKEN.findall(text) if word[0] not in "#/" or word == "/"]
    printing = False
    for index, word in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        if word in ("print", "printf"):
            printing = True
        elif word in (";", "\n", "}"):
            printing = False
        elif word == "system" and following == "(":
            closed = tokens[index + 3 : index + 4] == [")"]
            _run(tokens[index + 2] if closed else "", findings)
        elif word in ("|", "|&") and following == "getline":
            _run(tokens[index - 1] if index else "", findings)
        elif word in ("|", "|&") and printing:
            _run(following, findings)
        elif word in (">", ">>") and printing and following.startswith('"'):
            _use_file("w", _joined(tokens, index + 1), findings)
        elif word == "<" and "getline" in tokens[max(index - 3, 0) : index]:
            _use_file("r", _joined(tokens, index + 1), findings)
    _connect(text, findings)


def _joined(tokens: list[str], start: int) -> str:
    """Return the text of the strings that stand side by side, as awk joins them."""
    end = start
    while end < len(tokens) and tokens[end].startswith('"'):
        end += 1
    words = tokens[start : max(end, start + 1)]
    return "".join(unescape(word.strip('"')) for word in words)


def _run(word: str, findings: Findings) -> None:
    if not word.startswith('"'):
        findings.program_unknown(word)
    elif not _NETWORK_DYNAMIC.match(word[1:]):
        findings.shell(Text(unescape(word[1:-1])))


def _connect(text: str, findings: Findings) -> None:
    named = False
    for found in _NETWORK.finditer(text):
        named = True
        findings.url(Text(f"tcp://{found.group(1)}:{found.group(2)}"), frozenset({"raw-socket"}))
    if not named and _NETWORK_DYNAMIC.search(text):
        findings.url(UNKNOWN, frozenset({"raw-socket"}))


def read_sed(text: str, findings: Findings) -> None:
    """Add the commands that a sed script runs and the files it reads and writes."""
    if len(text) > _SOURCE_CHARS_MAX:
        findings.opaque(text[:200], "source too long to be analysed")
        return
    position = 0
    while position < len(text):
        position = _read_sed_command(text, position, findings)


def _read_sed_command(text: str, position: int, findings: Findings) -> int:
    """Read one command and return where the next one starts."""
    if text[position] in " \t\n;{}":
        return position + 1
    address = _SED_ADDRESS.match(text, position)
    if address is not None and address.end() > position:
        return address.end()
    letter = text[position]
    if letter in "sy":
        return _read_substitution(text, position, findings)
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    if letter == "e":
        command = text[position + 1 : end].strip()
        if command:
            findings.shell(Text(command))
        else:
            findings.program_unknown("sed e")
        return end
    if letter in "rRwW":
        found = _SED_FILE.match(text, position)
        if found is not None:
            _use_file(letter, found.group(2), findings)
            return found.end()
    if letter in "aic#:":
        return end
    return position + 1


def _read_substitution(text: str, position: int, findings: Findings) -> int:
    found = _SED_SUBSTITUTE.match(text, position)
    if found is None:
        return position + 1
    end = found.end()
    for _ in range(2):
        end = _after_delimiter(text, end, found.group(2))
    flags = _SED_FLAGS.match(text, end)
    if flags is None or found.group(1) == "y":
        return max(end, position + 1)
    letters = flags.group().split(" ")[0].split("\t")[0]
    if "e" in letters:
        findings.program_unknown(text[position : flags.end()])
    if flags.group(1) == "w" and flags.group(2):
        _use_file("w", flags.group(2), findings)
        return flags.end()
    return max(end + len(letters), position + 1)


def _after_delimiter(text: str, position: int, delimiter: str) -> int:
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == delimiter:
            return position + 1
        else:
            position += 1
    return len(text)


def _use_file(letter: str, path: str, findings: Findings) -> None:
    if path.strip() not in _STREAMS:
        findings.path("read" if letter in "rR" else "write", Text(path.strip()))
