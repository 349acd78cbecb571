"""HTTP/1.1 with deadlines: a client that sends slowly cannot keep a connection.

WHY: the server's own protocol only closes connections that are idle after an answer; a head or a
body that drips in one byte at a time stays open for as long as the sender likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from rampart.limits import HTTP_BODY_TIMEOUT_S, HTTP_HEAD_TIMEOUT_S

_TIMEOUTS_S: Final[Mapping[Any, float]] = {
    h11.IDLE: HTTP_HEAD_TIMEOUT_S,
    h11.SEND_BODY: HTTP_BODY_TIMEOUT_S,
}


class BoundedProtocol(H11Protocol):
    """Closes a connection whose request has not arrived in time.

    INVARIANT: a deadline counts from the start of its phase; bytes that drip in do not extend it.
    """

    _phase: Any = None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base class
        """Start the deadline of the first head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and start or end a deadline if they began another phase."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Leave an idle connection to the keep-alive timer, until bytes of the next head arrive."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._phase = None
            self._cancel()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        phase = self.conn.their_state
        if phase is self._phase:
            return
        self._phase = phase
        self._cancel()
        timeout_s = _TIMEOUTS_S.get(phase)
        if timeout_s is not None:
            self._deadline = self.loop.call_later(timeout_s, self.transport.abort)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
