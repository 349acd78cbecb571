"""Policies as texts, and the stage they are decided on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rampart.authoring.findings import Finding
from rampart.authoring.lint import lint
from rampart.authoring.stage import Stage
from rampart.sources import PolicyInForce, policy_documents

NOW = 1_893_456_000.0


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide without the plugins that happen to be installed."""
    monkeypatch.setenv("RAMPART_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def stage_of() -> Callable[[str], Stage]:
    """Return a function that puts a policy text on a stage."""
    return lambda text: Stage(PolicyInForce(policy_documents(text=text)), now=NOW)


@pytest.fixture
def findings_of(stage_of: Callable[[str], Stage]) -> Callable[[str], tuple[Finding, ...]]:
    """Return a function that lints a policy text."""

    def findings(text: str) -> tuple[Finding, ...]:
        stage = stage_of(text)
        return lint(stage.policies.documents[0], stage)

    return findings
