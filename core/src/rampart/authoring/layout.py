"""Layout: a policy file in canonical order and style, with its comments where they were.

MUST NOT change what a file says: the result is parsed, compared with the original node by node, and
thrown away if anything but order, quotes and white space is different.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from rampart.errors import PolicyError
from rampart.policy import parse_policy
from rampart.policy.composer import Mapping, Node, Scalar, compose, decode

_TOP: Final = (
    "version", "default_action", "extends", "rules", "notify", "commands", "policies", "tests",
)  # fmt: skip
_POLICY: Final = ("name", "description", "priority", "enabled", "match", "rules")
_RULE: Final = (
    "name", "action", "expires_at", "once", "when", "webhook", "message", "suggest", "examples",
)  # fmt: skip

_BLANK_LINES_MAX: Final = 1


@dataclass(frozen=True, slots=True)
class _Block:
    """A mapping in block style, as lines: ``end`` is the first line behind it."""

    keys: tuple[tuple[str, int], ...]
    order: tuple[str, ...]
    end: int
    column: int


def formatted(text: str, *, filename: str) -> str:
    """Return a policy file in canonical style.

    Raises: PolicyError if the file does not load, or cannot be rewritten without changing it.
    """
    parse_policy(text, filename=filename)
    found = _quoted(_trimmed(text.removeprefix("\ufeff")))
    for _ in range(_PASSES_MAX):
        moved = _reordered(found)
        if moved == found:
            break
        found = moved
    found = _spaced(found)
    if _content(found, filename) != _content(text, filename):
        raise PolicyError(
            "this file cannot be put in order without changing what it says",
            where=f"{filename}:1:1",
            help="write its rules as block mappings, one key a line",
        )
    return found


_PASSES_MAX: Final = 3  # one moves the keys of every level; the next finds nothing to do


def _content(text: str, filename: str) -> object:
    decoded, _ = decode(text, filename)
    found = _plain(compose(decoded, filename))
    assert isinstance(found, dict)  # the file was parsed before
    version, _ = found.pop("version")  # which may be written without quotes
    return version, found


def _plain(node: Node) -> object:
    """Return a node without its place, the order of its keys, and the kind of quotes."""
    match node:
        case Scalar(text, plain, _):
            return text, plain
        case Mapping(entries, _):
            return {key.text: _plain(item) for key, item in entries}
        case _:
            return [_plain(item) for item in node.items]


# white space and quotes


def _trimmed(text: str) -> str:
    inside = _inside_scalars(text)
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(
        line if number in inside else line.rstrip() for number, line in enumerate(lines)
    )


def _inside_scalars(text: str) -> set[int]:
    """Return the numbers of lines on which a scalar of several lines stands."""
    found: set[int] = set()
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken) and token.start_mark.line != token.end_mark.line:
            found.update(range(token.start_mark.line, token.end_mark.line + 1))
    return found


def _quoted(text: str) -> str:
    """Write single quotes as double ones where nothing inside needs an escape."""
    tokens = [
        token
        for token in yaml.scan(text, Loader=yaml.SafeLoader)
        if isinstance(token, yaml.ScalarToken) and token.start_mark.line == token.end_mark.line
    ]
    previous: Any = None
    edits: list[tuple[int, int, str]] = []
    for token in tokens:
        start, end, value = token.start_mark.index, token.end_mark.index, token.value
        if token.style == "'" and not set(value) & {"\\", '"', "'"} and value.isprintable():
            edits.append((start, end, f'"{value}"'))
        if token.plain and value == "1" and _is_version(previous):
            edits.append((start, end, '"1"'))
        previous = token
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text


def _is_version(token: Any) -> bool:
    """True for the key at the top of a file; other keys of that name may have numbers."""
    return token is not None and token.value == "version" and token.start_mark.column == 0


def _spaced(text: str) -> str:
    """End with one line feed, and hold at most one blank line in a row."""
    inside = _inside_scalars(text)
    found: list[str] = []
    blank = 0
    for number, line in enumerate(text.split("\n")):
        blank = 0 if line or number in inside else blank + 1
        if blank <= _BLANK_LINES_MAX:
            found.append(line)
    return "\n".join(found).strip("\n") + "\n"


# order


def _reordered(text: str) -> str:
    """Move the keys of every block mapping that has an order, the innermost first."""
    lines = text.split("\n")
    for block in sorted(_blocks(text), key=lambda block: -block.column):
        lines = _moved(lines, block)
    return "\n".join(lines)


def _blocks(text: str) -> list[_Block]:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    found: list[_Block] = []
    _add_block(found, node, _TOP)
    for policy in _items(node, "policies"):
        _add_block(found, policy, _POLICY)
        for rule in _items(policy, "rules"):
            _add_block(found, rule, _RULE)
    return found


def _items(node: Any, key: str) -> list[Any]:
    if not isinstance(node, yaml.MappingNode):
        return []
    for name, value in node.value:
        if name.value == key and isinstance(value, yaml.SequenceNode):
            return list(value.value)
    return []


def _add_block(found: list[_Block], node: Any, order: tuple[str, ...]) -> None:
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return
    keys = tuple((name.value, name.start_mark.line) for name, _ in node.value)
    if len({line for _, line in keys}) == len(keys):
        end = _end_line(node)
        found.append(_Block(keys, order, end, node.start_mark.column))


def _end_line(node: Any) -> int:
    last = node.value[-1][1]
    while isinstance(last, yaml.MappingNode | yaml.SequenceNode) and not last.flow_style:
        item = last.value[-1]
        last = item[1] if isinstance(item, tuple) else item
    mark = last.end_mark
    # a block scalar ends at the start of the line behind it
    return int(
        mark.line if mark.column == 0 and mark.line > last.start_mark.line else mark.line + 1
    )


def _moved(lines: list[str], block: _Block) -> list[str]:
    wanted = sorted(
        range(len(block.keys)), key=lambda at: (_rank(block.keys[at][0], block.order), at)
    )
    if wanted == list(range(len(block.keys))):
        return lines
    starts = [line for _, line in block.keys]
    heads = [starts[0], *(_head(lines, starts[at - 1], starts[at]) for at in range(1, len(starts)))]
    ends = [*heads[1:], block.end]
    chunks = [lines[start:end] for start, end in zip(heads, ends, strict=True)]
    dash = lines[starts[0]][: block.column]  # `- ` of a list's item, or spaces
    chunks[0] = [" " * block.column + chunks[0][0][block.column :], *chunks[0][1:]]
    ordered = [line for at in wanted for line in chunks[at]]
    comments = _leading(ordered)
    rest = ordered[len(comments) :]
    rest[0] = dash + rest[0][block.column :]
    indent = dash[: len(dash) - len(dash.lstrip())]
    # INVARIANT: as many lines as before, or the places of the blocks around this one would be wrong
    above = [f"{indent}{line.strip()}".rstrip() for line in comments]
    return [*lines[: starts[0]], *above, *rest, *lines[block.end :]]


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _head(lines: list[str], previous: int, start: int) -> int:
    """Return the first line of the comments that stand directly above a key."""
    at = start
    while at - 1 > previous and lines[at - 1].lstrip().startswith("#"):
        at -= 1
    while at - 1 > previous and not lines[at - 1].strip():
        at -= 1
    return at


def _leading(lines: list[str]) -> list[str]:
    count = 0
    while count < len(lines) and (not lines[count].strip() or lines[count].lstrip()[:1] == "#"):
        count += 1
    return lines[:count]
