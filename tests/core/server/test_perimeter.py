"""Who is let in: tokens, Host and Origin."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import httpx
import pytest
from rampart.config import Settings
from rampart.errors import ConfigError
from rampart.tokens import Tokens, ensure_token, read_token, service_tokens, token_path

CALL = {"params": {"command": "echo hi"}}


def raw_exchange(port: int, request: bytes) -> bytes:
    """Send bytes as they are and return everything that comes back before the connection closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def post(running, path="/v1/tool/exec", *, token=None, headers=None, json=CALL):
    token = running.admin if token is None else token
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.post(running.url + path, json=json, headers={**sent, **(headers or {})})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer admin-token-of-the-test"},
        {"Authorization": "Bearer admin-token-of-the-tests extra"},
    ],
)
def test_a_missing_or_wrong_token_is_401_and_says_what_to_do(shared_service, headers):
    answer = post(shared_service, token="", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    body = answer.json()
    assert body["error"] == "unauthorized"
    assert "rampart token" in body["help"]
    assert (body["allowed"], body["decision"]) == (False, "deny")


def test_two_authorization_headers_are_no_token(shared_service):
    request = (
        f"POST /v1/tool/exec HTTP/1.1\r\nHost: 127.0.0.1:{shared_service.port}\r\n"
        + 2 * f"Authorization: Bearer {shared_service.admin}\r\n"
        + "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    assert raw_exchange(shared_service.port, request.encode()).startswith(b"HTTP/1.1 401 ")


def test_both_tokens_get_decisions(shared_service):
    for token in (shared_service.admin, shared_service.evaluate):
        assert post(shared_service, token=token).json()["decision"] == "allow"


def test_the_token_of_agents_never_lists_nor_resolves_approvals(shared_service):
    asked = post(
        shared_service, token=shared_service.evaluate, json={"params": {"command": "git push"}}
    ).json()
    headers = {"Authorization": f"Bearer {shared_service.evaluate}"}
    listed = httpx.get(f"{shared_service.url}/v1/approvals", headers=headers)
    path = f"/v1/approvals/{asked['approval_id']}/resolve"
    resolved = post(shared_service, path, token=shared_service.evaluate, json={"approved": True})
    assert (listed.status_code, resolved.status_code) == (403, 403)
    assert resolved.json()["error"] == "forbidden"
    status = httpx.get(f"{shared_service.url}/v1/approvals/{asked['approval_id']}").json()["status"]
    assert status == "pending"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.evil.example:{port}",
        "127.0.0.1:{port}.evil.example",
        "169.254.169.254:{port}",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/v1/approvals"])
def test_a_foreign_host_is_refused_on_every_path(shared_service, host, path):
    named = host.format(port=shared_service.port)
    request = f"GET {path} HTTP/1.1\r\nHost: {named}\r\nConnection: close\r\n\r\n"
    answer = raw_exchange(shared_service.port, request.encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"foreign_host" in answer


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_the_names_of_this_machine_are_answered(shared_service, name):
    request = (
        f"GET /healthz HTTP/1.1\r\nHost: {name}:{shared_service.port}\r\nConnection: close\r\n\r\n"
    )
    assert raw_exchange(shared_service.port, request.encode()).startswith(b"HTTP/1.1 200 ")


def test_a_request_without_host_is_refused(shared_service):
    request = b"GET /healthz HTTP/1.0\r\n\r\n"
    assert raw_exchange(shared_service.port, request).startswith(b"HTTP/1.1 400 ")


def test_another_name_may_be_allowed(start_service):
    running = start_service(allow_hosts=("rampart.lan",))
    headers = {"Host": f"rampart.lan:{running.port}"}
    assert httpx.get(f"{running.url}/healthz", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
def test_a_web_page_is_refused_even_with_the_token(shared_service, origin):
    answer = post(shared_service, headers={"Origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"] == "foreign_origin"


def test_the_services_own_origin_is_answered_and_no_answer_has_cors_headers(shared_service):
    own = post(shared_service, headers={"Origin": shared_service.url})
    preflight = httpx.options(
        f"{shared_service.url}/v1/tool/exec",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert own.status_code == 200
    assert preflight.status_code == 403
    for answer in (own, preflight):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_health_needs_no_token(shared_service):
    answer = httpx.get(f"{shared_service.url}/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["version"]


# Token files


def test_tokens_are_made_once_with_256_bits_and_only_we_can_read_them(tmp_path):
    settings = Settings(tmp_path / "new")
    first = service_tokens(settings)
    assert service_tokens(settings) == first
    for role, value in (("admin", first.admin), ("eval", first.evaluate)):
        assert len(bytes.fromhex(value.decode())) == 32
        assert stat.S_IMODE(token_path(settings, role).stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert sorted(path.name for path in settings.data_dir.iterdir()) == ["token", "token.eval"]


def test_a_token_for_one_run_leaves_the_file_alone(tmp_path):
    settings = Settings(tmp_path / "new")
    assert service_tokens(settings, override="your-token").admin == b"your-token"
    assert not settings.token_path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666])
def test_a_token_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others may read"):
        read_token(path)


def test_a_token_behind_a_link_is_refused_also_if_the_link_leads_nowhere(tmp_path):
    settings = Settings(tmp_path)
    tmp_path.chmod(0o700)
    real = tmp_path / "real"
    settings.token_path.symlink_to(real)
    with pytest.raises(ConfigError, match="cannot be read"):
        ensure_token(settings, "admin")
    assert not real.exists()
    real.touch(mode=0o600)
    real.write_text("secret\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        ensure_token(settings, "admin")


@pytest.mark.parametrize("content", ["", "\n", "two words\n", "tab\there", "nön-ascii", "x" * 5000])
def test_an_empty_or_unusable_token_is_refused(tmp_path, content):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(ConfigError):
        read_token(path)


def test_a_token_that_is_not_a_file_is_refused_without_waiting(tmp_path):
    path = tmp_path / "token"
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_token(path)


def test_a_trailing_newline_is_no_part_of_a_token(tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("secret\n")
    assert read_token(path) == "secret"


def test_one_token_for_both_roles_is_refused():
    with pytest.raises(ConfigError, match="are the same"):
        Tokens(b"same", b"same")


def test_a_service_does_not_start_with_an_unsafe_token_file(start_service, data_dir: Path):
    (data_dir / "token.eval").write_text("secret")
    (data_dir / "token.eval").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        start_service()


def test_many_who_start_at_once_agree_on_one_token(tmp_path):
    settings = Settings(tmp_path / "new")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(ensure_token(settings, "admin")))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert [path.name for path in settings.data_dir.iterdir()] == ["token"]
