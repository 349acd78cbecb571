"""Transports for httpx that let a request go only if it is allowed.

``httpx.Client(transport=GuardedTransport(guard))`` decides every request of that client, and every
redirect that it follows: httpx hands each to the transport as a request of its own.

MUST NOT open a connection before the request is allowed.
LIMIT: where rules look at what tools return, an answer is read to its end before it is handed on.
LIMIT: a policy sees names, not the addresses that they have when the connection is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import httpx

from rampart.errors import Denied
from rampart.model import Decision, Review, denial_text

if TYPE_CHECKING:
    from types import TracebackType

    from rampart.guard import Guard

_BODY_BYTES_MAX: Final = 64 * 1024  # of a request's body, what a policy sees
_OF_THE_WIRE: Final = ("content-encoding", "content-length", "transfer-encoding")


class RequestDenied(Denied, httpx.RequestError):
    """A request that was not sent, or whose answer is withheld; also an error of httpx."""

    def __init__(self, message: str, decision: Decision, request: httpx.Request) -> None:
        Denied.__init__(self, message, decision)
        self.request = request


class GuardedTransport(httpx.BaseTransport):
    """A transport behind a guard; ``inner`` sends what is allowed, by default over the network."""

    def __init__(self, guard: Guard, inner: httpx.BaseTransport | None = None) -> None:
        self._guard = guard
        self._inner = inner or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request if it is allowed. Raises: RequestDenied."""
        params = _params(request)
        _require(self._guard.enforce("fetch", params), request)
        response = self._inner.handle_request(request)
        if not self._guard.reviews:
            return response
        response.request = request
        response.read()
        text = _text(response)
        if text is None:
            return response
        return _reviewed(self._guard.review("fetch", params, text), response, text)

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._inner.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """As ``GuardedTransport``, for ``httpx.AsyncClient``; the event loop is never blocked."""

    def __init__(self, guard: Guard, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._guard = guard
        self._inner = inner or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request if it is allowed. Raises: RequestDenied."""
        params = _params(request)
        _require(await self._guard.aenforce("fetch", params), request)
        response = await self._inner.handle_async_request(request)
        if not self._guard.reviews:
            return response
        response.request = request
        await response.aread()
        text = _text(response)
        if text is None:
            return response
        return _reviewed(await self._guard.areview("fetch", params, text), response, text)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _params(request: httpx.Request) -> dict[str, object]:
    params: dict[str, object] = {"url": str(request.url), "method": request.method}
    try:
        body = request.content
    except httpx.RequestNotRead:
        return params  # a stream: reading it here would use it up
    if body and len(body) <= _BODY_BYTES_MAX:
        params["body"] = body.decode("utf-8", "replace")
    return params


def _require(decision: Decision, request: httpx.Request) -> None:
    if not decision.allowed:
        raise RequestDenied(denial_text("fetch", decision), decision, request)


def _text(response: httpx.Response) -> str | None:
    """Return what a body says, or None if it is no text, whatever its headers call it."""
    try:
        return response.content.decode(response.charset_encoding or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return None


def _reviewed(review: Review, response: httpx.Response, text: str) -> httpx.Response:
    if not review.allowed:
        raise RequestDenied(str(review.response), review.decision, response.request)
    if review.response == text:
        return response
    content = str(review.response).encode(response.charset_encoding or "utf-8", "replace")
    headers = [
        (name, value)
        for name, value in response.headers.raw
        if name.decode("latin-1").lower() not in _OF_THE_WIRE
    ]
    return httpx.Response(
        response.status_code,
        headers=headers,
        content=content,
        request=response.request,
        extensions=response.extensions,
    )
