"""Paths: one absolute, lexical form for all that names the same file, and its other spellings.

Pure: links are followed only through the ``resolve`` that the caller hands in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from rampart.errors import InputError, InputTooLarge
from rampart.limits import PATH_BYTES_MAX
from rampart.model import EMPTY, Action, Host, Origin

_DECODE_ROUNDS_MAX: Final = 3  # nobody decodes more often than a proxy, a server and an application
_PATH_US: Final = 8  # what an ordinary path costs, and how long one is
_ORDINARY_CHARS_MAX: Final = 256
_ROOT_HOME: Final = "/root"

# A path that is its own normal form: absolute, no `.` or `..` segment, nothing to expand or decode.
_PLAIN: Final = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[\w.@+,=:*?-]+)+", re.ASCII)
_PLAIN_RELATIVE: Final = re.compile(
    r"(?!\.\.?(?:/|\Z))[\w.@+,=*?-]+(?:/(?!\.\.?(?:/|\Z))[\w.@+,=*?-]+)*", re.ASCII
)
_PROCESS_LINKS: Final = ("/proc/", "/dev/fd")
_PROCESS_HEADS: Final = ("/proc", "/dev")
_HOME_WORD: Final = re.compile(
    r"(?:\$HOME|\$\{HOME\}|\$env:(?:HOME|USERPROFILE)|%(?:HOME|USERPROFILE|HOMEPATH)%)(?=[/\\]|\Z)",
    re.IGNORECASE,
)
_PARAMETER: Final = re.compile(r"\$(?:[1-9@*]|\{[1-9@*]\}|IFS|\{IFS\})(?=/)")
_CWD_WORD: Final = re.compile(r"(?:\$PWD|\$\{PWD\}|\$env:PWD|%CD%|~\+)(?=[/\\]|\Z)")
_USER_HOME: Final = re.compile(r"~([A-Za-z0-9_][A-Za-z0-9_.-]*)?(?=/|\Z)")
_FILE_URL: Final = re.compile(r"file:(?://[^/\\]*(?=[/\\]|\Z))?", re.IGNORECASE)
_UNKNOWN: Final = re.compile(r"\$[A-Za-z_0-9{(@*#?!-]|`|%[A-Za-z_]+%")
_DRIVE: Final = re.compile(r"[A-Za-z]:[/\\]")
_PROCESS: Final = re.compile(r"self|thread-self|[0-9]+|\$\$|\$\{?PPID\}?")

# Directories that most systems link to each other: a rule may name either end.
_LINKED: Final = (
    ("/var/run/", "/run/"),
    ("/run/", "/var/run/"),
    ("/private/etc/", "/etc/"),
    ("/private/var/", "/var/"),
    ("/private/tmp/", "/tmp/"),  # noqa: S108 - a spelling, not a file this program uses
    ("/System/Volumes/Data/", "/"),
    ("/usr/bin/", "/bin/"),
    ("/usr/sbin/", "/sbin/"),
    ("/bin/", "/usr/bin/"),
    ("/sbin/", "/usr/sbin/"),
    ("/usr/lib/", "/lib/"),
    ("/lib/", "/usr/lib/"),
)
_LINKED_HEADS: Final = tuple(head for head, _ in _LINKED)


@dataclass(slots=True)  # WHY: not frozen, as that costs three times as much for each path
class NormalPath:
    """One path: its absolute lexical form, other texts for it, and how sure that form is.

    ``known`` is False if the path begins with something that only the run knows (a variable, the
    directory of an unknown user, an unknown working directory). ``hidden`` is True if decoding
    percent-escapes uncovers a step upwards that the text does not show.
    """

    path: str
    spellings: tuple[str, ...] = ()
    known: bool = True
    hidden: bool = False
    resolved: str = ""
    """Where the links lead, if ``resolve`` was given and that is another place."""


class _Place(NamedTuple):
    cwd: str | None
    home: str


def normalize(
    text: str, *, cwd: str | None, home: str, resolve: Callable[[str], str] | None = None
) -> NormalPath:
    """Return the normal form of ``text`` for a process in ``cwd`` whose user lives in ``home``.

    ``~``, ``~user``, ``$HOME``, ``.``, ``..``, ``//``, ``file:`` and the kernel's own links
    (``/proc/self/root``, ``/proc/self/cwd``, ``/dev/fd``) are taken out; globs stay as written.
    Without a ``cwd`` a relative path stays relative. Idempotent.

    Raises: InputError for a NUL or a ``resolve`` that fails, InputTooLarge over PATH_BYTES_MAX.
    """
    _require_path(text)
    known, hidden = True, False
    spellings: list[str] = []
    if _PLAIN.fullmatch(text) and not text.startswith(_PROCESS_LINKS):
        path = walked = text
    elif cwd and _PLAIN_RELATIVE.fullmatch(text) and _is_plain_folder(cwd):
        path = walked = f"{cwd}/{text}"
        spellings = [text]
    else:
        path, known, hidden, spellings, walked = _normalize_slowly(text, _Place(cwd, home))
    if path.startswith(_LINKED_HEADS):
        spellings += [link + path[len(head) :] for head, link in _LINKED if path.startswith(head)]
    resolved = ""
    if resolve is not None and known and walked.startswith("/"):
        # WHY: the kernel follows a link before it takes the `..` after it
        resolved = _resolved(walked, resolve)
        spellings.append(resolved)
    if not spellings:
        return NormalPath(path, (), known, hidden)
    unique = tuple(dict.fromkeys([other for other in spellings if other and other != path]))
    return NormalPath(path, unique, known, hidden, "" if resolved == path else resolved)


def path_action(
    tool: str,
    origin: Origin,
    text: str,
    host: Host,
    *,
    cwd: str | None,
    known: bool = True,
    effects: frozenset[str] = frozenset(),
) -> Action:
    """Return the action of using the path ``text`` with a file tool.

    ``cwd`` is the directory in which it happens, empty for the call's own, None if it cannot be
    known. ``known`` is False if ``text`` holds parts that only the run knows. A path that is not
    fully known takes no grant, nor does one that a link leads out of the workspace; restrictions
    see its text and its target.

    Raises: as ``normalize``.
    """
    if host.budget is not None:
        host.budget.spend(_cost_us(text))
    place = host.cwd if cwd == "" else cwd
    normal = normalize(text, cwd=place, home=host.home, resolve=host.resolve if known else None)
    if normal.hidden:
        effects = effects | {"encoded-traversal"}
    spellings = normal.spellings
    if not known and tool == "read" and (empty := _PARAMETER.match(text)):
        # WHY: a parameter that nobody set is empty, and `cat$IFS$9/x` is a way to write `cat /x`
        spellings += (normalize(text[empty.end() :], cwd=place, home=host.home).path,)
    escapes = normal.resolved != "" and _leaves_workspace(normal, host)
    if escapes:
        effects = effects | {"link-escape"}
    return Action(
        tool,
        origin,
        path=normal.path,
        spellings=spellings,
        params=EMPTY,
        effects=effects,
        grantable=known and normal.known and not normal.hidden and not escapes,
    )


@lru_cache(maxsize=64)  # WHY: an agent works in few directories
def _is_plain_folder(path: str) -> bool:
    return _PLAIN.fullmatch(path) is not None and not path.startswith(_PROCESS_HEADS)


def _cost_us(text: str) -> int:
    """Return an estimate of what normalising a path costs, links included."""
    if not text.isascii():
        return _PATH_US + 2 * len(text)  # WHY: it has three more readings
    return _PATH_US + (len(text) // 2 if len(text) > _ORDINARY_CHARS_MAX else 0)


def _leaves_workspace(normal: NormalPath, host: Host) -> bool:
    """Say whether a path inside the workspace leads out of it through a link."""
    if host.resolve is None or not _is_inside(normal.path, host.workspace):
        return False
    return not _is_inside(normal.resolved, _resolved(host.workspace, host.resolve))


def _is_inside(path: str, folder: str) -> bool:
    folder = folder.rstrip("/")
    return path == folder or path.startswith(folder + "/")


def _require_path(text: str) -> None:
    if len(text) * 4 > PATH_BYTES_MAX:
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if size > PATH_BYTES_MAX:
            raise InputTooLarge(f"a path of {size} bytes; the limit is {PATH_BYTES_MAX}")
    if "\0" in text:
        raise InputError("a path holds a NUL, where programs would cut it off")


def _resolved(path: str, resolve: Callable[[str], str]) -> str:
    try:
        return resolve(path)
    except (OSError, ValueError, RuntimeError) as error:
        # WHY: a path whose links cannot be followed could be any file
        raise InputError(f"the links of a path cannot be followed: {error}") from error


def _normalize_slowly(text: str, place: _Place) -> tuple[str, bool, bool, list[str], str]:
    written, inside_url = _strip_file_url(text)
    path, known = _absolute(written, place)
    walked = _expand_head(written, place)[0] if ".." in written else path
    if not walked.startswith("/") and place.cwd is not None:
        walked = f"{place.cwd}/{walked}"
    spellings = [text, written] if written != text else [text]
    hidden = False
    for other in _decodings(written, inside_url):
        decoded, _ = _absolute(other, place)
        hidden = hidden or other.count("..") > written.count("..")
        spellings.append(decoded)
    stripped = written.strip()
    if stripped != written and stripped:
        spellings.append(_absolute(stripped, place)[0])
    if "\\" in written:
        slashed = written.replace("\\", "/")
        spellings.append(slashed if _DRIVE.match(slashed) else _absolute(slashed, place)[0])
    if not path.isascii():
        spellings.append(unicodedata.normalize("NFC", path))
        spellings.append(_absolute(unicodedata.normalize("NFKC", written), place)[0])
    return path, known, hidden, spellings, walked


def _strip_file_url(text: str) -> tuple[str, bool]:
    found = _FILE_URL.match(text)
    if found is None:
        return text, False
    rest = text[found.end() :]
    # WHY: `file:name` could be a file of that name; `file:/…` and `file://…` are URLs
    if not rest.startswith(("/", "\\")) and "//" not in found.group():
        return text, False
    plain = unquote(rest.split("?", 1)[0].split("#", 1)[0] or "/")
    return (plain.split("\0", 1)[0] or "/"), True


def _decodings(text: str, inside_url: bool) -> list[str]:
    found: list[str] = []
    current = text
    for _ in range(_DECODE_ROUNDS_MAX - inside_url):
        if "%" not in current:
            break
        decoded = unquote(current, errors="replace").split("\0", 1)[0]
        if decoded == current:
            break
        found.append(decoded)
        current = decoded
    return found


def _absolute(text: str, place: _Place) -> tuple[str, bool]:
    """Return the lexical form and whether its beginning is known."""
    text, known = _expand_head(text, place)
    if not known:
        return text, False
    if not text.startswith("/"):
        if place.cwd is None:
            return _join_relative(text), False
        text = f"{place.cwd}/{text}"
    return _collapse(text, place.cwd), True


def _expand_head(text: str, place: _Place) -> tuple[str, bool]:
    if text.startswith("~"):
        found = _USER_HOME.match(text)
        if found is not None:
            home = _home_of(found.group(1) or "", place.home)
            return home + text[found.end() :], True
        if not text.startswith("~+"):
            return text, not text.startswith("~-")
    if text.startswith(("$", "%", "~")):
        found = _HOME_WORD.match(text)
        if found is not None:
            return place.home + text[found.end() :], True
        found = _CWD_WORD.match(text)
        if found is not None:
            return (place.cwd or ".") + text[found.end() :], True
        return text, _UNKNOWN.match(text) is None
    return text, not text.startswith("`")


def _home_of(user: str, home: str) -> str:
    if not user:
        return home
    if user == "root":
        return _ROOT_HOME
    parent, _, name = home.rstrip("/").rpartition("/")
    if name == user:
        return home
    return f"{parent}/{user}" if parent else f"/home/{user}"


def _collapse(text: str, cwd: str | None) -> str:
    """Take ``.``, ``..``, ``//`` and the kernel's own links out of an absolute path."""
    parts: list[str] = []
    for part in text.split("/"):
        if not part or part == ".":
            continue
        if part == "..":
            if parts[:2] == ["dev", "fd"] and len(parts) == 2:
                parts = ["proc", "self"]  # WHY: /dev/fd is a link to /proc/self/fd
            elif parts:
                parts.pop()
            continue
        parts.append(part)
        if parts[0] == "proc" and part in ("root", "cwd", "fd"):
            parts = _follow_process_link(parts, cwd)
    return "/" + "/".join(parts)


def _follow_process_link(parts: list[str], cwd: str | None) -> list[str]:
    if len(parts) < 3 or not _PROCESS.fullmatch(parts[1]):
        return parts
    if len(parts) == 5 and parts[2] == "task":
        kind = parts[4]
    elif len(parts) == 3:
        kind = parts[2]
    else:
        return parts
    if kind == "root":
        return []
    own = parts[1] in ("self", "thread-self", "$$")
    if kind == "cwd" and own and cwd is not None:
        return _collapse(cwd, None).strip("/").split("/") if cwd.strip("/") else []
    if kind == "fd" and own and len(parts) == 3:
        return ["dev", "fd"]
    return parts


def _join_relative(text: str) -> str:
    """Collapse a relative path as far as its text allows."""
    parts: list[str] = []
    for part in text.split("/"):
        if not part or part == ".":
            continue
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    joined = "/".join(parts) or "."
    # WHY: `./~` is a file of that name; without its beginning it would read as a home
    return f"./{joined}" if joined.startswith("~") else joined
