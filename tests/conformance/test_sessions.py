"""The cases of tests/conformance/sessions.yaml: whole sessions, played through the real gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.model import ToolCall
from rampart.policy.times import read_duration
from rampart.session import History
from rampart.sources import PolicyInForce, policy_documents

GROUPS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "sessions.yaml").read_text())
KEYS = {"exec", "tool", "input", "is", "rule", "later", "session", "agent", "depth"}


class Clock:
    def __init__(self) -> None:
        self.time = 1_893_456_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return 0.0


def call_of(step: dict[str, Any]) -> ToolCall:
    tool, params = (
        ("exec", {"command": step["exec"]}) if "exec" in step else (step["tool"], step["input"])
    )
    return ToolCall(
        tool,
        params,
        agent=step.get("agent", "a"),
        session=step.get("session", "s"),
        depth=step.get("depth", 0),
        cwd="/workspace/project",
    )


@pytest.mark.parametrize("group", GROUPS, ids=[group["about"] for group in GROUPS])
def test_session(group: dict[str, Any]) -> None:
    clock = Clock()
    documents = policy_documents(text=group.get("policy"), profile=group.get("profile"))
    gate = Gate(
        PolicyInForce(documents),
        hosts=HostFacts(workspace="/workspace/project", home="/home/me", follow_links=False),
        clock=clock,
        history=History(clock=clock),
    )
    for number, step in enumerate(group["steps"], start=1):
        assert not set(step) - KEYS
        clock.time += read_duration(step["later"]) if "later" in step else 0
        expected = step["is"] if isinstance(step["is"], list) else [step["is"]]

        preview = gate.check(call_of(step))
        decision = gate.rehearse(call_of(step))

        assert decision.action in expected, (number, step, decision)
        assert (preview.action, preview.rule) == (decision.action, decision.rule), number
        if "rule" in step:
            assert decision.rule == step["rule"], number
