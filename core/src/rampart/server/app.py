"""The HTTP API: routes, each with the role it needs, and handlers that ask the gate.

The gate blocks, on a disk or a lock; it is asked in a worker thread so that the loop stays free.

MUST NOT call a handler before the sender's role is known to suffice.
MUST NOT let a token of agents list or resolve approvals.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from rampart.errors import RampartError
from rampart.limits import HTTP_WORKERS_MAX, WEBHOOK_HTTP_S
from rampart.server.answers import (
    DECISION_STATUS,
    RequestError,
    approval_status,
    decision_body,
    delivered_status,
    error_response,
    json_response,
    review_body,
    timestamp,
)
from rampart.server.perimeter import Perimeter, role_of
from rampart.server.requests import (
    CallRequest,
    ReviewRequest,
    call_request,
    read_object,
    resolution,
    review_request,
)
from rampart.tokens import Role, Tokens

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from rampart.approval import Approval
    from rampart.gate import Gate
    from rampart.model import Decision

P = ParamSpec("P")
T = TypeVar("T")
Handler = Callable[["Request"], Awaitable["Response"]]

_DECIDING: Final = ("/v1/tool/", "/v1/preflight/", "/v1/response/")
_EVERYBODY: Final[frozenset[Role]] = frozenset({"admin", "eval"})
_PEOPLE: Final[frozenset[Role]] = frozenset({"admin"})


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask, and under which names the service answers."""

    tokens: Tokens
    authorities: frozenset[bytes]


def build_app(gate: Gate, access: Access) -> ASGIApp:
    """Return the service as an ASGI application."""
    api = _Api(gate)
    app = Starlette(
        routes=_routes(api, access.tokens),
        exception_handlers={
            RampartError: _on_error,
            HTTPException: _on_http_error,
            Exception: _on_surprise,
        },
    )
    app.router.redirect_slashes = False
    return Perimeter(app, access.authorities)


def _routes(api: _Api, tokens: Tokens) -> Sequence[Route]:
    everybody = functools.partial(_require, roles=_EVERYBODY, tokens=tokens)
    people = functools.partial(_require, roles=_PEOPLE, tokens=tokens)
    return [
        Route("/v1/tool/{tool:path}", everybody(api.tool), methods=["POST"]),
        Route("/v1/preflight/{tool:path}", everybody(api.preflight), methods=["POST"]),
        Route("/v1/response/{tool:path}", everybody(api.response), methods=["POST"]),
        Route("/v1/approvals", people(api.approvals), methods=["GET"]),
        # WHY: the published clients poll without a token; the id is 128 random bits
        Route("/v1/approvals/{id}", api.approval, methods=["GET"]),
        Route("/v1/approvals/{id}/resolve", people(api.resolve), methods=["POST"]),
        Route("/v1/policies", people(api.policies), methods=["GET"]),
        Route("/v1/policies/reload", people(api.reload), methods=["POST"]),
        Route("/healthz", api.health, methods=["GET"]),
    ]


def _require(handler: Handler, *, roles: frozenset[Role], tokens: Tokens) -> Handler:
    @functools.wraps(handler)
    async def checked(request: Request) -> Response:
        if role_of(request.scope, tokens) not in roles:
            raise RequestError(
                403,
                "forbidden",
                "this token may ask for decisions and nothing else",
                help="people use the token that `rampart token` prints",
            )
        return await handler(request)

    return checked


