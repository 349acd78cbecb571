"""What a command of a line prints or reads, where its words alone say so.

Text that is piped into a shell is a program. If it is known, it is read as one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from rampart.intercept.shell.model import Script, Word
from rampart.intercept.shell.output import printed as shell_printed
from rampart.limits import COMMAND_BYTES_MAX, EXPANSION_WORDS_MAX


class Outputs:
    """What the commands of one script print, each worked out once."""

    def __init__(self, script: Script) -> None:
        self.commands = script.commands
        self._known: dict[int, str | None] = {}

    def of(self, index: int) -> str | None:
        """Return what command ``index`` passes on through a pipe, or None if that is not known."""
        if index not in self._known:
            redirects = self.commands[index].redirects
            outward = any("<" not in redirect.op for redirect in redirects)
            self._known[index] = None if outward else self.printed(index)
        return self._known[index]

    def printed(self, index: int) -> str | None:
        """Return what command ``index`` prints, wherever that goes, or None."""
        command = self.commands[index]
        if not command.words:
            return None
        given = self.given(index)
        change = _FILTERS.get(command.words[0].text.rpartition("/")[2])
        if change is None:
            return shell_printed(replace(command, redirects=()), given)
        if given is None or not all(word.known for word in command.words):
            return None
        text = change([word.text for word in command.words[1:]], given)
        return (
            text
            if text is not None and len(text) <= COMMAND_BYTES_MAX and "\0" not in text
            else None
        )

    def given(self, index: int) -> str | None:
        """Return what command ``index`` reads from standard input, or None if that is not known."""
        command = self.commands[index]
        for redirect in reversed(command.redirects):
            if redirect.op in ("<", "<>", "<&") and redirect.fd in (None, 0):
                return None
            if redirect.op in ("<<", "<<-", "<<<") and redirect.fd in (None, 0):
                target = redirect.target
                return (target.text + "\n" * (redirect.op == "<<<")) if target.known else None
        if not command.upstream:
            return None
        # INVARIANT: a parsed command reads only from earlier ones, so this ends
        texts = [self.of(source) if source < index else None for source in command.upstream]
        if None in texts:
            return None
        joined = "".join(text for text in texts if text is not None)
        return joined if len(joined) <= COMMAND_BYTES_MAX else None


def _openssl(words: list[str], given: str) -> str | None:
    if words[:1] not in (["base64"], ["enc"]) or "-d" not in words or {"-in", "-out"} & set(words):
        return None
    if words[0] == "enc" and not {"-base64", "-a"} & set(words):
        return None
    return _decoded(base64.b64decode, given)


def _base32(words: list[str], given: str) -> str | None:
    return _decoded(base64.b32decode, given) if words in (["-d"], ["--decode"]) else None


def _decoded(decode: Callable[[str], bytes], given: str) -> str | None:
    try:
        return decode("".join(given.split())).decode("utf-8")
    except (ValueError, binascii.Error):
        return None


def _tee(_words: list[str], given: str) -> str:
    return given


_FILTERS: Final[dict[str, Callable[[list[str], str], str | None]]] = {
    "base32": _base32,
    "openssl": _openssl,
    "tee": _tee,
}


def find_targets(words: Sequence[Word]) -> tuple[Word, ...]:
    """Return patterns for the paths that ``find`` with these words (after its name) would visit."""
    roots: list[Word] = []
    at = 0
    while at < len(words) and words[at].text in ("-H", "-L", "-P"):
        at += 1
    while at < len(words) and not words[at].text.startswith(("-", "(", "!", ")")):
        roots.append(words[at])
        at += 1
    roots = roots or [Word(".")]
    names = _filters(words, at, ("-name", "-iname"))
    if len(roots) * len(names) > EXPANSION_WORDS_MAX:
        return tuple(roots)  # LIMIT: without the names this is more than is visited, never less
    if names:
        return tuple(_below(root, name) for root in roots for name in names)
    paths = _filters(words, at, ("-path", "-ipath", "-wholename"))
    if paths and len(paths) <= EXPANSION_WORDS_MAX:
        return tuple(replace(path, text=path.text.replace("*", "**"), glob=True) for path in paths)
    if paths or _filters(words, at, ("-regex", "-iregex")):
        return tuple(_below(root, Word("*")) for root in roots)
    if any(word.text == "-empty" for word in words[at:]):
        return tuple(_below(root, Word("*")) for root in roots)  # WHY: nothing of value goes
    return tuple(roots)


def listed_names(words: Sequence[Word]) -> tuple[Word, ...]:
    """Return the paths that ``ls`` with these words (after its name) prints as they stand there.

    Nothing if it prints names without their directory, as it does for what is inside of one.
    """
    options = [word.text for word in words if word.text.startswith("-")]
    named = tuple(word for word in words if not word.text.startswith("-"))
    whole = any(text == "--directory" or ("d" in text and text[1] != "-") for text in options)
    return named if named and (whole or all(word.glob for word in named)) else ()


def _filters(words: Sequence[Word], start: int, options: tuple[str, ...]) -> list[Word]:
    """Return the values of tests that narrow what is visited; a negated test does not."""
    return [
        words[at + 1]
        for at in range(start, len(words) - 1)
        if words[at].text in options and words[at - 1].text not in ("!", "-not")
    ]


def _below(root: Word, name: Word) -> Word:
    known = root.known and name.known
    return Word(f"{root.text.rstrip('/')}/**/{name.text}", known, root.source, glob=True)
