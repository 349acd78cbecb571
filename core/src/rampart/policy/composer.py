"""YAML text → nodes with positions, and nothing that a reader could take for something else.

MUST refuse what two parsers could read differently: duplicate keys, aliases, anchors, tags, merge
keys, a second document.
MUST NOT build nodes deeper than POLICY_DEPTH_MAX: a C parser overflowed its stack on deep input.
MUST raise PolicyError and nothing else, for any bytes. Scalars stay strings; whoever asks for a
number or a boolean converts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import yaml

from rampart.errors import PolicyError
from rampart.limits import POLICY_BYTES_MAX, POLICY_DEPTH_MAX


class Position(Protocol):
    """Where something stands in a file."""

    @property
    def where(self) -> str:
        """Return ``file:line:column``, both counted from 1."""
        ...


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar as text; ``plain`` if it was written without quotes."""

    text: str
    plain: bool
    where: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in file order."""

    entries: tuple[tuple[Scalar, Node], ...]
    where: str


Node = Scalar | Sequence | Mapping

_Loader: Final[type[yaml.SafeLoader | yaml.CSafeLoader]] = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)


def decode(text: str | bytes, filename: str) -> tuple[str, bytes]:
    """Return a policy as text and as the bytes that its generation is taken from.

    Raises: PolicyError for bytes that are not UTF-8, and over POLICY_BYTES_MAX.
    """
    where = f"{filename}:1:1"
    try:
        data = text.encode() if isinstance(text, str) else bytes(text)
        if len(data) > POLICY_BYTES_MAX:
            raise PolicyError(
                f"a policy of {len(data)} bytes: the limit is {POLICY_BYTES_MAX}", where=where
            )
        return data.decode("utf-8-sig"), data
    except UnicodeError as error:
        raise PolicyError(f"the text is not utf-8: {error}", where=where) from None


def compose(
    text: str,
    filename: str,
    loader: type[yaml.SafeLoader | yaml.CSafeLoader] = _Loader,
) -> Node:
    """Return the one document in ``text`` as a node. Raises: PolicyError."""
    try:
        return _Composer(loader(text), filename).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{filename}:{mark.line + 1}:{mark.column + 1}" if mark else f"{filename}:1:1"
        problem = error.problem or error.context or "the text cannot be parsed"
        raise PolicyError(f"not yaml: {problem}", where=where) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", "the text cannot be parsed")
        where = _where_of_character(text, getattr(error, "position", 0), filename)
        raise PolicyError(f"not yaml: {reason}", where=where) from None
    except (ValueError, RecursionError, OverflowError) as error:
        # WHY: the pure parser lets int() and chr() errors of escapes and directives through
        raise PolicyError(f"not yaml: {error}", where=f"{filename}:1:1") from None


def _where_of_character(text: str, index: object, filename: str) -> str:
    before = text[: index if isinstance(index, int) else 0]
    return f"{filename}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


class _Composer:
    def __init__(self, loader: yaml.SafeLoader | yaml.CSafeLoader, filename: str) -> None:
        # WHY: the type information upstream calls every event optional and leaves its fields out
        self._next: Callable[[], Any] = loader.get_event
        self._filename = filename

    def document(self) -> Node:
        self._next()  # the start of the stream
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise PolicyError("the policy is empty", where=f"{self._filename}:1:1")
        if event.tags:
            raise PolicyError("tag directives are not allowed", where=self._where(event))
        node = self._node(self._next(), 1)
        self._next()  # the end of the document
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise PolicyError(
                "a second document: a policy file holds one", where=self._where(event)
            )
        return node

    def _node(self, event: Any, depth: int) -> Node:
        where = self._where(event)
        self._refuse_references(event, where)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, event.style is None or event.style == "", where)
        if depth > POLICY_DEPTH_MAX:
            raise PolicyError(f"nested deeper than {POLICY_DEPTH_MAX}", where=where)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(where, depth)
        return self._mapping(where, depth)

    def _sequence(self, where: str, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(tuple(items), where)

    def _mapping(self, where: str, depth: int) -> Mapping:
        entries: list[tuple[Scalar, Node]] = []
        seen: set[str] = set()
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, depth)
            if key.text in seen:
                raise PolicyError(
                    f"duplicate key `{key.text}`",
                    where=key.where,
                    help="another program might read the other one; keep one of them",
                )
            seen.add(key.text)
            entries.append((key, self._node(self._next(), depth + 1)))
        return Mapping(tuple(entries), where)

    def _key(self, event: Any, depth: int) -> Scalar:
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            raise PolicyError("a key must be text", where=self._where(event))
        key = self._node(event, depth)
        assert isinstance(key, Scalar)
        if key.plain and key.text == "<<":
            raise PolicyError("merge keys are not allowed", where=key.where)
        return key

    def _refuse_references(self, event: Any, where: str) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise PolicyError(
                f"aliases are not allowed: `*{event.anchor}`",
                where=where,
                help="write the value out, or put a pattern that begins with `*` in quotes",
            )
        if getattr(event, "anchor", None) is not None:
            raise PolicyError(f"anchors are not allowed: `&{event.anchor}`", where=where)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise PolicyError(
                f"tags are not allowed: `{tag}`",
                where=where,
                help="put a text that begins with `!` in quotes",
            )

    def _where(self, event: Any) -> str:
        mark = event.start_mark
        return f"{self._filename}:{mark.line + 1}:{mark.column + 1}"
