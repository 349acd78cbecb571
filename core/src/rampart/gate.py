"""The gate: the one code path that decides.

A call is normalised, evaluated, recorded, held for approval where the policy asks, and answered, in
this order.

MUST answer deny for any error, limit or timeout between call and answer.
MUST NOT answer anything but deny before the record of the call is durable.
MUST NOT let an approval serve another call, or the same call twice.
MUST NOT let two calls take one place under a limit, or one use of a rule.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rampart.approval import Approval, ApprovalStore, Question, call_digest
from rampart.audit import AuditLog
from rampart.audit.record import Redactor, approval_fields, decision_fields
from rampart.clock import Clock, SystemClock
from rampart.errors import (
    ApprovalError,
    AuditError,
    InputError,
    InputTooLarge,
    RampartError,
    StateUnavailable,
)
from rampart.hosts import HostFacts
from rampart.intercept import intercept
from rampart.limits import APPROVAL_TIMEOUT_S, CLAIM_ATTEMPTS_MAX
from rampart.model import (
    RULE_APPROVAL_DENIED,
    RULE_APPROVAL_EXPIRED,
    RULE_APPROVAL_UNAVAILABLE,
    RULE_APPROVED,
    RULE_AUDIT_UNAVAILABLE,
    RULE_INPUT_TOO_LARGE,
    RULE_INTERNAL_ERROR,
    RULE_INVALID_INPUT,
    RULE_WEBHOOK_UNAVAILABLE,
    Action,
    Decision,
    Review,
    ToolCall,
)
from rampart.plugins import Plugins
from rampart.policy import Footprint
from rampart.refusals import denied, require_names, stateless
from rampart.repeats import Basis, Repeats, is_small, key_of, watching_links
from rampart.reviewing import ReviewTools, review
from rampart.session import History, Turn
from rampart.sources import PolicyInForce, PolicySource

_log = logging.getLogger("rampart.gate")
_MICROSECONDS: Final = 1e6


class Gate:
    """Decides calls against a policy. Safe to share between threads.

    Without ``audit`` the gate can only preview: ``enforce`` denies, because nothing may run
    unrecorded. With ``remembers`` a call that was decided before is not analysed again while all
    that its answer rests on is as it was; it is recorded, held and approved like any other.
    ``history`` is what happened before; a gate with a log but without one forgets at its end.
    """

    def __init__(  # noqa: PLR0913 - the one place where all of these come together
        self,
        policies: PolicySource,
        *,
        hosts: HostFacts,
        audit: AuditLog | None = None,
        approvals: ApprovalStore | None = None,
        plugins: Plugins | None = None,
        redactor: Redactor | None = None,
        clock: Clock | None = None,
        approval_timeout_s: float = APPROVAL_TIMEOUT_S,
        remembers: bool = True,
        history: History | None = None,
    ) -> None:
        self._hosts = hosts
        self._audit = audit
        self._approvals = approvals
        self._plugins = plugins or Plugins()
        self._policies = policies.extended(self._plugins.documents)
        self._redactor = redactor or Redactor()
        self._clock = clock or SystemClock()
        self._approval_timeout_s = approval_timeout_s
        self._repeats = Repeats() if remembers else None
        if history is None and audit is not None:
            history = History(clock=self._clock)
        self._history = history
        self._review_tools = ReviewTools(
            self._policies, hosts, self._redactor, self._clock, self._record, require_names
        )

    @property
    def policies(self) -> PolicyInForce:
        """The policies in force, at this moment and without those of projects."""
        return self._policies.current()

    @property
    def policy_source(self) -> PolicySource:
        """Where the policies come from."""
        return self._policies

    def check(self, call: ToolCall) -> Decision:
        """Say what would be decided. Leaves no record and uses up nothing."""
        return self._decide(call)[0]

    def rehearse(self, call: ToolCall, *, approves: bool = False) -> Decision:
        """Decide ``call``, and remember it as if it had run: for sessions that are played through.

        With ``approves`` a question counts as answered with yes. Only a gate without a log can:
        what is not recorded must not count as having happened.
        """
        assert self._audit is None
        decision, turn = self._settled(call, monitor=False)
        if turn is not None and decision.allowed:
            turn.leave()
        elif turn is not None and approves and decision.action == "ask":
            turn.approved()
        return decision

    def actions(self, call: ToolCall) -> tuple[Action, ...]:
        """Return what ``call`` would do. Raises: InputError, InputTooLarge."""
        host = self._hosts.host(call)
        return intercept(call, host, self._policies.at(host.workspace).catalog)

    def enforce(
        self,
        call: ToolCall,
        *,
        monitor: bool = False,
        question: Question | None = None,
        patience_s: float = math.inf,
    ) -> Decision:
        """Decide and record ``call``.

        An ``ask`` carries the id of a pending approval and does not wait; once a person has
        approved exactly this call, enforcing it again answers allow, one time. With ``monitor`` the
        caller will not block whatever the answer: it is recorded as such, and nobody is asked.
        ``question`` names what a person would be asked; see ``ask``. ``patience_s`` is how long
        webhooks may take in all: less than the caller waits for this answer.
        """
        decision, turn = self._settled(call, monitor=monitor)
        if decision.pending is not None and decision.action == "ask" and not monitor:
            decision = self._consulted(call, decision, turn, patience_s)
        approval: Approval | None = None
        if decision.action == "ask" and not monitor:
            decision, approval = self._ask(call, decision, question)
        seen = call
        if decision.rule == RULE_INTERNAL_ERROR:
            seen = replace(call, params={"unreadable": True})  # WHY: reading them may have raised
        recorded = self._record(
            decision_fields(seen, decision, redactor=self._redactor, monitor=monitor)
        )
        if isinstance(recorded, str):
            decision.audit_id = recorded
            if turn is not None:
                decision = self._remembered(seen, decision, turn, monitor=monitor)
        else:
            decision = self._without_record(decision, approval, recorded)
            if turn is not None:
                turn.give_back()
        self._plugins.observe(call, decision)
        return decision

    @property
    def reviews(self) -> bool:
        """True if some rule in force looks at what tools return."""
        return self._policies.reviews

    def review(self, call: ToolCall, response: object) -> Review:
        """Say what a model may see of what ``call`` returned, and record it. Never raises.

        The record holds the response's size, a digest and counts, never its text. With no rule that
        looks at responses all is shown, and nothing is recorded.
        """
        return review(self._review_tools, call, response, record=True)

    @property
    def reviews_pieces(self) -> bool:
        """True if no rule is about a response as a whole: then pieces may be shown early."""
        return self._policies.reviews_pieces

    def check_response(self, call: ToolCall, response: object) -> Review:
        """As ``review``, and leave no record."""
        return review(self._review_tools, call, response, record=False)

    def ask(self, call: ToolCall, question: Question) -> tuple[Decision, bool]:
        """As ``enforce``, for a caller that puts the question to a person in a way of its own.

        Such a caller may ask again after a restart: the same question about the same call has the
        same id, and is recorded once. The second value says that it was asked before; whatever
        became of it, ``finish`` tells.
        """
        decision = self.check(call)
        if decision.action == "ask" and self._approvals is not None:
            try:
                known = self._approvals.get(self._id_of(call, decision, question))
            except RampartError:
                known = None  # `enforce` meets the same trouble, and says so
            if known is not None:
                decision.approval_id, decision.expires_at = known.id, known.expires_at
                return decision, True
        return self.enforce(call, question=question), False

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        """Wait for the approval that ``decision`` asks for, at most ``timeout_s``.

        Answer allow or deny.
        """
        if decision.action != "ask" or self._approvals is None:
            return decision
        try:
            approval = self._approvals.wait(decision.approval_id, timeout_s)
        except RampartError as error:
            return denied(
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
            return denied(
                decision, RULE_APPROVAL_UNAVAILABLE, f"the approval cannot be read: {error}"
            )
        if approval is None:
            return denied(
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
            served = self._approvals.consume(approval_id) and self._happens(approval_id) is None
            approval = replace(approval, consumed=not served)
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

    def _settled(self, call: ToolCall, *, monitor: bool) -> tuple[Decision, Turn | None]:
        """Decide, and take what the answer uses up; again, if another call was faster."""
        try:
            for _ in range(CLAIM_ATTEMPTS_MAX):
                decision, turn = self._decide(call)
                if turn is None or turn.take(decision, runs=monitor or decision.allowed):
                    return decision, turn
            raise StateUnavailable("too many calls at once reach for the same limit")
        except StateUnavailable as error:
            return stateless(error), None

    def _decide(self, call: ToolCall) -> tuple[Decision, Turn | None]:
        started = self._clock.monotonic()
        turn: Turn | None = None
        try:
            decision, turn = self._evaluate(call)
        except StateUnavailable as error:
            decision = stateless(error)
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
        return decision, turn

    def _evaluate(self, call: ToolCall) -> tuple[Decision, Turn | None]:
        repeats, now, key = self._repeats, self._clock.now(), None
        place = self._hosts.place(call) if type(call.cwd) is str else ("", "")
        policies = self._policies.at(place[1])  # INVARIANT: one call is decided by one generation
        if repeats is not None and place[0] and self._plugins.silent:
            key = key_of(call, *place)
            if key is not None:
                known = repeats.find(key, policies, now, self._hosts.resolve)
                if known is not None:
                    return known[0], self._turn(call, now, known[1])
        require_names(call)
        host, links = self._hosts.host(call), None
        if key is not None:
            host, links = watching_links(host)
        actions = intercept(call, host, policies.catalog)
        engine = policies.engine(host)
        footprint = engine.footprint(call, actions) if engine.looks_back else None
        turn = self._turn(call, now, footprint)
        judged = engine.judge(call, actions, now=now, past=turn.past if turn else None)
        decision = self._plugins.tighten(call, actions, judged.decision)
        lasting = judged.lasting
        if turn is not None:
            forgets = engine.forgets(decision.policy, decision.rule)
            turn.decided(judged.once, forgets)
            lasting = lasting and not forgets
        if key is not None and repeats is not None and lasting and is_small(actions):
            # WHY: another thread may have changed the parameters while they were read
            if key_of(call, host.cwd, host.workspace) != key:
                return decision, turn
            basis = Basis(policies, links, footprint)
            repeats.keep(key, decision, basis, now=now)
        return decision, turn

    def _turn(self, call: ToolCall, now: float, footprint: Footprint | None) -> Turn | None:
        """Return the dealings of a call with the past, if the policy asks about it at all."""
        if self._history is None or footprint is None:
            return None
        return Turn(self._history, call, footprint, now=now)

    def _remembered(
        self, call: ToolCall, decision: Decision, turn: Turn, *, monitor: bool
    ) -> Decision:
        """Leave the marks of a recorded call before its answer is given.

        INVARIANT: a call that cannot be remembered does not run, and the log says so.
        """
        try:
            if decision.rule == RULE_APPROVED:
                turn.approved()
            elif monitor or decision.allowed:
                turn.leave()
            elif decision.action == "ask":
                turn.hold(decision.approval_id, decision.expires_at)
            return decision
        except StateUnavailable as error:
            refused = stateless(error, decision)
            self._record(decision_fields(call, refused, redactor=self._redactor, monitor=monitor))
            return refused

    def _happens(self, approval_id: str) -> StateUnavailable | None:
        """Remember a call that a person approved and that runs now."""
        try:
            if self._history is not None:
                self._history.settle(approval_id)
        except StateUnavailable as error:
            _log.error("%s", error)
            return error
        return None

    def _id_of(self, call: ToolCall, decision: Decision, question: Question) -> str:
        digest = call_digest(call, decision.generation)
        return f"apr_{self._redactor.identity(f'{digest} {question.key}')}"

    def _ask(
        self, call: ToolCall, decision: Decision, question: Question | None
    ) -> tuple[Decision, Approval | None]:
        if self._approvals is None or self._audit is None:
            return denied(decision, RULE_APPROVAL_UNAVAILABLE, "nobody can be asked here"), None
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
                timeout_s=question.timeout_s if question else self._approval_timeout_s,
                approval_id=self._id_of(call, decision, question) if question else "",
            )
        except RampartError as error:
            text = f"nobody can be asked: {error.message}"
            return denied(decision, RULE_APPROVAL_UNAVAILABLE, text), None
        decision.approval_id = approval.id
        decision.expires_at = approval.expires_at
        return decision, approval

    def _outcome(self, decision: Decision, approval: Approval) -> Decision:
        assert self._approvals is not None
        if approval.status == "approved":
            if not self._approvals.consume(approval.id):
                return denied(decision, RULE_APPROVAL_DENIED, "the approval was used already")
            failure = self._happens(approval.id)
            if failure is not None:
                return stateless(failure, decision)
            return replace(
                decision,
                action="allow",
                message=f"approved by {approval.resolved_by}",
                rule=RULE_APPROVED,
            )
        if approval.status == "denied":
            return denied(decision, RULE_APPROVAL_DENIED, approval.reason or "a person denied it")
        return denied(decision, RULE_APPROVAL_EXPIRED, "nobody approved it in time")

    def _consulted(
        self, call: ToolCall, decision: Decision, turn: Turn | None, patience_s: float
    ) -> Decision:
        """Ask the webhooks that the decision waits for, after all rules have spoken."""
        from rampart.webhook import Patience, consult  # WHY: few policies have one

        try:
            asked = consult(
                call,
                self.actions(call),
                decision,
                redactor=self._redactor,
                patience=Patience(self._clock, patience_s),
            )
            if turn is not None and asked.allowed and not turn.take(asked, runs=True):
                raise StateUnavailable("another call was faster")
            return asked
        except StateUnavailable as error:
            return stateless(error, decision)
        except Exception as error:  # noqa: BLE001 - INVARIANT: whatever goes wrong in here, the answer is deny
            _log.exception("a webhook could not be asked")
            text = f"the webhook could not be asked: {type(error).__name__}"
            return denied(decision, RULE_WEBHOOK_UNAVAILABLE, text)

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
        return denied(
            decision, RULE_AUDIT_UNAVAILABLE, f"the call cannot be recorded: {error.message}"
        )
