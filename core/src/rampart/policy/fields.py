"""Nodes → typed values, with errors that point at the text and say what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, NoReturn

from rampart.errors import PolicyError
from rampart.limits import PATTERN_CHARS_MAX
from rampart.model import Verdict
from rampart.policy import composer
from rampart.policy.composer import Mapping, Node, Position, Scalar
from rampart.policy.document import ParamValue, RuleAction

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{1,18})?)(?:[eE][-+]?[0-9]{1,3})?")
_VERDICTS: Final[dict[str, Verdict]] = {
    "allow": "allow",
    "watch": "watch",
    "ask": "ask",
    "deny": "deny",
    "log": "watch",
    "require_approval": "ask",
}
_RULE_ACTIONS: Final[dict[str, RuleAction]] = {
    **_VERDICTS,
    "redact": "redact",
    "webhook": "webhook",
}


def fail(node: Position, message: str, hint: str = "") -> NoReturn:
    """Raise PolicyError at a node."""
    raise PolicyError(message, where=node.where, help=hint)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known word most like ``word``, or all of them."""
    import difflib  # WHY: needed for an error only

    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"the keys are: {', '.join(names)}"


def mapping(node: Node, what: str) -> Mapping:
    """Return a node that must be a mapping."""
    if not isinstance(node, Mapping):
        fail(node, f"{what} must be a mapping, not {_kind(node)}")
    return node


def sequence(node: Node, what: str) -> tuple[Node, ...]:
    """Return the items of a node that must be a list with something in it."""
    if not isinstance(node, composer.Sequence):
        fail(node, f"{what} must be a list, not {_kind(node)}")
    if not node.items:
        fail(node, f"{what} is an empty list", "leave the key out, or give it an entry")
    return node.items


def text(node: Node, what: str) -> str:
    """Return a scalar's text, which must not be empty."""
    if not isinstance(node, Scalar):
        fail(node, f"{what} must be a text, not {_kind(node)}")
    if not node.text:
        fail(node, f"{what} is empty")
    return node.text


def texts(node: Node, what: str) -> tuple[str, ...]:
    """Return one text, or a list of them."""
    if isinstance(node, Scalar):
        return (text(node, what),)
    return tuple(text(item, what) for item in sequence(node, what))


def checked_texts(node: Node, what: str, check: Callable[[str], str]) -> tuple[str, ...]:
    """Return one pattern or a list of them, each as ``check`` converts it or says ValueError."""
    items: Sequence[Node] = (node,) if isinstance(node, Scalar) else sequence(node, what)
    return tuple(_checked(item, what, check) for item in items)


def _checked(node: Node, what: str, check: Callable[[str], str]) -> str:
    value = text(node, what)
    if len(value) > PATTERN_CHARS_MAX:
        fail(node, f"a pattern of {len(value)} characters: the limit is {PATTERN_CHARS_MAX}")
    if any(character < " " and character not in "\t\n" for character in value):
        fail(node, f"{what} holds a control character")
    try:
        return check(value)
    except ValueError as error:
        fail(node, f"`{value}`: {error}")


def glob(value: str) -> str:
    """Accept any text glob."""
    return value


def boolean(node: Node, what: str) -> bool:
    """Return ``true`` or ``false``, written without quotes."""
    if isinstance(node, Scalar) and node.plain and node.text in ("true", "false"):
        return node.text == "true"
    fail(node, f"{what} must be true or false")


def integer(node: Node, what: str) -> int:
    """Return a whole number."""
    if isinstance(node, Scalar) and node.plain and _INTEGER.fullmatch(node.text):
        return int(node.text)
    fail(node, f"{what} must be a whole number")


def number(node: Node, what: str) -> float:
    """Return a number."""
    if isinstance(node, Scalar) and node.plain and _NUMBER.fullmatch(node.text):
        return _as_number(node.text)
    fail(node, f"{what} must be a number")


def value(node: Node, what: str) -> ParamValue:
    """Return a scalar as the value that YAML's core schema gives it: quotes make a text."""
    if not isinstance(node, Scalar):
        fail(node, f"{what} must be a text, a number, true, false or null, not {_kind(node)}")
    if not node.plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if node.text in ("null", "~", ""):
        return None
    return _as_number(node.text) if _NUMBER.fullmatch(node.text) else node.text


def verdict(node: Node) -> Verdict:
    """Return one of the four words; ``log`` is watch and ``require_approval`` is ask."""
    word = text(node, "action")
    if word in _RULE_ACTIONS and word not in _VERDICTS:
        fail(node, f"`{word}` is what a rule may do: expected allow, watch, ask or deny")
    if word not in _VERDICTS:
        fail(node, f"unknown action `{word}`: expected allow, watch, ask or deny")
    return _VERDICTS[word]


def rule_action(node: Node) -> RuleAction:
    """Return what a rule does: as ``verdict``, or ``redact`` or ``webhook``."""
    word = text(node, "action")
    return _RULE_ACTIONS[word] if word in _RULE_ACTIONS else verdict(node)


def timestamp(node: Node, what: str) -> float:
    """Return an RFC 3339 time with its zone in epoch seconds."""
    word = text(node, what)
    try:
        moment = datetime.fromisoformat(word)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    fail(node, f"{what} must be a time with a zone", "for example 2030-01-31T12:00:00Z")


def plain(node: Node) -> object:
    """Return a node as plain dicts, lists and values."""
    match node:
        case Scalar():
            return value(node, "value")
        case Mapping(entries):
            return {key.text: plain(item) for key, item in entries}
        case composer.Sequence(items):
            return [plain(item) for item in items]


def _as_number(word: str) -> int | float:
    return int(word) if _INTEGER.fullmatch(word) else float(word)


def _kind(node: Node) -> str:
    match node:
        case Scalar():
            return "nothing" if node.plain and not node.text else "a text"
        case Mapping():
            return "a mapping"
        case composer.Sequence():
            return "a list"
