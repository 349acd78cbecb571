"""A rule in words leaves nothing out."""

from __future__ import annotations

from dataclasses import fields

import pytest
from rampart.authoring.words import _CLAUSES, rule_words
from rampart.policy import parse_policy
from rampart.policy.document import Condition
from rampart.sources import profile_document, profile_names


def words(rule: str, match: str = "{tool: exec}") -> str:
    text = f'version: "1"\npolicies: [{{name: p, match: {match}, rules: [{rule}]}}]'
    policy = parse_policy(text, filename="p").policies[0]
    return "\n".join(rule_words(policy, policy.rules[0]))


def test_every_condition_has_words() -> None:
    assert {name for name, _ in _CLAUSES} == {field.name for field in fields(Condition)}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{action: deny, when: {default: true}}", "Denies the call (`exec`), always."),
        ("{action: ask, when: {program: [a, b]}}", "the program is `a` or `b`."),
        ("{action: deny, when: {agent_depth: {gte: 2}}}", "is at least 2"),
        ("{action: deny, when: {params: {n: {gt: 5, in: [7, x]}}}}",
         "is one of 7, 'x' and is over 5"),
        ("{action: deny, when: {opaque: true}}", "it cannot be known what would happen"),
        ("{action: deny, when: {time: {hours: '22:00-06:00', days: fri}}}",
         "it is 22:00-06:00 and the day is fri (UTC)"),
        ("{action: deny, when: {call_count: {tool: x, gte: 3, window: 1m, by: agent}}}",
         "call number 3 or later of `x` by the agent in 60 seconds"),
        ("{action: deny, when: {after: {tool: read, within: 1m, calls: 4}}}",
         "such that the tool is `read` within 60 seconds in the last 4 calls"),
        ("{action: deny, when: {upstream: {tool: fetch}}}",
         "it reads the output of what the tool is `fetch`"),
        ("{action: allow, once: true, expires_at: 2030-01-01T00:00:00Z}",
         "From 2030-01-01 00:00 UTC on it does not exist."),
        ("{action: redact, when: {response_credentials: jwt}}", "Takes what is found out"),
        ("{action: webhook, webhook: {url: 'https://x.example'}}", "while it is down: denied"),
    ],
)  # fmt: skip
def test_rule_in_words(rule: str, said: str) -> None:
    assert said in words(rule)


@pytest.mark.parametrize("name", profile_names())
def test_every_rule_of_a_profile_has_words(name: str) -> None:
    for policy in profile_document(name).policies:
        for rule in policy.rules:
            assert len(rule_words(policy, rule)) >= 2
