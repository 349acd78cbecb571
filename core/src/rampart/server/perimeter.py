"""The outer wall: which requests are looked at at all, and who sends them.

MUST NOT let a request with a foreign Host or Origin reach a handler: a web page that rebinds its
name to the loopback address carries its own name in Host, and every page carries its Origin.
MUST NOT answer with any CORS header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from rampart.server.answers import RequestError, error_response
from rampart.tokens import Role, Tokens

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# WHY: `.internal` is reserved and cannot be registered; containers reach the host by this name
_ALWAYS_ALLOWED: Final = ("localhost", "127.0.0.1", "[::1]", "host.docker.internal")
_PORTS_LEFT_OUT: Final = 80  # a client may leave out the default port of http
_BEARER: Final = re.compile(rb"bearer +([\x21-\x7e]+) *", re.IGNORECASE)


def allowed_authorities(port: int, names: Iterable[str] = ()) -> frozenset[bytes]:
    """Return the values of ``Host`` under which the service answers."""
    hosts = {name.lower() for name in (*_ALWAYS_ALLOWED, *names)}
    found = {f"{host}:{port}".encode() for host in hosts}
    if port == _PORTS_LEFT_OUT:
        found |= {host.encode() for host in hosts}
    return frozenset(found)


class Perimeter:
    """Refuses requests that a browser sends for somebody else's page."""

    def __init__(self, app: ASGIApp, authorities: frozenset[bytes]) -> None:
        self._app = app
        self._authorities = authorities

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 or 403."""
        if scope["type"] == "http":
            problem = self._problem(scope)
            if problem is not None:
                await error_response(problem, decides=True)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> RequestError | None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1:
            return RequestError(400, "invalid_host", "one Host header is needed")
        host = hosts[0].lower()
        if host not in self._authorities:
            return RequestError(
                403,
                "foreign_host",
                f"this service does not answer as {host.decode('ascii', 'replace')!r}",
                help="use 127.0.0.1 and the port, or `rampart serve --allow-host NAME`",
            )
        for origin in _values(scope, b"origin"):
            if origin.lower() != b"http://" + host:
                return RequestError(403, "foreign_origin", "web pages may not use this service")
        return None


def role_of(scope: Scope, tokens: Tokens) -> Role:
    """Return the role of the sender. Raises: RequestError 401 for a missing or wrong token."""
    values = _values(scope, b"authorization")
    shown = _BEARER.fullmatch(values[0]) if len(values) == 1 else None
    role = tokens.role(shown.group(1)) if shown else None
    if role is None:
        raise RequestError(
            401,
            "unauthorized",
            "the token is wrong" if shown else "a token is needed: Authorization: Bearer TOKEN",
            help="`rampart token` prints it; agents use `rampart token --eval`",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return role


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
