"""What a tool returned, before a model sees it: searched by the rules, recorded, and shown or not.

MUST withhold for any error, limit or timeout between the response and the answer.
MUST NOT show anything before the record of it is durable.
MUST NOT write what a response says into the record: its size, a keyed digest, and counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from rampart.audit.record import Redactor, response_fields
from rampart.clock import Clock
from rampart.errors import AuditError, InputError, InputTooLarge
from rampart.hosts import HostFacts
from rampart.intercept import intercept
from rampart.limits import RESPONSE_TIMEOUT_S
from rampart.model import (
    RULE_AUDIT_UNAVAILABLE,
    RULE_INPUT_TOO_LARGE,
    RULE_INTERNAL_ERROR,
    RULE_INVALID_INPUT,
    Decision,
    Review,
    ToolCall,
    withheld,
)
from rampart.policy import Reviewed
from rampart.sources import PolicySource

_log = logging.getLogger("rampart.gate")
_MICROSECONDS: Final = 1e6


class ReviewTools(NamedTuple):
    """What a gate lends for reviews. ``record`` makes a record durable, or returns the error."""

    policies: PolicySource
    hosts: HostFacts
    redactor: Redactor
    clock: Clock
    record: Callable[[Mapping[str, object]], str | AuditError]
    require_names: Callable[[ToolCall], None]


def review(tools: ReviewTools, call: ToolCall, response: object, *, record: bool) -> Review:
    """Say what a model may see of what ``call`` returned. Never raises.

    Without ``record`` it is a preview. With no rule that looks at responses, all is shown and
    nothing recorded.
    """
    if not tools.policies.reviews:
        return Review(Decision("allow"), response)
    started = tools.clock.monotonic()
    decision, reviewed = _reviewed(tools, call, response, started + RESPONSE_TIMEOUT_S)
    decision.duration_us = (tools.clock.monotonic() - started) * _MICROSECONDS
    if record:
        _record(tools, call, decision, reviewed)
    if decision.action == "deny" or reviewed is None:
        return withheld(call.tool, decision)
    return Review(decision, reviewed.response)


def _reviewed(
    tools: ReviewTools, call: ToolCall, response: object, deadline: float
) -> tuple[Decision, Reviewed | None]:
    monotonic = tools.clock.monotonic
    try:
        tools.require_names(call)
        host = tools.hosts.host(call)
        policies = tools.policies.at(host.workspace)
        actions = intercept(call, host, policies.catalog)
        reviewed = policies.engine(host).review(
            call,
            actions,
            response,
            now=tools.clock.now(),
            late=lambda: monotonic() > deadline,
        )
        return reviewed.decision, reviewed
    except InputTooLarge as error:
        return Decision("deny", error.message, rule=RULE_INPUT_TOO_LARGE), None
    except InputError as error:
        return Decision("deny", error.message, rule=RULE_INVALID_INPUT), None
    except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong in here, it is withheld
        _log.exception("a review failed")
        text = f"the review failed: {type(error).__name__}"
        return Decision("deny", text, rule=RULE_INTERNAL_ERROR), None


def _record(
    tools: ReviewTools, call: ToolCall, decision: Decision, reviewed: Reviewed | None
) -> None:
    seen = call
    if decision.rule == RULE_INTERNAL_ERROR:
        seen = replace(call, params={"unreadable": True})  # WHY: reading them may have raised
    taken = reviewed.taken if reviewed is not None else ()
    recorded = tools.record(
        response_fields(
            seen,
            decision,
            redactor=tools.redactor,
            text=reviewed.text if reviewed is not None else None,
            taken=[(each.policy, each.rule, each.places) for each in taken],
        )
    )
    if isinstance(recorded, str):
        decision.audit_id = recorded
    elif decision.action != "deny":
        decision.action, decision.rule = "deny", RULE_AUDIT_UNAVAILABLE
        decision.message = f"the response cannot be recorded: {recorded.message}"
