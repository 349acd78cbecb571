"""A real guard with a small policy, its log, and a person who answers questions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
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
  - name: destruction
    match: {tool: [exec]}
    rules:
      - {action: deny, when: {command_matches: ["rm -rf *"]}, message: destructive}
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

    def person(self, approve: bool, first: Callable[[], None] = lambda: None) -> threading.Thread:
        """Answer the next question, from a thread of its own; do something else ``first``."""

        def answer() -> None:
            question = self.question()
            first()
            self.guard._point.resolve(question, approve, by="a person")  # type: ignore[attr-defined]  # an embedded gate

        thread = threading.Thread(target=answer)
        thread.start()
        return thread

    def question(self) -> str:
        """Return the id of the question that waits, or will within seconds."""
        store = ApprovalStore.open(self.data_dir / "approvals.db")
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                if pending := store.pending():
                    return pending[0].id
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


class ScriptedModel(BaseChatModel):
    """Calls the given tools one after the other, then says that it is done."""

    calls: list[tuple[str, dict[str, Any]]]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> ScriptedModel:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        step = sum(isinstance(message, ToolMessage) for message in messages)
        answer = AIMessage("done")
        if step < len(self.calls):
            name, arguments = self.calls[step]
            call = {"name": name, "args": arguments, "id": f"call-{step}", "type": "tool_call"}
            answer = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=answer)])


@pytest.fixture
def scripted() -> Callable[..., ScriptedModel]:
    return lambda *calls: ScriptedModel(calls=list(calls))
