"""Asking webhooks: an endpoint says whether a call may run.

MUST read anything but a well-formed answer as a denial.
MUST NOT wait longer than the rule says, whatever the other side does with the connection.
MUST NOT follow a redirect, use a proxy from the environment, or send what a record may not hold.
The request, its signature and the answers are specified in ``core/docs/webhooks.md``.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rampart import strict_json
from rampart.audit.record import Redactor, decision_fields
from rampart.clock import Clock
from rampart.errors import InputError, RampartError, ServiceUnavailable
from rampart.ids import UlidFactory
from rampart.limits import (
    WEBHOOK_ACTIONS_MAX,
    WEBHOOK_ANSWER_BYTES_MAX,
    WEBHOOK_GRACE_S,
    WEBHOOKS_PER_CALL_MAX,
)
from rampart.model import (
    RULE_INPUT_TOO_LARGE,
    RULE_WEBHOOK_UNAVAILABLE,
    STRICTNESS,
    Action,
    Consultation,
    Consulted,
    Decision,
    Pending,
    ToolCall,
    Verdict,
    Webhook,
)

if TYPE_CHECKING:
    import ssl

    import httpx

TIMESTAMP_HEADER: Final = "Rampart-Timestamp"
SIGNATURE_HEADER: Final = "Rampart-Signature"

_log = logging.getLogger("rampart.webhook")
_ids = UlidFactory()
_WORDS: Final[Mapping[object, Verdict]] = {
    "allow": "allow",
    "watch": "watch",
    "log": "watch",
    "ask": "ask",
    "require_approval": "ask",
    "deny": "deny",
}
_OK: Final = 200
_SERVER_ERROR: Final = 500


class Patience:
    """The time that all webhooks about one call have together."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._deadline = clock.monotonic() + seconds

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now()

    @property
    def left_s(self) -> float:
        """How much of the time is left; negative once it is over."""
        return self._deadline - self._clock.monotonic()


def consult(
    call: ToolCall,
    actions: Sequence[Action],
    decision: Decision,
    *,
    redactor: Redactor,
    patience: Patience,
) -> Decision:
    """Ask every webhook that ``decision`` waits for, and return what holds then.

    The strictest of their answers and of what was decided without them. The first denial ends it.
    """
    pending = decision.pending
    if pending is None:
        return decision
    if len(pending.consultations) > WEBHOOKS_PER_CALL_MAX:
        text = f"{len(pending.consultations)} webhooks about one call"
        text = f"{text}; the limit is {WEBHOOKS_PER_CALL_MAX}"
        return replace(
            decision, action="deny", message=text, rule=RULE_INPUT_TOO_LARGE, pending=None
        )
    asked: list[Consulted] = []
    for each in pending.consultations:
        body = request_body(call, actions, each, decision, redactor=redactor)
        answer = _asked(each, body, patience)
        asked.append(answer)
        if answer.action == "deny":
            break
    return _combined(decision, pending, asked)


def request_body(
    call: ToolCall,
    actions: Sequence[Action],
    asked: Consultation,
    decision: Decision,
    *,
    redactor: Redactor,
) -> bytes:
    """Return what a webhook is told: what the log would hold, and which rule asks."""
    fields = decision_fields(
        call, decision, redactor=redactor, actions=actions[:WEBHOOK_ACTIONS_MAX]
    )
    body = {
        name: fields[name]
        for name in ("tool", "params", "agent", "session", "run_id", "cwd", "depth")
    }
    body |= {
        "version": 1,
        "id": _ids.new(),
        "tool_call_id": fields["call_id"],
        "actions": fields.get("actions", []),
        "actions_omitted": max(0, len(actions) - WEBHOOK_ACTIONS_MAX),
        "policy": redactor.value(asked.policy),
        "rule": redactor.value(asked.rule),
        "message": redactor.value(asked.message),
        "policy_generation": decision.generation,
    }
    return strict_json.dumps(body)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of the signature's header: HMAC-SHA-256 over the time, a dot, the body."""
    digest = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hex()}"


def _asked(asked: Consultation, body: bytes, patience: Patience) -> Consulted:
    webhook = asked.webhook
    try:
        timeout_s = min(webhook.timeout_s, patience.left_s)
        if timeout_s <= 0:
            raise ServiceUnavailable("no time is left to ask it")
        action, message = _exchange(replace(webhook, timeout_s=timeout_s), body, patience.now)
    except RampartError as error:
        # WHY: like a service that is down. A wrong answer is another matter: somebody gave it
        opens = webhook.fail_open and isinstance(error, ServiceUnavailable)
        _log.warning("webhook %s: %s", webhook.url, error.message)
        verdict: Verdict = "allow" if opens else "deny"
        return Consulted(asked.policy, asked.rule, verdict, "", failure=error.message)
    return Consulted(asked.policy, asked.rule, action, message)


