"""The ``rampart`` blocks of a crew's files: which agent, task or tool is guarded how.

MUST name file, line and column of what is wrong, and MUST NOT pass over anything: a key that is
misspelt here would be a rule that nobody applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from rampart import ConfigError

_BYTES_MAX: Final = 1 << 20  # a crew's files are a few pages
_MERGE: Final = "tag:yaml.org,2002:merge"
BLOCK: Final = "rampart"


@dataclass(frozen=True, slots=True)
class Block:
    """One ``rampart`` block. What is not said stays as the guard of the crew has it."""

    where: str
    agent: str = ""
    profile: str = ""
    policy: Path | None = None
    mode: Literal["enforce", "monitor"] = "enforce"
    ask: Literal["wait", "deny"] = "wait"
    ask_timeout_s: float | None = None
    tool: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, Block] = field(default_factory=dict)


def read_blocks(path: Path) -> dict[str, Block]:
    """Return the blocks of an ``agents.yaml`` or ``tasks.yaml``, by agent or task.

    Raises: ConfigError.
    """
    root = _compose(_text_of(path), path)
    return _blocks_in(root, path) if root is not None else {}


def read_json_blocks(path: Path, strip: Callable[[str], str]) -> tuple[Block | None, list[Block]]:
    """Return the block of a JSON agent, and the blocks of the tasks of a JSON crew.

    ``strip`` removes comments and trailing commas. Raises: ConfigError.
    """
    try:
        text = strip(_text_of(path))
    except ValueError as error:
        raise ConfigError(f"{path}:1:1: {error}") from None
    root = _compose(text.replace("\t", " "), path)  # WHY: JSON indents with tabs, YAML does not
    if root is None:
        return None, []
    entries = dict(_entries(root, path))
    own = _block_of(entries[BLOCK], path) if BLOCK in entries else None
    tasks = entries.get("tasks")
    items = tasks.value if isinstance(tasks, yaml.SequenceNode) else []
    found = [_own_block(item, path) for item in items]
    return own, [block or Block("") for block in found]


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
        if len(data) > _BYTES_MAX:
            raise ConfigError(f"{path}:1:1: over {_BYTES_MAX} bytes")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeError as error:
        raise ConfigError(f"{path}:1:1: the text is not utf-8: {error}") from None


def _compose(text: str, path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}:1:1"
        raise ConfigError(f"{where}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}:1:1: {error}") from None


def _blocks_in(root: yaml.Node, path: Path) -> dict[str, Block]:
    found = {name: _own_block(node, path) for name, node in _entries(root, path)}
    return {name: block for name, block in found.items() if block is not None}


def _own_block(node: yaml.Node, path: Path) -> Block | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    block = dict(_entries(node, path)).get(BLOCK)
    return None if block is None else _block_of(block, path)


def _where(node: yaml.Node, path: Path) -> str:
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _entries(node: yaml.Node, path: Path) -> Iterator[tuple[str, yaml.Node]]:
    """Yield keys and values, those of merged mappings (``<<``) last. Raises: ConfigError."""
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{_where(node, path)}: expected a mapping")
    seen: dict[str, yaml.Node] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if key.tag == _MERGE:
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            continue
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{_where(key, path)}: a key is not text")
        if key.value in seen:
            raise ConfigError(f"{_where(key, path)}: `{key.value}` stands here twice")
        seen[key.value] = value
    for base in merged:
        if base is node:
            raise ConfigError(f"{_where(node, path)}: a mapping that holds itself")
        for name, value in _entries(base, path):
            seen.setdefault(name, value)
    yield from seen.items()


def _block_of(node: yaml.Node, path: Path, *, of_tool: bool = False) -> Block:
    names = _TOOL_KEYS if of_tool else _AGENT_KEYS
    said: dict[str, Any] = {"where": _where(node, path)}
    for name, value in _entries(node, path):
        if name not in names:
            known = ", ".join(sorted(names))
            raise ConfigError(f"{_where(value, path)}: unknown key `{name}`: expected {known}")
        said[name] = _READERS[name](value, path)
    if "policy" in said and "profile" in said:
        raise ConfigError(
            f"{said['where']}: `policy` and `profile`: say one of them",
            help="a policy file can name a profile in `extends`",
        )
    if "mode" in said and not said.keys() & {"policy", "profile"}:
        raise ConfigError(f"{said['where']}: `mode` is about a `policy` or a `profile`: name one")
    if "params" in said and "tool" not in said:
        raise ConfigError(f"{said['where']}: `params` needs `tool`")
    return Block(**said)


def _text(node: yaml.Node, path: Path) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str") and node.value.strip():
        return str(node.value)
    raise ConfigError(f"{_where(node, path)}: expected a text")


def _file(node: yaml.Node, path: Path) -> Path:
    return (path.parent / Path(_text(node, path)).expanduser()).absolute()


def _one_of(*words: str) -> Callable[[yaml.Node, Path], str]:
    def read(node: yaml.Node, path: Path) -> str:
        if isinstance(node, yaml.ScalarNode) and node.value in words:
            return str(node.value)
        raise ConfigError(f"{_where(node, path)}: expected {' or '.join(words)}")

    return read


def _seconds(node: yaml.Node, path: Path) -> float:
    try:
        seconds = float(node.value) if isinstance(node, yaml.ScalarNode) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{_where(node, path)}: expected a number of seconds")
    return seconds


def _texts(node: yaml.Node, path: Path) -> dict[str, str]:
    return {name: _text(value, path) for name, value in _entries(node, path)}


def _tools(node: yaml.Node, path: Path) -> dict[str, Block]:
    return {name: _block_of(value, path, of_tool=True) for name, value in _entries(node, path)}


_READERS: Final[Mapping[str, Callable[[yaml.Node, Path], Any]]] = {
    "agent": _text,
    "ask": _one_of("wait", "deny"),
    "ask_timeout_s": _seconds,
    "mode": _one_of("enforce", "monitor"),
    "params": _texts,
    "policy": _file,
    "profile": _text,
    "tool": _text,
    "tools": _tools,
}
_TOOL_KEYS: Final = frozenset(_READERS) - {"agent", "tools"}
_AGENT_KEYS: Final = frozenset(_READERS) - {"tool", "params"}
