"""Parameters of tools: what they are called, what they may hold, and how much of it.

Tools name the same thing in many ways. All names of one thing are read; two names that disagree
are refused, because nobody can know which of them the tool will use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from rampart.errors import InputError, InputTooLarge
from rampart.limits import (
    NAME_CHARS_MAX,
    PARAMS_BYTES_MAX,
    PARAMS_DEPTH_MAX,
    PARAMS_VALUES_MAX,
)
from rampart.model import ToolCall

_SMALL_COUNT_MAX: Final = 16  # so many texts of so many characters are under every limit
_SMALL_CHARS_MAX: Final = 8192
_SMALL_KINDS: Final = frozenset({int, float, bool, type(None)})
_NODE_BYTES: Final = 16  # what a number, a bracket or an empty string counts as

COMMAND_NAMES: Final = frozenset(
    {"command", "cmd", "commandline", "shellcommand", "bashcommand", "shell", "bash", "script"}
)
ARGV_NAMES: Final = frozenset({"argv", "args", "arguments"})
CWD_NAMES: Final = frozenset(
    {"cwd", "workdir", "workingdir", "workingdirectory", "directory", "dir"}
)
PATH_NAMES: Final = frozenset(
    {
        "path",
        "filepath",
        "filename",
        "file",
        "target",
        "targetfile",
        "targetpath",
        "absolutepath",
        "relativepath",
        "relativeworkspacepath",
        "notebookpath",
        "fullpath",
        "pathname",
        "paths",
        "files",
        "filenames",
        "filepaths",
        "directory",
        "directorypath",
        "dirpath",
        "dir",
        "folder",
        "folderpath",
        "uri",
    }
)
URL_NAMES: Final = frozenset(
    {"url", "uri", "urls", "link", "href", "endpoint", "address", "target", "website", "page"}
)
CODE_NAMES: Final = frozenset({"code", "source", "sourcecode", "program", "snippet", "blocks"})
METHOD_NAMES: Final = frozenset({"method", "httpmethod", "verb", "requestmethod"})
LANGUAGE_NAMES: Final = frozenset({"language", "lang", "kernel", "interpreter", "runtime"})

_CACHED_CHARS_MAX: Final = 64  # names of real tools are shorter; longer ones are not remembered
_NOT_LETTERS: Final = re.compile(r"[\W_]+")


def plain_name(name: str) -> str:
    """Return a parameter's name in lower case without separators: ``filePath``, ``file_path``."""
    if len(name) <= _CACHED_CHARS_MAX:
        return _plain(name)
    return _NOT_LETTERS.sub("", name[:NAME_CHARS_MAX]).lower()


@lru_cache(maxsize=2048)
def _plain(name: str) -> str:
    return _NOT_LETTERS.sub("", name).lower()


