"""Roles: what a word stands for, and so what the program does with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from rampart.intercept.catalog.model import matcher
from rampart.intercept.escapes import encoded_code, escape, shell_setting
from rampart.intercept.invocation import Invocation, Program
from rampart.intercept.options import is_assignment
from rampart.intercept.paths import path_action
from rampart.intercept.shell.model import Word
from rampart.intercept.urls import looks_like_url

_REMOTE_PATH: Final = re.compile(
    r"(?:[^/\s:@]+@)?(?:\[[0-9A-Fa-f:.]+\]|[^/\s:.~][^/\s:]*):(?!\\).*", re.DOTALL
)
_STREAMS: Final = frozenset(
    {
        "-",
        "/dev/null",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
        "/dev/tty",
        "/dev/fd/0",
        "/dev/fd/1",
        "/dev/fd/2",
    }
)
FORGES: Final = ("github:", "gitlab:", "bitbucket:", "gist:")
"""How package managers shorten the address of a repository."""
_EVERYBODYS_INDEX: Final = re.compile(
    r"https://(?:pypi\.org|download\.pytorch\.org|pypi\.nvidia\.com|registry\.npmjs\.org"
    r"|registry\.yarnpkg\.com|npm\.jsr\.io|rubygems\.org|index\.crates\.io)(?:/[\w./-]*)?\Z"
)
_GITHUB_SHORTHAND: Final = re.compile(r"[A-Za-z0-9][\w-]*/[\w.-]+(?:#\S+)?")
_NAMED_SOURCE: Final = re.compile(r"@?[\w./-]{1,214}(?:\[[\w,-]*\])? ?@ ?(?=(?:git\+)?\w+://)")
_SENDS: Final = frozenset({"put", "mput", "send", "reput", "append"})
_CURL_GLOB: Final = re.compile(r"\{[^{}]*\}|\[[^][]*\]")
_INPUTS: Final = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_OPEN_HOST_PATHS: Final = re.compile(
    r"/|/(?:proc|sys|dev|etc|root|boot|var|var/lib|home|usr|lib)(?:/\.?)?|(?:/var)?/run(?:/(?:docker|containerd|podman|crio).*)?"
)


def take(found: Invocation, role: str, word: Word) -> None:
    """Note what ``word`` means in ``role``."""
    handler = _HANDLERS.get(role)
    if handler is not None:
        handler(found, word)
    elif role in ("read", "write", "delete"):
        if word.text not in _STREAMS:
            found.add(role, word)
    elif role.startswith("code"):
        language = role.partition(":")[2] or found.entry.language
        found.programs.append(Program(language, word))
        if language not in ("awk", "sed", "sql"):
            found.effects.add("runs-code")


def _read_source(found: Invocation, word: Word) -> None:
    found.copied.append(word)
    if word.text not in _STREAMS:
        found.add("read", word)


def _move(found: Invocation, word: Word) -> None:
    _read_source(found, word)
    found.add("delete", word, frozenset({"moves"}))


def _upload(found: Invocation, word: Word) -> None:
    found.effects.add("uploads")
    take(found, "read", word)


def _at_file(found: Invocation, word: Word) -> None:
    name, _, value = word.text.partition("@")
    found.effects.add("uploads")
    if word.text.startswith("@") or (value and re.fullmatch(r"[\w.-]*", name)):
        take(found, "read", part(word, value))


def _form(found: Invocation, word: Word) -> None:
    found.effects.add("uploads")
    _, _, value = word.text.partition("=")
    for piece in value.split(","):
        if piece[:1] in ("@", "<"):
            take(found, "read", part(word, piece[1:].partition(";")[0].strip('"')))


def _script(found: Invocation, word: Word) -> None:
    if word.text in _INPUTS:
        found.reads_program = True
    else:
        found.scripts.append(word)
    found.effects.add("runs-code")
    if looks_like_url(word.text) and not word.text.startswith("file:"):  # `deno run https://…`
        found.effects.add("foreign-source")
        found.add("fetch", word)


def _url(found: Invocation, word: Word) -> None:
    if word.text[:5].lower() == "file:" and found.entry.name == "curl":
        word = part(word, _CURL_GLOB.sub("*", word.text))  # curl expands `{a,b}` and `[0-9]` itself
    found.add("fetch", word)


def _filter(found: Invocation, word: Word) -> None:
    if word.text.startswith(("/", "~", "$HOME")):  # `yq ~/.kube/config`: without an expression
        found.add("read", word)


def _host(found: Invocation, word: Word) -> None:
    text = word.text
    if not looks_like_url(text):
        text = f"{found.entry.scheme or 'tcp'}://{text}"
    found.add("fetch", part(word, text))


def is_remote(text: str) -> bool:
    """True for ``host:path`` and for URLs other than files."""
    if looks_like_url(text):
        return not text.lower().startswith("file:")
    return _REMOTE_PATH.fullmatch(text) is not None


def _from(found: Invocation, word: Word) -> None:
    if is_remote(word.text):
        found.effects.add("remote")
        found.copied.append(word)
        _remote(found, word)
        _read_elsewhere(found, word)
    else:
        _read_source(found, word)


def _read_elsewhere(found: Invocation, word: Word) -> None:
    """A file that another machine or a container hands over is read: ``host:.ssh/id_rsa``."""
    text = word.text
    if looks_like_url(text) or "::" in text:
        return
    path = text.partition("]:")[2] if "]:" in text else text.partition(":")[2]
    if path:
        found.add("read", part(word, path if path[0] in "/~$" else f"~/{path}"))


def _to(found: Invocation, word: Word) -> None:
    if is_remote(word.text):
        found.effects.update(("remote", "uploads"))
        _remote(found, word)
    else:
        _destination(found, word)


def _remote(found: Invocation, word: Word) -> None:
    text = word.text
    if not looks_like_url(text):
        host, _, path = (
            text.partition("]:") if text.startswith("[") or "@[" in text else text.partition(":")
        )
        host = f"{host}]" if "[" in host else host
        text = f"{found.entry.scheme or 'ssh'}://{host}/{path.lstrip('/:')}"
    found.add("fetch", part(word, text))


def _index(found: Invocation, word: Word) -> None:
    # WHY: a channel's name and a local directory are no other source
    if not word.known or (looks_like_url(word.text) and not _EVERYBODYS_INDEX.match(word.text)):
        found.effects.add("foreign-source")


def address_of(text: str) -> str:
    """Return the address in ``left-pad@https://…`` and ``pkg @ git+https://…``, or the text."""
    if named := _NAMED_SOURCE.match(text):
        text = text[named.end() :]
    return text.removeprefix("git+").partition("#")[0]


