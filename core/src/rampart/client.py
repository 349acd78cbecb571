"""The remote decision point: a service that decides in the place of a gate in this process.

MUST NOT read anything but a well-formed answer as an allow.
MUST NOT send the token to another host than the one that was named: no redirects, no proxies from
the environment, no plain HTTP beyond this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

import httpx

from rampart import strict_json
from rampart.answers import RemoteApproval, is_review, read_approval, read_decision, read_refusal
from rampart.config import URL_DEFAULT, Settings, load_settings, parse_bool
from rampart.errors import (
    ApprovalError,
    ConfigError,
    InputError,
    InputTooLarge,
    ProtocolError,
    RampartError,
    ServiceUnavailable,
)
from rampart.limits import (
    APPROVAL_POLL_REMOTE_S,
    CLIENT_TIMEOUT_S,
    HTTP_ANSWER_BYTES_MAX,
    HTTP_BODY_BYTES_MAX,
    PARAMS_DEPTH_MAX,
)
from rampart.model import (
    RULE_APPROVAL_DENIED,
    RULE_APPROVAL_EXPIRED,
    RULE_APPROVAL_UNAVAILABLE,
    RULE_APPROVED,
    RULE_INPUT_TOO_LARGE,
    RULE_INVALID_INPUT,
    Decision,
    Review,
    ToolCall,
    Verdict,
    withheld,
)
from rampart.tokens import check_token, read_token, token_in_environment, token_path

_URL_ENVIRONMENT: Final = "RAMPART_URL"
_FAIL_OPEN_ENVIRONMENT: Final = "RAMPART_FAIL_OPEN"
_EXACT_MAX: Final = 2**53  # beyond it JSON readers disagree about a number
_STATUS_OF_VERDICT: Final[Mapping[Verdict, int]] = {
    "allow": 200,
    "watch": 200,
    "ask": 202,
    "deny": 403,
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A connection to a service, and what to do while it cannot be reached."""

    point: RemoteGate
    fail_open: bool


def connect(
    url: str | None = None, *, token: str | None = None, fail_open: bool | None = None
) -> Remote:
    """Return a connection. What is not given comes from the environment.

    ``RAMPART_URL`` (else this machine, port 9090), ``RAMPART_TOKEN`` (else, for a service on this
    machine, the token files of the data directory) and ``RAMPART_FAIL_OPEN`` (else open). Nothing
    is sent yet. Raises: ConfigError.
    """
    address = url or os.environ.get(_URL_ENVIRONMENT) or URL_DEFAULT
    shown = token or token_in_environment(os.environ)
    if shown is None and is_local(address):
        shown = _own_token(load_settings())
    if shown is None:
        raise ConfigError(
            f"no token for {address}",
            help="set RAMPART_TOKEN to what `rampart token --eval` prints",
        )
    if fail_open is None:
        fail_open = parse_bool(
            os.environ.get(_FAIL_OPEN_ENVIRONMENT, "1"), name=_FAIL_OPEN_ENVIRONMENT
        )
    return Remote(RemoteGate(address, shown), fail_open)


def is_local(url: str) -> bool:
    """True if a URL leads to this machine by an address that cannot leave it."""
    try:
        host = httpx.URL(url).host
        return host == "localhost" or ip_address(host).is_loopback
    except (httpx.InvalidURL, ValueError):
        return False


