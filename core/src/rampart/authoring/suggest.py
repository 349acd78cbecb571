"""Profile, then lock: a policy that allows what a recording saw, and nothing wider.

MUST allow every recorded call that a grant can cover, and name the ones that none can.
MUST NOT use a wildcard that stands for more than one name in one directory, and only for reading.
MUST NOT allow what the recording saw denied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rampart.authoring.drafts import flow, scalar
from rampart.model import Action, Decision, ToolCall, Verdict
from rampart.subject import subject

_GRANTED: Final = frozenset({"call", "command", "redirect"})  # the rest is silent by itself
_SAME_KIND_MIN: Final = 5  # so many files of one kind, read in one directory, stand for all of them
_NAMED_MAX: Final = 50  # calls that are named in a comment
_PATTERN_MAX: Final = 1000  # characters; a policy refuses longer ones
_SHOWN: Final = 110
_EXTENSION: Final = re.compile(r"[^/.\[\]*?][^/\[\]*?]*(\.[A-Za-z0-9]{1,8})")
_WORDS: Final[tuple[Verdict, ...]] = ("allow", "watch", "ask")


@dataclass(frozen=True, slots=True)
class Made:
    """A recorded call, the word it got, and how often it was made."""

    call: ToolCall
    verdict: Verdict
    count: int
    id: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A policy as text. ``missing`` are calls that ran and that no grant can cover."""

    text: str
    missing: tuple[Made, ...]


def suggest(
    recorded: Sequence[Made],
    *,
    actions_of: Callable[[ToolCall], Sequence[Action]],
    decide: Callable[[str], Callable[[ToolCall], Decision]],
    source: str,
) -> Suggestion:
    """Return a policy for what was ``recorded``; ``source`` says in words what that was.

    ``decide`` compiles a policy's text and returns what decides by it.
    """
    wanted: dict[str, dict[str, dict[str, str]]] = {}
    for word in reversed(_WORDS):  # INVARIANT: what was allowed once ends as allowed
        for made in recorded:
            if made.verdict == word:
                for action in actions_of(made.call):
                    _note(wanted, action, word, made)
    stopped = [made for made in recorded if made.verdict == "deny"]
    policies = _policies(wanted)
    answer = decide(_text(source, policies, (), ()))
    lines = [made for made in stopped if answer(made.call).action != "deny"]
    policies = _denials(lines) + policies
    answer = decide(_text(source, policies, (), ()))
    missing = tuple(
        made
        for made in recorded
        if made.verdict in ("allow", "watch") and not answer(made.call).allowed
    )
    return Suggestion(_text(source, policies, missing, stopped), missing)


def _note(
    wanted: dict[str, dict[str, dict[str, str]]], action: Action, word: Verdict, made: Made
) -> None:
    if action.whole or action.origin not in _GRANTED or action.opaque or not action.grantable:
        return
    condition = _condition(action)
    if condition:
        for table in wanted.setdefault(action.tool, {}).values():
            table.pop(condition, None)
        table = wanted[action.tool].setdefault(word, {})
        table[condition] = made.id if made.count == 1 else f"{made.id}, {made.count} times"


def _condition(action: Action) -> str:
    """Return the condition that holds for this action alone; empty if there is none."""
    if action.path:
        return _entry("path_matches", re.sub(r"([*?\[])", r"[\1]", action.path))
    if action.url:
        return _entry("url_matches", action.url.replace("*", "?"))
    if action.command:
        # `?` is one character: the narrowest way to say a star
        return _entry("command_matches", action.command.replace("*", "?"))
    return _params(action.params)


def _entry(name: str, pattern: str) -> str:
    return f"{name}: {scalar(pattern)}" if len(pattern) <= _PATTERN_MAX else ""


def _params(params: Mapping[str, object]) -> str:
    if not params:
        return "default: true"
    parts = []
    for name, value in params.items():
        plain = value is None or isinstance(value, str | int | float | bool)
        if not plain or "." in name or name == "*":
            return ""  # no grant compares lists and objects
        parts.append(f"{json.dumps(name)}: {{eq: {json.dumps(value)}}}")
    return f"params: {{{', '.join(parts)}}}"


