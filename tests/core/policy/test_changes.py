"""Rules of a profile that a user's own policy switches off, or gives another word."""

from __future__ import annotations

from pathlib import Path

import pytest
from rampart.embedded import preview_gate
from rampart.errors import PolicyError
from rampart.hosts import HostFacts
from rampart.model import ToolCall
from rampart.sources import PolicyInForce, policy_documents

PUSH = "git push --force origin main"


def decide(text: str, line: str) -> str:
    policies = PolicyInForce(policy_documents(text=f'version: "1"\n{text}\n'))
    gate = preview_gate(policies, HostFacts(workspace="/tmp"))
    return gate.check(ToolCall("exec", {"command": line}, cwd="/tmp")).action


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("{}", "ask"),
        ("{irreversible/data-or-history: off}", "allow"),
        ("{irreversible: off}", "allow"),
        ("{irreversible/data-or-history: deny}", "deny"),
        ("{irreversible/data-or-history: watch}", "watch"),
    ],
)
def test_a_rule_is_switched_off_or_gets_another_word(rules, expected):
    said = "" if rules == "{}" else f"\nrules: {rules}"
    assert decide(f"extends: [standard]{said}", PUSH) == expected


def test_self_protection_can_be_changed_by_name_only():
    text = "default_action: allow"
    assert decide(text, "rampart serve") == "deny"
    rules = "\nrules: {rampart-commands/own-commands: off}"
    assert decide(text + rules, "rampart serve") == "allow"
    assert decide(text + rules, "rm ~/.rampart/policy.yaml") == "deny"


def test_a_name_that_does_not_exist_is_an_error_with_the_nearest_one():
    with pytest.raises(PolicyError, match=r"^<text>:3:9: there is no rule") as caught:
        decide("extends: [standard]\nrules: {irreversible/data-or-histry: off}", PUSH)
    assert caught.value.help == "did you mean `irreversible/data-or-history`?"


@pytest.mark.parametrize("word", ["on", "false", "redact", "[deny]"])
def test_a_word_that_means_nothing_is_an_error(word):
    with pytest.raises(PolicyError, match="<text>:3:"):
        decide(f"extends: [standard]\nrules: {{irreversible: {word}}}", PUSH)


def test_only_the_policy_that_is_named_may_change_rules(tmp_path: Path):
    (tmp_path / "base.yaml").write_text(
        'version: "1"\nextends: [standard]\nrules: {irreversible: off}\n'
    )
    own = tmp_path / "own.yaml"
    own.write_text('version: "1"\nextends: [base.yaml]\n')
    with pytest.raises(PolicyError, match="only the policy that is named itself"):
        policy_documents(path=own)
    assert policy_documents(path=tmp_path / "base.yaml")
