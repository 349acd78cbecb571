"""Asking about the program that the launcher itself starts, as the library asks about the rest."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from dataclasses import dataclass
from typing import Final

from rampart import Verdict
from rampart.errors import AuthError, ProtocolError, ServiceUnavailable
from rampart.wire import FLAG_MONITOR, ExecQuery, decode_answer, encode_query

from rampart_preload.service import ANSWER_TIMEOUT_S, Endpoint, connect_http

_ROUTE: Final = "/v1/preflight/exec"
_ANSWER_BYTES_MAX: Final = 256 * 1024
_WORDS: Final[dict[object, Verdict]] = {
    "allow": "allow",
    "log": "watch",
    "require_approval": "ask",
    "deny": "deny",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A program that is about to run, and who runs it."""

    path: str
    argv: tuple[str, ...]
    agent: str
    session: str
    monitor: bool = False


def ask(question: Question, endpoint: Endpoint) -> tuple[Verdict, str]:
    """Return the verdict and its reason.

    Raises: ServiceUnavailable where fail-open decides; ProtocolError, AuthError and InputError
    where the answer must be taken as a denial.
    """
    if endpoint.socket:
        return _ask_socket(question, endpoint)
    return _ask_http(question, endpoint)


def _ask_socket(question: Question, endpoint: Endpoint) -> tuple[Verdict, str]:
    frame = encode_query(
        ExecQuery(
            path=os.fsencode(question.path),
            argv=tuple(map(os.fsencode, question.argv)),
            agent=question.agent.encode(),
            session=question.session.encode(),
            flags=FLAG_MONITOR if question.monitor else 0,
        )
    )
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    data = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(ANSWER_TIMEOUT_S)
            connection.connect(endpoint.socket)
        except OSError as error:
            raise ServiceUnavailable(f"{endpoint.socket}: {error}") from None
        try:
            connection.sendall(frame)
            while chunk := connection.recv(4096):
                data += chunk
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
        except TimeoutError:
            raise ServiceUnavailable(f"{endpoint.socket}: no answer in time") from None
        except OSError:
            pass  # WHY: the service closed early; what it said until then is judged
    return decode_answer(data)


def _ask_http(question: Question, endpoint: Endpoint) -> tuple[Verdict, str]:
    body = {
        "enforce": True,
        "agent": question.agent,
        "session": question.session,
        "cwd": os.getcwd(),  # noqa: PTH109 - as text
        "params": {
            "path": _text(question.path),
            "argv": [_text(word) for word in question.argv],
        },
        **({"monitor": True} if question.monitor else {}),
    }
    headers = {
        "Authorization": f"Bearer {endpoint.token}",
        "Content-Type": "application/json",
        "Connection": "close",
    }
    connection = connect_http(endpoint.url)
    try:
        connection.request("POST", _ROUTE, json.dumps(body), headers)
        response = connection.getresponse()
        data = response.read(_ANSWER_BYTES_MAX)
    except OSError as error:
        raise ServiceUnavailable(f"{endpoint.url}: {error}") from None
    except http.client.HTTPException as error:
        raise ProtocolError(f"{endpoint.url}: {error!r}") from None
    finally:
        connection.close()
    return _decision(response.status, data)


def _decision(status: int, data: bytes) -> tuple[Verdict, str]:
    try:
        answer = json.loads(data)
        message = str(answer.get("message") or "")
        verdict = _WORDS.get(answer.get("decision"))
    except (ValueError, AttributeError):
        raise ProtocolError(f"status {status} without a decision") from None
    if verdict == "ask" and answer.get("approval_id"):
        message = f"approval pending: rampart approve {answer['approval_id']}"
    if verdict in ("ask", "deny") or (verdict and status == http.HTTPStatus.OK):
        return verdict, message
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        raise AuthError(message or "the token is wrong")
    raise ProtocolError(f"status {status} without a decision")


def _text(word: str) -> str:
    return os.fsencode(word).decode("utf-8", "backslashreplace")
