"""Reading a request: its body within bounds, then the call it describes, nothing guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from rampart import strict_json
from rampart.errors import InputError, InputTooLarge
from rampart.limits import HTTP_BODY_BYTES_MAX
from rampart.model import ToolCall
from rampart.server.answers import RequestError

if TYPE_CHECKING:
    from starlette.requests import Request

_TEXT_FIELDS: Final[Mapping[str, str]] = {
    "agent": "agent",
    "session": "session",
    "run_id": "run_id",
    "tool_call_id": "call_id",
    "cwd": "cwd",
}
_CALL_FIELDS: Final = frozenset({*_TEXT_FIELDS, "params", "depth", "monitor", "response"})
_RESOLVE_FIELDS: Final = frozenset({"approved", "decision", "reason", "by"})
_DECISION_WORDS: Final[Mapping[object, bool]] = {
    "approve": True,
    "approved": True,
    "deny": False,
    "denied": False,
}
_DEPTH_MAX: Final = 1000  # far beyond any tree of sub-agents


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call, and how it was asked about."""

    call: ToolCall
    enforce: bool
    monitor: bool


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """What a call returned. Without ``record`` it is a preview."""

    call: ToolCall
    response: object
    record: bool


@dataclass(frozen=True, slots=True)
class Resolution:
    """A person's answer to a question."""

    approve: bool
    by: str
    reason: str


async def read_object(request: Request) -> dict[str, object]:
    """Return the JSON object in a request's body. Raises: RequestError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(
            415,
            "unsupported_media_type",
            "the body must be JSON",
            help="Content-Type: application/json",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "unsupported_media_type", "a compressed body is not read")
    body = await _read_body(request)
    try:
        return strict_json.loads_object(body, size_bytes_max=HTTP_BODY_BYTES_MAX)
    except InputTooLarge as error:
        raise RequestError(413, error.code, error.message) from None
    except InputError as error:
        raise RequestError(400, "invalid_json", error.message) from None


async def _read_body(request: Request) -> bytes:
    too_large = RequestError(
        413, "input_too_large", f"the body is over the limit of {HTTP_BODY_BYTES_MAX} bytes"
    )
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > HTTP_BODY_BYTES_MAX:
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > HTTP_BODY_BYTES_MAX:
                raise too_large
    except ClientDisconnect:
        raise RequestError(400, "incomplete", "the body did not arrive") from None
    return bytes(body)


def call_request(
    tool: str, body: Mapping[str, object], *, preflight: bool
) -> CallRequest | ReviewRequest:
    """Return what a request asks about: a call, or what it returned. Raises: RequestError 422."""
    _refuse_unknown(body, _CALL_FIELDS | {"enforce"} if preflight else _CALL_FIELDS)
    enforce = _switch(body, "enforce") if preflight else True
    if "response" not in body:
        return CallRequest(_call(tool, body), enforce, _switch(body, "monitor"))
    if not body["response"]:
        # WHY: whoever fills in every field asks about a call, and must not be told about a response
        raise _unprocessable(
            "an empty `response` says nothing about the call",
            "leave it out before the call; /v1/response takes any response",
        )
    return _review(tool, body, record=enforce)


def review_request(tool: str, body: Mapping[str, object]) -> ReviewRequest:
    """Return what a request says that a call returned. Raises: RequestError 422."""
    _refuse_unknown(body, _CALL_FIELDS)
    if "response" not in body:
        raise _unprocessable("`response` is missing", "what the call returned, or null")
    return _review(tool, body, record=True)


def _review(tool: str, body: Mapping[str, object], *, record: bool) -> ReviewRequest:
    if _switch(body, "monitor"):
        raise _unprocessable("`monitor` is about calls, and this is about what one returned")
    return ReviewRequest(_call(tool, body), body["response"], record)


def _call(tool: str, body: Mapping[str, object]) -> ToolCall:
    if not tool.isprintable() or "\ufffd" in tool:
        raise _unprocessable("the name of the tool holds a character that is not printable")
    texts = {name: _text(body, field) for field, name in _TEXT_FIELDS.items()}
    if texts["cwd"] and not texts["cwd"].startswith("/"):
        raise _unprocessable("`cwd` must be an absolute directory")
    params = body.get("params", {})
    if not isinstance(params, dict):
        raise _unprocessable(f"`params` must be an object, not {_kind(params)}")
    depth = body.get("depth", 0)
    if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth <= _DEPTH_MAX:
        raise _unprocessable(f"`depth` must be a whole number from 0 to {_DEPTH_MAX}")
    return ToolCall(tool, params, depth=depth, **texts)


def resolution(body: Mapping[str, object]) -> Resolution:
    """Return a person's answer.

    Raises: RequestError 422 for one that says nothing, or two things.
    """
    _refuse_unknown(body, _RESOLVE_FIELDS)
    if ("approved" in body) == ("decision" in body):
        raise _unprocessable("say either `approved` (true or false) or `decision`")
    if "approved" in body:
        approve = body["approved"]
        if not isinstance(approve, bool):
            raise _unprocessable(f"`approved` must be true or false, not {_kind(approve)}")
    else:
        word = body["decision"]
        if not isinstance(word, str) or word not in _DECISION_WORDS:
            raise _unprocessable("`decision` must be `approve` or `deny`")
        approve = _DECISION_WORDS[word]
    return Resolution(approve, by=_text(body, "by") or "http", reason=_text(body, "reason"))


def _refuse_unknown(body: Mapping[str, object], known: frozenset[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise _unprocessable(
            f"unknown field `{unknown[0]}`", f"the fields are: {', '.join(sorted(known))}"
        )


def _text(body: Mapping[str, object], field: str) -> str:
    value = body.get(field, "")
    if not isinstance(value, str):
        raise _unprocessable(f"`{field}` must be text, not {_kind(value)}")
    return value


def _switch(body: Mapping[str, object], field: str) -> bool:
    value = body.get(field, False)
    if not isinstance(value, bool):
        raise _unprocessable(f"`{field}` must be true or false, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a switch", type(None): "null"}
    return names.get(type(value), "a number")


def _unprocessable(message: str, help: str = "") -> RequestError:  # noqa: A002 - the word users see
    return RequestError(422, "invalid_input", message, help=help)
