"""Actions → Decision: the semantics of a policy, on a page.

MUST let a restriction win over a grant, whatever the order of policies.
MUST NOT let an action that is derived, opaque or seen as a whole loosen anything.
MUST answer with the default where nothing speaks for a call.
MUST let an override lift ask, watch and the default, and never a deny.
MUST NOT let a document that only tightens speak for a call, or keep the default from it.
Within a policy the first matching rule speaks; across policies and actions the strictest answer
stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from rampart.errors import InputTooLarge
from rampart.model import (
    RULE_DEFAULT,
    RULE_INPUT_TOO_LARGE,
    STRICTNESS,
    Action,
    Decision,
    ToolCall,
    Verdict,
    stricter,
)
from rampart.policy.candidates import RuleTable
from rampart.policy.compiled import CompiledPolicy, CompiledRule, compile_policy, compile_rule
from rampart.policy.document import Layer, Policy, PolicyDocument, Scope
from rampart.policy.footprints import Footprints
from rampart.policy.inquiry import Inquiry
from rampart.policy.lifting import Lifting
from rampart.policy.messages import default_message, rule_message
from rampart.policy.past import Footprint, Past
from rampart.policy.paths import Places
from rampart.policy.pending import pending_decision
from rampart.policy.responses import ResponseRule, ResponseRules, Reviewed
from rampart.policy.texts import compile_text_globs

_DEFAULTED: Final = frozenset({"call", "command", "redirect"})
_TABLES_MAX: Final = 512  # tool names come from agents; beyond this the oldest tables are dropped
_GENERATION_DIGITS: Final = 16

# INVARIANT: who is named for an answer. What the user said himself comes first; a foreign project's
# file must not put its words in the place of others.
_LAYERS: Final[Mapping[Layer, int]] = {"overrides": 0, "policy": 1, "tightens": 2}

NOWHERE: Final[frozenset[int]] = frozenset()

# What a rule can do about an action: speak for its policy, raise allow to watch, end the turn.
_SILENT, _ENDS, _SPEAKS, _RAISES = 0, 1, 2, 4


class Hearing(NamedTuple):
    """What one policy says about one action: the rule that speaks, its word and its message."""

    policy: str
    rule: str
    verdict: Verdict
    message: str


class Judgement(NamedTuple):
    """A decision and what it rests on.

    ``lasting``: neither the past nor the time of day had a say, so that the same call gets the same
    answer again. ``once`` are the rules that spoke and apply once, by key, with their words.
    """

    decision: Decision
    lasting: bool
    once: tuple[tuple[str, Verdict], ...]


def compile_policies(documents: Sequence[PolicyDocument], *, home: str, workspace: str) -> Engine:
    """Compile documents, the most specific first.

    The first one that states a ``default_action`` decides it; if none does, it is deny.
    ``home`` and ``workspace`` are absolute directories, best with their links resolved, or empty.
    """
    return Engine(documents, Places(home, workspace))


class Engine:
    """Compiled policies. Immutable to its users, and safe to share between threads."""

    def __init__(self, documents: Sequence[PolicyDocument], places: Places) -> None:
        self._places = places
        self.documents = tuple(documents)
        ranked = sorted(
            (
                (_LAYERS[document.layer], -policy.priority, policy)
                for document in documents
                for policy in document.policies
                if policy.enabled
            ),
            key=itemgetter(0, 1),
        )
        self.policies: tuple[Policy, ...] = tuple(policy for _, _, policy in ranked)
        self._tightening = frozenset(
            rank for rank, (layer, _, _) in enumerate(ranked) if layer == _LAYERS["tightens"]
        )
        self._overriding = frozenset(
            rank for rank, (layer, _, _) in enumerate(ranked) if layer == _LAYERS["overrides"]
        )
        self.generation = generation_of(documents)
        self.default_action: Verdict = next(
            (d.default_action for d in documents if d.layer == "policy" and d.default_action),
            "deny",
        )
        self._scopes = [_ToolScope(policy.match) for policy in self.policies]
        self._rules = self._compile()
        self._footprints = Footprints(
            (rule for policy in self.policies for rule in policy.rules), self._places
        )
        self._tables: dict[str, tuple[RuleTable, frozenset[int]]] = {}
        self._shared: dict[tuple[frozenset[int], frozenset[int]], RuleTable] = {}

    @property
    def looks_back(self) -> bool:
        """True if some rule asks about the past: then calls must be remembered."""
        return self._footprints.asked

    def footprint(self, call: ToolCall, actions: Sequence[Action]) -> Footprint:
        """Return what is to be remembered of a call once it is let run. Raises: InputTooLarge."""
        return self._footprints.of(call, actions)

    def forgets(self, policy: str, rule: str) -> tuple[str, ...]:
        """Return the names by which an approval of this rule's question forgets what happened."""
        found = (
            after.until_approved
            for each in self.policies
            if each.name == policy
            for one in each.rules
            if one.id == rule
            for after in one.when.after
        )
        return tuple(sorted({name for name in found if name}))

    def decide(
        self, call: ToolCall, actions: Sequence[Action], *, now: float, past: Past | None = None
    ) -> Decision:
        """Return the answer to a call that would do ``actions``.

        ``now`` is in epoch seconds; without a ``past`` nothing happened before.
        """
        return self.judge(call, actions, now=now, past=past).decision

    def judge(
        self, call: ToolCall, actions: Sequence[Action], *, now: float, past: Past | None = None
    ) -> Judgement:
        """As ``decide``, and say what the answer rests on. Raises what ``past`` raises."""
        inquiry = Inquiry(call, actions, now=now, past=past)
        answer = _Answer()
        try:
            answer.lifted = self._lifting.places(inquiry) if self._lifting else NOWHERE
            for place, action in enumerate(actions):
                inquiry.place = place
                self._ask_policies(action, inquiry, answer)
        except InputTooLarge as error:
            refused = Decision(
                "deny", error.message, rule=RULE_INPUT_TOO_LARGE, generation=self.generation
            )
            return Judgement(refused, inquiry.lasting, ())
        if not answer.rests:
            answer.take_default(self.default_action, actions[0] if actions else None)
        once = tuple(answer.once.items()) if answer.once else ()
        decision = self._decision(call, answer)
        if answer.webhooks and decision.action != "deny":
            decision = pending_decision(call, answer.webhooks, decision)
        return Judgement(decision, inquiry.lasting, once)

    @property
    def reviews(self) -> bool:
        """True if some rule looks at what calls return."""
        return bool(self._responses)

    def review(
        self,
        call: ToolCall,
        actions: Sequence[Action],
        response: object,
        *,
        now: float,
        late: Callable[[], bool],
    ) -> Reviewed:
        """Say what of a response may be shown. ``late`` says that it takes too long.

        Raises: InputTooLarge for a response over its bounds, or that takes too long.
        """
        inquiry = Inquiry(call, actions, now=now)
        return self._responses.review(inquiry, response, generation=self.generation, late=late)

    def hear(self, call: ToolCall, action: Action, *, now: float) -> tuple[Hearing, ...]:
        """Return what each policy has to say about one action, and with which rule.

        For people who ask why: ``decide`` takes the strictest of these, and the default where there
        are none.
        """
        inquiry = Inquiry(call, (action,), now=now)
        table, widened = self._table(action.tool)
        found: list[Hearing] = []
        done: set[int] = set()
        for rule in table.candidates(action, inquiry.budget):
            policy = rule.policy
            concerned = policy.concerns is None or policy.concerns(call)
            if policy.rank in done or now >= rule.expires_at or not concerned:
                continue
            heard = _hear(rule, action, inquiry, only_restricts=policy.rank in widened)
            if heard & _ENDS:
                done.add(policy.rank)
            if heard & (_SPEAKS | _RAISES):
                found.append(Hearing(policy.name, rule.id, rule.verdict, rule.message))
        return tuple(found)

    def _ask_policies(self, action: Action, inquiry: Inquiry, answer: _Answer) -> None:
        """Let every policy speak about one action: in each, the first rule that matches."""
        now = inquiry.now
        table, widened = self._table(action.tool)
        spoke = False
        done: CompiledPolicy | None = None
        for rule in table.candidates(action, inquiry.budget):
            policy = rule.policy
            if policy is done or now >= rule.expires_at:
                continue
            if policy.concerns is not None and not policy.concerns(inquiry.call):
                done = policy
                continue
            heard = _hear(rule, action, inquiry, only_restricts=policy.rank in widened)
            if rule.once and heard and inquiry.spent(rule.once):
                continue
            if policy.tightens and heard & _SPEAKS:
                heard = _RAISES | _ENDS
            if heard & _ENDS:
                done = policy
            if heard & (_SPEAKS | _RAISES):
                if inquiry.place in answer.lifted and _can_be_lifted(rule):
                    continue
                answer.take(rule, action, rests=bool(heard & _SPEAKS))
                spoke = spoke or bool(heard & _SPEAKS)
        if inquiry.place in answer.lifted:
            answer.rests = True
        elif not spoke and not action.whole and action.origin in _DEFAULTED:
            answer.take_default(self.default_action, action)

    def _decision(self, call: ToolCall, answer: _Answer) -> Decision:
        rule, because = answer.rule, answer.because
        names: tuple[str, ...] = ()
        if answer.spoke:
            ranked = sorted(answer.spoke, key=lambda policy: policy.rank)
            names = tuple([policy.name for policy in ranked])
        if rule is None:
            return Decision(
                action=answer.verdict,
                message=default_message(answer.verdict, call, because),
                rule=RULE_DEFAULT,
                matched=names,
                generation=self.generation,
                because=because,
            )
        name = rule.policy.name
        matched = (name, *(other for other in names if other != name))
        message = rule_message(rule, answer.verdict, call, because)
        return Decision(
            action=answer.verdict,
            message=message,
            policy=name,
            rule=rule.id,
            matched=matched,
            suggestions=rule.suggest,
            generation=self.generation,
            because=because,
        )

    def _table(self, tool: str) -> tuple[RuleTable, frozenset[int]]:
        found = self._tables.get(tool)
        if found is None:
            exact = frozenset(rank for rank, scope in enumerate(self._scopes) if scope.fits(tool))
            widened = frozenset(
                rank
                for rank, scope in enumerate(self._scopes)
                if rank not in exact and scope.fits_widened(tool)
            )
            widened |= exact & self._tightening
            key = (exact, widened)
            table = self._shared.get(key)
            if table is None:
                ranks = exact | widened
                rules = (rule for rank in sorted(ranks) for rule in self._rules[rank])
                table = self._shared[key] = RuleTable(rules, self._places)
            if len(self._tables) >= _TABLES_MAX:
                self._tables.clear()
                self._shared.clear()
            found = self._tables[tool] = (table, widened)
        return found

    def _compile(self) -> list[tuple[CompiledRule, ...]]:
        found, order = [], 0
        about_responses: list[ResponseRule] = []
        for rank, policy in enumerate(self.policies):
            compiled = compile_policy(policy, rank, tightens=rank in self._tightening)
            rules = []
            for rule in policy.rules:
                made = compile_rule(rule, compiled, order, self._places)
                order += 1
                if rule.when.of_response:
                    narrow = made.narrows or bool(policy.match.tool)
                    about_responses.append(ResponseRule(made, self._scopes[rank].covers, narrow))
                else:
                    rules.append(made)
            found.append(tuple(rules))
        self._responses = ResponseRules(about_responses)
        self._lifting = Lifting(
            [
                (rule, self._scopes[rank].fits)
                for rank in sorted(self._overriding)
                for rule in found[rank]
            ],
            self._places,
        )
        return found


