"""Builders for the core: a policy text, a data directory, a gate or a guard on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rampart import Guard
from rampart.config import load_settings
from rampart.embedded import gate_of
from rampart.gate import Gate
from rampart.sources import PolicyInForce, policy_documents

POLICY = """
version: "1"
default_action: allow
policies:
  - name: destruction
    match: {tool: [exec]}
    rules:
      - name: rm
        action: deny
        when: {command_matches: ["rm *"]}
        message: no removing
        suggest: [use trash]
      - {name: push, action: ask, when: {command_matches: ["git push*"]}, message: a push}
      - {name: sudo, action: watch, when: {program: [sudo]}}
"""


@pytest.fixture
def policy() -> str:
    """Return the policy text that ``guard`` and ``open_gate`` use."""
    return POLICY


@pytest.fixture
def open_gate(tmp_path: Path) -> Iterator[Callable[..., Gate]]:
    """Return a function that opens a gate on a policy text; it is closed at the end."""
    closers: list[Callable[[], None]] = []

    def make(
        policy: str = POLICY, *, data_dir: Path | None = None, ask_timeout_s: float = 30
    ) -> Gate:
        settings = load_settings(data_dir=data_dir or tmp_path / "data", environment={})
        policies = PolicyInForce(policy_documents(text=policy))
        gate, close = gate_of(settings, policies, workspace=tmp_path, ask_timeout_s=ask_timeout_s)
        closers.append(close)
        return gate

    yield make
    for close in closers:
        close()


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    """Return an embedded guard on ``POLICY``."""
    with Guard(
        POLICY, data_dir=tmp_path / "data", agent="tester", session="s1", ask_timeout_s=30
    ) as opened:
        yield opened
