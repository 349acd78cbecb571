"""The JSON Schema and the parser agree about keys, words and types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from rampart.authoring.json_schema import policy_schema
from rampart.authoring.json_schema_text import schema_text
from rampart.errors import PolicyError
from rampart.policy import occasion_readers, parse_policy, schema, when
from rampart.policy.composer import compose
from rampart.policy.fields import plain
from rampart.sources import profile_document, profile_names

ROOT = Path(__file__).parents[3]
CONFORMANCE = ROOT / "tests" / "conformance"
VALIDATOR = jsonschema.Draft202012Validator(policy_schema())


def policies() -> list[str]:
    found = [profile_document(name).source.decode() for name in profile_names()]
    for name in ("policy.yaml", "sessions.yaml"):
        groups = yaml.safe_load((CONFORMANCE / name).read_text())
        found += [group["policy"] for group in groups if "policy" in group]
    return found


def accepted(text: str) -> bool:
    return VALIDATOR.is_valid(plain(compose(text, "p.yaml")))


def rule(body: str) -> str:
    return f'version: "1"\npolicies: [{{name: p, rules: [{{{body}}}]}}]'


def of_when(body: str) -> str:
    return rule(f"action: deny, when: {body}")


def test_file_in_the_docs_is_the_generated_one() -> None:
    assert (ROOT / "core" / "docs" / "policy.schema.json").read_text() == schema_text()


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(policy_schema())


@pytest.mark.parametrize("text", policies())
def test_what_the_parser_takes_the_schema_takes(text: str) -> None:
    parse_policy(text, filename="p.yaml")
    errors = [error.message for error in VALIDATOR.iter_errors(plain(compose(text, "p.yaml")))]

    assert errors == []


def keys(*path: str) -> set[str]:
    node: Any = policy_schema()
    for step in path:
        node = node[step]
    return set(node["properties"])


RULE = ("properties", "policies", "items", "properties", "rules", "items")
WHEN = (*RULE, "properties", "when", "else")


def test_schema_has_the_keys_of_the_parser() -> None:
    assert keys() == schema._TOP
    assert keys("properties", "policies", "items") == schema._POLICY
    assert keys(*RULE) == schema._RULE
    assert keys(*WHEN) == set(when._READERS)
    assert keys(*WHEN, "properties", "upstream") == set(when._UPSTREAM_READERS)
    assert keys("$defs", "after") == set(when._UPSTREAM_READERS) | occasion_readers.AFTER_KEYS
    assert keys(*WHEN, "properties", "call_count") == occasion_readers.CALL_COUNT_KEYS
    assert keys(*WHEN, "properties", "time") == occasion_readers.TIME_KEYS
    assert keys("$defs", "comparison") == set(when._OPERATORS)


REFUSED = [
    "[]",
    "{}",
    "version: 2",
    '{version: "1", polices: []}',
    '{version: "1", policies: []}',
    '{version: "1", default_action: permit}',
    '{version: "1", default_action: redact}',
    '{version: "1", extends: []}',
    '{version: "1", policies: [{name: p}]}',
    '{version: "1", policies: [{rules: [{action: deny}]}]}',
    '{version: "1", policies: [{name: p, rules: [{action: deny}], priority: high}]}',
    '{version: "1", policies: [{name: p, rules: [{action: deny}], enabled: "true"}]}',
    '{version: "1", policies: [{name: p, rules: [{action: deny}], match: {tools: x}}]}',
    rule("when: {program: x}"),
    rule("action: permit"),
    rule("action: deny, wehn: {program: x}"),
    rule("action: deny, when: yes"),
    rule("action: deny, message: [a]"),
    rule("action: deny, message: ''"),
    rule("action: deny, once: 1"),
    rule("action: deny, expires_at: tomorrow"),
    rule("action: deny, examples: {match: []}"),
    rule("action: deny, examples: {match: [{path: x}]}"),
    rule("action: deny, examples: {matches: [x]}"),
    rule("action: webhook"),
    rule("action: deny, webhook: {url: 'https://x.example'}"),
    rule("action: webhook, webhook: {timeout: 1s}"),
    rule("action: webhook, webhook: {url: 'ftp://x.example'}"),
    rule("action: webhook, webhook: {url: 'https://x.example', retry: 1}"),
    rule("action: redact"),
    rule("action: redact, when: {program: x}"),
    *(
        of_when(body)
        for body in (
            "{programs: x}",
            "{program: []}",
            "{program: {a: b}}",
            "{program: [[x]]}",
            "{default: false}",
            "{default: true, program: x}",
            "{origin: nowhere}",
            "{effect: terrible}",
            "{effect_not: [remote, terrible]}",
            "{opaque: maybe}",
            "{params: {}}",
            "{params: {a: 5}}",
            "{params: {a: {}}}",
            "{params: {a: {above: 5}}}",
            "{params: {a: {gt: many}}}",
            "{params: {a: {in: 5}}}",
            "{params: {a: {exists: false, eq: 5}}}",
            "{tool_param_matches: {}}",
            "{tool_param_matches: [a]}",
            "{agent_depth: deep}",
            "{agent_depth: {}}",
            "{agent_depth: {over: 2}}",
            "{upstream: {}}",
            "{upstream: {session_matches: x}}",
            "{tool: exec}",
            "{after: {}}",
            "{after: {within: 1h}}",
            "{after: {tool: x, within: long}}",
            "{after: {tool: x, calls: 0}}",
            "{after: {tool: x, by: global}}",
            "{call_count: {tool: x}}",
            "{call_count: {gte: 0}}",
            "{call_count: {gte: 2, by: nobody}}",
            "{time: {}}",
            "{time: {zone: UTC}}",
            "{time: {hour: 9-17}}",
            "{response_credentials: false}",
            "{response_credentials: [passport]}",
        )
    ),
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_parser_refuses_the_schema_refuses(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text, filename="p.yaml")

    assert not accepted(text)


def test_schema_knows_the_tests_that_can_be_read() -> None:
    head = 'version: "1"\ntests: '

    assert accepted(head + "[{call: ls, expect: [allow, deny]}]")
    assert accepted(head + "[{name: a, steps: [{call: {tool: x}, expect: ask, later: 1h}]}]")
    assert not accepted(head + "[{call: ls, expcet: allow}]")
    assert not accepted(head + "[{call: ls}]")


def test_schema_is_ascii_and_stable() -> None:
    assert schema_text().isascii()
    assert json.loads(schema_text()) == json.loads(json.dumps(policy_schema()))
