"""The library and the launcher against the service itself: socket, HTTP, approvals, the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

RAMPART = str(Path(sys.executable).with_name("rampart"))
POLICY = """
version: "1"
default_action: allow
policies:
  - name: rules
    match: {tool: exec}
    rules:
      - action: deny
        when: {command_matches: ["rm *"]}
        message: Destructive command blocked
      - action: ask
        when: {command_matches: ["touch *"]}
        message: may it?
"""
AGENT = """
import subprocess, sys
def attempt(*words):
    try: return subprocess.run(words).returncode
    except OSError as error: return f"errno {error.errno}"
print(attempt("rm", "-rf", "/nonexistent"), attempt("touch", sys.argv[1]), flush=True)
sys.stdin.readline()
print(attempt("touch", sys.argv[1]), attempt("touch", sys.argv[1]), flush=True)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "policy.yaml").write_text(POLICY)
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAMPART_", "LD_"))}
    return plain | {"RAMPART_HOME": str(folder)}


@pytest.fixture
def serving(environment: dict[str, str]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Start `rampart serve` and return where it listens."""
    processes = []

    def start(*words: str) -> dict[str, Any]:
        reading, writing = os.pipe()
        command = [RAMPART, "serve", "--port", "0", "--quiet", "--ready-fd", str(writing), *words]
        processes.append(subprocess.Popen(command, env=environment, pass_fds=(writing,)))
        os.close(writing)
        with os.fdopen(reading) as ready:
            found: dict[str, Any] = json.loads(ready.readline())
        return found

    yield start
    for process in processes:
        process.terminate()
        process.wait(30)


def check_agent(words: list[str], environment: dict[str, str], target: Path) -> None:
    """Run an agent that is refused, asks, is approved by a person, and tries again."""
    command = [RAMPART, "preload", *words, "--", sys.executable, "-c", AGENT, str(target)]
    with subprocess.Popen(
        command,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "rampart: blocked — Destructive command blocked\n"
        told = process.stderr.readline()
        assert told.startswith("rampart: blocked — approval pending: rampart approve ")
        assert process.stdout.readline() == "errno 1 errno 1\n"
        assert not target.exists()
        approve = [RAMPART, *told.split()[-2:]]
        subprocess.run(approve, env=environment, check=True, capture_output=True)
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.stdout.readline() == "0 errno 1\n"  # an approval is used once
        assert target.exists()
        process.stdin.close()
        process.stdout.read()
        process.stderr.read()
        assert process.wait(30) == 0
    verified = [RAMPART, "audit", "verify"]
    subprocess.run(verified, env=environment, check=True, capture_output=True)


def test_with_a_private_service(environment: dict[str, str], tmp_path: Path) -> None:
    check_agent([], environment, tmp_path / "made")


def test_with_a_running_service(
    serving: Callable[..., dict[str, Any]], environment: dict[str, str], tmp_path: Path
) -> None:
    check_agent(["--socket", serving()["socket"]], environment, tmp_path / "made")


def test_with_a_running_service_over_http(
    serving: Callable[..., dict[str, Any]], environment: dict[str, str], tmp_path: Path
) -> None:
    check_agent(["--port", str(serving("--no-socket")["port"])], environment, tmp_path / "made")


def test_a_wrong_token_refuses_even_when_failing_open(
    serving: Callable[..., dict[str, Any]], environment: dict[str, str]
) -> None:
    port = str(serving("--no-socket")["port"])
    command = [RAMPART, "preload", "--port", port, "--token", "wrong", "--", "true"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 126
    assert done.stderr == "rampart: blocked — the token is wrong\n"