class RemoteGate:
    """A gate that stands elsewhere; what a ``Gate`` answers, it answers too.

    Connections are kept and shared between threads. Every method raises ServiceUnavailable where
    the service cannot be reached in time, AuthError where it refuses the token, and ProtocolError
    for anything that the contract does not allow. Of these only the first may fail open.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = CLIENT_TIMEOUT_S) -> None:
        self._url = _checked_url(url)
        check_token(token, source="the token given")
        self._http = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
        )
        self._reviews = True

    def check(self, call: ToolCall) -> Decision:
        """Preview a call: no record is left and nobody is asked."""
        return self._decide("preflight", call, {})

    def enforce(self, call: ToolCall, *, monitor: bool = False) -> Decision:
        """Decide and record a call; an ``ask`` carries the id of its approval and does not wait."""
        return self._decide("tool", call, {"monitor": True} if monitor else {})

    @property
    def reviews(self) -> bool:
        """True if some rule looks at what tools return, as the service said with its last answer.

        True as well before the first one: to ask for nothing costs a request, not to ask a secret.
        """
        return self._reviews

    def review(self, call: ToolCall, response: object) -> Review:
        """Say what a model may see of what ``call`` returned; it is recorded there."""
        try:
            sent = _json_of(response)
        except InputTooLarge as error:
            decision = Decision("deny", error.message, rule=RULE_INPUT_TOO_LARGE)
            return withheld(call.tool, decision)
        decision, answer = self._asked("response", call, {"response": sent})
        if not decision.allowed:
            return withheld(call.tool, decision)
        # LIMIT: what JSON has no word for (tuples, bytes) comes back as its JSON where it was cut
        return Review(decision, answer["response"] if answer["redacted"] else response)

    def poll(self, decision: Decision) -> Decision | None:
        """Return the outcome of an ``ask``, or None while it is pending.

        Whatever goes wrong here is a denial: a question is never answered by silence.
        """
        if decision.action != "ask":
            return decision
        try:
            approval = self.approval(decision.approval_id)
        except RampartError as error:
            text = f"the approval cannot be read: {error.message}"
            return _denied(decision, RULE_APPROVAL_UNAVAILABLE, text)
        match approval.status:
            case "pending":
                return None
            case "approved":
                return replace(decision, action="allow", message="approved", rule=RULE_APPROVED)
            case "denied":
                text = approval.message or "a person denied it"
                return _denied(decision, RULE_APPROVAL_DENIED, text)
            case "expired":
                return _denied(decision, RULE_APPROVAL_EXPIRED, "nobody approved it in time")

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        """Wait for the approval of an ``ask``, at most ``timeout_s``; answer allow or deny."""
        deadline = time.monotonic() + timeout_s
        while True:
            outcome = self.poll(decision)
            if outcome is not None:
                return outcome
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return _denied(decision, RULE_APPROVAL_EXPIRED, "nobody approved it in time")
            time.sleep(min(APPROVAL_POLL_REMOTE_S, left_s))

    def approval(self, approval_id: str) -> RemoteApproval:
        """Return one approval. An approved one is handed over: the same call will ask again.

        Raises: ApprovalError if there is none.
        """
        return read_approval(self._call("GET", f"/v1/approvals/{quote(approval_id, safe='')}"))

    def pending(self) -> tuple[RemoteApproval, ...]:
        """Return the questions that wait for a person, oldest first. Needs the admin token."""
        found = self._call("GET", "/v1/approvals").get("approvals")
        if not isinstance(found, list):
            raise ProtocolError("the service did not answer with a list of approvals")
        return tuple(read_approval(item) for item in found)

    def resolve(
        self, approval_id: str, approve: bool, *, by: str, reason: str = ""
    ) -> RemoteApproval:
        """Answer a question, once. Needs the admin token. Raises: ApprovalError."""
        path = f"/v1/approvals/{quote(approval_id, safe='')}/resolve"
        return read_approval(
            self._call("POST", path, {"approved": approve, "by": by, "reason": reason})
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _decide(self, route: str, call: ToolCall, extra: Mapping[str, object]) -> Decision:
        return self._asked(route, call, extra)[0]

    def _asked(
        self, route: str, call: ToolCall, extra: Mapping[str, object]
    ) -> tuple[Decision, Mapping[str, object]]:
        body: dict[str, object] = {
            "agent": call.agent,
            "session": call.session,
            "run_id": call.run_id,
            "tool_call_id": call.call_id,
            "cwd": call.cwd,
            "depth": call.depth,
            **extra,
        }
        try:
            _require_sendable(call.tool)
            body["params"] = _plain(call.params)
            status, answer = self._exchange(
                "POST", f"/v1/{route}/{quote(call.tool, safe='')}", body
            )
            if "error" in answer:
                raise read_refusal(status, answer)
        except InputTooLarge as error:
            return Decision("deny", error.message, rule=RULE_INPUT_TOO_LARGE), {}
        except InputError as error:
            return Decision("deny", error.message, rule=RULE_INVALID_INPUT), {}
        decision = read_decision(answer)
        expected = 200 if route == "preflight" else _STATUS_OF_VERDICT[decision.action]
        if status != expected:
            raise ProtocolError(f"the service answered {decision.action} with status {status}")
        self._reviews = answer.get("reviews", True) is not False
        if route == "response" and decision.allowed and not is_review(answer):
            raise ProtocolError("the service answered no `response`")
        return decision, answer

    def _call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        status, answer = self._exchange(method, path, body)
        if status in (404, 409):
            raise ApprovalError(read_refusal(status, answer).message)
        if status != 200 or "error" in answer:
            raise read_refusal(status, answer)
        return answer

    def _exchange(
        self, method: str, path: str, body: object = None
    ) -> tuple[int, dict[str, object]]:
        content = None if body is None else strict_json.dumps(body)
        if content is not None and len(content) > HTTP_BODY_BYTES_MAX:
            raise InputTooLarge(
                f"a request of {len(content)} bytes; the limit is {HTTP_BODY_BYTES_MAX}"
            )
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            with self._http.stream(method, path, content=content, headers=headers) as response:
                data = _read(response)
        except httpx.RequestError as error:
            if not isinstance(error, httpx.NetworkError | httpx.TimeoutException):
                raise ProtocolError(f"{self._url}: not an answer of the service: {error}") from None
            kind = "timed out" if isinstance(error, httpx.TimeoutException) else str(error)
            raise ServiceUnavailable(
                f"{self._url} cannot be reached: {kind}", help="start it with `rampart serve`"
            ) from None
        try:
            return response.status_code, strict_json.loads_object(
                data, size_bytes_max=HTTP_ANSWER_BYTES_MAX
            )
        except InputError as error:
            raise ProtocolError(
                f"{self._url}: status {response.status_code}, {error.message}"
            ) from None


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"{url!r} is not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ConfigError(f"{url!r}: http://HOST:PORT or https://HOST:PORT is needed")
    if parsed.scheme == "http" and not is_local(url):
        raise ConfigError(
            f"{url}: the token would cross the network in the clear",
            help="use https://, or a tunnel to a port of this machine",
        )
    return url.rstrip("/")


def _require_sendable(tool: str) -> None:
    if not tool.isprintable() or tool in ("", ".", ".."):
        raise InputError(f"{tool!r} is no name of a tool")


def _plain(value: object, depth: int = 0) -> object:
    # WHY: a gate in this process reads these too; JSON has no word for them
    if depth > PARAMS_DEPTH_MAX:
        raise InputTooLarge(f"parameters nested deeper than {PARAMS_DEPTH_MAX}")
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InputError("a parameter has a name that is not text")
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    return value


def _json_of(value: object, depth: int = 0) -> object:
    """Return a response as JSON can carry it: what else there is goes as the text that it shows."""
    if depth > PARAMS_DEPTH_MAX:
        raise InputTooLarge(f"a response nested deeper than {PARAMS_DEPTH_MAX}")
    if isinstance(value, Mapping):
        return {_json_text(key): _json_of(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_of(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) < _EXACT_MAX:
        return value
    return _json_text(value)


def _json_text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _own_token(settings: Settings) -> str | None:
    # WHY: the weaker one is enough to ask, and is taken where both can be read
    for path in (token_path(settings, "eval"), settings.token_path):
        if path.exists():
            return read_token(path)
    return None


def _read(response: httpx.Response) -> bytes:
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > HTTP_ANSWER_BYTES_MAX:
            raise ProtocolError(f"an answer of more than {HTTP_ANSWER_BYTES_MAX} bytes")
    return bytes(data)


def _denied(decision: Decision, rule: str, message: str) -> Decision:
    return replace(decision, action="deny", message=message, rule=rule)