def _combined(decision: Decision, pending: Pending, asked: Sequence[Consulted]) -> Decision:
    strictest = max(asked, key=lambda answer: STRICTNESS[answer.action])
    otherwise = pending.otherwise
    matched, consulted = decision.matched, tuple(asked)
    level, other = STRICTNESS[strictest.action], STRICTNESS[otherwise.action]
    if level < other or (level == other and otherwise.policy):
        return replace(otherwise, matched=matched, consulted=consulted)
    source = pending.consultations[asked.index(strictest)]
    rule, message = strictest.rule, strictest.message
    if strictest.failure and strictest.action == "deny":
        rule = RULE_WEBHOOK_UNAVAILABLE
        message = f"the webhook of {strictest.policy}/{strictest.rule}: {strictest.failure}"
    return replace(
        decision,
        action=strictest.action,
        message=message or (source.message if strictest.action != "allow" else ""),
        policy=strictest.policy,
        rule=rule,
        suggestions=source.suggestions,
        because=source.because,
        pending=None,
        consulted=consulted,
    )


def _exchange(webhook: Webhook, body: bytes, now: float) -> tuple[Verdict, str]:
    """Raises: ServiceUnavailable for one that is down, RampartError for any other trouble."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    headers |= {"Accept-Encoding": "identity", "User-Agent": "rampart"}
    timestamp = headers[TIMESTAMP_HEADER] = str(int(now))
    if webhook.secret_env:
        secret = os.environ.get(webhook.secret_env, "")
        if not secret:
            raise RampartError(f"{webhook.secret_env} is not set: the request cannot be signed")
        headers[SIGNATURE_HEADER] = signature(secret, timestamp, body)
    outcome: list[bytes | Exception] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(_post(webhook, body, headers)))
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits
            outcome.append(error)

    # WHY a thread of its own: whoever asks may be inside an event loop, and must not wait longer
    # than this even where a name is resolved, which nothing can interrupt
    thread = threading.Thread(target=run, name="rampart-webhook", daemon=True)
    thread.start()
    thread.join(webhook.timeout_s + WEBHOOK_GRACE_S)
    if not outcome:
        raise ServiceUnavailable(f"no answer within {webhook.timeout_s:g} s")
    if isinstance(outcome[0], Exception):
        raise _as_ours(outcome[0], webhook)
    return _read(outcome[0])


async def _post(webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> bytes:
    import httpx

    context = _tls() if webhook.url.startswith("https:") else False
    async with (
        asyncio.timeout(webhook.timeout_s),
        httpx.AsyncClient(
            verify=context, timeout=webhook.timeout_s, follow_redirects=False, trust_env=False
        ) as client,
        client.stream("POST", webhook.url, content=body, headers=dict(headers)) as response,
    ):
        _require_ok(response)
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > WEBHOOK_ANSWER_BYTES_MAX:
                raise RampartError(f"an answer of more than {WEBHOOK_ANSWER_BYTES_MAX} bytes")
        return bytes(data)


def _require_ok(response: httpx.Response) -> None:
    status = response.status_code
    if status >= _SERVER_ERROR:
        raise ServiceUnavailable(f"it answered status {status}")
    if status != _OK:
        raise RampartError(f"it answered status {status}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise RampartError("it answered compressed data")


def _as_ours(error: Exception, webhook: Webhook) -> RampartError:
    import httpx

    if isinstance(error, RampartError):
        return error
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return ServiceUnavailable(f"no answer within {webhook.timeout_s:g} s")
    if isinstance(error, httpx.NetworkError):
        return ServiceUnavailable(f"it cannot be reached: {error}")
    return RampartError(f"not an answer: {type(error).__name__}: {error}")


def _read(data: bytes) -> tuple[Verdict, str]:
    try:
        answer = strict_json.loads_object(data, size_bytes_max=WEBHOOK_ANSWER_BYTES_MAX)
    except InputError as error:
        raise RampartError(f"not an answer: {error.message}") from None
    word = answer.get("decision")
    if not isinstance(word, str) or word not in _WORDS:
        raise RampartError(f"it answered an unknown decision: {word!r:.80}")
    message = answer.get("message", answer.get("reason", ""))
    if not isinstance(message, str):
        raise RampartError("it answered a `message` that is not text")
    return _WORDS[word], message


@functools.cache
def _tls() -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context()  # WHY kept: making one takes longer than most answers
