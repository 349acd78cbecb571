"""The remote decision point: the answers of a gate, and nothing else ever read as an allow."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from rampart import Guard, ToolCall
from rampart.audit.read import read_records
from rampart.client import RemoteGate, connect
from rampart.errors import (
    ApprovalError,
    AuthError,
    ConfigError,
    ProtocolError,
    ServiceUnavailable,
)
from rampart.guard import GuardOptions
from rampart.limits import HTTP_ANSWER_BYTES_MAX, HTTP_BODY_BYTES_MAX

ALLOWED = (
    b'{"allowed": true, "decision": "allow", "action": "allow", "message": "", "policy": "p",'
    b' "rule": "r", "matched_policies": [], "suggestions": [], "eval_duration_us": 1.0,'
    b' "audit_id": "", "policy_generation": ""}'
)


@pytest.fixture
def remote(service):
    point = RemoteGate(service.url, service.evaluate)
    yield point
    point.close()


@pytest.fixture
def shared_remote(shared_service):
    point = RemoteGate(shared_service.url, shared_service.evaluate)
    yield point
    point.close()


@pytest.fixture
def admin(service):
    point = RemoteGate(service.url, service.admin)
    yield point
    point.close()


def call(command, **more):
    return ToolCall("exec", {"command": command}, **more)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def answering(*answers):
    """A peer that sends fixed bytes, one answer a connection, whatever it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = []

    def run():
        for answer in answers:
            connection, _address = listener.accept()
            with connection:
                heard.append(_request(connection))
                connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        thread.join()
        listener.close()


def _request(connection):
    data = b""
    while not data.endswith(b"}"):
        data += connection.recv(65536)
    return data


def http(status, body, *headers):
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize("command", ["echo hi", "date", "git push", "rm -rf /", "unknown"])
def test_a_service_answers_what_its_gate_answers(remote, service, command):
    from rampart.config import Settings
    from rampart.embedded import gate_of
    from rampart.sources import PolicyInForce, policy_documents

    settings = Settings(service.data_dir, policy=service.data_dir / "policy.yaml")
    policies = PolicyInForce(policy_documents(path=settings.policy))
    gate, close = gate_of(settings, policies)
    try:
        expected = gate.check(call(command))
    finally:
        close()
    for found in (remote.check(call(command)), remote.enforce(call(command))):
        for name in ("action", "message", "policy", "rule", "matched", "suggestions", "generation"):
            assert getattr(found, name) == getattr(expected, name), name
        assert found.duration_us > 0


def test_enforce_records_who_asks_and_check_records_nothing(remote, service):
    asked = call("echo hi", agent="a", session="s", run_id="r", call_id="c", cwd="/tmp", depth=2)
    remote.check(asked)
    decision = remote.enforce(asked, monitor=True)
    found = [r for r in read_records(service.data_dir / "audit") if r["type"] == "decision"]
    assert [record["id"] for record in found] == [decision.audit_id]
    names = ("agent", "session", "run_id", "call_id", "cwd", "depth", "monitor")
    assert [found[0][name] for name in names] == ["a", "s", "r", "c", "/tmp", 2, True]


def test_an_ask_is_finished_by_a_persons_answer(remote, admin):
    decision = remote.enforce(call("git push"))
    assert decision.action == "ask"
    assert decision.expires_at > 0
    assert remote.poll(decision) is None
    assert [item.id for item in admin.pending()] == [decision.approval_id]
    admin.resolve(decision.approval_id, True, by="alice")
    finished = remote.finish(decision, 5)
    assert (finished.action, finished.rule) == ("allow", "approved")
    assert remote.enforce(call("git push")).action == "ask"


def test_an_ask_is_finished_by_a_denial_with_its_reason(remote, admin):
    decision = remote.enforce(call("git push"))
    admin.resolve(decision.approval_id, False, by="alice", reason="not today")
    finished = remote.finish(decision, 5)
    assert (finished.action, finished.rule) == ("deny", "approval_denied")
    assert finished.message == "not today"


def test_an_ask_that_nobody_answers_in_time_is_denied(remote):
    finished = remote.finish(remote.enforce(call("git push")), 0)
    assert (finished.action, finished.rule) == ("deny", "approval_expired")


def test_a_service_that_dies_while_a_question_is_open_means_deny(service, remote):
    decision = remote.enforce(call("git push"))
    service.stop()
    finished = remote.finish(decision, 5)
    assert (finished.action, finished.rule) == ("deny", "approval_unavailable")


