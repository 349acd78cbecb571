"""What plain commands print: `echo`, `printf`, `cat`, `base64 -d`, `tr`, `rev`, `xxd`.

Only what every shell prints alike has a known output; None means that it is not known.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Final

from rampart.intercept.shell import escapes
from rampart.intercept.shell.model import Command
from rampart.limits import COMMAND_BYTES_MAX

_DIRECTIVE: Final = re.compile(r"%(%|[-+ #0]*[0-9]*(?:\.[0-9]+)?[bsdiuoxXc])")
_REPEATS_MAX: Final = 1000  # LIMIT: a format that is used more often has no known output
_CLASSES: Final = {
    "[:upper:]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "[:lower:]": "abcdefghijklmnopqrstuvwxyz",
    "[:digit:]": "0123456789",
    "[:space:]": "\t\n\v\f\r ",
}
_NOT_OF_A_SET: Final = re.compile(r"\[[:=.]|\[.\*")


def printed(command: Command, given: str | None) -> str | None:
    """Return what ``command`` prints when it reads ``given``; None if that is not known."""
    words = command.words
    if not words:
        return "" if not command.redirects else None
    if not all(word.known and not word.glob for word in words):
        return None
    arguments = [word.text for word in words[1:]]
    name = words[0].text
    if name in ("command", "builtin") and arguments and arguments[0][:1] != "-":
        name, arguments = arguments[0], arguments[1:]
    maker = _MAKERS.get(name)
    if any("<" not in redirect.op and redirect.fd in (None, 1) for redirect in command.redirects):
        return None
    if maker is not None:
        return _bounded(maker(arguments))
    change = _FILTERS.get(name.rpartition("/")[2])
    text = _input(command, given)
    return None if change is None or text is None else _bounded(change(arguments, text))


def _bounded(text: str | None) -> str | None:
    return None if text is None or len(text) > COMMAND_BYTES_MAX or "\0" in text else text


def _input(command: Command, given: str | None) -> str | None:
    for redirect in command.redirects:
        if "<" not in redirect.op:
            continue
        if redirect.op not in ("<<", "<<-", "<<<") or redirect.fd not in (None, 0):
            return None
        if not redirect.target.known:
            return None
        given = redirect.target.text + ("\n" if redirect.op == "<<<" else "")
    return given


def echo(arguments: Sequence[str]) -> str | None:
    """Return the output of ``echo``; shells differ in escapes without ``-e``."""
    newline, escaped, at = "\n", None, 0
    while at < len(arguments) and re.fullmatch(r"-[neE]+", arguments[at]):
        for flag in arguments[at][1:]:
            if flag == "n":
                newline = ""
            else:
                escaped = flag == "e"
        at += 1
    text = " ".join(arguments[at:])
    if "\\" not in text or escaped is False:
        return text + newline
    if escaped is None:
        return None
    shown, stopped = escapes.echo(text)
    return shown + ("" if stopped else newline)


def printf(arguments: Sequence[str]) -> str | None:
    """Return the output of ``printf``."""
    given = list(arguments)
    if given and given[0] == "--":
        given.pop(0)
    if not given or given[0][:1] == "-":
        return None
    template, rest = given[0], given[1:]
    if re.search(r"%(?!%|[-+ #0]*[0-9]*(?:\.[0-9]+)?[bsdiuoxXc])", template):
        return None
    pieces: list[str] = []
    for _ in range(_REPEATS_MAX):
        before = len(rest)
        if not _format(template, rest, pieces):
            return None
        if not rest or len(rest) == before:
            return "".join(pieces)
    return None


def _format(template: str, rest: list[str], pieces: list[str]) -> bool:
    """Use the template once; False if its output is not known."""
    at = 0
    for match in _DIRECTIVE.finditer(template):
        pieces.append(escapes.printf(template[at : match.start()]))
        at = match.end()
        directive = match.group(1)
        if directive == "%":
            pieces.append("%")
            continue
        text = rest.pop(0) if rest else ""
        kind = directive[-1]
        if kind == "b":
            text, stopped = escapes.echo(text)
            if stopped:
                return False
        elif kind == "c":
            text = text[:1]
        elif kind != "s":
            if not re.fullmatch(r"[-+]?[0-9]{0,18}", text) or (text[:1] == "0" and text != "0"):
                return False
            text = _number(kind, int(text or "0"))
        if len(directive) > 1:
            if kind in "diuoxX" or not re.fullmatch(r"-?[0-9]{0,3}(?:\.[0-9]{1,3})?.", directive):
                return False
            text = ("%" + directive[:-1] + "s") % text
        pieces.append(text)
    pieces.append(escapes.printf(template[at:]))
    return True


def _number(kind: str, value: int) -> str:
    if kind in "diu":
        return str(value)
    return format(value & 0xFFFFFFFFFFFFFFFF, kind)


def _cat(arguments: Sequence[str], given: str) -> str | None:
    return given if all(argument == "-" for argument in arguments) else None


def _base64(arguments: Sequence[str], given: str) -> str | None:
    if not arguments or any(a not in ("-d", "-D", "--decode", "-di", "-i") for a in arguments):
        return None
    try:
        return base64.b64decode("".join(given.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _xxd(arguments: Sequence[str], given: str) -> str | None:
    if sorted(arguments) not in (["-p", "-r"], ["-r", "-ps"], ["-ps", "-r"]) and list(
        arguments
    ) not in (["-rp"], ["-pr"]):
        return None
    digits = "".join(given.split())
    try:
        return bytes.fromhex(digits).decode("utf-8")
    except ValueError:
        return None


def _rev(arguments: Sequence[str], given: str) -> str | None:
    return None if arguments else "\n".join(line[::-1] for line in given.split("\n"))


def _tr(arguments: Sequence[str], given: str) -> str | None:
    if len(arguments) != 2:
        return None
    if arguments[0] == "-d":
        removed = _set(arguments[1])
        return None if removed is None else given.translate(dict.fromkeys(map(ord, removed)))
    if arguments[0].startswith("-"):
        return None
    old, new = _set(arguments[0]), _set(arguments[1])
    if not old or not new:
        return None
    new += new[-1] * (len(old) - len(new))
    table: dict[int, str] = {}
    for index, char in enumerate(old):
        table[ord(char)] = new[index]
    return given.translate(table)


def _set(text: str) -> str | None:
    """Return the characters that an argument of ``tr`` names."""
    if text in _CLASSES:
        return _CLASSES[text]
    if _NOT_OF_A_SET.search(text):
        return None
    text = escapes.printf(text)
    found, at = "", 0
    while at < len(text):
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            first, last = ord(text[at]), ord(text[at + 2])
            if last < first or last - first > 256:
                return None
            found += "".join(map(chr, range(first, last + 1)))
            at += 3
        else:
            found += text[at]
            at += 1
    return found


_MAKERS: Final[dict[str, Callable[[Sequence[str]], str | None]]] = {
    "echo": echo,
    "printf": printf,
    "true": lambda _: "",
    ":": lambda _: "",
}
_FILTERS: Final[dict[str, Callable[[Sequence[str], str], str | None]]] = {
    "cat": _cat,
    "base64": _base64,
    "tr": _tr,
    "rev": _rev,
    "xxd": _xxd,
}