class _Api:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._limiter: anyio.CapacityLimiter | None = None
        self._version = metadata.version("rampart-core")

    async def tool(self, request: Request) -> Response:
        asked = call_request(_tool(request), await read_object(request), preflight=False)
        decision, body = await self._answer(asked)
        return json_response(body, status=DECISION_STATUS[decision.action])

    async def preflight(self, request: Request) -> Response:
        asked = call_request(_tool(request), await read_object(request), preflight=True)
        return json_response((await self._answer(asked))[1])

    async def response(self, request: Request) -> Response:
        asked = review_request(_tool(request), await read_object(request))
        decision, body = await self._answer(asked)
        return json_response(body, status=DECISION_STATUS[decision.action])

    async def _answer(
        self, asked: CallRequest | ReviewRequest
    ) -> tuple[Decision, dict[str, object]]:
        gate = self._gate
        if isinstance(asked, ReviewRequest):
            look = gate.review if asked.record else gate.check_response
            review = await self._in_thread(look, asked.call, asked.response)
            body = review_body(review, asked.response)
            return review.decision, body | {"reviews": gate.reviews}
        if asked.enforce:
            decision = await self._in_thread(
                gate.enforce, asked.call, monitor=asked.monitor, patience_s=WEBHOOK_HTTP_S
            )
        else:
            decision = await self._in_thread(gate.check, asked.call)
        return decision, decision_body(decision) | {"reviews": gate.reviews}

    async def approvals(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        pending = await self._in_thread(self._gate.pending)
        return json_response({"approvals": [_described(approval) for approval in pending]})

    async def approval(self, request: Request) -> Response:
        found = await self._in_thread(self._gate.approval, request.path_params["id"], deliver=True)
        return json_response(delivered_status(_existing(found)))

    async def resolve(self, request: Request) -> Response:
        answer = resolution(await read_object(request))
        found = _existing(await self._in_thread(self._gate.approval, request.path_params["id"]))
        approval = await self._in_thread(
            self._gate.resolve, found.id, answer.approve, by=answer.by, reason=answer.reason
        )
        body = {"resolved_by": approval.resolved_by, "reason": approval.reason}
        return json_response(approval_status(approval) | body)

    async def policies(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        return json_response(_in_force(self._gate))

    async def reload(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        look = functools.partial(self._gate.policy_source.look, anyway=True)
        changed = await self._in_thread(look)
        body = _in_force(self._gate)
        return json_response({"changed": changed} | body, status=422 if body["problem"] else 200)

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        # WHY: anybody may read this; the problem itself would tell the names of files
        policy = "stale" if self._gate.policy_source.problem else "current"
        return json_response({"status": "ok", "version": self._version, "policy": policy})

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(HTTP_WORKERS_MAX)
        call = functools.partial(function, *args, **kwargs)
        # INVARIANT: not cancelled with the client. A call that is being recorded is recorded.
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)


def _tool(request: Request) -> str:
    tool: str = request.path_params["tool"]
    if not tool:
        raise RequestError(404, "not_found", "the path names no tool")
    return tool


def _existing(approval: Approval | None) -> Approval:
    if approval is None:
        raise RequestError(404, "not_found", "there is no such approval")
    return approval


def _in_force(gate: Gate) -> dict[str, object]:
    policies = gate.policy_source.current()
    return {
        "generation": policies.generation,
        "problem": gate.policy_source.problem,
        "documents": [
            {
                "file": document.filename,
                "layer": document.layer,
                "policies": [policy.name for policy in document.policies],
            }
            for document in policies.documents
        ],
    }


def _described(approval: Approval) -> dict[str, object]:
    return approval_status(approval) | {
        "created_at": timestamp(approval.created_at),
        "policy": approval.policy,
        "rule": approval.rule,
        "tool": approval.tool,
        "params": dict(approval.params),
        "agent": approval.agent,
        "session": approval.session,
        "cwd": approval.cwd,
    }


def _on_error(request: Request, error: Any) -> Response:
    return error_response(error, decides=request.url.path.startswith(_DECIDING))


def _on_http_error(request: Request, error: Any) -> Response:
    names = {404: "not_found", 405: "method_not_allowed"}
    message = f"{request.method} {request.url.path}: {error.detail.lower()}"
    problem = RequestError(
        error.status_code,
        names.get(error.status_code, "http_error"),
        message,
        headers=error.headers,
    )
    return _on_error(request, problem)


def _on_surprise(request: Request, error: Any) -> Response:
    # WHY: only the kind of the error leaves; its text may hold what the sender must not see
    problem = RampartError(f"the service failed: {type(error).__name__}", help="see its own output")
    return _on_error(request, problem)