def require_bounded(params: Mapping[str, object], what: str) -> None:
    """Refuse parameters that are too large, nested too deeply, or that hold themselves.

    Raises: InputTooLarge, InputError for a key that is not text.
    """
    if _is_small(params):
        return
    budget = PARAMS_BYTES_MAX
    # INVARIANT: every step takes from the budget, so that a structure that holds itself ends, too
    stack: list[tuple[object, int]] = [(params, 1)]
    count = 0
    while stack:
        value, depth = stack.pop()
        count += 1
        if count > PARAMS_VALUES_MAX:
            raise InputTooLarge(f"{what}: its parameters hold more than {PARAMS_VALUES_MAX} values")
        budget -= _NODE_BYTES + _size(value)
        if budget < 0:
            raise InputTooLarge(f"{what}: its parameters are over {PARAMS_BYTES_MAX} bytes")
        children: Sequence[object] = ()
        if isinstance(value, Mapping):
            keys = list(value)
            if any(not isinstance(key, str) for key in keys):
                raise InputError(f"{what}: a parameter name is not text")
            budget -= sum(map(len, keys))
            children = list(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            children = list(value)
        if children and depth > PARAMS_DEPTH_MAX:
            raise InputTooLarge(f"{what}: parameters nested deeper than {PARAMS_DEPTH_MAX}")
        stack.extend((child, depth + 1) for child in children)


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return len(value) if isinstance(value, bytes | bytearray) else 0


def _is_small(params: Mapping[str, object]) -> bool:
    """True for the parameters of most calls: a few short texts and numbers."""
    if len(params) > _SMALL_COUNT_MAX:
        return False
    for key, value in params.items():
        if type(key) is not str or len(key) > _SMALL_CHARS_MAX:
            return False
        kind = type(value)
        if kind is str:
            if len(value) > _SMALL_CHARS_MAX:  # type: ignore[arg-type]  # a str has a length
                return False
        elif kind not in _SMALL_KINDS:
            return False
    return True


def strings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string in a bounded value with the name of the parameter that holds it."""
    stack: list[tuple[str, object]] = [(key, value)]
    while stack:
        name, current = stack.pop()
        if isinstance(current, str):
            yield name, current
        elif isinstance(current, dict | Mapping):  # WHY: to ask for a Mapping alone is slow
            stack += [(str(inner), each) for inner, each in reversed(list(current.items()))]
        elif (text := as_text(current)) is not None:
            yield name, text
        elif isinstance(current, list | tuple):
            stack.extend((name, each) for each in reversed(current))
        elif isinstance(current, set | frozenset):
            stack.extend((name, each) for each in current)


def as_text(value: object) -> str | None:
    """Return a string, path object or bytes as text; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "surrogateescape")
    # WHY: only the standard library's own path types; the code of others must not run in here
    if type(value).__module__ in ("pathlib", "pathlib._local"):
        return str(value)
    return None


def one_value(call: ToolCall, names: frozenset[str]) -> tuple[str, object] | None:
    """Return the name and value of the parameter that goes by one of ``names``, or None.

    Absent and ``None`` are the same. Raises: InputError if two of them differ.
    """
    found: tuple[str, object] | None = None
    for key, value in call.params.items():
        if value is None or plain_name(key) not in names:
            continue
        if found is not None and found[1] != value:
            raise InputError(f"{call.tool}: `{found[0]}` and `{key}` say different things")
        found = found or (key, value)
    return found


def require_text(call: ToolCall, names: frozenset[str], wanted: str) -> str:
    """Return a parameter that must be there and be text.

    Raises: InputError naming the tool and the parameter.
    """
    found = one_value(call, names)
    if found is None:
        raise InputError(f"{call.tool}: parameter `{wanted}` is missing")
    return _full_text(call, found)


def _full_text(call: ToolCall, found: tuple[str, object]) -> str:
    text = found[1] if isinstance(found[1], str) else _path_text(found[1])
    if text is None:
        raise mistyped(call, found[0], found[1], "text")
    if not text:
        raise InputError(f"{call.tool}: parameter `{found[0]}` is empty")
    return text


def require_texts(call: ToolCall, names: frozenset[str], wanted: str) -> list[str]:
    """Return a parameter that is one text or a list of texts, as a list.

    Raises: InputError naming the tool and the parameter.
    """
    found = one_value(call, names)
    if found is None:
        raise InputError(f"{call.tool}: parameter `{wanted}` is missing")
    if not isinstance(found[1], list | tuple):
        return [_full_text(call, found)]
    texts = [item if isinstance(item, str) else _path_text(item) for item in found[1]]
    kept = [text for text in texts if text]
    if len(kept) != len(texts) or not kept:
        raise mistyped(call, found[0], found[1], "text or a list of texts, none empty")
    return kept


def optional_text(call: ToolCall, names: frozenset[str]) -> str:
    """Return a text parameter, empty if it is not there. Raises: InputError."""
    found = one_value(call, names)
    if found is None:
        return ""
    text = found[1] if isinstance(found[1], str) else _path_text(found[1])
    if text is None:
        raise mistyped(call, found[0], found[1], "text")
    return text


def mistyped(call: ToolCall, name: str, value: object, wanted: str) -> InputError:
    """Return the error for a parameter of the wrong type."""
    return InputError(
        f"{call.tool}: parameter `{name}` must be {wanted}, not {type(value).__name__}"
    )


def _path_text(value: object) -> str | None:
    return None if isinstance(value, bytes | bytearray) else as_text(value)