def _source(found: Invocation, word: Word) -> None:
    text = word.text
    text = address_of(text)
    if text.startswith(FORGES):
        found.effects.add("foreign-source")
    elif looks_like_url(text):
        found.effects.add("foreign-source")
        found.add("fetch", part(word, text))
    elif text.startswith((".", "/", "~")):
        found.add("read", word)


def _npm_source(found: Invocation, word: Word) -> None:
    if _GITHUB_SHORTHAND.fullmatch(word.text):
        found.effects.add("foreign-source")
    else:
        _source(found, word)


def _manifest(found: Invocation, word: Word) -> None:
    if looks_like_url(word.text):
        _source(found, word)
    else:
        take(found, "read", word)


def _destination(found: Invocation, word: Word) -> None:
    # INVARIANT: sources come before the destination, except with cp -t, which
    # _settle_destination handles
    if word.text not in _STREAMS:
        found.add("destination", word)


def _volume(found: Invocation, word: Word) -> None:
    source, colon, rest = word.text.partition(":")
    if colon and (source.startswith((".", "/", "~", "$")) or not word.known):
        _bind(found, part(word, source), read_only=rest.rpartition(":")[2].startswith("ro"))


def _mount(found: Invocation, word: Word) -> None:
    fields = dict(piece.partition("=")[::2] for piece in word.text.split(","))
    source = fields.get("source") or fields.get("src")
    if source and fields.get("type", "bind") == "bind":
        _bind(found, part(word, source), read_only="readonly" in fields or "ro" in fields)


def _bind(found: Invocation, word: Word, *, read_only: bool) -> None:
    if _OPEN_HOST_PATHS.fullmatch(word.text):
        found.effects.add("escapes")
    found.add("read" if read_only else "write", word, frozenset({"recursive"}))


def work_in(found: Invocation, word: Word) -> None:
    """Note the directory in which the program works."""
    cwd = None
    if word.known:
        cwd = path_action(
            "read", "argument", word.text, found.setting.host, cwd=found.setting.cwd
        ).path
    found.setting = found.setting.inside(cwd=cwd)


def _into(found: Invocation, word: Word) -> None:
    found.add("write", part(word, f"{word.text.rstrip('/')}/*"), frozenset({"recursive"}))


def _mirror(found: Invocation, word: Word) -> None:
    _to(found, word)
    if not is_remote(word.text):
        found.add("delete", word)


def _url_file(found: Invocation, word: Word) -> None:
    _url(found, word)
    name = word.text.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    if name:
        found.add("write", part(word, name))


def _key(found: Invocation, word: Word) -> None:
    found.add("read", word, frozenset({"authenticates"}))


def _header(found: Invocation, word: Word) -> None:
    if word.text.startswith("@"):
        _upload(found, part(word, word.text[1:]))


def _container_from(found: Invocation, word: Word) -> None:
    if ":" in word.text and not word.text.startswith((".", "/", "~")):
        found.copied.append(word)
        _read_elsewhere(found, word)
    else:
        _read_source(found, word)


def _container_to(found: Invocation, word: Word) -> None:
    if ":" not in word.text or word.text.startswith((".", "/", "~")):
        _destination(found, word)


def _database(found: Invocation, word: Word) -> None:
    take(found, "read", word)
    take(found, "write", word)