def _hear(rule: CompiledRule, action: Action, inquiry: Inquiry, *, only_restricts: bool) -> int:
    """Return what a rule has to say about an action."""
    if action.whole and not rule.narrows:
        # The parts carry grants and defaults: a rule for everything is not about the whole.
        return _ENDS if rule.restricts(action, inquiry) else _SILENT
    verdict = rule.verdict
    if verdict == "deny" or verdict == "ask":
        return _SPEAKS | _ENDS if rule.restricts(action, inquiry) else _SILENT
    if action.grantable and not action.opaque and rule.grants(action, inquiry):
        if not action.whole and not only_restricts:
            return _SPEAKS | _ENDS
        return _RAISES | _ENDS if verdict == "watch" else _ENDS
    if verdict == "watch" and rule.restricts(action, inquiry):
        return _RAISES  # INVARIANT: the policy's later rules still get to restrict
    return _SILENT


def _can_be_lifted(rule: CompiledRule) -> bool:
    return rule.verdict in ("ask", "watch") and rule.webhook is None


class _Answer:
    """The strictest answer so far, and who gave it."""

    __slots__ = ("because", "lifted", "once", "rests", "rule", "spoke", "verdict", "webhooks")

    def __init__(self) -> None:
        self.lifted: frozenset[int] = NOWHERE
        self.verdict: Verdict = "allow"
        self.rule: CompiledRule | None = None
        self.because: Action | None = None
        self.rests = False
        self.spoke: set[CompiledPolicy] = set()
        self.once: dict[str, Verdict] = {}
        self.webhooks: dict[CompiledRule, Action] = {}

    def take(self, rule: CompiledRule, action: Action, *, rests: bool) -> None:
        """Note what a rule says; ``rests`` if the call may rest on it alone."""
        self.rests = self.rests or rests
        self.spoke.add(rule.policy)
        verdict = rule.verdict
        if rule.once:
            self.once[rule.once] = verdict
        if rule.webhook is not None:
            self.webhooks.setdefault(rule, action)
            return
        level, best = STRICTNESS[verdict], STRICTNESS[self.verdict]
        # At equal strictness a rule is named before the default, and the first rank first.
        if level > best or (
            level == best and (self.rule is None or rule.policy.rank < self.rule.policy.rank)
        ):
            self.verdict, self.rule, self.because = verdict, rule, action

    def take_default(self, verdict: Verdict, action: Action | None) -> None:
        """Note that nothing spoke for an action."""
        self.rests = True
        if STRICTNESS[verdict] > STRICTNESS[self.verdict]:
            self.verdict, self.rule, self.because = verdict, None, action
        elif self.rule is None and self.because is None:
            self.verdict, self.because = stricter(verdict, self.verdict), action


class _ToolScope:
    """The tools that a policy is about."""

    def __init__(self, scope: Scope) -> None:
        self.fits = compile_text_globs(scope.tool or ("*",))

    def fits_widened(self, tool: str) -> bool:
        """True if the policy is about ``tool`` under a wider word: an edit is a way to write."""
        return tool == "edit" and self.fits("write")

    def covers(self, tool: str) -> bool:
        """True if the policy is about ``tool`` under its own or a wider word."""
        return self.fits(tool) or self.fits_widened(tool)


def generation_of(documents: Iterable[PolicyDocument]) -> str:
    """Return a digest of what is in force, and how."""
    digest = hashlib.sha256()
    for document in documents:
        if document.layer != "policy":
            digest.update(document.layer.encode())
        digest.update(len(document.source).to_bytes(8, "big"))
        digest.update(document.source)
    return digest.hexdigest()[:_GENERATION_DIGITS]
