"""What a framework's tool stands for.

A map is data: class path or tool name → Rampart tools and where their parameters come from. Every
adapter brings one as ``tools.yaml``; the format is described in ``core/docs/adapters.md``.
"""

from __future__ import annotations

import dataclasses
import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from rampart.errors import ConfigError
from rampart.limits import PARAMS_DEPTH_MAX

if TYPE_CHECKING:
    from rampart.policy.composer import Node


@dataclass(frozen=True, slots=True)
class Source:
    """Where one parameter comes from: the arguments and attributes of a tool, or a fixed text.

    ``kind`` says how ``names`` become one value: ``first`` takes the first that is there, else the
    text ``extra``; ``join`` makes a path of all; ``each`` joins the items of a list by ``extra``;
    ``json`` takes the key ``extra`` of a JSON text; ``literal`` is the text ``extra``. A name that
    begins with ``self.`` is an attribute of the tool.
    """

    kind: Literal["first", "join", "each", "json", "literal"]
    names: tuple[str, ...] = ()
    extra: str = ""
    optional: bool = False

    @classmethod
    def of(cls, text: str) -> Source:
        """Return the source that a plain text names: ``path``, ``path?`` or ``=text``."""
        if text.startswith("="):
            return cls("literal", extra=text[1:])
        return cls("first", (text.removesuffix("?"),), optional=text.endswith("?"))

    def value(self, arguments: Mapping[str, object], subject: object) -> object:
        """Return the value, or None if it is not there or cannot be read."""
        if self.kind == "literal":
            return self.extra
        found = [_lookup(name, arguments, subject) for name in self.names]
        present = [value for value in found if value is not None]
        if self.kind == "join":
            complete = found[-1] is not None and all(isinstance(v, str) for v in present)
            return posixpath.join(*present) if complete else None  # type: ignore[call-overload]  # all are text
        if self.kind == "first":
            return present[0] if present else self.extra or None
        if not present:
            return None
        if self.kind == "each":
            items = present[0] if isinstance(present[0], list | tuple) else [present[0]]
            texts = [item for item in items if isinstance(item, str)]
            return self.extra.join(texts) if texts and len(texts) == len(items) else None
        return _json_key(present[0], self.extra)

    def used(self, arguments: Mapping[str, object]) -> tuple[str, ...]:
        """Return the arguments that the value is made of.

        WHY: of several names for one thing only the one that counts; another one next to it stays
        visible, and the core refuses two that disagree.
        """
        if self.kind != "first":
            return self.names
        present = [name for name in self.names if arguments.get(name) is not None]
        return tuple(name for name in self.names if name not in present[1:])


def _lookup(name: str, arguments: Mapping[str, object], subject: object) -> object:
    if name.startswith("self."):
        return plain(getattr(subject, name.removeprefix("self."), None))
    return arguments.get(name)


def _json_key(text: object, key: str) -> object:
    try:
        data = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return data.get(key) if isinstance(data, dict) else None


@dataclass(frozen=True, slots=True)
class ToolMapping:
    """What one framework tool stands for: a Rampart tool, and where its parameters come from.

    Without ``tool`` it is a custom tool under its own name.
    """

    tool: str = ""
    params: Mapping[str, Source] = field(default_factory=dict)

    @classmethod
    def override(cls, tool: str | None, params: Mapping[str, str] | None) -> ToolMapping | None:
        """Return what a user said in ``protect(obj, tool=..., params=...)``; None if nothing.

        Raises: ConfigError.
        """
        if tool is None:
            if params:
                raise ConfigError("`params` needs `tool`", help='for example tool="exec"')
            return None
        return cls(tool, {name: Source.of(text) for name, text in (params or {}).items()})

    def call(
        self, name: str, arguments: Mapping[str, object], subject: object
    ) -> tuple[str, dict[str, object], str]:
        """Return the Rampart tool, its parameters, and which required one is missing, if any."""
        used = {each for source in self.params.values() for each in source.used(arguments)}
        rest = {key: value for key, value in arguments.items() if key not in used}
        values = {key: source.value(arguments, subject) for key, source in self.params.items()}
        missing = (k for k, v in values.items() if v is None and not self.params[k].optional)
        known = {key: value for key, value in values.items() if value is not None}
        # INVARIANT: a parameter of the mapping wins over an argument of the same name, which stays
        # visible under another one
        rest = {f"argument_{k}" if k in self.params else k: value for k, value in rest.items()}
        return self.tool or name, {**rest, **known}, next(missing, "")

    def fits(self, arguments: Iterable[str]) -> bool:
        """True if a tool with these arguments could serve every required parameter."""
        names = set(arguments)
        return all(
            source.optional or source.kind == "literal" or bool(names & set(source.names))
            for source in self.params.values()
        )