def test_a_token_of_agents_cannot_answer_its_own_question(remote):
    decision = remote.enforce(call("git push"))
    with pytest.raises(AuthError):
        remote.resolve(decision.approval_id, True, by="the agent itself")
    with pytest.raises(AuthError):
        remote.pending()
    assert remote.poll(decision) is None


def test_a_question_is_answered_once(remote, admin):
    decision = remote.enforce(call("git push"))
    admin.resolve(decision.approval_id, False, by="alice")
    with pytest.raises(ApprovalError, match="already denied"):
        admin.resolve(decision.approval_id, True, by="bob")
    with pytest.raises(ApprovalError):
        admin.resolve("apr_0", True, by="bob")


def test_a_wrong_token_is_no_reason_to_allow(shared_service):
    point = RemoteGate(shared_service.url, "wrong")
    with pytest.raises(AuthError, match="token is wrong"):
        point.enforce(call("echo hi"))
    guard = Guard.of(point, GuardOptions(fail_open=True, close=point.close))
    with guard, pytest.raises(AuthError):
        guard.enforce("exec", {"command": "echo hi"})


@pytest.mark.parametrize(
    "params",
    [{"command": object()}, {"n": float("nan")}, {"text": "x" * (HTTP_BODY_BYTES_MAX + 1)}, {1: 2}],
)
def test_what_cannot_be_sent_is_denied_here(shared_remote, params):
    decision = shared_remote.enforce(ToolCall("exec", params))
    assert decision.action == "deny"
    assert decision.rule in ("invalid_input", "input_too_large")


def test_paths_and_tuples_are_sent_as_text_and_lists(remote, service):
    remote.enforce(ToolCall("note", {"path": Path("/tmp/x"), "names": ("a", "b")}))
    (record,) = read_records(service.data_dir / "audit")
    assert record["params"] == {"path": "/tmp/x", "names": ["a", "b"]}


def test_a_call_that_the_service_refuses_to_read_is_denied(shared_remote):
    assert shared_remote.enforce(ToolCall("exec", {"t": "\ud800"})).action == "deny"
    for tool in ("to\nol", "", ".", ".."):
        assert shared_remote.enforce(ToolCall(tool, {})).rule == "invalid_input"
    assert shared_remote.enforce(ToolCall("a/../../v1/tool/note", {})).rule == "default_action"


# A service that cannot be reached


def test_an_unreachable_service_is_unavailable():
    point = RemoteGate(f"http://127.0.0.1:{unused_port()}", "token")
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        point.check(call("echo hi"))
    point.close()


def test_a_service_that_does_not_answer_in_time_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        point = RemoteGate(url, "token", timeout_s=0.2)
        with pytest.raises(ServiceUnavailable, match="timed out"):
            point.check(call("echo hi"))
        point.close()


def test_a_guard_fails_open_as_published_with_one_warning(caplog):
    url = f"http://127.0.0.1:{unused_port()}"
    with Guard.connect(url, token="token") as guard, caplog.at_level(logging.WARNING, "rampart"):
        decisions = [guard.enforce("exec", {"command": "rm -rf /"}) for _ in range(3)]
        decisions.append(asyncio.run(guard.aenforce("exec", {"command": "rm -rf /"})))
    assert {(d.action, d.rule) for d in decisions} == {("allow", "service_unavailable")}
    assert len(caplog.records) == 1


def test_a_guard_that_fails_closed_denies():
    url = f"http://127.0.0.1:{unused_port()}"
    with Guard.connect(url, token="token", fail_open=False) as guard:
        decision = guard.enforce("exec", {"command": "echo hi"})
    assert (decision.action, decision.rule) == ("deny", "service_unavailable")


def test_a_guard_on_a_service_works_in_threads_and_in_any_event_loop(shared_service):
    with Guard.connect(shared_service.url, token=shared_service.evaluate, agent="a") as guard:
        assert guard.enforce("exec", {"command": "echo hi"}).allowed
        for _ in range(2):
            decision = asyncio.run(guard.aenforce("exec", {"command": "echo hi"}))
            assert decision.allowed


