"""The cases of tests/conformance/cases: one call each, decided by the real engine and a profile.

A case is ``{id, tool, input, expect}`` and, where it matters, ``cwd``, ``home`` and ``profile``.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml
from rampart.intercept import intercept
from rampart.model import Host, ToolCall
from rampart.policy import Engine, compile_policies
from rampart.sources import policy_documents

FOLDER = Path(__file__).parent / "cases"
HOME = "/home/me"
WORKSPACE = "/workspace/project"
KEYS = {"id", "tool", "input", "expect", "cwd", "home", "profile"}
CASES: list[dict[str, Any]] = [
    case for path in sorted(FOLDER.glob("*.yaml")) for case in yaml.safe_load(path.read_text())
]


@functools.cache
def engine(profile: str, home: str, workspace: str) -> Engine:
    return compile_policies(policy_documents(profile=profile), home=home, workspace=workspace)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    home, place = case.get("home", HOME), case.get("cwd", WORKSPACE)
    call = ToolCall(case["tool"], case["input"], cwd=place)

    actions = intercept(call, Host(home=home, cwd=place, workspace=place, user="me"))
    decision = engine(case.get("profile", "standard"), home, place).decide(call, actions, now=0.0)

    assert decision.action in case["expect"], (decision.policy, decision.rule, decision.message)


def test_cases_are_well_formed_many_and_of_both_kinds() -> None:
    assert [case["id"] for case in CASES if set(case) - KEYS] == []
    assert len({case["id"] for case in CASES}) == len(CASES)
    stopped = [case for case in CASES if set(case["expect"]) <= {"ask", "deny"}]
    running = [case for case in CASES if set(case["expect"]) <= {"allow", "watch"}]
    assert len(stopped) + len(running) == len(CASES)
    assert len(stopped) > 500
    assert len(running) > 300
