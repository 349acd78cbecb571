"""Every rule of every built-in profile matches the calls that it says it matches, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rampart.intercept import intercept
from rampart.model import Host, ToolCall
from rampart.policy import compile_policies
from rampart.policy.document import Example, Policy, PolicyDocument, Rule
from rampart.sources import policy_documents, profile_document, profile_names

HOME = "/home/me"
PLACES = ("/workspace/project", "/home/me/src/app")  # a project is often inside a home
RULES_MAX = 150  # in one profile: more than that nobody reads
SESSIONS = (Path(__file__).parent / "sessions.yaml").read_text()
NEEDS_NO_EXAMPLE = frozenset({"watch", "allow"})


def rules(name: str) -> Iterator[tuple[Policy, Rule]]:
    for policy in profile_document(name).policies:
        for rule in policy.rules:
            yield policy, rule


def proofs(kind: str) -> Iterator[object]:
    for name in profile_names():
        for policy, rule in rules(name):
            for example in getattr(rule.examples, kind):
                for place in PLACES:
                    label = f"{name}:{policy.name}/{rule.id}:{example.call!r}:{place}"
                    yield pytest.param(policy, rule, example, place, id=label)


def speaks(policy: Policy, rule: Rule, example: Example, place: str) -> bool:
    """Return whether ``rule`` speaks when it and the exceptions before it are all there is."""
    before = policy.rules[: policy.rules.index(rule)]
    exceptions = tuple(other for other in before if other.action in NEEDS_NO_EXAMPLE)
    alone = Policy(policy.name, (*exceptions, rule), match=policy.match)
    document = PolicyDocument("alone", b"", (alone,), default_action="allow")
    call = call_of(example.call, place)
    host = Host(home=HOME, cwd=place, workspace=place, user="me")
    engine = compile_policies([document], home=HOME, workspace=place)
    if rule.when.of_response:
        response = call.params["response"]
        asked = replace(call, params={k: v for k, v in call.params.items() if k != "response"})
        actions = intercept(asked, host)
        reviewed = engine.review(asked, actions, response, now=0.0, late=lambda: False)
        return reviewed.decision.rule == rule.id
    return engine.decide(call, intercept(call, host), now=0.0).rule == rule.id


def call_of(example: object, place: str) -> ToolCall:
    if isinstance(example, str):
        return ToolCall("exec", {"command": example}, cwd=place)
    assert isinstance(example, dict)
    return ToolCall(
        str(example["tool"]), {k: v for k, v in example.items() if k != "tool"}, cwd=place
    )


@pytest.mark.parametrize(("policy", "rule", "example", "place"), list(proofs("match")))
def test_rule_matches_its_examples(
    policy: Policy, rule: Rule, example: Example, place: str
) -> None:
    assert speaks(policy, rule, example, place)


@pytest.mark.parametrize(("policy", "rule", "example", "place"), list(proofs("not_match")))
def test_rule_leaves_its_neighbours_alone(
    policy: Policy, rule: Rule, example: Example, place: str
) -> None:
    assert not speaks(policy, rule, example, place)


@pytest.mark.parametrize("name", profile_names())
def test_profile_is_short_and_every_restriction_explains_and_proves_itself(name: str) -> None:
    found = list(rules(name))

    assert len(found) < RULES_MAX
    for policy, rule in found:
        if rule.action in NEEDS_NO_EXAMPLE:
            continue
        assert rule.message, f"{policy.name}/{rule.id} does not say why"
        if rule.when.after:  # one call cannot show it: a session has to
            assert f"rule: {rule.id}" in SESSIONS, f"{policy.name}/{rule.id} is in no session"
            continue
        assert rule.examples.match, f"{policy.name}/{rule.id} has no example"
        assert rule.examples.not_match, f"{policy.name}/{rule.id} has no counter-example"


@pytest.mark.parametrize("name", profile_names())
def test_profile_and_what_it_extends_compile(name: str) -> None:
    documents = policy_documents(profile=name)

    engine = compile_policies(documents, home=HOME, workspace=PLACES[0])

    assert engine.default_action in ("allow", "watch", "ask", "deny")
    assert engine.policies