# A service that answers something else


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        http(200, b""),
        http(200, b"<html>welcome</html>"),
        http(200, b"[]"),
        http(200, b"{}"),
        http(200, b'{"allowed": true, "allowed": true}'),
        http(200, b'{"allowed": true, "decision": "allow"}'),
        http(200, b'{"allowed": true, "action": "permit"}'),
        http(200, b'{"allowed": true, "action": "deny"}'),
        http(200, b'{"allowed": 1, "action": "allow"}'),
        http(200, b'{"allowed": true, "action": "allow", "message": 7}'),
        http(200, b'{"allowed": true, "action": "allow", "expires_at": "soon"}'),
        http(500, ALLOWED),
        http(202, ALLOWED),
        http(403, ALLOWED),
        http(204, b""),
        http(302, b"", "Location: http://127.0.0.1:1/v1/tool/exec"),
        http(503, b'{"error": "audit_unavailable", "message": "no"}'),
        http(500, b'{"error": "internal_error", "message": "no"}'),
        b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n" + ALLOWED,
        b"HTTP/1.1 200 X\r\n\r\n" + b" " * (HTTP_ANSWER_BYTES_MAX + 1),
    ],
)
def test_anything_that_is_not_an_answer_of_the_contract_is_an_error(answer):
    with answering(answer) as (url, _heard):
        point = RemoteGate(url, "token")
        with pytest.raises(ProtocolError):
            point.enforce(call("echo hi"))
        point.close()


def test_the_answer_that_the_last_test_breaks_is_sound():
    with answering(http(200, ALLOWED)) as (url, _heard):
        point = RemoteGate(url, "token")
        assert point.enforce(call("echo hi")).allowed
        point.close()


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else():
    with answering(http(200, ALLOWED)) as (elsewhere, heard_elsewhere):
        moved = http(307, b"", f"Location: {elsewhere}/v1/tool/exec")
        with answering(moved) as (url, heard):
            point = RemoteGate(url, "token")
            with pytest.raises(ProtocolError):
                point.enforce(call("echo hi"))
            point.close()
        assert b"Bearer token" in heard[0]
        assert heard_elsewhere == []
        RemoteGate(elsewhere, "other").enforce(call("echo hi"))
        assert b"Bearer token" not in heard_elsewhere[0]


def test_proxies_from_the_environment_are_not_used(shared_service, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    point = RemoteGate(shared_service.url, shared_service.evaluate)
    assert point.check(call("echo hi")).allowed
    point.close()


# Settings


@pytest.mark.parametrize(
    "url",
    [
        "http://rampart.example:9090",
        "http://10.0.0.1:9090",
        "http://127.0.0.1.example:9090",
        "ftp://127.0.0.1",
        "127.0.0.1:9090",
        "http://",
        "http://user:pass@127.0.0.1:9090",
    ],
)
def test_an_address_that_would_show_the_token_is_refused(url):
    with pytest.raises(ConfigError):
        RemoteGate(url, "token")


@pytest.mark.parametrize(
    "url", ["http://localhost:9090", "http://[::1]:9090", "http://127.1.2.3", "https://x.example/"]
)
def test_loopback_and_tls_are_fine(url):
    RemoteGate(url, "token").close()


def test_what_is_not_given_comes_from_the_environment(shared_service, monkeypatch):
    monkeypatch.setenv("RAMPART_URL", shared_service.url)
    monkeypatch.setenv("RAMPART_TOKEN", shared_service.evaluate)
    monkeypatch.setenv("RAMPART_FAIL_OPEN", "0")
    remote = connect()
    assert remote.fail_open is False
    assert remote.point.check(call("echo hi")).allowed
    remote.point.close()


def test_on_this_machine_the_token_of_agents_is_found_in_the_data_directory(
    shared_service, monkeypatch
):
    monkeypatch.delenv("RAMPART_TOKEN", raising=False)
    monkeypatch.setenv("RAMPART_HOME", str(shared_service.data_dir))
    remote = connect(shared_service.url)
    assert remote.fail_open is True
    assert remote.point.check(call("echo hi")).allowed
    with pytest.raises(AuthError):
        remote.point.pending()
    remote.point.close()


def test_no_token_anywhere_is_a_clear_error(monkeypatch, tmp_path):
    monkeypatch.delenv("RAMPART_TOKEN", raising=False)
    monkeypatch.setenv("RAMPART_HOME", str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="no token") as caught:
        connect("http://127.0.0.1:9090")
    assert "rampart token" in caught.value.help
    with pytest.raises(ConfigError, match="no token"):
        connect("https://rampart.example")
