"""The HTTP API: decisions, approvals, errors, and what a broken or hostile client gets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from datetime import datetime

import httpx
import pytest
from rampart.audit.read import read_records
from rampart.errors import ConfigError
from rampart.limits import HTTP_BODY_BYTES_MAX
from rampart.server.run import ServeOptions, Service


@pytest.fixture
def client(service):
    headers = {"Authorization": f"Bearer {service.admin}"}
    with httpx.Client(base_url=service.url, headers=headers) as client:
        yield client


@pytest.fixture
def shared_client(shared_service):
    headers = {"Authorization": f"Bearer {shared_service.admin}"}
    with httpx.Client(base_url=shared_service.url, headers=headers) as client:
        yield client


def run(client, command, *, route="tool", **more):
    return client.post(f"/v1/{route}/exec", json={"params": {"command": command}, **more})


def records(service):
    return [r for r in read_records(service.data_dir / "audit") if r["type"] == "decision"]


# Decisions


@pytest.mark.parametrize(
    ("command", "status", "decision", "action", "allowed"),
    [
        ("echo hi", 200, "allow", "allow", True),
        ("date", 200, "log", "watch", True),
        ("git push", 202, "require_approval", "ask", False),
        ("rm -rf /", 403, "deny", "deny", False),
    ],
)
def test_a_call_is_answered_in_the_words_of_the_contract(
    shared_client, command, status, decision, action, allowed
):
    answer = run(shared_client, command)
    body = answer.json()
    assert answer.status_code == status
    assert (body["decision"], body["action"], body["allowed"]) == (decision, action, allowed)
    assert isinstance(body["matched_policies"], list)
    assert body["eval_duration_us"] > 0
    assert ("approval_id" in body) == (action == "ask")
    assert answer.headers["cache-control"] == "no-store"


def test_a_denial_says_why_and_what_to_do_instead(shared_client):
    body = run(shared_client, "rm -rf /").json()
    assert body["message"] == "Destructive command blocked"
    assert body["policy"] == "shell"
    assert body["suggestions"] == ["move it to the trash"]


def test_every_call_is_recorded_with_who_asked_before_it_is_answered(client, service):
    body = run(client, "echo hi", agent="a", session="s", run_id="r", tool_call_id="c", cwd="/tmp")
    (record,) = records(service)
    assert record["id"] == body.json()["audit_id"]
    assert [record[name] for name in ("agent", "session", "run_id", "call_id", "cwd")] == [
        "a",
        "s",
        "r",
        "c",
        "/tmp",
    ]


def test_preflight_is_always_200_and_leaves_nothing(client, service):
    for command, decision in (
        ("echo hi", "allow"),
        ("git push", "require_approval"),
        ("rm -rf /", "deny"),
    ):
        answer = run(client, command, route="preflight")
        assert (answer.status_code, answer.json()["decision"]) == (200, decision)
        assert answer.json()["audit_id"] == ""
        assert "approval_id" not in answer.json()
    assert records(service) == []
    assert client.get("/v1/approvals").json() == {"approvals": []}


def test_preflight_at_an_execution_boundary_records_and_asks(client, service):
    answer = run(client, "git push", route="preflight", enforce=True)
    assert answer.status_code == 200
    assert answer.json()["approval_id"]
    assert [record["id"] for record in records(service)] == [answer.json()["audit_id"]]


def test_a_monitored_call_is_recorded_as_such_and_asks_nobody(client, service):
    body = run(client, "git push", monitor=True).json()
    assert (body["action"], body.get("approval_id")) == ("ask", None)
    assert records(service)[0]["monitor"] is True


def test_a_custom_tool_with_any_printable_name_is_decided(shared_client):
    assert shared_client.post("/v1/tool/note", json={"params": {"text": "x"}}).status_code == 200
    assert shared_client.post("/v1/tool/files%2Fread", json={"params": {}}).status_code == 403
    assert shared_client.post("/v1/tool/two%20words", json={"params": {}}).status_code == 403


# Approvals


def ask(client):
    body = run(client, "git push").json()
    assert body["decision"] == "require_approval"
    return body["approval_id"]


def test_an_approved_call_runs_once_and_then_asks_again(client, service):
    approval_id = ask(client)
    path = f"{service.url}/v1/approvals/{approval_id}"
    asked = httpx.get(path).json()
    assert sorted(asked) == ["expires_at", "id", "message", "status"]
    assert asked["status"] == "pending"
    assert asked["message"] == "pushing needs a person"
    assert datetime.fromisoformat(asked["expires_at"]).timestamp() > time.time()
    resolved = client.post(f"{path}/resolve", json={"approved": True, "reason": "fine"})
    assert (resolved.status_code, resolved.json()["status"]) == (200, "approved")
    assert [httpx.get(path).json()["status"] for _ in range(2)] == ["approved", "expired"]
    again = run(client, "git push").json()
    assert again["decision"] == "require_approval"
    assert again["approval_id"] != approval_id


def test_posting_an_approved_call_again_allows_it_once(client):
    approval_id = ask(client)
    client.post(f"/v1/approvals/{approval_id}/resolve", json={"decision": "approve"})
    first, second = run(client, "git push").json(), run(client, "git push").json()
    assert (first["decision"], first["rule"], first["approval_id"]) == (
        "allow",
        "approved",
        approval_id,
    )
    assert second["decision"] == "require_approval"


def test_an_approval_that_went_to_a_second_call_is_not_handed_to_the_first(client, service):
    approval_id = ask(client)
    client.post(f"/v1/approvals/{approval_id}/resolve", json={"approved": True})
    assert run(client, "git push").json()["decision"] == "allow"
    polled = httpx.get(f"{service.url}/v1/approvals/{approval_id}").json()
    assert polled["status"] == "expired"


def test_of_many_who_poll_one_approval_one_is_told_to_run(client, service):
    approval_id = ask(client)
    client.post(f"/v1/approvals/{approval_id}/resolve", json={"approved": True})
    found = []

    def poll():
        found.append(httpx.get(f"{service.url}/v1/approvals/{approval_id}").json()["status"])

    threads = [threading.Thread(target=poll) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["approved"] + ["expired"] * 11


def test_a_denied_call_says_the_persons_reason(shared_client, shared_service):
    approval_id = ask(shared_client)
    shared_client.post(
        f"/v1/approvals/{approval_id}/resolve", json={"decision": "deny", "reason": "not today"}
    )
    status = httpx.get(f"{shared_service.url}/v1/approvals/{approval_id}").json()
    assert (status["status"], status["message"]) == ("denied", "not today")


def test_pending_approvals_show_the_call(client):
    approval_id = ask(client)
    (listed,) = client.get("/v1/approvals").json()["approvals"]
    assert listed["id"] == approval_id
    assert (listed["tool"], listed["params"]) == ("exec", {"command": "git push"})


def test_an_approval_is_resolved_once(client, service):
    approval_id = ask(client)
    path = f"/v1/approvals/{approval_id}/resolve"
    answers = [client.post(path, json={"approved": word}) for word in (False, True, False)]
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert answers[1].json()["error"] == "approval_invalid"
    log = [r for r in read_records(service.data_dir / "audit") if r["type"] == "approval"]
    assert [(r["approval_id"], r["status"], r["by"]) for r in log] == [
        (approval_id, "denied", "http")
    ]


@pytest.mark.parametrize(
    "body", [{}, {"approved": "yes"}, {"approved": 1}, {"decision": "maybe"}, {"decision": None},
             {"approved": True, "decision": "deny"}, {"approved": True, "extra": 1}]
)  # fmt: skip
def test_an_answer_that_says_nothing_or_two_things_is_refused(shared_client, shared_service, body):
    approval_id = ask(shared_client)
    answer = shared_client.post(f"/v1/approvals/{approval_id}/resolve", json=body)
    assert answer.status_code == 422
    assert (
        httpx.get(f"{shared_service.url}/v1/approvals/{approval_id}").json()["status"] == "pending"
    )


def test_an_unknown_approval_is_404(shared_client):
    assert shared_client.get("/v1/approvals/apr_0").status_code == 404
    answer = shared_client.post("/v1/approvals/apr_0/resolve", json={"approved": True})
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


# Errors


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/tool/exec", 405),
        ("PUT", "/v1/preflight/exec", 405),
        ("POST", "/v1/approvals", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/v1/tool/", 404),
        ("POST", "/v1/tool", 404),
        ("GET", "/healthz/", 404),
    ],
)
def test_unknown_paths_and_methods_are_json_errors(shared_client, method, path, status):
    answer = shared_client.request(method, path)
    assert answer.status_code == status
    assert {"error", "message", "help"} <= set(answer.json())
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b'{"params": {}, "params": {}}', 400, "invalid_json"),
        (b'{"params": {"n": NaN}}', 400, "invalid_json"),
        (b'{"params": {"t": "\\ud800"}}', 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b'{"params": ' + b"[" * 5000 + b"]" * 5000 + b"}", 413, "input_too_large"),
        (b'{"params": []}', 422, "invalid_input"),
        (b'{"params": null}', 422, "invalid_input"),
        (b'{"agent": 7}', 422, "invalid_input"),
        (b'{"cwd": "relative"}', 422, "invalid_input"),
        (b'{"depth": -1}', 422, "invalid_input"),
        (b'{"depth": true}', 422, "invalid_input"),
        (b'{"parms": {}}', 422, "invalid_input"),
        (b'{"enforce": true}', 422, "invalid_input"),
        (b'{"response": ""}', 422, "invalid_input"),
        (b'{"response": null}', 422, "invalid_input"),
        (b'{"response": "x", "monitor": true}', 422, "invalid_input"),
    ],
)
def test_a_body_that_must_be_guessed_about_is_refused_and_denies(
    shared_client, body, status, error
):
    answer = shared_client.post(
        "/v1/tool/exec", content=body, headers={"Content-Type": "application/json"}
    )
    found = answer.json()
    assert (answer.status_code, found["error"]) == (status, error)
    assert (found["decision"], found["allowed"]) == ("deny", False)


def test_an_unknown_field_is_named_with_the_known_ones(shared_client):
    body = shared_client.post("/v1/tool/exec", json={"parms": {}}).json()
    assert body["message"] == "unknown field `parms`"
    assert "params" in body["help"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_anything_but_plain_json_is_415(shared_client, headers):
    assert shared_client.post("/v1/tool/exec", content=b"{}", headers=headers).status_code == 415


def test_a_body_over_the_limit_is_413_whether_announced_or_not(shared_client):
    big = b'{"params": {"command": "' + b"x" * HTTP_BODY_BYTES_MAX + b'"}}'
    headers = {"Content-Type": "application/json"}
    announced = shared_client.post("/v1/tool/exec", content=big, headers=headers)
    chunked = shared_client.post("/v1/tool/exec", content=iter([big]), headers=headers)
    assert (announced.status_code, chunked.status_code) == (413, 413)
    assert run(shared_client, "echo hi").status_code == 200


def test_a_call_over_the_limits_of_a_call_is_a_recorded_denial(client, service):
    answer = run(client, "echo " + "x" * 200_000)
    assert (answer.status_code, answer.json()["rule"]) == (403, "input_too_large")
    assert len(records(service)) == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/tool/exec HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request_get_400_and_the_connection_is_closed(
    shared_service, request_bytes
):
    with socket.create_connection(("127.0.0.1", shared_service.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
    assert answer.startswith(b"HTTP/1.1 400 ")


# The service


def test_slow_senders_are_cut_off_and_others_are_answered_meanwhile(service, monkeypatch):
    from rampart.server import protocol

    timeouts = dict.fromkeys(protocol._TIMEOUTS_S, 0.3)
    monkeypatch.setattr(protocol, "_TIMEOUTS_S", timeouts)
    head = f"POST /v1/tool/exec HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n".encode()
    auth = f"Authorization: Bearer {service.admin}\r\n".encode()
    body = head + auth + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    slow = [head, body, body.replace(b"Bearer", b"Basic"), b""]
    connections = [socket.create_connection(("127.0.0.1", service.port)) for _ in slow]
    for connection, data in zip(connections, slow, strict=True):
        connection.settimeout(10)
        connection.sendall(data)
    stop = threading.Event()
    dripper = threading.Thread(target=_drip, args=(connections, stop))
    dripper.start()
    try:
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        for connection in connections:
            while _received(connection):
                pass
    finally:
        stop.set()
        dripper.join()
        for connection in connections:
            connection.close()


def _drip(connections, stop):
    while not stop.wait(0.05):
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.send(b"x")


def _received(connection):
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def test_a_kept_alive_connection_outlives_the_deadline_of_a_head(service, monkeypatch):
    from rampart.server import protocol

    timeouts = dict.fromkeys(protocol._TIMEOUTS_S, 0.2)
    monkeypatch.setattr(protocol, "_TIMEOUTS_S", timeouts)
    request = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_many_callers_at_once_are_each_answered_and_recorded(service):
    headers = {"Authorization": f"Bearer {service.evaluate}"}
    answers = []

    def work(number):
        with httpx.Client(base_url=service.url, headers=headers) as client:
            for turn in range(5):
                answers.append(run(client, f"echo {number}-{turn}").json()["audit_id"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 40
    assert {record["id"] for record in records(service)} == set(answers)


def test_a_port_in_use_is_a_clear_error_and_leaves_nothing_open(service, data_dir):
    options = ServeOptions(port=service.port, token="another-token")
    second = Service(service.service.settings, options)
    with pytest.raises(ConfigError, match=f"port {service.port}.*in use") as caught, second:
        pass
    assert "--port" in caught.value.help


def test_what_is_on_disk_survives_the_service_and_serves_the_next_one(start_service):
    first = start_service()
    headers = {"Authorization": f"Bearer {first.admin}"}
    with httpx.Client(base_url=first.url, headers=headers) as client:
        approval_id = ask(client)
        first.stop()
    second = start_service()
    answer = httpx.post(
        f"{second.url}/v1/approvals/{approval_id}/resolve", headers=headers, json={"approved": True}
    )
    assert answer.json()["status"] == "approved"
