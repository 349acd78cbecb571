"""The gate: the one code path that decides.

A call is normalised, evaluated, recorded, held for approval where the policy asks, and answered, in
this order.

MUST answer deny for any error, limit or timeout between call and answer.
MUST NOT answer anything but deny before the record of the call is durable.
MUST NOT let an approval serve another call, or the same call twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rampart.approval import Approval, ApprovalStore, call_digest
from rampart.audit import AuditLog
from rampart.audit.record import Redactor, approval_fields, decision_fields
from rampart.clock import Clock, SystemClock
from rampart.errors import ApprovalError, AuditError, InputError, InputTooLarge, RampartError
from rampart.hosts import HostFacts
from rampart.intercept import intercept
from rampart.limits import APPROVAL_TIMEOUT_S, NAME_CHARS_MAX
from rampart.model import (
    RULE_APPROVAL_DENIED,
    RULE_APPROVAL_EXPIRED,
    RULE_APPROVAL_UNAVAILABLE,
    RULE_APPROVED,
    RULE_AUDIT_UNAVAILABLE,
    RULE_INPUT_TOO_LARGE,
    RULE_INTERNAL_ERROR,
    RULE_INVALID_INPUT,
    Action,
    Decision,
    ToolCall,
)
from rampart.plugins import Plugins
from rampart.repeats import Repeats, is_small, key_of, watching_links
from rampart.sources import PolicyInForce

_log = logging.getLogger("rampart.gate")
_MICROSECONDS: Final = 1e6


class Gate:
    """Decides calls against a policy. Safe to share between threads.

    Without ``audit`` the gate can only preview: ``enforce`` denies, because nothing may run
    unrecorded. With ``remembers`` a call that was decided before is not analysed again while all
    that its answer rests on is as it was; it is recorded, held and approved like any other.
    """

    def __init__(
        self,
        policies: PolicyInForce,
        *,
        hosts: HostFacts,
        audit: AuditLog | None = None,
        approvals: ApprovalStore | None = None,
        plugins: Plugins | None = None,
        redactor: Redactor | None = None,
        clock: Clock | None = None,
        approval_timeout_s: float = APPROVAL_TIMEOUT_S,
        remembers: bool = True,
    ) -> None:
        self._policies = policies
        self._hosts = hosts
        self._audit = audit
        self._approvals = approvals
        self._plugins = plugins or Plugins()
        self._redactor = redactor or Redactor()
        self._clock = clock or SystemClock()
        self._approval_timeout_s = approval_timeout_s
        self._repeats = Repeats() if remembers else None

    @property
    def policies(self) -> PolicyInForce:
        """The policies in force."""
        return self._policies

    def check(self, call: ToolCall) -> Decision:
        """Say what would be decided. Leaves no record and uses up nothing."""
        return self._decide(call)

    def actions(self, call: ToolCall) -> tuple[Action, ...]:
        """Return what ``call`` would do. Raises: InputError, InputTooLarge."""
        return intercept(call, self._hosts.host(call))

    def enforce(self, call: ToolCall, *, monitor: bool = False) -> Decision:
        """Decide and record ``call``.

        An ``ask`` carries the id of a pending approval and does not wait; once a person has
        approved exactly this call, enforcing it again answers allow, one time. With ``monitor`` the
        caller will not block whatever the answer: it is recorded as such, and nobody is asked.
        """
        decision = self._decide(call)
        approval: Approval | None = None
        if decision.action == "ask" and not monitor:
            decision, approval = self._ask(call, decision)
        seen = call
        if decision.rule == RULE_INTERNAL_ERROR:
            seen = replace(call, params={"unreadable": True})  # WHY: reading them may have raised
        recorded = self._record(
            decision_fields(seen, decision, redactor=self._redactor, monitor=monitor)
        )
        if isinstance(recorded, str):
            decision.audit_id = recorded
        else:
            decision = self._without_record(decision, approval, recorded)
        self._plugins.observe(call, decision)
        return decision

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        """Wait for the approval that ``decision`` asks for, at most ``timeout_s``.

        Answer allow or deny.
        """
        if decision.action != "ask" or self._approvals is None:
            return decision
        try:
            approval = self._approvals.wait(decision.approval_id, timeout_s)
        except RampartError as error:
            return _denied(
                decision, RULE_APPROVAL_UNAVAILABLE, f"the approval cannot be read: {error}"
            )
        return self._outcome(decision, approval)

    def poll(self, decision: Decision) -> Decision | None:
        """Return the outcome of the approval of ``decision``, or None while it is pending."""
        if decision.action != "ask" or self._approvals is None:
            return decision
        try:
            approval = self._approvals.get(decision.approval_id)
        except RampartError as error:
            return _denied(
                decision, RULE_APPROVAL_UNAVAILABLE, f"the approval cannot be read: {error}"
            )
        if approval is None:
            return _denied(
                decision, RULE_APPROVAL_UNAVAILABLE, "the approval does not exist any more"
            )
        return None if approval.status == "pending" else self._outcome(decision, approval)

    def approval(self, approval_id: str, *, deliver: bool = False) -> Approval | None:
        """Return one approval, or None.

        With ``deliver`` an approved one is handed to its asker: the same call will ask again. Then
        ``consumed`` says that it went to somebody before, or was withdrawn: it allows nothing.
        """
        if self._approvals is None:
            return None
        approval = self._approvals.get(approval_id)
        if deliver and approval is not None and approval.status == "approved":
            approval = replace(approval, consumed=not self._approvals.consume(approval_id))
        return approval

    def pending(self) -> tuple[Approval, ...]:
        """Return the questions that wait for a person, oldest first."""
        return self._approvals.pending() if self._approvals else ()

    def resolve(self, approval_id: str, approve: bool, *, by: str, reason: str = "") -> Approval:
        """Answer a question, once, and record who did.

        Raises: ApprovalError if there is no such pending approval, AuditUnavailable if it cannot be
        recorded.
        """
        if self._approvals is None:
            raise ApprovalError(f"there is no approval {approval_id!r}")

        def record(answered: Approval) -> None:
            # INVARIANT: nobody can see an answer before its record is durable
            failure = self._record(approval_fields(answered, redactor=self._redactor))
            if not isinstance(failure, str):
                raise failure

        return self._approvals.resolve(approval_id, approve, by=by, reason=reason, record=record)

    def _decide(self, call: ToolCall) -> Decision:
        started = self._clock.monotonic()
        try:
            decision = self._evaluate(call)
        except InputTooLarge as error:
            decision = Decision("deny", error.message, rule=RULE_INPUT_TOO_LARGE)
        except InputError as error:
            decision = Decision("deny", error.message, rule=RULE_INVALID_INPUT)
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong in here, the answer is deny
            _log.exception("a decision failed")
            decision = Decision(
                "deny", f"the decision failed: {type(error).__name__}", rule=RULE_INTERNAL_ERROR
            )
        decision.duration_us = (self._clock.monotonic() - started) * _MICROSECONDS
        return decision

    def _evaluate(self, call: ToolCall) -> Decision:
        repeats, policies, now = self._repeats, self._policies, self._clock.now()
        key = None
        if repeats is not None and type(call.cwd) is str and self._plugins.silent:
            key = key_of(call, *self._hosts.place(call))
            if key is not None:
                known = repeats.find(key, policies, now, self._hosts.resolve)
                if known is not None:
                    return known
        _require_names(call)
        host, links = self._hosts.host(call), None
        if key is not None:
            host, links = watching_links(host)
        actions = intercept(call, host)
        engine = policies.engine(host)
        decision = self._plugins.tighten(call, actions, engine.decide(call, actions, now=now))
        if key is not None and repeats is not None and is_small(actions):
            # WHY: another thread may have changed the parameters while they were read
            if key_of(call, host.cwd, host.workspace) != key:
                return decision
            repeats.keep(key, decision, policies=policies, links=links, now=now)
        return decision

    def _ask(self, call: ToolCall, decision: Decision) -> tuple[Decision, Approval | None]:
        if self._approvals is None or self._audit is None:
            return _denied(decision, RULE_APPROVAL_UNAVAILABLE, "nobody can be asked here"), None
        try:
            digest = call_digest(call, decision.generation)
            granted = self._approvals.claim(digest)
            if granted is not None:
                message = f"approved by {granted.resolved_by}"
                allowed = replace(decision, action="allow", message=message, rule=RULE_APPROVED)
                allowed.approval_id = granted.id
                return allowed, None
            approval = self._approvals.create(
                call,
                digest=digest,
                message=decision.message,
                policy=decision.policy,
                rule=decision.rule,
                timeout_s=self._approval_timeout_s,
            )
        except RampartError as error:
            text = f"nobody can be asked: {error.message}"
            return _denied(decision, RULE_APPROVAL_UNAVAILABLE, text), None
        decision.approval_id = approval.id
        decision.expires_at = approval.expires_at
        return decision, approval

    def _outcome(self, decision: Decision, approval: Approval) -> Decision:
        assert self._approvals is not None
        if approval.status == "approved":
            if not self._approvals.consume(approval.id):
                return _denied(decision, RULE_APPROVAL_DENIED, "the approval was used already")
            return replace(
                decision,
                action="allow",
                message=f"approved by {approval.resolved_by}",
                rule=RULE_APPROVED,
            )
        if approval.status == "denied":
            return _denied(decision, RULE_APPROVAL_DENIED, approval.reason or "a person denied it")
        return _denied(decision, RULE_APPROVAL_EXPIRED, "nobody approved it in time")

    def _record(self, fields: Mapping[str, object]) -> str | AuditError:
        if self._audit is None:
            return AuditError("no audit log is open")
        try:
            return self._audit.append(fields).id
        except AuditError as error:
            _log.error("%s", error)
            return error

    def _without_record(
        self, decision: Decision, approval: Approval | None, error: AuditError
    ) -> Decision:
        if approval is not None and self._approvals is not None:
            try:
                self._approvals.resolve(
                    approval.id, False, by="rampart", reason="it could not be recorded"
                )
            except RampartError:
                _log.warning("approval %s could not be withdrawn", approval.id)
        if decision.action == "deny":
            return decision
        return _denied(
            decision, RULE_AUDIT_UNAVAILABLE, f"the call cannot be recorded: {error.message}"
        )


def _require_names(call: ToolCall) -> None:
    for name in ("tool", "agent", "session", "run_id", "call_id", "cwd"):
        value = getattr(call, name)
        if not isinstance(value, str):
            raise InputError(f"`{name}` must be text, not {type(value).__name__}")
        if name != "cwd" and len(value) > NAME_CHARS_MAX:
            raise InputTooLarge(
                f"`{name}` has {len(value)} characters; the limit is {NAME_CHARS_MAX}"
            )
    if not call.tool:
        raise InputError("`tool` is empty")
    if not isinstance(call.params, Mapping):
        raise InputError(f"`params` must be a mapping, not {type(call.params).__name__}")


def _denied(decision: Decision, rule: str, message: str) -> Decision:
    return replace(decision, action="deny", message=message, rule=rule)
