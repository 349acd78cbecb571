"""The sessions that core/docs/policy.md shows end as it says."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from rampart.gate import Gate
from rampart.model import ToolCall
from rampart.policy.times import read_duration

from .conftest import Clock

PAGE = (Path(__file__).parents[3] / "core" / "docs" / "policy.md").read_text()
SHOWN = re.findall(r"```yaml\n([^`]*)```\n\n```session\n([^`]*)```", PAGE)
HEAD = 'version: "1"\ndefault_action: allow\npolicies:\n- name: p\n  rules:\n'


def call_of(text: str) -> ToolCall:
    tool, _, rest = text.partition(" ")
    params = {"command": rest} if tool == "exec" else json.loads(rest)
    return ToolCall(tool, params, session="s")


@pytest.mark.parametrize(("policy", "session"), SHOWN, ids=range(len(SHOWN)))
def test_a_session_of_the_page_ends_as_it_says(
    policy: str, session: str, open_gate: Callable[..., Gate], clock: Clock
) -> None:
    gate = open_gate(HEAD + textwrap.indent(policy, "  "))
    for line in session.splitlines():
        if line.startswith("+"):
            clock.time += read_duration(line[1:])
            continue
        word, text = line.split(None, 1)
        decision = gate.enforce(call_of(text))
        if word == "approve":
            gate.resolve(decision.approval_id, True, by="a person")
            decision, word = gate.finish(decision, 1), "allow"
        assert decision.action == word, line


def test_the_page_shows_a_session_for_every_condition_on_the_past() -> None:
    policies = "\n".join(policy for policy, _ in SHOWN)
    for key in ("after", "within", "calls", "until_approved", "call_count", "once", "time"):
        assert f"{key}:" in policies, key
