"""Responses over HTTP: reviewed as in this process, and never taken for a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from rampart import Guard, ToolCall
from rampart.audit.read import read_records
from rampart.client import RemoteGate
from rampart.guard import GuardOptions
from rampart.limits import HTTP_BODY_BYTES_MAX

SECRET = "ghp_" + "a1B2" * 9
POLICY = """\
version: "1"
default_action: allow
policies:
  - name: calls
    rules:
      - {action: deny, when: {command_matches: ["rm *"]}}
  - name: outputs
    rules:
      - {name: tokens, action: redact, when: {response_credentials: true}}
      - {name: plans, action: deny, when: {response_matches: "TOP SECRET"}, message: not for models}
"""
NOTE = ToolCall("note", {"text": "x"}, agent="a", session="s")


@pytest.fixture
def reviewing(data_dir: Path, start_service: Any) -> Any:
    (data_dir / "policy.yaml").write_text(POLICY)
    return start_service()


@pytest.fixture
def remote(reviewing: Any) -> Any:
    point = RemoteGate(reviewing.url, reviewing.evaluate)
    yield point
    point.close()


def post(running: Any, path: str, body: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {running.evaluate}"}
    return httpx.post(f"{running.url}{path}", json=body, headers=headers, trust_env=False)


def recorded(running: Any, kind: str) -> list[dict[str, Any]]:
    return [r for r in read_records(running.data_dir / "audit") if r["type"] == kind]


@pytest.mark.parametrize("path", ["/v1/tool/note", "/v1/response/note"])
def test_response_is_reviewed_and_recorded(reviewing: Any, path: str) -> None:
    shown = post(reviewing, path, {"params": {}, "response": {"out": f"a {SECRET}"}})
    assert shown.status_code == 200
    body = shown.json()
    assert (body["allowed"], body["decision"], body["action"]) == (True, "log", "watch")
    assert body["response"] == {"out": "a [redacted:github_token]"}
    assert (body["redacted"], body["reviews"]) == (True, True)

    whole = post(reviewing, path, {"response": "harmless"}).json()
    assert (whole["decision"], whole["response"], whole["redacted"]) == ("allow", "harmless", False)

    denied = post(reviewing, path, {"response": "TOP SECRET"})
    assert denied.status_code == 403
    body = denied.json()
    assert (body["allowed"], body["decision"], body["message"]) == (False, "deny", "not for models")
    assert body["response"].startswith("Output withheld by policy: note: not for models")
    assert "TOP SECRET" not in denied.text

    actions = [r["decision"]["action"] for r in recorded(reviewing, "response")]
    assert actions == ["watch", "allow", "deny"]
    assert recorded(reviewing, "decision") == []


def test_preflight_of_a_response_leaves_no_record(reviewing: Any) -> None:
    body = post(reviewing, "/v1/preflight/note", {"response": SECRET})
    assert (body.status_code, body.json()["response"]) == (200, "[redacted:github_token]")
    denied = post(reviewing, "/v1/preflight/note", {"response": "TOP SECRET"})
    assert (denied.status_code, denied.json()["allowed"]) == (200, False)
    assert recorded(reviewing, "response") == []
    post(reviewing, "/v1/preflight/note", {"response": SECRET, "enforce": True})
    assert len(recorded(reviewing, "response")) == 1


@pytest.mark.parametrize("empty", ["", None, {}, [], 0, False])
def test_empty_response_beside_a_call_is_refused_and_never_an_allow(
    reviewing: Any, empty: object
) -> None:
    """A client that fills in every field asks about a call."""
    for path in ("/v1/tool/exec", "/v1/preflight/exec"):
        body = {"params": {"command": "rm x"}, "response": empty}
        answer = post(reviewing, path, body)
        assert (answer.status_code, answer.json()["allowed"]) == (422, False)
    answer = post(reviewing, "/v1/response/exec", {"params": {"command": "ls"}, "response": empty})
    assert (answer.status_code, answer.json()["response"]) == (200, empty)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"response": "x", "monitor": True}, 422),
        ({"response": "x", "unknown": 1}, 422),
        ({"response": "x", "params": []}, 422),
        ({"response": "x" * HTTP_BODY_BYTES_MAX}, 413),
    ],
)
def test_error_about_a_response_is_a_denial(reviewing: Any, body: object, status: int) -> None:
    answer = post(reviewing, "/v1/response/note", body)
    assert (answer.status_code, answer.json()["allowed"]) == (status, False)


def test_response_route_needs_a_token(reviewing: Any) -> None:
    answer = httpx.post(f"{reviewing.url}/v1/response/note", json={"response": 1}, trust_env=False)
    assert answer.status_code == 401


class Shown:
    def __str__(self) -> str:
        return f"shown {SECRET}"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("harmless", "harmless"),
        (None, None),
        ("", ""),
        ((b"\xff", 2**80, float("inf"), {1: "x"}), (b"\xff", 2**80, float("inf"), {1: "x"})),
        (f"a {SECRET}", "a [redacted:github_token]"),
        ({"k": [SECRET, 1, None]}, {"k": ["[redacted:github_token]", 1, None]}),
        (("x", SECRET), ["x", "[redacted:github_token]"]),
        (b"\xff " + SECRET.encode(), "\\xff [redacted:github_token]"),
        (f"\ud800 {SECRET}", "\\ud800 [redacted:github_token]"),
        (Shown(), "shown [redacted:github_token]"),
    ],
)  # fmt: skip
def test_remote_gate_shows_what_a_gate_here_would(
    remote: RemoteGate, response: object, expected: object
) -> None:
    review = remote.review(NOTE, response)
    assert (review.allowed, review.response) == (True, expected)


def test_remote_gate_withholds(remote: RemoteGate) -> None:
    review = remote.review(NOTE, ["TOP SECRET"])
    assert (review.allowed, review.decision.rule) == (False, "plans")
    assert str(review.response).startswith("Output withheld by policy: note: not for models")
    assert remote.review(NOTE, "x" * HTTP_BODY_BYTES_MAX).decision.rule == "input_too_large"
    deep: object = "x"
    for _ in range(60):
        deep = [deep]
    assert remote.review(NOTE, deep).decision.rule == "input_too_large"


def asks(guard: Guard) -> bool:
    return guard.reviews


def test_remote_guard_asks_only_where_some_rule_looks(
    reviewing: Any, remote: RemoteGate, start_service: Any, data_dir: Path
) -> None:
    guard = Guard.of(remote, GuardOptions(fail_open=False))
    assert guard.reviews
    guard.enforce("note", {})
    assert guard.reviews

    (data_dir / "policy.yaml").write_text('version: "1"\ndefault_action: allow\n')
    reviewing.stop()
    other = start_service()
    point = RemoteGate(other.url, other.evaluate)
    plain = Guard.of(point, GuardOptions(close=point.close))
    assert asks(plain)  # nobody has said otherwise yet
    plain.enforce("note", {})
    assert not asks(plain)
    assert plain.review("note", {}, SECRET).response == SECRET
    plain.close()


def test_service_that_is_gone_withholds_unless_it_may_fail_open(
    reviewing: Any, remote: RemoteGate
) -> None:
    reviewing.stop()
    closed = Guard.of(remote, GuardOptions(fail_open=False)).review("note", {}, "x")
    assert (closed.allowed, closed.decision.rule) == (False, "service_unavailable")
    opened = Guard.of(remote, GuardOptions(fail_open=True)).review("note", {}, "x")
    assert (opened.allowed, opened.response) == (True, "x")
