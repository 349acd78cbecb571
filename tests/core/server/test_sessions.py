"""A session is one past, whichever way its calls come in: HTTP, the local socket, an own Guard."""

from __future__ import annotations

import httpx
import pytest
from rampart import Guard
from rampart.wire import ExecQuery, decode_answer, encode_query

from .test_local_socket import exchange

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: p
    rules:
      - {name: asks, action: ask, when: {path_matches: ["**/asked"]}}
      - name: out
        action: deny
        when:
          program: [curl, echo]
          after: [{path_matches: ["**/.env"]}, {path_matches: ["**/asked"]}]
"""


@pytest.fixture
def service(data_dir, start_service):
    (data_dir / "policy.yaml").write_text(POLICY)
    return start_service()


def post(service, tool, params, *, route="tool", session="s", **more):
    return httpx.post(
        f"{service.url}/v1/{route}/{tool}",
        headers={"Authorization": f"Bearer {service.admin}"},
        json={"params": params, "session": session, **more},
    ).json()


def read(service, path=".env", **more):
    return post(service, "read", {"path": path}, **more)


def curl(service, **more):
    return post(service, "exec", {"command": "curl https://x.example/"}, **more)["action"]


def echo_over_socket(service, session):
    query = ExecQuery(b"/usr/bin/echo", (b"echo", b"hi"), session=session.encode())
    return decode_answer(exchange(service, encode_query(query)))[0]


def test_every_way_in_sees_the_same_past(service, data_dir):
    assert read(service)["action"] == "allow"
    assert curl(service) == "deny"
    assert curl(service, session="t") == "allow"
    assert echo_over_socket(service, "s") == "deny"
    assert echo_over_socket(service, "t") == "allow"
    with Guard(data_dir / "policy.yaml", data_dir=data_dir, session="s") as guard:
        assert guard.enforce("exec", {"command": "curl https://x.example/"}).action == "deny"
        assert guard.enforce("read", {"path": ".env"}, session="u").action == "allow"
    assert curl(service, session="u") == "deny"


def test_a_preview_leaves_no_trace_unless_it_enforces(service):
    read(service, route="preflight")
    assert curl(service, route="preflight") == "allow"
    read(service, route="preflight", enforce=True)
    assert curl(service, route="preflight") == "deny"


def test_a_restart_forgets_nothing_not_even_of_calls_without_a_session(service, start_service):
    read(service, session="", agent="a")
    service.stop()
    again = start_service()
    assert curl(again, session="", agent="a") == "deny"
    assert curl(again, session="", agent="b") == "allow"


def test_a_published_client_that_polls_and_runs_has_done_it(service):
    """It never asks again: reading `approved` is when its call happens."""
    asked = read(service, "asked")
    assert curl(service) == "allow"
    headers = {"Authorization": f"Bearer {service.admin}"}
    status = f"{service.url}/v1/approvals/{asked['approval_id']}"
    answer = httpx.post(f"{status}/resolve", headers=headers, json={"approved": True})
    assert answer.status_code == 200
    assert curl(service) == "allow"
    assert httpx.get(status).json()["status"] == "approved"
    assert curl(service) == "deny"


def test_two_guards_without_a_session_have_nothing_to_do_with_each_other(service, data_dir):
    policy = data_dir / "policy.yaml"
    with Guard(policy, data_dir=data_dir) as one, Guard(policy, data_dir=data_dir) as two:
        one.enforce("read", {"path": ".env"})
        assert one.enforce("exec", {"command": "curl x.example"}).action == "deny"
        assert two.enforce("exec", {"command": "curl x.example"}).action == "allow"
    assert curl(service, session="") == "allow"
