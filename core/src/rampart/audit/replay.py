"""Replay: recorded calls, decided once more by another policy.

Whoever decides is handed in. A record is decided again only where the log holds what was decided
about, and where a policy had decided; everything else is counted, with the reason.

MUST NOT write to the log, or know who does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from rampart.audit.query import decided, text_of, time_of
from rampart.model import (
    RULE_APPROVAL_DENIED,
    RULE_APPROVAL_EXPIRED,
    RULE_APPROVAL_UNAVAILABLE,
    RULE_APPROVED,
    RULE_AUDIT_UNAVAILABLE,
    RULE_INPUT_TOO_LARGE,
    RULE_INTERNAL_ERROR,
    RULE_PLUGIN_ERROR,
    RULE_POLICY_MISSING,
    RULE_SERVICE_UNAVAILABLE,
    RULE_STATE_UNAVAILABLE,
    RULE_WEBHOOK_UNAVAILABLE,
    STRICTNESS,
    Decision,
    ToolCall,
    Verdict,
)
from rampart.subject import subject

Direction = Literal["same", "looser", "stricter"]

_TROUBLE: Final = frozenset({
    RULE_APPROVAL_UNAVAILABLE, RULE_AUDIT_UNAVAILABLE, RULE_INPUT_TOO_LARGE, RULE_INTERNAL_ERROR,
    RULE_PLUGIN_ERROR, RULE_POLICY_MISSING, RULE_SERVICE_UNAVAILABLE, RULE_STATE_UNAVAILABLE,
    RULE_WEBHOOK_UNAVAILABLE,
})  # fmt: skip
_QUESTIONS: Final = frozenset({RULE_APPROVED, RULE_APPROVAL_DENIED, RULE_APPROVAL_EXPIRED})
_MARK: Final = re.compile(r"\[redacted:[^\]\s]*\]")
_STAND_IN: Final = "redacted"  # WHY: brackets would be a wildcard of the shell
_SHORTENED: Final = ({"size", "sha256"}, {"object"}, {"omitted"})
_EXAMPLES_MAX: Final = 3
_GROUPS_MAX: Final = 10_000  # more differ only in what agents made up
_CALL_CHARACTERS: Final = 200


class Unrepeatable(Exception):
    """A record that cannot be decided again; the text says why."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call of the log and the word that a policy had for it. ``at`` is in epoch seconds.

    ``altered``: a credential was taken out, so what is decided about now differs in it.
    """

    id: str
    at: float
    call: ToolCall
    verdict: Verdict
    policy: str
    rule: str
    altered: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One call whose answer changed."""

    id: str
    time: str
    call: str
    who: str
    was: str
    message: str


@dataclass(slots=True)
class Change:
    """What changed in the same way: from which word to which, and by which rule."""

    was: Verdict
    now: Verdict
    rule: str
    count: int
    examples: list[Example]

    @property
    def direction(self) -> Direction:
        """``looser`` or ``stricter``."""
        return direction(self.was, self.now)


def direction(was: Verdict, now: Verdict) -> Direction:
    """Say how two words compare."""
    if was == now:
        return "same"
    return "looser" if STRICTNESS[now] < STRICTNESS[was] else "stricter"


def recorded_call(record: dict[str, object]) -> Recorded:
    """Return what a ``decision`` record says was decided about.

    Raises: Unrepeatable if the record does not hold it, or if no policy had decided.
    """
    word, rule = decided(record, "action"), decided(record, "rule")
    verdict = _VERDICTS.get(word)
    if verdict is None:
        raise Unrepeatable("the record names no decision")
    if not decided(record, "policy") and rule in _TROUBLE:
        raise Unrepeatable(f"an error had decided ({rule})")
    if rule in _QUESTIONS:
        verdict = "ask"  # what the policy had said; a person then answered
    if record.get("webhooks"):
        raise Unrepeatable("a webhook had decided")
    at, params = time_of(record), record.get("params")
    if at is None or not isinstance(params, dict):
        raise Unrepeatable("the record does not hold the call")
    found: set[str] = set()
    params = _restored(params, found)
    if "shortened" in found:
        raise Unrepeatable("the record holds only a digest of a long parameter")
    depth = record.get("depth")
    texts = {name: _text(record, name, found) for name in _WHO}
    assert isinstance(params, dict)
    return Recorded(
        id=text_of(record, "id"),
        at=at,
        call=ToolCall(params=params, depth=depth if isinstance(depth, int) else 0, **texts),
        verdict=verdict,
        policy=decided(record, "policy"),
        rule=rule,
        altered="redacted" in found,
    )