def _policies(wanted: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    parts = []
    for tool in sorted(wanted):
        rules = [rule for word in _WORDS for rule in _rules(tool, word, wanted[tool].get(word, {}))]
        if rules:
            head = (
                f"  - name: {scalar(f'seen-{tool}')}\n    match: {{tool: {scalar(_exact(tool))}}}\n"
            )
            parts.append(f"{head}    rules:\n{''.join(rules)}")
    return "\n".join(parts)


def _exact(tool: str) -> str:
    return tool.replace("*", "?")


def _rules(tool: str, word: str, conditions: Mapping[str, str]) -> Iterable[str]:
    wide, covered = _alike(conditions) if tool == "read" and word == "allow" else ({}, set())
    for pattern, count in wide.items():
        yield (
            f"      # {count} files of this kind were read in this directory\n"
            f"      - {{action: allow, when: {{path_matches: {flow([pattern])}}}}}\n"
        )
    for condition, basis in conditions.items():
        if condition not in covered:
            yield f"      - {{action: {word}, when: {{{condition}}}}}  # {basis}\n"


def _alike(conditions: Iterable[str]) -> tuple[dict[str, int], set[str]]:
    """Return patterns for files of one kind in one directory, and the conditions they cover."""
    groups: dict[str, set[str]] = {}
    for condition in conditions:
        name, _, text = condition.partition(": ")
        path = json.loads(text) if text.startswith('"') else text
        folder, _, base = path.rpartition("/")
        kind = _EXTENSION.fullmatch(base)
        if name == "path_matches" and folder and kind and not re.search(r"[*?\[]", path):
            groups.setdefault(f"{folder}/*{kind.group(1)}", set()).add(condition)
    large = {pattern: each for pattern, each in groups.items() if len(each) >= _SAME_KIND_MIN}
    covered = {condition for each in large.values() for condition in each}
    return {pattern: len(each) for pattern, each in large.items()}, covered


def _denials(stopped: Sequence[Made]) -> str:
    """Return a policy for calls that were denied and whose parts were allowed elsewhere."""
    rules = []
    for made in stopped:
        command = made.call.params.get("command")
        if isinstance(command, str) and len(command) <= _PATTERN_MAX:
            when = f"command_matches: {flow([command.replace('*', '?')])}"
            rules.append(f"      - {{action: deny, when: {{{when}}}}}  # {made.id}\n")
        else:
            rules.append(
                f"      # {made.id} was denied, and what stands below would allow it: look at it\n"
            )
    if not any("action" in rule for rule in rules):
        return ""
    head = "  - name: seen-denied\n    match: {tool: [exec, code]}\n    rules:\n"
    return f"{head}{''.join(rules)}\n"


def _text(source: str, policies: str, missing: Sequence[Made], stopped: Sequence[Made]) -> str:
    parts = [_HEAD.format(source=_comment(source))]
    parts += _listed(
        "These ran, and no grant can cover them (`rampart explain` says why):", missing
    )
    parts += _listed("These were denied, and still are:", stopped)
    parts.append(f"policies:\n{policies}" if policies else "# There is nothing to allow.\n")
    return "\n".join(parts)


def _listed(title: str, calls: Sequence[Made]) -> list[str]:
    if not calls:
        return []
    lines = [
        f"#   {_comment(f'{m.call.tool} {subject(m.call.params)}')}" for m in calls[:_NAMED_MAX]
    ]
    more = len(calls) - _NAMED_MAX
    return [
        "\n".join([f"# {title}", *lines, *([f"#   and {more} more"] if more > 0 else [])]) + "\n"
    ]


def _comment(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"


_HEAD: Final = """\
# What was seen, and nothing else: {source}.
# Each rule names the newest record that it is based on. Commands, addresses and written paths are
# exact; widen them with care. Parameters that a rule does not name are not looked at.
# `rampart audit replay --policy FILE` shows what it would have said about the log.

version: "1"
default_action: deny
"""