def _transfer(found: Invocation, word: Word) -> None:
    """Commands of a transfer session: ``put a.txt; mirror -R dir``."""
    for piece in re.split(r"[;\n]", word.text):
        words = piece.split()
        names = [name for name in words[1:] if not name.startswith("-")]
        sends = bool(words) and (
            words[0] in _SENDS
            or (words[0] == "mirror" and any(name in words for name in ("-R", "--reverse")))
        )
        for name in names[: None if sends and words[0] == "mput" else 1 if sends else 0]:
            _upload(found, part(word, name.strip("'\"")))


def _clone_source(found: Invocation, word: Word) -> None:
    if is_remote(word.text):
        found.copied.append(part(word, word.text.removesuffix(".git")))
        _remote(found, word)
    else:
        _read_source(found, word)


def _git_config(found: Invocation, word: Word) -> None:
    name, _, value = word.text.partition("=")
    take_git_setting(found, name, part(word, value))


def take_git_setting(found: Invocation, name: str, value: Word) -> None:
    """Note what a setting of git makes it run or skip."""
    name = name.lower()
    if name.startswith("alias."):
        if value.text.startswith("!"):
            found.effects.add("loader-change")
            found.loads = True
            found.programs.append(Program("shell", part(value, value.text[1:])))
        return
    for matches, effects, runs in GIT_SETTINGS:
        if matches(name):
            found.effects.update(effects)
            found.loads = found.loads or "loader-change" in effects
            if runs and value.text:
                found.programs.append(Program("shell", value))
    if (
        name in ("http.sslverify", "core.fsmonitor", "transfer.fsckobjects")
        and value.text.lower() == "false"
    ):
        found.effects.discard("loader-change")
        found.effects.add("unverified")


def _assignment(found: Invocation, word: Word) -> None:
    if is_assignment(word):
        found.assignments.append(word)


def _shell(found: Invocation, word: Word) -> None:
    found.programs.append(Program("shell", word))


def _command(found: Invocation, word: Word) -> None:
    # an option whose value is a program with its own words: `git -c core.pager='less -R'`
    found.programs.append(Program("shell", word))


def _key_binding(found: Invocation, word: Word) -> None:
    _, colon, text = word.text.partition('":')
    if colon:
        found.programs.append(Program("shell", part(word, text.strip().strip("'\""))))


def part(word: Word, text: str) -> Word:
    """Return a piece of ``word``."""
    return Word(text, word.known, word.source, word.glob, word.substitutions)


_GIT_RUNS: Final = """
core.pager core.editor core.sshcommand core.askpass sequence.editor gpg.program gpg.*.program
pager.* diff.external diff.*.command diff.*.textconv merge.*.driver filter.*.clean filter.*.smudge
filter.*.process mergetool.*.cmd difftool.*.cmd man.*.cmd browser.*.cmd interactive.difffilter
uploadpack.packobjectshook sendemail.*cmd remote.*.uploadpack remote.*.receivepack
"""
_GIT_LOADS: Final = """
credential.helper credential.*.helper core.fsmonitor core.hookspath core.gitproxy init.templatedir
core.attributesfile include.path includeif.*
"""
_GIT_REDIRECTS: Final = "http.proxy http.*.proxy url.*.insteadof url.*.pushinsteadof remote.*.url"
_GIT_TRUSTS: Final = """
http.sslverify http.*.sslverify protocol.ext.allow protocol.*.allow safe.directory
safe.barerepository
"""
GIT_SETTINGS: Final = tuple(
    (matcher(pattern), frozenset({effect}), runs)
    for patterns, effect, runs in (
        (_GIT_RUNS, "loader-change", True),
        (_GIT_LOADS, "loader-change", False),
        (_GIT_REDIRECTS, "foreign-source", False),
        (_GIT_TRUSTS, "unverified", False),
    )
    for pattern in patterns.split()
)
"""Settings of git that run something: pattern, effects, and whether the value is run."""

_HANDLERS: Final[dict[str, Callable[[Invocation, Word], None]]] = {
    "assignment": _assignment,
    "at-file": _at_file,
    "clone-source": _clone_source,
    "command": _command,
    "container-from": _container_from,
    "container-to": _container_to,
    "copy": _read_source,
    "database": _database,
    "destination": _destination,
    "encoded-code": encoded_code,
    "escape": escape,
    "filter": _filter,
    "form": _form,
    "git-config": _git_config,
    "header": _header,
    "index": _index,
    "from": _from,
    "host": _host,
    "into": _into,
    "key": _key,
    "key-binding": _key_binding,
    "manifest": _manifest,
    "mirror": _mirror,
    "mount": _mount,
    "move": _move,
    "npm-source": _npm_source,
    "script": _script,
    "shell": _shell,
    "shell-setting": shell_setting,
    "shell-words": _shell,
    "source": _source,
    "to": _to,
    "transfer": _transfer,
    "upload": _upload,
    "url": _url,
    "url-file": _url_file,
    "volume": _volume,
}
