"""httpx behind a guard: each request and each redirect is decided before a connection is made."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from rampart import AsyncGuardedTransport, Denied, Guard, GuardedTransport
from rampart.audit.read import read_records

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: network
    match: {tool: [fetch]}
    rules:
      - {action: deny, when: {url_matches: ["*/forbidden*"]}, message: not this page}
      - action: deny
        when: {tool_param_matches: {method: ["DELETE"]}}
        message: nothing is deleted
      - action: deny
        when: {tool_param_matches: {body: ["*password*"]}}
        message: nothing secret leaves
      - {action: redact, when: {response_matches: ["token-[a-z]+"]}, message: no tokens}
      - {action: deny, when: {response_matches: ["PRIVATE"]}, message: not to be seen}
"""


@dataclass
class Site:
    """A web server on this machine, and the paths that were asked of it."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body, headers = b"a page", {"Content-Type": "text/plain"}
            if self.path.startswith("/to?"):
                self.send_response(302)
                headers["Location"] = "/" + self.path.removeprefix("/to?")
            else:
                self.send_response(200)
            if self.path == "/token":
                body = b"my token-abc"
            if self.path == "/zipped":
                body, headers["Content-Encoding"] = gzip.compress(b"my token-abc"), "gzip"
            if self.path == "/private":
                body = b"PRIVATE"
            if self.path == "/binary":
                body, headers["Content-Type"] = b"\xff\xfe\x00", "application/octet-stream"
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_DELETE = do_GET  # noqa: N815 - as above

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    with Guard(POLICY, data_dir=tmp_path / "rampart", workspace=tmp_path) as opened:
        yield opened


def ask(guard: Guard, way: str, method: str, url: str, **options: Any) -> httpx.Response:
    if way == "sync":
        with httpx.Client(transport=GuardedTransport(guard), follow_redirects=True) as client:
            return client.request(method, url, **options)

    async def main() -> httpx.Response:
        transport = AsyncGuardedTransport(guard)
        async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
            return await client.request(method, url, **options)

    return asyncio.run(main())


WAYS = pytest.mark.parametrize("way", ["sync", "async"])


@WAYS
def test_allowed_request_is_sent_and_recorded(
    guard: Guard, site: Site, tmp_path: Path, way: str
) -> None:
    assert ask(guard, way, "GET", f"{site.url}/page").text == "a page"
    (record,) = [r for r in read_records(tmp_path / "rampart" / "audit") if r["type"] == "decision"]
    assert record["params"] == {"url": f"{site.url}/page", "method": "GET"}


@WAYS
def test_denied_request_opens_no_connection(guard: Guard, site: Site, way: str) -> None:
    with pytest.raises(Denied, match="not this page") as caught:
        ask(guard, way, "GET", f"{site.url}/forbidden")
    assert isinstance(caught.value, httpx.RequestError)  # what a caller of httpx handles
    assert caught.value.request.url.path == "/forbidden"
    assert site.asked == []


@WAYS
def test_each_redirect_is_decided(guard: Guard, site: Site, way: str) -> None:
    assert ask(guard, way, "GET", f"{site.url}/to?to?page").text == "a page"
    with pytest.raises(Denied, match="not this page"):
        ask(guard, way, "GET", f"{site.url}/to?forbidden")
    assert site.asked == ["/to?to?page", "/to?page", "/page", "/to?forbidden"]


@WAYS
def test_method_and_body_are_seen(guard: Guard, site: Site, way: str) -> None:
    with pytest.raises(Denied, match="nothing is deleted"):
        ask(guard, way, "DELETE", f"{site.url}/page")
    with pytest.raises(Denied, match="nothing secret leaves"):
        ask(guard, way, "POST", f"{site.url}/page", json={"text": "my password"})
    assert ask(guard, way, "POST", f"{site.url}/page", content=b"fine").text == "a page"
    assert site.asked == ["/page"]


@WAYS
@pytest.mark.parametrize("page", ["token", "zipped"])
def test_answer_is_redacted(guard: Guard, site: Site, way: str, page: str) -> None:
    answer = ask(guard, way, "GET", f"{site.url}/{page}")
    assert answer.status_code == 200
    assert answer.text.startswith("my [redacted")
    assert "token-abc" not in answer.text
    assert answer.headers["content-type"] == "text/plain"


@WAYS
def test_answer_is_withheld(guard: Guard, site: Site, way: str) -> None:
    with pytest.raises(Denied, match="not to be seen"):
        ask(guard, way, "GET", f"{site.url}/private")


@WAYS
def test_what_is_no_text_is_handed_on(guard: Guard, site: Site, way: str) -> None:
    assert ask(guard, way, "GET", f"{site.url}/binary").content == b"\xff\xfe\x00"


def test_inner_transport_may_be_any(guard: Guard) -> None:
    inner = httpx.MockTransport(lambda request: httpx.Response(200, text=str(request.url)))
    with httpx.Client(transport=GuardedTransport(guard, inner)) as client:
        assert client.get("https://example.com/a").text == "https://example.com/a"
        with pytest.raises(Denied):
            client.get("https://example.com/forbidden")


@WAYS
def test_closed_guard_denies(guard: Guard, site: Site, way: str) -> None:
    guard.close()
    with pytest.raises(Denied):
        ask(guard, way, "GET", f"{site.url}/page")
    assert site.asked == []
