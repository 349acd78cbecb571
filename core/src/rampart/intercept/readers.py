"""Programs whose words follow a grammar of their own: ``find``, ``xargs``, ``parallel``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from rampart.intercept.catalog.model import Entry
from rampart.intercept.invocation import Invocation, Program
from rampart.intercept.operands import join_words, read_invocation
from rampart.intercept.options import Arguments
from rampart.intercept.output import find_targets
from rampart.intercept.roles import part, take, take_git_setting
from rampart.intercept.setting import Setting
from rampart.intercept.shell.model import Word
from rampart.limits import EXPANSION_WORDS_MAX

FROM_INPUT: Final = Word("$INPUT", known=False)
"""Stands for words that a program takes from its input at run time."""

_FIND_RUNS: Final = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_FD_RUNS: Final = frozenset({"-x", "--exec", "-X", "--exec-batch"})
_FIND_WRITES: Final = frozenset({"-fprint", "-fprint0", "-fls", "-fprintf"})


def _read_find(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    found = Invocation(entry, Arguments(entry), setting)
    targets = find_targets(words)
    at = 0
    while at < len(words):
        text = words[at].text
        at += 1
        if text in ("--help", "-help", "--version", "-version"):
            found.arguments.inert = "help"
        elif text == "-delete":
            found.effects.add("recursive")
            for word in targets:
                found.add("delete", word)
        elif text in _FIND_WRITES and at < len(words):
            found.add("write", words[at])
        elif text == "-files0-from" and at < len(words):
            found.add("read", words[at])
        elif text in _FIND_RUNS:
            inner: list[Word] = []
            while (
                at < len(words) and words[at].text != ";" and not _ends_with_plus(inner, words[at])
            ):
                inner.append(words[at])
                at += 1
            at += 1
            if inner:
                found.effects.add("recursive")
                found.setting = _for_a_tree(found.setting)
                found.commands.append(_with_targets(inner, targets))
    return found


def _for_a_tree(setting: Setting) -> Setting:
    """What a listing hands to a command is a whole tree, path by path."""
    return setting.inside(inherited=setting.inherited | {"recursive"})


def _read_fd(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """``fd PATTERN PATH… -x COMMAND``: the command gets what is found below the paths."""
    cut = next((at for at, word in enumerate(words) if word.text in _FD_RUNS), len(words))
    found = read_invocation(entry, words[:cut], setting)
    inner = [word for word in words[cut + 1 :] if word.text != ";"]
    if not inner:
        return found
    pattern, *places = found.arguments.operands or [Word(".")]
    extension = found.arguments.value("-e", "--extension")
    name = f"*.{extension.text}" if extension is not None else f"*{pattern.text}*"
    wide = extension is None and not pattern.text.isalnum()
    targets = tuple(
        place if wide else replace(place, text=f"{place.text.rstrip('/')}/**/{name}")
        for place in places or [Word(".")]
    )
    if not any("{" in word.text for word in inner[1:]):
        inner.append(Word("{}"))
    found.effects.add("recursive")
    found.setting = _for_a_tree(found.setting)
    found.commands.append(_with_targets(inner, targets))
    return found


def _ends_with_plus(inner: list[Word], word: Word) -> bool:
    return word.text == "+" and bool(inner) and inner[-1].text == "{}"


def _with_targets(inner: list[Word], targets: tuple[Word, ...]) -> list[Word]:
    """Return the command with the paths that ``find`` visits in place of ``{}``."""
    made: list[Word] = []
    for word in inner:
        if word.text == "{}":
            made += [replace(target, known=False) for target in targets]
        elif "{}" in word.text:
            made.append(Word(word.text.replace("{}", targets[0].text), False, word.source))
        else:
            made.append(word)
    return made


def _read_tar(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """The first word holds options even without a dash: ``tar czf``."""
    if words and words[0].text.isalpha():
        words = [replace(words[0], text=f"-{words[0].text}"), *words[1:]]
    return read_invocation(entry, words, setting)


def _read_xargs(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    if setting.input.words:
        # WHY: what `find /` lists is the whole tree below it, not the directory alone
        setting = replace(setting, inherited=setting.inherited | {"recursive"})
    found = read_invocation(entry, words, setting)
    placeholder = found.arguments.value("-I", "--replace", "-J")
    if placeholder is None and found.arguments.has("-i", "--replace"):
        placeholder = Word("{}")
    given = _input_words(setting)
    mark = placeholder.text if placeholder is not None else ""
    if setting.input.words:
        found.setting = _for_a_tree(found.setting)
    inner = found.commands[0] if found.commands else [Word("echo")]
    if mark:
        value = given[0] if len(given) == 1 else FROM_INPUT
        filled: list[Word] = []
        for word in inner:
            if word.text == mark and value is not FROM_INPUT:
                filled.append(value)
            elif word.text == mark and len(given) > 1:
                filled += given
            elif mark in word.text:
                filled.append(
                    Word(
                        word.text.replace(mark, value.text), word.known and value.known, word.source
                    )
                )
            else:
                filled.append(word)
        found.commands[:] = [filled]
    else:
        found.commands[:] = [[*inner, *given]]
    return found


def _input_words(setting: Setting) -> list[Word]:
    if setting.input.text is not None:
        pieces = setting.input.text.replace("\0", " ").split()
        return [Word(piece.strip("'\"")) for piece in pieces[:EXPANSION_WORDS_MAX]]
    if setting.input.words:
        return [replace(word, known=False) for word in setting.input.words]
    return [FROM_INPUT]


def _read_listed(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """``find src | cpio -o``, ``zip -@``: the names of files come from the input."""
    found = read_invocation(entry, words, setting)
    if found.entry.reader and not found.inert:
        if setting.input.words:
            found.effects.add("recursive")
        for word in _input_words(setting):
            take(found, "read", word)
    return found


def _read_parallel(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    cut = next(
        (i for i, word in enumerate(words) if word.text in (":::", ":::+", "::::")), len(words)
    )
    found = read_invocation(entry, words[:cut], setting)
    values = [word for word in words[cut + 1 :] if not word.text.startswith(":::")]
    if cut == len(words) or words[cut].text == "::::":
        values = _input_words(setting) if cut == len(words) else [FROM_INPUT]
    template = found.programs[0].text if found.programs else Word("")
    found.programs.clear()
    if not template.text:  # the values are the commands
        found.programs += [Program("shell", value) for value in values]
        return found
    for value in values[:EXPANSION_WORDS_MAX]:
        if "{" in template.text:
            text = template.text
            for mark in ("{}", "{.}", "{/}", "{//}", "{/.}", "{1}"):
                text = text.replace(mark, value.text)
            found.programs.append(Program("shell", Word(text, template.known and value.known)))
        else:
            found.programs.append(Program("shell", join_words([template, value])))
    return found


def _read_checkout(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """``git checkout`` switches branches, or throws away changes to the paths that it is given."""
    found = read_invocation(entry, words, setting)
    operands = [word.text for word in found.arguments.operands]
    branching = found.arguments.has("-b", "-B", "--orphan", "-t", "--track", "--detach")
    dashes = any(word.text == "--" for word in words) and bool(operands)
    if dashes or (
        not branching and (len(operands) > 1 or any(_is_path(text) for text in operands))
    ):
        found.effects.add("irreversible")
    return found


def _is_path(text: str) -> bool:
    return text in (".", "..", "*") or text.startswith(("./", "../", "/", ":/", ":("))


def _read_git_config(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    found = read_invocation(entry, words, setting)
    operands = found.arguments.operands
    if operands and operands[0].text in ("set", "get", "unset", "list", "edit"):
        operands = operands[1:] if operands[0].text == "set" else []
    if len(operands) < 2 or found.arguments.has(
        "--get", "--get-all", "--get-regexp", "--unset", "-l", "--list"
    ):
        return found
    take_git_setting(found, operands[0].text, operands[1])
    if "loader-change" in found.effects:
        found.effects.add("persistence")
    return found


def _read_git_content(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """``git show HEAD~3:.env`` and ``git log -p -- .env`` print what the file holds or held."""
    found = read_invocation(entry, words, setting)
    name = found.arguments.path[-1] if found.arguments.path else ""
    if found.arguments.has("--no-index"):
        for word in found.arguments.operands:
            found.add("read", word)
    if found.arguments.has(*_GIT_SUMMARIES) or (
        name in ("log", "whatchanged") and not found.arguments.has("-p", "-u", "--patch")
    ):
        return found
    cut = next((i for i, word in enumerate(words) if word.text == "--"), len(words))
    for word in words[cut + 1 :]:
        found.add("read", word)
    operands = [word for word in words[:cut] if not word.text.startswith("-")]
    apart = found.arguments.has("--no-index")
    for word in operands[1:]:  # WHY: git compares files outside of a repository without being told
        if name == "diff" and (apart or word.text.startswith(("/", "~", "../"))):
            take(found, "read", word)
    for word in operands:
        revision, colon, path = word.text.rpartition(":")
        if colon and path and not revision.endswith("/") and not word.text.startswith(":/"):
            found.add("read", part(word, path))
    if name in ("blame", "annotate") and cut == len(words) and len(operands) > 1:
        found.add("read", operands[-1])
    return found


def _read_git_outside(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """``git grep --no-index`` and ``git hash-object`` read files of any place."""
    found = read_invocation(entry, words, setting)
    name = found.arguments.path[-1] if found.arguments.path else ""
    if name == "hash-object" or found.arguments.has("--no-index"):
        for word in found.arguments.operands[1 if name == "grep" else 0 :]:
            found.add("read", word)
    return found


def _read_transfer(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """A transfer session takes its commands from its input: ``sftp host <<< 'put a.txt'``."""
    found = read_invocation(entry, words, setting)
    if setting.input.text is not None:
        take(found, "transfer", Word(setting.input.text))
    return found


_GIT_SUMMARIES: Final = ("--stat", "--name-only", "--name-status", "--shortstat", "--numstat")
_SOCAT_FILES: Final = frozenset(["OPEN", "FILE", "GOPEN", "CREATE", "CREAT"])
_SOCAT_RUNS: Final = frozenset(["EXEC", "SYSTEM", "SHELL"])
_SOCAT_HOSTS: Final = frozenset(
    [
        "TCP",
        "UDP",
        "SCTP",
        "SSL",
        "OPENSSL",
        "DTLS",
        "TCP4",
        "TCP6",
        "UDP4",
        "UDP6",
        "IP",
        "DCCP",
        "UDPLITE",
        "VSOCK",
    ]
)


def _read_socat(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    found = Invocation(entry, Arguments(entry), setting)
    found.effects.update(entry.effects)
    addresses = [word for word in words if not word.text.startswith("-") or word.text == "-"]
    for position, word in enumerate(addresses):
        for half in word.text.split("!!"):
            _take_address(found, word, half, writes=position > 0)
    return found


def _take_address(found: Invocation, word: Word, text: str, *, writes: bool) -> None:
    kind, _, rest = text.partition(":")
    kind = kind.upper()
    value = rest.partition(",")[0]
    head = kind.partition("-")[0]
    if kind in _SOCAT_RUNS:
        found.effects.add("runs-code")
        found.programs.append(Program("shell", Word(value.strip("'\""), word.known, word.source)))
    elif kind in _SOCAT_FILES or (not kind.isalnum() and "/" in text):
        name = Word(value or text, word.known, word.source)
        found.add("write" if writes or kind.startswith("CREAT") else "read", name)
    elif "LISTEN" in kind or kind.endswith("-L") or "RECV" in kind:
        found.effects.add("listens")
    elif kind.startswith(("PROXY", "SOCKS")):
        found.effects.add("tunnels")
        found.add("fetch", Word(f"tcp://{value}", word.known, word.source))
    elif head in _SOCAT_HOSTS:
        found.add("fetch", Word(f"{head.rstrip('46').lower()}://{value}", word.known, word.source))


READERS: Final[dict[str, Callable[[Entry, list[Word], Setting], Invocation]]] = {
    "fd": _read_fd,
    "find": _read_find,
    "git-checkout": _read_checkout,
    "git-config": _read_git_config,
    "git-content": _read_git_content,
    "listed": _read_listed,
    "git-outside": _read_git_outside,
    "parallel": _read_parallel,
    "socat": _read_socat,
    "tar": _read_tar,
    "transfer": _read_transfer,
    "xargs": _read_xargs,
}
"""Reader name, as entries give it, to the function that reads the words."""
