"""core/docs/policy.md is true: its blocks load, and it names every key there is."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from rampart.policy import compile_policies, parse_policy
from rampart.policy.schema import _POLICY, _RULE, _SCOPE, _TOP
from rampart.policy.when import _LATER, _OPERATORS, _READERS

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


@pytest.mark.parametrize("keys", [_TOP, _POLICY, _SCOPE, _RULE, _READERS, _OPERATORS, _LATER])
def test_the_page_names_every_key(keys: frozenset[str]) -> None:
    assert [key for key in sorted(keys) if not re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", TEXT)] == []


def test_every_condition_stands_in_a_block() -> None:
    blocks = "\n".join(BLOCKS)
    assert [name for name in _READERS if f"{name}:" not in blocks] == []
