"""The cases of tests/conformance/policy.yaml: the policy language by example."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rampart.model import Decision
from rampart.policy import Engine, Reviewed

CASES = Path(__file__).parents[2] / "conformance" / "policy.yaml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(CASES.read_text())
FLAT = [
    pytest.param(group["policy"], case, id=f"{group['about']} ({index})")
    for group in GROUPS
    for index, case in enumerate(group["cases"], start=1)
]


@pytest.mark.parametrize(("policy", "case"), FLAT)
def test_case(
    policy: str,
    case: dict[str, Any],
    compile_text: Callable[..., Engine],
    decide: Callable[..., Decision],
    review: Callable[..., Reviewed],
) -> None:
    engine = compile_text(policy)
    if "response" in case:
        reviewed = review(engine, case)
        decision = reviewed.decision
        if decision.action != "deny":
            assert reviewed.response == case.get("shows", case["response"])
    else:
        decision = decide(engine, case)
    if "webhooks" in case:
        pending = decision.pending
        assert pending is not None
        assert [f"{each.policy}/{each.rule}" for each in pending.consultations] == case["webhooks"]
        assert pending.otherwise.action == case["otherwise"]

    assert decision.action == case["is"], decision
    for name in ("policy", "rule", "message"):
        if name in case:
            assert getattr(decision, name) == case[name]
    if "matched" in case:
        assert list(decision.matched) == case["matched"]
    if decision.policy:
        assert decision.matched[0] == decision.policy


def test_every_condition_has_a_case() -> None:
    from rampart.policy.when import _READERS

    texts = "\n".join(group["policy"] for group in GROUPS)
    assert [name for name in _READERS if name not in texts] == []
