"""Builders: a gate with log, approvals and history in one directory, and a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rampart.approval import ApprovalStore
from rampart.audit import AuditLog
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.policy import parse_policy
from rampart.session import History
from rampart.sources import PolicyInForce


class Clock:
    def __init__(self) -> None:
        self.time = 1_893_456_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_gate(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Gate]]:
    """Open a gate on a policy; each call is another program on the same data directory."""
    opened: list[AuditLog | ApprovalStore | History] = []
    (tmp_path / "home").mkdir()

    def build(policy: str, **options: object) -> Gate:
        audit = AuditLog.open(tmp_path / "audit")
        approvals = ApprovalStore.open(tmp_path / "approvals.db", clock=clock)
        nameless = str(options.pop("nameless", ""))
        history = History(tmp_path / "sessions.db", nameless=nameless, clock=clock)
        opened.extend((audit, approvals, history))
        return Gate(
            PolicyInForce([parse_policy(policy, filename="p.yaml")]),
            hosts=HostFacts(workspace=tmp_path, home=str(tmp_path / "home")),
            audit=audit,
            approvals=approvals,
            history=history,
            clock=clock,
            **options,  # type: ignore[arg-type]  # as the test says
        )

    yield build
    for each in opened:
        each.close()
