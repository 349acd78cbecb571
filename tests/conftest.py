"""What the adapters' tests share: a real guard, its log, and a person who answers questions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rampart import Guard
from rampart.approval import ApprovalStore
from rampart.audit.read import read_records

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: secrets
    match: {tool: [read, write, delete]}
    rules:
      - action: deny
        when: {path_matches: ["**/secret/**"]}
        message: secrets are not for agents
        suggest: [work with the public files]
      - action: ask
        when: {path_matches: ["**/ask/**"]}
        message: a person must agree
  - name: commands
    match: {tool: [exec]}
    rules:
      - {action: deny, when: {command_matches: ["*forbidden*"]}, message: not this command}
      - {action: ask, when: {command_matches: ["*perhaps*"]}, message: a person must agree}
      - {action: deny, when: {command_matches: ["rm -rf *"]}, message: destructive}
  - name: source
    match: {tool: [code]}
    rules:
      - {action: deny, when: {command_matches: ["*forbidden*"]}, message: not this code}
      - {action: ask, when: {command_matches: ["*perhaps*"]}, message: a person must agree}
  - name: notes
    match: {tool: [note]}
    rules:
      - {action: deny, when: {tool_param_matches: {text: ["*forbidden*"]}}, message: not this word}
"""


@dataclass
class Stage:
    """A guard and what it left behind."""

    guard: Guard
    folder: Path
    data_dir: Path

    def decisions(self) -> list[dict[str, Any]]:
        """Return the recorded decisions, oldest first."""
        records: list[dict[str, Any]] = list(read_records(self.data_dir / "audit"))
        return [record for record in records if record["type"] == "decision"]

    def person(
        self, approve: bool, first: Callable[[], None] = lambda: None, only: str = ""
    ) -> threading.Thread:
        """Answer the next question, from a thread of its own; do something else ``first``.

        With ``only``, the next one about a path that ends like that.
        """

        def answer() -> None:
            question = self.question(only)
            first()
            self.guard._point.resolve(question, approve, by="a person")  # type: ignore[attr-defined]  # an embedded gate

        thread = threading.Thread(target=answer)
        thread.start()
        return thread

    def question(self, only: str = "") -> str:
        """Return the id of the question that waits, or will within seconds."""
        store = ApprovalStore.open(self.data_dir / "approvals.db")
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                for asked in store.pending():
                    if str(asked.params.get("path", "")).endswith(only):
                        return asked.id
                threading.Event().wait(0.01)
        finally:
            store.close()
        raise AssertionError("nobody asked")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    data_dir = tmp_path / "rampart"
    folder = tmp_path / "project"
    for name in ("public", "secret", "ask"):
        (folder / name).mkdir(parents=True)
    with Guard(POLICY, data_dir=data_dir, workspace=folder, ask_timeout_s=30) as guard:
        yield Stage(guard, folder, data_dir)
