"""A document in force as a tightening layer: its restrictions count, and nothing else of it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from rampart.intercept import intercept
from rampart.model import STRICTNESS, Decision, Host, ToolCall
from rampart.policy import PolicyDocument, compile_policies, parse_policy
from rampart.policy.document import Layer

HOST = Host("/home/me", "/home/me/app", "/home/me/app", "me", {}, None)
WORDS = ("allow", "watch", "ask", "deny")


def document(text: str, layer: Layer = "policy", name: str = "p.yaml") -> PolicyDocument:
    return replace(parse_policy('version: "1"\n' + text, filename=name), layer=layer)


def decide(documents: list[PolicyDocument], line: str) -> Decision:
    call = ToolCall("exec", {"command": line}, cwd=HOST.cwd)
    engine = compile_policies(documents, home=HOST.home, workspace=HOST.workspace)
    return engine.decide(call, intercept(call, HOST), now=0.0)


def rules(default: str, action: str, pattern: str) -> str:
    return f"""
default_action: {default}
policies:
  - name: only
    priority: 50
    rules:
      - {{action: {action}, when: {{command_matches: ["{pattern}"]}}}}
"""


@pytest.mark.parametrize("line", ["make test", "make test && ls > out", "$X", "ls"])
def test_a_tightening_layer_never_loosens_and_its_restrictions_hold(line):
    for default, own, added, theirs in itertools.product(
        ("allow", "deny"), WORDS, WORDS, ("allow", "deny")
    ):
        base = document(rules(default, own, "make *"))
        layer = document(rules(theirs, added, "*"), "tightens", "layer.yaml")
        before, after = decide([base], line), decide([base, layer], line)
        assert STRICTNESS[after.action] >= STRICTNESS[before.action], (default, own, added)
        if added in ("ask", "deny") and line != "$X":
            assert STRICTNESS[after.action] >= STRICTNESS[added], (default, own, added)


def test_its_question_does_not_keep_the_default_away():
    base = document("default_action: deny")
    layer = document(rules("allow", "ask", "make *"), "tightens", "layer.yaml")
    assert decide([base, layer], "make test").rule == "default_action"
    assert decide([base, layer], "make test").action == "deny"


def test_its_exceptions_stand_before_its_own_rules():
    base = document("default_action: allow")
    text = """
policies:
  - name: layer
    rules:
      - {action: allow, when: {command_matches: ["tool status"]}}
      - {action: deny, when: {program: tool}}
"""
    layer = document(text, "tightens", "layer.yaml")
    assert decide([base, layer], "tool status").action == "allow"
    assert decide([base, layer], "tool stop").action == "deny"


def test_the_policy_itself_is_named_before_a_layer_of_any_priority():
    base = document("default_action: deny\npolicies: [{name: mine, rules: [{action: deny}]}]")
    layer = document(rules("allow", "deny", "*"), "tightens", "layer.yaml")
    assert decide([base, layer], "ls").matched == ("mine", "only")


def test_how_a_document_counts_is_part_of_the_generation():
    base, other = (
        document("policies: [{name: p, rules: [{action: deny, when: {program: never}}]}]"),
        document(rules("deny", "deny", "x"), name="o.yaml"),
    )
    generations = {
        decide([base, replace(other, layer=layer)], "ls").generation
        for layer in ("policy", "tightens", "overrides")
    }
    assert len(generations) == 3