class ToolMap:
    """The well-known tools of one framework."""

    def __init__(
        self, by_class: Mapping[str, ToolMapping], by_name: Mapping[str, tuple[ToolMapping, ...]]
    ) -> None:
        self.by_class = by_class
        self.by_name = by_name

    @classmethod
    def parse(cls, text: str, filename: str) -> ToolMap:
        """Read a map. Raises: ConfigError, PolicyError, with ``file:line:column``."""
        from rampart.policy.composer import compose

        by_class: dict[str, ToolMapping] = {}
        by_name: dict[str, tuple[ToolMapping, ...]] = {}
        for item in _items(compose(text, filename)):
            entry = dict(_entries(item))
            if extra := set(entry) - {"class", "name", "tool", "params"}:
                raise ConfigError(f"{item.where}: unknown key `{min(extra)}`")
            if not {"tool", "params"} <= entry.keys() or not entry.keys() & {"class", "name"}:
                raise ConfigError(
                    f"{item.where}: an entry needs `tool`, `params`, and `class` or `name`"
                )
            params = {name: _source(node) for name, node in _entries(entry["params"])}
            mapping = ToolMapping(_texts(entry["tool"])[0], params)
            for path in _texts(entry.get("class")):
                if path in by_class:
                    raise ConfigError(f"{item.where}: `{path}` stands here twice")
                by_class[path] = mapping
            for name in _texts(entry.get("name")):
                by_name[name] = (*by_name.get(name, ()), mapping)
        return cls(by_class, by_name)

    def find(self, kind: type, name: str, arguments: Iterable[str]) -> ToolMapping:
        """Return what a tool of class ``kind`` stands for; nothing known: an empty mapping.

        What the user's own file says goes first, then what plugins know, then this map. A name
        alone counts only if the tool has the arguments that the mapping needs. Raises: ConfigError
        and PolicyError for the user's file, PluginError.
        """
        from rampart.tooldata import added_maps

        arguments = tuple(arguments)
        for known in (*added_maps(), self):
            if mapping := known.own(kind, name, arguments):
                return mapping
        return ToolMapping()

    def own(self, kind: type, name: str, arguments: tuple[str, ...]) -> ToolMapping | None:
        """Return what this map alone knows of a tool."""
        for base in kind.__mro__:
            if mapping := self.by_class.get(f"{base.__module__}.{base.__qualname__}"):
                return mapping
        for mapping in self.by_name.get(name, ()):
            if mapping.fits(arguments):
                return mapping
        return None


def _items(node: Node) -> Iterator[Node]:
    from rampart.policy.composer import Sequence

    if not isinstance(node, Sequence):
        raise ConfigError(f"{node.where}: expected a list")
    yield from node.items


def _entries(node: Node) -> Iterator[tuple[str, Node]]:
    from rampart.policy.composer import Mapping as Node_

    if not isinstance(node, Node_):
        raise ConfigError(f"{node.where}: expected a mapping")
    for key, value in node.entries:
        yield key.text, value


def _texts(node: Node | None) -> tuple[str, ...]:
    from rampart.policy.composer import Scalar

    if node is None:
        return ()
    if isinstance(node, Scalar):
        return (node.text,)
    return tuple(text for item in _items(node) for text in _texts(item))


def _source(node: Node) -> Source:
    from rampart.policy.composer import Scalar, Sequence

    if isinstance(node, Scalar):
        return Source.of(node.text)
    if isinstance(node, Sequence):
        parts = [Source.of(text) for text in _texts(node)]
        names = tuple(name for part in parts for name in part.names)
        otherwise = "".join(part.extra for part in parts if part.kind == "literal")
        return Source("first", names, otherwise, any(part.optional for part in parts))
    entry = dict(_entries(node))
    for kind, extra in (("join", ""), ("each", "with"), ("json", "key")):
        if set(entry) == {kind} | ({extra} if extra else set()):
            said = _texts(entry[extra])[0] if extra else ""
            return Source(kind, _texts(entry[kind]), said)  # type: ignore[arg-type]  # one of the three
    raise ConfigError(
        f"{node.where}: a source is a name, a list of names, {{join: [...]}}, {{each:, with:}}"
        " or {json:, key:}"
    )


def plain(value: object, depth: int = 0) -> Any:
    """Return a value as text, numbers, lists and mappings: what a policy and a log can read."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if depth > PARAMS_DEPTH_MAX:
        raise ValueError(f"nested deeper than {PARAMS_DEPTH_MAX}")
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), depth + 1) for f in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields"):
        # WHY: a pydantic model's own dump leaves out what it was told to exclude
        return plain(dict(value), depth + 1)  # type: ignore[call-overload]  # its iterator yields pairs
    return str(value)
