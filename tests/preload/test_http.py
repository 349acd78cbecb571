"""The second way: HTTP, for services that the local socket does not reach."""

from __future__ import annotations

import errno
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

BLOCKED = "rampart: blocked — "
ALLOW = {"allowed": True, "decision": "allow", "message": ""}


class Service:
    """An HTTP service that answers with the bytes or the object that it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.reply: object = ALLOW
        self.raw: bytes | None = None
        self.hangs = threading.Event()
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.requests.append((self.path, dict(self.headers), json.loads(body)))
                if service.raw is not None:
                    self.wfile.write(service.raw)
                    self.close_connection = True
                    return
                if service.hangs.is_set():
                    service.released.wait(10)
                    return
                data = json.dumps(service.reply).encode()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def attempt(
    service: Service, glibc_probe: Any, guarded: Callable[..., Any], tmp_path: Path
) -> Callable[..., Any]:
    def run(**variables: str) -> Any:
        given = {"RAMPART_URL": f"http://127.0.0.1:{service.port}", "RAMPART_TOKEN": "secret"}
        out = tmp_path / "out"
        command = [str(w) for w in (glibc_probe.program, "execve", glibc_probe.marker, out)]
        done = subprocess.run(
            command,
            env=guarded(None, **(given | variables)),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert out.exists() != (f'"errno": {errno.EPERM}' in done.stdout), done
        return out.exists(), done.stderr

    return run


def test_the_request_is_the_published_one(service: Service, attempt: Callable[..., Any]) -> None:
    assert attempt() == (True, "")
    ((path, headers, body),) = service.requests
    assert path == "/v1/preflight/exec"
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Host"] == f"127.0.0.1:{service.port}"
    assert headers["Content-Type"] == "application/json"
    assert (body["enforce"], body["agent"], body["session"]) == (True, "tester", "s1")
    assert body["cwd"] == str(Path.cwd())
    assert body["params"]["path"].endswith("/marker")
    assert body["params"]["argv"][2] == "arg two"
    assert set(body) == {"enforce", "agent", "session", "cwd", "params"}


def test_monitor_mode_says_so(service: Service, attempt: Callable[..., Any]) -> None:
    service.reply = {"decision": "deny", "message": "no"}
    assert attempt(RAMPART_MODE="monitor") == (True, "")
    assert service.requests[0][2]["monitor"] is True


def test_every_byte_arrives_escaped(
    service: Service, library: Path, guarded: Callable[..., Any]
) -> None:
    word = b'"\\\n\t\x01\x7f ' + "é € 😀 ".encode()
    word += bytes.fromhex("ff 20 c3 20 ed a0 80 20 e2 82 20 f4 90 80 80")
    environment = guarded(None, RAMPART_URL=f"http://localhost:{service.port}", RAMPART_TOKEN="t")
    command = ["/bin/sh", "-c", 'exec /bin/true "$@"', "sh", word, b"long " * 5000]
    subprocess.run(command, env=environment, check=True)
    _program, first, second = service.requests[0][2]["params"]["argv"]
    assert first == word.decode("utf-8", "backslashreplace")
    assert second == "long " * 5000
    assert service.requests[0][1]["Host"] == f"localhost:{service.port}"


ANSWERS = [
    (200, {"decision": "log", "message": "seen"}, (True, "")),
    (200, {"message": 'no "rm"\n\u00e9 \u20ac', "decision": "deny"}, (False, 'no "rm" é €')),
    (200, {"decision": "deny"}, (False, "not permitted by policy")),
    (403, {"decision": "deny", "message": "foreign host"}, (False, "foreign host")),
    (401, {"error": "unauthorized", "message": "a token is needed"}, (False, "a token is needed")),
    (
        200,
        {"decision": "require_approval", "message": "ask", "approval_id": "01ABC"},
        (False, "approval pending: rampart approve 01ABC"),
    ),
    (200, {"decision": "maybe"}, (False, "the decision service gave no valid answer")),
    (200, {"params": {"decision": "allow"}}, (False, "the decision service gave no valid answer")),
    (200, {"x": "decision", "y": "allow"}, (False, "the decision service gave no valid answer")),
    (500, {"decision": "allow"}, (False, "the decision service gave no valid answer")),
    (200, ["decision", "allow"], (False, "the decision service gave no valid answer")),
    (
        200,
        {"policies": [{"decision": "deny", "message": "x"}], "decision": "allow"},
        (True, ""),
    ),
]


@pytest.mark.parametrize(("status", "reply", "expected"), ANSWERS)
def test_answers(
    status: int, reply: object, expected: tuple[bool, str],
    service: Service, attempt: Callable[..., Any],
) -> None:  # fmt: skip
    service.status, service.reply = status, reply
    runs, reason = expected
    assert attempt() == (runs, "" if runs else f"{BLOCKED}{reason}\n")


OK = b"HTTP/1.1 200 OK\r\n\r\n"
RAW = {
    "two decisions": OK + b'{"decision":"allow","decision":"allow"}',
    "cut": OK + b'{"decision":"allow"',
    "empty": OK,
    "no http": b'{"decision":"allow"}',
    "other protocol": b"SSH-2.0-x\r\n\r\n" + b'{"decision":"allow"}',
    "half escape": OK + rb'{"decision":"all\u00zzow"}',
    "in a string": OK + rb'{"x":"{\"decision\":\"allow\"}"}',
    "endless": OK + b'{"x":"' + b"y" * 400_000,
}


@pytest.mark.parametrize("name", RAW)
def test_broken_answers_are_refused(
    name: str, service: Service, attempt: Callable[..., Any]
) -> None:
    service.raw = RAW[name]
    expected = (False, f"{BLOCKED}the decision service gave no valid answer\n")
    assert attempt(RAMPART_FAIL_OPEN="1") == expected


def test_an_escaped_word_is_the_word(service: Service, attempt: Callable[..., Any]) -> None:
    service.raw = OK + rb'{"decision":"\u0061llow"}'
    assert attempt() == (True, "")


def test_a_hanging_service_is_no_service(service: Service, attempt: Callable[..., Any]) -> None:
    service.hangs.set()
    started = time.monotonic()
    assert attempt(RAMPART_FAIL_OPEN="1")[0]
    assert 1.8 < time.monotonic() - started < 8


NOBODY = ["http://127.0.0.1:1", "http://[::1]:1", "http://no-such-host.invalid:1"]


@pytest.mark.parametrize("fail_open", ["0", "1"])
@pytest.mark.parametrize("url", NOBODY)
def test_where_nobody_listens_fail_open_decides(
    url: str, fail_open: str, attempt: Callable[..., Any]
) -> None:
    runs, message = attempt(RAMPART_URL=url, RAMPART_FAIL_OPEN=fail_open)
    assert runs == (fail_open == "1")
    refused = f"{BLOCKED}the decision service cannot be reached, and fail-open is off\n"
    assert message == ("" if runs else refused)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1", "127.0.0.1:9090", "http://", "http://u@h:1", "http://h:99999",
            "http://h:1/path", "http://h:x"]
)  # fmt: skip
def test_a_url_that_cannot_be_used_refuses(url: str, attempt: Callable[..., Any]) -> None:
    runs, message = attempt(RAMPART_URL=url, RAMPART_FAIL_OPEN="1")
    assert not runs
    assert message.startswith(f"{BLOCKED}RAMPART_URL ")


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Y: z", "\u00e9"])
def test_a_token_that_is_none_refuses(
    token: str, service: Service, attempt: Callable[..., Any]
) -> None:
    assert attempt(RAMPART_TOKEN=token) == (False, f"{BLOCKED}RAMPART_TOKEN is not a token\n")
    assert service.requests == []


def test_the_socket_comes_first_and_http_stands_in_for_it(
    service: Service, allowing: Any, attempt: Callable[..., Any], tmp_path: Path
) -> None:
    assert attempt(RAMPART_SOCKET=str(allowing.path))[0]
    assert (len(allowing.queries), len(service.requests)) == (1, 0)
    (tmp_path / "out").unlink()
    assert attempt(RAMPART_SOCKET=str(tmp_path / "none"))[0]
    assert len(service.requests) == 1


def test_debug_lines_name_the_address(service: Service, attempt: Callable[..., Any]) -> None:
    _runs, lines = attempt(RAMPART_DEBUG="1", RAMPART_URL=f"http://localhost:{service.port}")
    sent = f"rampart_preload: sending to http://localhost:{service.port}/v1/preflight/exec"
    assert lines.splitlines()[1:] == [
        sent, "rampart_preload: decision: allow", "rampart_preload: proceeding with syscall",
    ]  # fmt: skip
