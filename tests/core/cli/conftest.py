"""The program as a person runs it: a process with its own data directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

POLICY = """\
version: "1"
default_action: deny
policies:
  - name: shell
    match: {tool: exec}
    rules:
      - action: deny
        when: {command_matches: ["rm -rf *"]}
        message: Destructive command blocked
        suggest: [move it to the trash]
      - {action: ask, when: {command_matches: ["git push*"]}, message: pushing needs a person}
      - {action: watch, when: {command_matches: ["date*"]}, message: watched}
      - {action: allow, when: {command_matches: ["echo *", "ls", "ls *", "true"]}}
  - name: home
    match: {tool: read}
    rules:
      - {action: allow, when: {path_matches: ["~/notes/**"]}}
  - name: notes
    match: {tool: note}
    rules:
      - {action: allow, when: {default: true}}
"""


@dataclass(frozen=True)
class Rampart:
    """Runs the program on one data directory."""

    data_dir: Path
    environment: dict[str, str]

    def __call__(
        self, *arguments: str, stdin: str | bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        found = subprocess.run(
            self.command(*arguments),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**self.environment, **environment},
            timeout=60,
            check=False,
        )
        return subprocess.CompletedProcess(
            found.args, found.returncode, found.stdout.decode(), found.stderr.decode()
        )

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of one command."""
        return [sys.executable, "-m", "rampart", *arguments]

    @contextmanager
    def serve(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], dict]]:
        """Run ``rampart serve`` and yield it with what it says when it is ready."""
        reader, writer = os.pipe()
        with subprocess.Popen(
            self.command("serve", "--port", "0", "--ready-fd", str(writer), *arguments),
            env=self.environment,
            pass_fds=[writer],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            os.close(writer)
            try:
                with os.fdopen(reader, "rb") as file:
                    line = file.readline()
                if not line:
                    raise AssertionError(process.communicate()[1].decode())
                yield process, json.loads(line)
            finally:
                process.terminate()
                process.wait(20)


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide without the plugins that happen to be installed."""
    monkeypatch.setenv("RAMPART_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with the policy above."""
    folder = tmp_path / "rampart"
    folder.mkdir(mode=0o700)
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.fixture
def rampart(data_dir: Path) -> Rampart:
    """The program, without the plugins that happen to be installed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    environment = {
        **kept,
        "RAMPART_HOME": str(data_dir),
        "RAMPART_DISABLE_PLUGIN_AUTOLOAD": "1",
        "LC_ALL": "C.UTF-8",
    }
    return Rampart(data_dir, environment)


@pytest.fixture
def ask(data_dir: Path) -> Iterator[Callable[..., str]]:
    """Return a function that makes a call which asks, and returns the approval's id."""
    from rampart.config import Settings
    from rampart.embedded import gate_of
    from rampart.model import ToolCall
    from rampart.sources import PolicyInForce, policy_documents

    settings = Settings(data_dir, policy=data_dir / "policy.yaml")
    gate, close = gate_of(settings, PolicyInForce(policy_documents(path=settings.policy)))

    def make(command: str = "git push", **who: str) -> str:
        decision = gate.enforce(ToolCall("exec", {"command": command}, cwd="/tmp", **who))
        assert decision.action == "ask"
        return decision.approval_id

    yield make
    close()