class Replay:
    """Decides recorded calls again, in the order of the log, and keeps what changed."""

    def __init__(self, decide: Callable[[Recorded], Decision]) -> None:
        self._decide = decide
        self.decided = 0
        self.altered = 0
        self.skipped: Counter[str] = Counter()
        self.directions: Counter[Direction] = Counter()
        self._changes: dict[tuple[str, str, str], Change] = {}

    @property
    def changes(self) -> list[Change]:
        """What changed: the looser first, then the most frequent."""
        return sorted(
            self._changes.values(),
            key=lambda each: (each.direction != "looser", -each.count, each.rule),
        )

    def take(self, record: dict[str, object], *, counts: bool = True) -> Decision | None:
        """Decide one record again; None if it cannot be.

        Without ``counts`` it only belongs to what happened before: it is not compared.
        """
        if record.get("type") != "decision":
            return None
        try:
            recorded = recorded_call(record)
        except Unrepeatable as reason:
            self.skipped[str(reason)] += counts
            return None
        decision = self._decide(recorded)
        if not counts:
            return decision
        if decision.pending is not None:
            self.skipped["a webhook would decide"] += 1
            return decision
        self.decided += 1
        self.altered += recorded.altered
        way = direction(recorded.verdict, decision.action)
        self.directions[way] += 1
        if way != "same":
            self._note(record, recorded, decision)
        return decision

    def _note(self, record: dict[str, object], recorded: Recorded, decision: Decision) -> None:
        rule = "/".join(part for part in (decision.policy, decision.rule) if part)
        key = (recorded.verdict, decision.action, rule)
        change = self._changes.get(key)
        if change is None:
            if len(self._changes) >= _GROUPS_MAX:
                self.skipped["more kinds of changes than can be told apart"] += 1
                return
            change = Change(recorded.verdict, decision.action, rule, 0, [])
            self._changes[key] = change
        change.count += 1
        shown = subject(record.get("params"))[:_CALL_CHARACTERS]
        if len(change.examples) < _EXAMPLES_MAX and all(e.call != shown for e in change.examples):
            change.examples.append(_example(record, recorded, decision, shown))


def _example(
    record: dict[str, object], recorded: Recorded, decision: Decision, shown: str
) -> Example:
    call = recorded.call
    return Example(
        id=recorded.id,
        time=text_of(record, "time"),
        call=shown,
        who="/".join(part for part in (call.agent, call.session) if part),
        was="/".join(part for part in (recorded.policy, recorded.rule) if part),
        message=decision.message,
    )


_VERDICTS: Final[dict[str, Verdict]] = {
    "allow": "allow",
    "watch": "watch",
    "ask": "ask",
    "deny": "deny",
}
_WHO: Final = ("tool", "agent", "session", "run_id", "call_id", "cwd")


def _text(record: dict[str, object], name: str, found: set[str]) -> str:
    value = _restored(record.get(name, ""), found)
    if not isinstance(value, str):
        raise Unrepeatable("the record does not hold the call")
    return value


def _restored(value: object, found: set[str]) -> object:
    """Return a recorded value as near to the call's own as the log allows."""
    if isinstance(value, str):
        text = _MARK.sub(_STAND_IN, value)
        if text != value:
            found.add("redacted")
        return text
    if isinstance(value, dict):
        if set(value) in _SHORTENED or "omitted" in value:
            found.add("shortened")
        return {_MARK.sub(_STAND_IN, name): _restored(item, found) for name, item in value.items()}
    if isinstance(value, list):
        return [_restored(item, found) for item in value]
    return value
