"""The published clients run word for word against the service.

The text between the quotes is theirs. Only the port differs: a server on a free port stands where
the default one would.
"""

from __future__ import annotations

import threading

import pytest
import requests

PUBLISHED = '''
import requests
import time

RAMPART_URL = "http://localhost:9090"
RAMPART_TOKEN = "your-token"

def safe_exec(command: str) -> dict:
    """Check a command with Rampart before executing."""
    response = requests.post(
        f"{RAMPART_URL}/v1/tool/exec",
        headers={"Authorization": f"Bearer {RAMPART_TOKEN}"},
        json={
            "agent": "my-python-agent",
            "session": "session-1",
            "params": {"command": command}
        }
    )
    result = response.json()

    if result["decision"] == "deny":
        return {"blocked": True, "reason": result["message"]}
    elif result["decision"] == "require_approval":
        # Poll for approval resolution
        approval_id = result["approval_id"]
        while True:
            status_response = requests.get(f"{RAMPART_URL}/v1/approvals/{approval_id}")
            status = status_response.json()
            if status["status"] == "approved":
                break
            elif status["status"] in ["denied", "expired"]:
                return {"blocked": True, "reason": status.get("message", "Approval denied")}
            time.sleep(1)  # Poll every second

    # Command was allowed — execute it
    import subprocess
    output = subprocess.run(command, shell=True, capture_output=True, text=True)
    return {"blocked": False, "output": output.stdout}

def preflight(command: str) -> bool:
    """Check if a command is allowed without executing."""
    response = requests.post(
        f"{RAMPART_URL}/v1/preflight/exec",
        headers={"Authorization": f"Bearer {RAMPART_TOKEN}"},
        json={
            "agent": "my-agent",
            "session": "s1",
            "params": {"command": command}
        }
    )
    return response.json()["allowed"]
'''

LANGCHAIN = '''
import subprocess
import requests
from langchain.tools import tool

RAMPART_URL = "http://localhost:9090"
RAMPART_TOKEN = "your-token"

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
def published(start_service):
    """The published functions, against a server that was started with their token."""
    running = start_service(token="your-token")
    names: dict = {}
    exec(PUBLISHED.replace(":9090", f":{running.port}"), names)
    return names, running


def resolve_the_only_question(running, approved, reason=""):
    headers = {"Authorization": f"Bearer {running.admin}"}
    while True:
        waiting = requests.get(f"{running.url}/v1/approvals", headers=headers).json()["approvals"]
        if waiting:
            break
    answer = requests.post(
        f"{running.url}/v1/approvals/{waiting[0]['id']}/resolve",
        headers=headers,
        json={"approved": approved, "reason": reason},
    )
    assert answer.status_code == 200


def answered(running, function, command, *, approved, reason=""):
    """Call a published function and answer its question meanwhile."""
    person = threading.Thread(target=resolve_the_only_question, args=(running, approved, reason))
    person.start()
    try:
        return function(command)
    finally:
        person.join()


def test_safe_exec_runs_what_is_allowed(published):
    names, _running = published
    assert names["safe_exec"]("echo hello") == {"blocked": False, "output": "hello\n"}


def test_safe_exec_blocks_what_is_denied_with_the_policys_message(published):
    names, _running = published
    found = names["safe_exec"]("rm -rf /")
    assert found == {"blocked": True, "reason": "Destructive command blocked"}


def test_safe_exec_runs_an_approved_command_once(published):
    names, running = published
    found = answered(running, names["safe_exec"], "git push --help >/dev/null", approved=True)
    assert found["blocked"] is False
    headers = {"Authorization": f"Bearer {running.admin}"}
    body = {"agent": "my-python-agent", "session": "session-1"}
    again = requests.post(
        f"{running.url}/v1/tool/exec",
        headers=headers,
        json={**body, "params": {"command": "git push --help >/dev/null"}},
    )
    assert again.json()["decision"] == "require_approval"


def test_safe_exec_blocks_a_denied_question_with_the_persons_reason(published):
    names, running = published
    found = answered(running, names["safe_exec"], "git push", approved=False, reason="not today")
    assert found == {"blocked": True, "reason": "not today"}


def test_preflight_answers_a_bool(published):
    names, _running = published
    assert names["preflight"]("echo hello") is True
    assert names["preflight"]("rm -rf /") is False
    assert names["preflight"]("git push") is False


def test_the_langchain_tool_runs_or_says_that_it_is_blocked(start_service):
    pytest.importorskip("langchain")
    running = start_service(token="your-token")
    names: dict = {}
    exec(LANGCHAIN.replace(":9090", f":{running.port}"), names)
    tool = names["run_command"]
    assert tool.invoke({"command": "echo hello"}) == "hello\n"
    blocked = tool.invoke({"command": "rm -rf /"})
    assert blocked == "Command blocked by policy: Destructive command blocked"
