"""core/docs/policy.md is true: its blocks load, and it names every key there is."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from rampart.model import Action, ToolCall
from rampart.policy import compile_policies, parse_policy
from rampart.policy.schema import _POLICY, _RULE, _SCOPE, _TOP
from rampart.policy.when import _OPERATORS, _READERS

PAGE = Path(__file__).parents[3] / "core" / "docs" / "policy.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_block_of_the_page_loads(block: str) -> None:
    if not block.startswith("version:"):  # a list of rules
        head = 'version: "1"\npolicies:\n- name: p\n  rules:\n'
        block = head + textwrap.indent(block, "  ")
    document = parse_policy(block, filename="policy.md")
    compile_policies([document], home="/home/me", workspace="/work")
    assert document.policies


def test_the_page_has_blocks() -> None:
    assert len(BLOCKS) >= 8


@pytest.mark.parametrize("keys", [_TOP, _POLICY, _SCOPE, _RULE, _READERS, _OPERATORS])
def test_the_page_names_every_key(keys: frozenset[str]) -> None:
    assert [key for key in sorted(keys) if not re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", TEXT)] == []


def test_every_condition_stands_in_a_block() -> None:
    blocks = "\n".join(BLOCKS)
    assert [name for name in _READERS if f"{name}:" not in blocks] == []


REVIEWED = re.findall(r"```yaml\n([^`]*)```\n\n```review\n([^`]*)```", TEXT)


def reviews() -> list[tuple[str, str, str]]:
    lines = [(policy, line) for policy, block in REVIEWED for line in block.splitlines()]
    return [(policy, *line.split("->", 1)) for policy, line in lines]


@pytest.mark.parametrize(("policy", "response", "answer"), reviews())
def test_every_review_of_the_page_is_what_happens(policy: str, response: str, answer: str) -> None:
    engine = compile_policies(
        [parse_policy(policy, filename="policy.md")], home="/home/me", workspace="/work"
    )
    action, _, shown = answer.strip().partition(" ")
    reviewed = engine.review(
        ToolCall("read", {}),
        [Action("read", "call", path="/work/a")],
        json.loads(response),
        now=0.0,
        late=lambda: False,
    )

    assert reviewed.decision.action == action
    if shown:
        assert reviewed.response == json.loads(shown)


def test_the_page_has_reviews() -> None:
    assert len(reviews()) >= 5
