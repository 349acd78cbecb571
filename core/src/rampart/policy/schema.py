"""A policy file: node → PolicyDocument.

Every key is known and every value has its type, or the file does not load.
"""

from __future__ import annotations

from typing import Final

from rampart.errors import ConfigError, PolicyError
from rampart.intercept.catalog.extend import Addition, read_additions
from rampart.intercept.catalog.parse import PlacedList, PlacedMapping, PlacedText
from rampart.limits import POLICY_RULES_MAX
from rampart.policy import fields
from rampart.policy.composer import Mapping, Node, Scalar, Sequence, compose, decode
from rampart.policy.document import (
    ALWAYS,
    EVERYTHING,
    NO_EXAMPLES,
    Example,
    Examples,
    Policy,
    PolicyDocument,
    Rule,
    RuleChange,
    Scope,
)
from rampart.policy.fields import fail
from rampart.policy.stages import require_sense
from rampart.policy.webhooks import read_webhook
from rampart.policy.when import read_condition

VERSION: Final = "1"
_OFF: Final = "off"

_TOP: Final = frozenset(
    {"version", "default_action", "extends", "policies", "commands", "notify", "tests", "rules"}
)
_POLICY: Final = frozenset({"name", "description", "priority", "enabled", "match", "rules"})
_SCOPE: Final = frozenset({"tool", "agent", "session"})
_RULE: Final = frozenset(
    {"name", "action", "when", "message", "suggest", "expires_at", "once", "webhook", "examples"}
)
_EXAMPLES: Final = frozenset({"match", "not_match"})


def parse_policy(text: str | bytes, *, filename: str) -> PolicyDocument:
    """Parse one policy file.

    Raises: PolicyError, and nothing else: its message starts with ``filename:line:column``.
    """
    decoded, source = decode(text, filename)
    top = _Keys(compose(decoded, filename), "a policy file", _TOP)
    version = top.get("version")
    if version is None:
        fail(top.node, "version is missing", 'the first line of a policy is `version: "1"`')
    if fields.text(version, "version") != VERSION:
        fail(version, f'unknown version `{fields.text(version, "version")}`: expected "{VERSION}"')
    default, extends, policies = top.get("default_action"), top.get("extends"), top.get("policies")
    changes = top.get("rules")
    notify, tests, commands = top.get("notify"), top.get("tests"), top.get("commands")
    return PolicyDocument(
        filename=filename,
        source=source,
        policies=() if policies is None else _read_policies(policies),
        default_action=None if default is None else fields.verdict(default),
        extends=() if extends is None else fields.texts(extends, "extends"),
        commands=() if commands is None else _read_commands(commands, filename),
        notify={} if notify is None else _plain_mapping(notify, "notify"),
        tests=() if tests is None else tuple(map(fields.plain, fields.sequence(tests, "tests"))),
        changes=() if changes is None else _read_changes(changes),
    )


def _read_changes(node: Node) -> tuple[RuleChange, ...]:
    found: list[RuleChange] = []
    for key, item in fields.mapping(node, "rules").entries:
        word = fields.text(item, f"rules: {key.text}")
        action = None if word == _OFF else fields.verdict(item)
        found.append(RuleChange(key.text, action, key.where))
    return tuple(found)


def parse_commands(text: str, *, filename: str) -> tuple[Addition, ...]:
    """Parse a file of the catalog: additions by program. Raises: PolicyError."""
    decoded, _ = decode(text, filename)
    return _read_commands(compose(decoded, filename), filename)


def _read_commands(node: Node, filename: str) -> tuple[Addition, ...]:
    table = _placed(fields.mapping(node, "commands"))
    assert isinstance(table, PlacedMapping)
    try:
        return read_additions(table, filename)
    except ConfigError as error:  # what it is about has no place of its own
        raise PolicyError(error.message, where=node.where, help=error.help) from None


def _placed(node: Node) -> object:
    """Return a node in the form that the catalog reads: texts that know where they stand."""
    match node:
        case Scalar(text, _, where):
            return PlacedText(text, where)
        case Mapping(entries, where):
            items = [(PlacedText(key.text, key.where), _placed(item)) for key, item in entries]
            return PlacedMapping(items, where)
        case Sequence(items, where):
            return PlacedList(map(_placed, items), where)


