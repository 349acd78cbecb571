"""Rules that ask a webhook: real endpoints, good, broken and hostile, and the answer that holds."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rampart import Decision, ToolCall
from rampart.audit.read import read_records
from rampart.gate import Gate
from rampart.limits import (
    CLIENT_TIMEOUT_S,
    SOCKET_TIMEOUT_S,
    WEBHOOK_ANSWER_BYTES_MAX,
    WEBHOOK_GRACE_S,
    WEBHOOK_HTTP_S,
    WEBHOOK_SOCKET_S,
    WEBHOOKS_PER_CALL_MAX,
)
from rampart.plugins import Plugins
from rampart.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature

Opener = Callable[..., Gate]
DEPLOY = ToolCall("deploy", {"to": "production"}, agent="a", session="s", call_id="c1")


class Endpoint:
    """An endpoint that answers what it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: bytes = b'{"decision": "allow"}'
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[dict[str, str], bytes]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.asked.append((dict(self.headers), body))
                self.send_response(endpoint.status)
                self.send_header("Content-Length", str(len(endpoint.answer)))
                for name, value in endpoint.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(endpoint.answer)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def says(self, decision: str, **more: str) -> None:
        self.answer = json.dumps({"decision": decision, **more}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Return a function that starts an endpoint which does what it likes with its connection."""
    with ExitStack() as stack:

        def start(serve: Callable[[socket.socket], None]) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def run() -> None:
                try:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        serve(connection)
                except OSError:
                    pass

            thread = threading.Thread(target=run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{listener.getsockname()[1]}/hook"

        yield start


def policy(url: str, *, more: str = "", others: str = "", timeout: str = "20s") -> str:
    return f"""\
version: "1"
default_action: deny
policies:
  - name: deploys
    match: {{tool: deploy}}
    rules:
      - name: hook
        action: webhook
        webhook: {{url: "{url}", timeout: {timeout}{more}}}
        message: deploys are approved by the release service
        suggest: [use staging]
{others}"""


def records(tmp_path: Path) -> list[dict[str, Any]]:
    return [r for r in read_records(tmp_path / "data" / "audit") if r["type"] == "decision"]


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("allow", "allow"),
        ("watch", "watch"),
        ("log", "watch"),
        ("deny", "deny"),
        ("ask", "ask"),
        ("require_approval", "ask"),
    ],
)
def test_endpoint_decides_and_the_log_says_so(
    open_gate: Opener, endpoint: Endpoint, tmp_path: Path, word: str, action: str
) -> None:
    endpoint.says(word, message="because")
    decision = open_gate(policy(endpoint.url)).enforce(DEPLOY)
    assert (decision.action, decision.message) == (action, "because")
    assert (decision.policy, decision.rule) == ("deploys", "hook")
    (written,) = records(tmp_path)
    assert written["decision"]["action"] == action
    assert written["webhooks"] == [
        {"policy": "deploys", "rule": "hook", "action": action, "message": "because"}
    ]
    assert len(endpoint.asked) == 1


def test_denial_without_a_message_has_the_rules_own(open_gate: Opener, endpoint: Endpoint) -> None:
    endpoint.says("deny")
    decision = open_gate(policy(endpoint.url)).enforce(DEPLOY)
    assert decision.message == "deploys are approved by the release service"
    assert decision.suggestions == ("use staging",)


def test_reason_may_stand_for_message(open_gate: Opener, endpoint: Endpoint) -> None:
    endpoint.says("deny", reason="frozen")
    assert open_gate(policy(endpoint.url)).enforce(DEPLOY).message == "frozen"


def test_request_says_what_the_log_would_and_holds_no_secret(
    open_gate: Opener, endpoint: Endpoint
) -> None:
    token = "ghp_" + "a1B2" * 9
    call = ToolCall("deploy", {"to": "x", "token": token}, agent="a", session="s", call_id="c1")
    gate = open_gate(policy(endpoint.url))
    gate.enforce(call)
    gate.enforce(call)
    bodies = [json.loads(body) for _, body in endpoint.asked]
    assert token not in str(bodies)
    assert bodies[0].pop("id") != bodies[1].pop("id")
    assert bodies[0] == bodies[1]
    body = bodies[0]
    assert body["params"]["to"] == "x"
    assert body["params"]["token"].startswith("[redacted:")
    assert body["actions"][0] == {"tool": "deploy", "origin": "call"}
    wanted = ("version", "tool", "agent", "session", "tool_call_id", "policy", "rule")
    assert [body[name] for name in wanted] == [1, "deploy", "a", "s", "c1", "deploys", "hook"]


def test_request_is_signed_over_time_and_body(
    open_gate: Opener, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_KEY", "k3y")
    before = int(time.time())
    decision = open_gate(policy(endpoint.url, more=", secret_env: HOOK_KEY")).enforce(DEPLOY)
    assert decision.allowed
    ((headers, body),) = endpoint.asked
    stamp = headers[TIMESTAMP_HEADER]
    assert before <= int(stamp) <= time.time()
    assert headers[SIGNATURE_HEADER] == signature("k3y", stamp, body)
    assert signature("other", stamp, body) != signature("k3y", stamp, body)


def test_signature_is_the_one_of_the_page() -> None:
    """A receiver in three lines of any language: HMAC-SHA-256 over time, dot, body."""
    import hashlib
    import hmac

    made = hmac.new(b"k3y", b"1893456000." + b"{}", hashlib.sha256).hexdigest()
    assert signature("k3y", "1893456000", b"{}") == f"sha256={made}"


def test_unsigned_request_is_never_sent(open_gate: Opener, endpoint: Endpoint) -> None:
    text = policy(endpoint.url, more=", secret_env: RAMPART_TEST_UNSET, fail_open: true")
    decision = open_gate(text).enforce(DEPLOY)
    assert (decision.action, decision.rule) == ("deny", "webhook_unavailable")
    assert "RAMPART_TEST_UNSET is not set" in decision.message
    assert endpoint.asked == []


def unused_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/hook"


def silent(connection: socket.socket) -> None:
    connection.settimeout(10)
    connection.recv(1)  # until the other side gives up


def drips(connection: socket.socket) -> None:
    """Send a header a byte at a time: each one comes in time, and the answer never does."""
    waiter = threading.Event()
    for _ in range(200):
        connection.sendall(b"H" if _ == 0 else b"x")
        waiter.wait(0.05)


def drips_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
    drips(connection)


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x01 not http\r\n\r\n")


def closes(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"decision": "allow"}')


@pytest.mark.parametrize("fail_open", [False, True])
@pytest.mark.parametrize("kind", ["refused", "silent", "drips_body", "status 503"])
def test_endpoint_that_is_down_denies_unless_fail_open_is_said(
    open_gate: Opener,
    endpoint: Endpoint,
    raw: Callable[..., str],
    tmp_path: Path,
    kind: str,
    fail_open: bool,
) -> None:
    serve = {"silent": silent, "drips_body": drips_body}
    url = endpoint.url if kind == "status 503" else unused_url()
    if kind in serve:
        url = raw(serve[kind])
    endpoint.status = 503
    said = f", fail_open: {str(fail_open).lower()}"
    gate = open_gate(policy(url, more=said, timeout="300ms"))
    started = time.monotonic()
    decision = gate.enforce(DEPLOY)
    assert time.monotonic() - started < 10
    (asked,) = records(tmp_path)[0]["webhooks"]
    assert asked["failure"]
    if fail_open:
        assert (decision.action, decision.rule, asked["action"]) == ("allow", "hook", "allow")
    else:
        assert (decision.action, decision.rule) == ("deny", "webhook_unavailable")
        assert decision.message.startswith("the webhook of deploys/hook: ")


WRONG: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "status 204": (204, b"", {}),
    "status 401": (401, b'{"decision": "allow"}', {}),
    "redirect": (302, b"", {"Location": "http://127.0.0.1:1/"}),
    "redirect to the same": (307, b'{"decision": "allow"}', {"Location": "/hook"}),
    "no json": (200, b"allow", {}),
    "a list": (200, b'["allow"]', {}),
    "empty": (200, b"", {}),
    "no decision": (200, b'{"allowed": true}', {}),
    "unknown word": (200, b'{"decision": "ALLOW"}', {}),
    "another type": (200, b'{"decision": true}', {}),
    "twice": (200, b'{"decision": "deny", "decision": "allow"}', {}),
    "message of another type": (200, b'{"decision": "allow", "message": 5}', {}),
    "not utf-8": (200, b'{"decision": "allow", "message": "\xff"}', {}),
    "too large": (200, b'{"decision": "allow"}' + b" " * WEBHOOK_ANSWER_BYTES_MAX, {}),
    "compressed": (200, b'{"decision": "allow"}', {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_answer_denies_even_where_fail_open_is_said(
    open_gate: Opener, endpoint: Endpoint, kind: str
) -> None:
    endpoint.status, endpoint.answer, endpoint.headers = WRONG[kind]
    decision = open_gate(policy(endpoint.url, more=", fail_open: true")).enforce(DEPLOY)
    assert (decision.action, decision.rule) == ("deny", "webhook_unavailable")
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("serve", [nonsense, closes])
def test_broken_answer_denies(
    open_gate: Opener, raw: Callable[..., str], serve: Callable[[socket.socket], None]
) -> None:
    decision = open_gate(policy(raw(serve), more=", fail_open: true")).enforce(DEPLOY)
    assert (decision.action, decision.rule) == ("deny", "webhook_unavailable")


def test_slow_head_does_not_hold_the_call(open_gate: Opener, raw: Callable[..., str]) -> None:
    started = time.monotonic()
    decision = open_gate(policy(raw(drips), timeout="300ms")).enforce(DEPLOY)
    assert decision.action == "deny"
    assert time.monotonic() - started < 8


def test_proxy_of_the_environment_is_not_used(
    open_gate: Opener, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert open_gate(policy(endpoint.url)).enforce(DEPLOY).allowed


# What else was said about the call

ASKS = """\
  - {name: people, rules: [{action: ask, message: a person}]}
"""
DENIES = """\
  - {name: never, rules: [{action: deny, message: "no"}]}
"""
WATCHES = """\
  - {name: eyes, rules: [{action: watch, message: seen}]}
"""


def test_denied_call_asks_no_webhook(open_gate: Opener, endpoint: Endpoint) -> None:
    decision = open_gate(policy(endpoint.url, others=DENIES)).enforce(DEPLOY)
    assert (decision.action, decision.policy, decision.pending) == ("deny", "never", None)
    assert endpoint.asked == []


@pytest.mark.parametrize(
    ("others", "word", "action", "named"),
    [
        (ASKS, "allow", "ask", "people"),
        (ASKS, "deny", "deny", "deploys"),
        (WATCHES, "allow", "watch", "eyes"),
        (WATCHES, "ask", "ask", "deploys"),
    ],
)
def test_strictest_of_the_webhook_and_the_rest_holds(
    open_gate: Opener, endpoint: Endpoint, others: str, word: str, action: str, named: str
) -> None:
    endpoint.says(word)
    decision = open_gate(policy(endpoint.url, others=others)).enforce(DEPLOY)
    assert (decision.action, decision.policy) == (action, named)
    assert set(decision.matched) >= {"deploys", named}


def test_webhook_allows_what_the_default_would_deny_and_nothing_beside_it(
    open_gate: Opener, endpoint: Endpoint
) -> None:
    text = (
        policy(endpoint.url)
        .replace("match: {tool: deploy}", "match: {tool: exec}")
        .replace("action: webhook", "action: webhook\n        when: {program: kubectl}")
    )
    gate = open_gate(text)
    alone = ToolCall("exec", {"command": "kubectl get pods"})
    beside = ToolCall("exec", {"command": "kubectl get pods; make x"})
    assert gate.enforce(alone).allowed
    assert gate.enforce(beside).rule == "default_action"
    assert len(endpoint.asked) == 1


def test_person_is_asked_after_the_webhook_and_the_approval_serves_once(
    open_gate: Opener, endpoint: Endpoint
) -> None:
    gate = open_gate(policy(endpoint.url, others=ASKS))
    first = gate.enforce(DEPLOY)
    assert first.action == "ask"
    gate.resolve(first.approval_id, True, by="ann")
    assert gate.enforce(DEPLOY).rule == "approved"
    assert gate.enforce(DEPLOY).action == "ask"


def test_every_webhook_has_to_agree(open_gate: Opener, endpoint: Endpoint) -> None:
    other = Endpoint()
    try:
        second = policy(other.url).partition("policies:\n")[2].replace("deploys", "second")
        gate = open_gate(policy(endpoint.url) + second)
        assert gate.enforce(DEPLOY).allowed
        other.says("deny", message="not the second")
        decision = gate.enforce(DEPLOY)
        assert (decision.policy, decision.message) == ("second", "not the second")
        endpoint.says("deny", message="not the first")
        assert gate.enforce(DEPLOY).message == "not the first"
        assert (len(endpoint.asked), len(other.asked)) == (3, 2)  # the first denial ends it
    finally:
        other.close()


def test_too_many_webhooks_about_one_call_deny(open_gate: Opener, endpoint: Endpoint) -> None:
    one = policy(endpoint.url).partition("policies:\n")[2]
    more = "".join(one.replace("deploys", f"p{n}") for n in range(WEBHOOKS_PER_CALL_MAX + 1))
    decision = open_gate('version: "1"\npolicies:\n' + more).enforce(DEPLOY)
    assert (decision.action, decision.rule) == ("deny", "input_too_large")
    assert endpoint.asked == []


def test_preview_says_that_a_webhook_decides_and_asks_it_not(
    open_gate: Opener, endpoint: Endpoint
) -> None:
    decision = open_gate(policy(endpoint.url)).check(DEPLOY)
    assert (decision.action, decision.policy, decision.rule) == ("ask", "deploys", "hook")
    assert decision.pending is not None
    assert not decision.allowed
    assert endpoint.asked == []


def test_call_that_runs_whatever_the_answer_asks_nobody(
    open_gate: Opener, endpoint: Endpoint, tmp_path: Path
) -> None:
    open_gate(policy(endpoint.url)).enforce(DEPLOY, monitor=True)
    assert endpoint.asked == []
    assert records(tmp_path)[0]["decision"]["action"] == "ask"


def test_repeated_call_asks_again(open_gate: Opener, endpoint: Endpoint) -> None:
    gate = open_gate(policy(endpoint.url))
    assert gate.enforce(DEPLOY).allowed
    endpoint.says("deny")
    assert not gate.enforce(DEPLOY).allowed


def test_plugin_that_tightens_is_not_loosened_by_a_webhook(
    open_gate: Opener, endpoint: Endpoint
) -> None:
    from rampart import hookimpl

    class Careful:
        @hookimpl
        def rampart_before_decision(self, call: ToolCall) -> Decision:
            return Decision(call.params.get("plugin", "ask"), "a plugin", rule="r")  # type: ignore[arg-type]  # a verdict

    plugins = Plugins()
    plugins.register(Careful(), name="careful")
    gate = open_gate(policy(endpoint.url))
    gate._plugins = plugins
    asked = gate.enforce(DEPLOY)
    assert (asked.action, asked.policy) == ("ask", "plugin:careful")
    denied = gate.enforce(ToolCall("deploy", {"plugin": "deny"}))
    assert (denied.action, denied.policy) == ("deny", "plugin:careful")
    assert len(endpoint.asked) == 1


def test_limit_on_calls_holds_when_a_webhook_allows(open_gate: Opener, endpoint: Endpoint) -> None:
    limit = """\
  - name: few
    rules: [{action: deny, when: {call_count: {tool: deploy, gte: 3}}, message: enough}]
"""
    gate = open_gate(policy(endpoint.url, others=limit))
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda: results.append(gate.enforce(DEPLOY).action))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["allow"] * 2 + ["deny"] * 4


def test_webhooks_take_no_longer_than_the_asker_waits(
    open_gate: Opener, raw: Callable[..., str]
) -> None:
    """A service that answers too late counts as down, and a client may let the call run then."""
    text = policy(raw(silent))
    started = time.monotonic()
    decision = open_gate(text).enforce(DEPLOY, patience_s=0.2)
    assert (decision.action, decision.rule) == ("deny", "webhook_unavailable")
    assert time.monotonic() - started < 2
    assert (
        open_gate(text)
        .enforce(DEPLOY, patience_s=0.0)
        .message.endswith("no time is left to ask it")
    )


def test_what_a_service_allows_webhooks_is_less_than_its_clients_wait() -> None:
    assert WEBHOOK_HTTP_S + WEBHOOK_GRACE_S < CLIENT_TIMEOUT_S
    assert WEBHOOK_SOCKET_S + WEBHOOK_GRACE_S < SOCKET_TIMEOUT_S
    header = Path(__file__).parents[2] / "preload" / "csrc" / "io.h"
    (deadline_ms,) = re.findall(r"#define DEADLINE_MS ([0-9]+)", header.read_text())
    assert int(deadline_ms) / 1000 > WEBHOOK_SOCKET_S + WEBHOOK_GRACE_S
