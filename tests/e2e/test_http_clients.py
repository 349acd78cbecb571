"""The published LangChain client, as it stands, against a `rampart serve` process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from rampart.audit.read import read_records
from rampart.audit.verify import verify_log

BIN = Path(sys.executable).parent

PUBLISHED = '''
from langchain.tools import tool

@tool
def run_command(command: str) -> str:
    """Execute a shell command (Rampart-protected)."""
    resp = requests.post(
        f"{RAMPART_URL}/v1/tool/exec",
        headers={"Authorization": f"Bearer {RAMPART_TOKEN}"},
        json={"agent": "langchain", "session": "s1", "params": {"command": command}}
    )
    data = resp.json()
    if data["decision"] == "deny":
        return f"Command blocked by policy: {data['message']}"
    # Rampart only evaluates policy — execute the command yourself
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    return result.stdout
'''


@pytest.fixture
def service(place: Any) -> Iterator[dict[str, Any]]:
    """Start `rampart serve` as a user would; yield where it is; stop it with Ctrl-C."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        [BIN / "rampart", "serve", "--port", "0", "--ready-fd", str(writing)],
        env={**place.environment, "RAMPART_TOKEN": "your-token"},
        cwd=place.project,
        pass_fds=[writing],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        os.close(writing)
        try:
            with os.fdopen(reading) as ready:
                yield json.loads(ready.readline())
        finally:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output


def test_published_langchain_tool_runs_word_for_word(service: dict[str, Any], place: Any) -> None:
    names: dict[str, Any] = {
        "requests": requests,
        "subprocess": subprocess,
        "RAMPART_URL": service["url"],
        "RAMPART_TOKEN": "your-token",
    }
    exec(PUBLISHED, names)
    run = names["run_command"].invoke
    assert run({"command": "echo hello"}) == "hello\n"
    blocked = run({"command": f"rm -rf {place.home}"})
    assert blocked.startswith("Command blocked by policy: ")
    assert place.home.exists()
    decided = [r for r in read_records(place.data_dir / "audit") if r["type"] == "decision"]
    assert [r["decision"]["action"] for r in decided] == ["allow", "deny"]  # type: ignore[index]
    assert verify_log(place.data_dir / "audit").verdict == "ok"


def test_question_is_answered_from_another_terminal(service: dict[str, Any], place: Any) -> None:
    call = {"agent": "a", "session": "s", "params": {"command": "git push --force"}}
    headers = {"Authorization": "Bearer your-token"}
    asked = requests.post(f"{service['url']}/v1/tool/exec", json=call, headers=headers, timeout=10)
    assert (asked.status_code, asked.json()["decision"]) == (202, "require_approval")
    status = f"{service['url']}/v1/approvals/{asked.json()['approval_id']}"
    assert requests.get(status, timeout=10).json()["status"] == "pending"
    terminal = subprocess.run(
        [BIN / "rampart", "approve", asked.json()["approval_id"]],
        env=dict(place.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert terminal.returncode == 0, terminal.stderr
    assert requests.get(status, timeout=10).json()["status"] == "approved"