class _Keys:
    """A mapping whose keys are all known."""

    def __init__(self, node: Node, what: str, known: frozenset[str]) -> None:
        self.node = fields.mapping(node, what)
        self._entries = {key.text: (key, item) for key, item in self.node.entries}
        for name, (key, _) in self._entries.items():
            if name not in known:
                fail(key, f"unknown key `{name}` in {what}", fields.nearest(name, known))

    def get(self, name: str) -> Node | None:
        """Return the value under a key, or None if it is absent."""
        entry = self._entries.get(name)
        return None if entry is None else entry[1]

    def key(self, name: str) -> Scalar:
        """Return a key that is there."""
        return self._entries[name][0]

    def require(self, name: str, what: str) -> Node:
        """Return the value under a key that must be there."""
        node = self.get(name)
        if node is None:
            fail(self.node, f"{what} has no {name}")
        return node

    def text(self, name: str) -> str:
        """Return an optional text."""
        node = self.get(name)
        return "" if node is None else fields.text(node, name)


def _read_policies(node: Node) -> tuple[Policy, ...]:
    found: list[Policy] = []
    places: dict[str, str] = {}
    rules = 0
    for item in fields.sequence(node, "policies"):
        policy = _read_policy(item)
        if policy.name in places:
            fail(
                item,
                f"duplicate policy `{policy.name}`",
                f"the other one is at {places[policy.name]}",
            )
        places[policy.name] = policy.where
        rules += len(policy.rules)
        if rules > POLICY_RULES_MAX:
            fail(item, f"more than {POLICY_RULES_MAX} rules in one file")
        found.append(policy)
    return tuple(found)


def _read_policy(node: Node) -> Policy:
    keys = _Keys(node, "a policy", _POLICY)
    name = fields.text(keys.require("name", "a policy"), "name")
    priority, enabled, match = keys.get("priority"), keys.get("enabled"), keys.get("match")
    return Policy(
        name=name,
        rules=_read_rules(keys.require("rules", f"policy `{name}`")),
        description=keys.text("description"),
        priority=0 if priority is None else fields.integer(priority, "priority"),
        enabled=True if enabled is None else fields.boolean(enabled, "enabled"),
        match=EVERYTHING if match is None else _read_scope(match),
        where=keys.node.where,
    )


def _read_scope(node: Node) -> Scope:
    keys = _Keys(node, "match", _SCOPE)
    patterns = {
        name: fields.checked_texts(item, name, fields.glob)
        for name in _SCOPE
        if (item := keys.get(name)) is not None
    }
    return Scope(**patterns)


def _read_rules(node: Node) -> tuple[Rule, ...]:
    found: list[Rule] = []
    places: dict[str, str] = {}
    for index, item in enumerate(fields.sequence(node, "rules"), start=1):
        rule = _read_rule(item, index)
        if rule.id in places:
            fail(item, f"duplicate rule `{rule.id}`", f"the other one is at {places[rule.id]}")
        places[rule.id] = rule.where
        found.append(rule)
    return tuple(found)


def _read_rule(node: Node, index: int) -> Rule:
    keys = _Keys(node, "a rule", _RULE)
    when, suggest = keys.get("when"), keys.get("suggest")
    expires, examples = keys.get("expires_at"), keys.get("examples")
    once, webhook = keys.get("once"), keys.get("webhook")
    if isinstance(when, Scalar):
        fail(
            when, "when must be a mapping", "a rule for every call says so: `when: {default: true}`"
        )
    rule = Rule(
        id=keys.text("name") or f"rule-{index}",
        action=fields.rule_action(keys.require("action", "a rule")),
        when=ALWAYS if when is None else read_condition(when),
        message=keys.text("message"),
        suggest=() if suggest is None else fields.texts(suggest, "suggest"),
        expires_at=None if expires is None else fields.timestamp(expires, "expires_at"),
        examples=NO_EXAMPLES if examples is None else _read_examples(examples),
        where=keys.node.where,
        once=False if once is None else fields.boolean(once, "once"),
        webhook=None if webhook is None else read_webhook(webhook),
    )
    require_sense(rule, keys.node)
    return rule


def _read_examples(node: Node) -> Examples:
    keys = _Keys(node, "examples", _EXAMPLES)
    match, not_match = keys.get("match"), keys.get("not_match")
    return Examples(
        () if match is None else tuple(map(_example, fields.sequence(match, "match"))),
        () if not_match is None else tuple(map(_example, fields.sequence(not_match, "not_match"))),
    )


def _example(node: Node) -> Example:
    if isinstance(node, Mapping):
        if not any(key.text == "tool" for key, _ in node.entries):
            fail(
                node,
                "an example for another tool names it",
                "for example {tool: read, path: /etc/shadow}",
            )
        return Example(_plain_mapping(node, "an example"), node.where)
    return Example(fields.text(node, "an example"), node.where)


def _plain_mapping(node: Node, what: str) -> dict[str, object]:
    return {key.text: fields.plain(item) for key, item in fields.mapping(node, what).entries}
