"""A real guard with a small policy, its log, a person who answers questions, and a scripted model.

CrewAI reads its settings from the environment when it is imported, sends telemetry and writes below
HOME when a crew runs. So the settings are made here, before any test module imports it.
"""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rampart import Guard
from rampart.approval import ApprovalStore
from rampart.audit.read import read_records

os.environ |= {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}

with warnings.catch_warnings():
    # WHY: a lazy module inside CrewAI refuses the attribute that importing its child sets
    warnings.filterwarnings("ignore", "Cannot set an attribute on 'crewai", ImportWarning)
    import crewai.crew
    import crewai.project  # noqa: F401 - imported here so that the warning stays here

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


@pytest.fixture(scope="module", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let CrewAI write where nobody minds."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("CREWAI_STORAGE_DIR", str(home / "crewai"))
        patch.chdir(home)
        yield


@pytest.fixture(autouse=True)
def no_hooks_left_behind() -> Iterator[None]:
    yield
    from rampart_crewai import uninstall_hooks

    uninstall_hooks()


@pytest.fixture
def scripted() -> Callable[..., Any]:
    """Return a maker of models that call the given tools one after the other, then end."""
    from crewai.llms.base_llm import BaseLLM

    class ScriptedLLM(BaseLLM):
        calls: list[tuple[str, dict[str, Any]]]
        native: bool = True
        step: int = 0
        seen: list[str]

        def supports_function_calling(self) -> bool:
            return self.native

        def call(self, messages: Any, tools: Any = None, *args: Any, **options: Any) -> Any:
            self.seen.append(json.dumps(messages, default=str))
            step, self.step = self.step, self.step + 1
            if step >= len(self.calls):
                return "done" if self.native else "Thought: I know it.\nFinal Answer: done"
            name, arguments = self.calls[step]
            if self.native:
                function = {"name": name, "arguments": json.dumps(arguments)}
                return [{"id": f"call-{step}", "type": "function", "function": function}]
            return f"Thought: next.\nAction: {name}\nAction Input: {json.dumps(arguments)}"

        async def acall(self, *args: Any, **options: Any) -> Any:
            return self.call(*args, **options)

    return lambda *calls, native=True: ScriptedLLM(
        model="scripted", calls=list(calls), native=native, seen=[]
    )
