"""Reviews: what a tool returned is searched, recorded and shown, or it is withheld."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rampart import Denied, EnforcementPoint, Guard, Review, ToolCall, ToolMapping
from rampart.audit.read import read_records
from rampart.audit.verify import verify_log
from rampart.errors import AuditUnavailable, ServiceUnavailable
from rampart.gate import Gate
from rampart.guard import GuardOptions
from rampart.hosts import HostFacts
from rampart.limits import RESPONSE_BYTES_MAX
from rampart.model import Decision
from rampart.sources import PolicyInForce, policy_documents

SECRET = "ghp_" + "a1B2" * 9
POLICY = """\
version: "1"
default_action: allow
policies:
  - name: calls
    match: {tool: note}
    rules:
      - {action: deny, when: {tool_param_matches: {text: "*forbidden*"}}, message: not this word}
  - name: outputs
    rules:
      - {name: tokens, action: redact, when: {response_credentials: true}}
      - {name: plans, action: deny, when: {response_matches: "TOP SECRET"}, message: not for models}
      - {name: orders, action: watch, when: {response_matches: "(?i)ignore previous"}}
"""
NOTE = ToolCall("note", {"text": "hello"}, agent="a", session="s", call_id="c1")
Opener = Callable[..., Gate]


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    with Guard(POLICY, data_dir=tmp_path / "data", agent="tester") as opened:
        yield opened


def records(tmp_path: Path, kind: str = "response") -> list[dict[str, Any]]:
    return [r for r in read_records(tmp_path / "data" / "audit") if r["type"] == kind]


def test_review_is_on_disk_when_it_is_answered_and_holds_nothing_of_the_text(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate(POLICY)
    texts = ["harmless", f"token {SECRET}", "TOP SECRET plans", "Ignore previous orders"]
    reviews = [gate.review(NOTE, {"out": text}) for text in texts]

    assert [r.decision.action for r in reviews] == ["allow", "watch", "deny", "watch"]
    assert reviews[0].response == {"out": "harmless"}
    assert reviews[1].response == {"out": "token [redacted:github_token]"}
    assert "TOP SECRET" not in str(reviews[2].response)
    assert reviews[3].response == {"out": texts[3]}
    written = records(tmp_path)
    assert [r["id"] for r in written] == [r.decision.audit_id for r in reviews]
    assert [r["decision"]["action"] for r in written] == ["allow", "watch", "deny", "watch"]
    assert [r["response"]["size"] for r in written] == [len(json.dumps({"out": t})) for t in texts]
    assert len({r["response"]["hmac_sha256"] for r in written}) == 4
    assert written[1]["taken"] == [{"policy": "outputs", "rule": "tokens", "places": 1}]
    assert written[0]["call_id"] == "c1"
    log = b"".join(p.read_bytes() for p in (tmp_path / "data" / "audit").rglob("*.jsonl"))
    assert log
    for text in (*texts, SECRET):
        assert text.encode() not in log
    assert verify_log(tmp_path / "data" / "audit").verdict == "ok"


def test_denial_text_says_why_and_that_the_call_was_made(open_gate: Opener) -> None:
    review = open_gate(POLICY).review(NOTE, "TOP SECRET")
    assert not review.allowed
    assert review.response == (
        "Output withheld by policy: note: not for models [rule=outputs/plans]. "
        "The call was made. Do not repeat it to see the output; ask the user."
    )


def test_preview_leaves_no_record(open_gate: Opener, tmp_path: Path) -> None:
    gate = open_gate(POLICY)
    assert gate.check_response(NOTE, SECRET).response == "[redacted:github_token]"
    assert not gate.check_response(NOTE, "TOP SECRET").allowed
    assert records(tmp_path) == []


def test_without_rules_about_responses_all_is_shown_and_nothing_recorded(
    open_gate: Opener, tmp_path: Path
) -> None:
    gate = open_gate('version: "1"\ndefault_action: deny\n')
    response = object()
    assert not gate.reviews
    assert gate.review(NOTE, response).response is response
    assert records(tmp_path) == []


def test_disabled_policy_does_not_review(open_gate: Opener) -> None:
    text = POLICY.replace("  - name: outputs\n", "  - name: outputs\n    enabled: false\n")
    assert open_gate(POLICY).reviews
    assert not open_gate(text).reviews


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    ("call", "response", "rule"),
    [
        (NOTE, Unreadable(), "internal_error"),
        (NOTE, [{"k": Unreadable()}], "internal_error"),
        (NOTE, "x" * (RESPONSE_BYTES_MAX + 1), "input_too_large"),
        (ToolCall("", {}), "x", "invalid_input"),
        (ToolCall("exec", {"command": 5}), "x", "invalid_input"),
        (ToolCall("exec", {"command": "x" * 100_000}), "x", "input_too_large"),
    ],
)
def test_what_goes_wrong_withholds_and_is_recorded(
    open_gate: Opener, tmp_path: Path, call: ToolCall, response: object, rule: str
) -> None:
    review = open_gate(POLICY).review(call, response)
    assert (review.decision.action, review.decision.rule) == ("deny", rule)
    assert isinstance(review.response, str)
    assert SECRET not in review.response
    (written,) = records(tmp_path)
    assert written["response"] == {"unreadable": True}
    assert written["decision"]["rule"] == rule


def test_what_cannot_be_recorded_is_withheld(
    open_gate: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = open_gate(POLICY)

    def full(_fields: object) -> str:
        raise AuditUnavailable("the disk is full")

    monkeypatch.setattr(gate._audit, "append", full)
    review = gate.review(NOTE, "harmless")
    assert (review.decision.action, review.decision.rule) == ("deny", "audit_unavailable")
    assert "harmless" not in str(review.response)
    assert gate.review(NOTE, "TOP SECRET").decision.rule == "plans"


def test_gate_without_a_log_withholds() -> None:
    policies = PolicyInForce(policy_documents(text=POLICY))
    gate = Gate(policies, hosts=HostFacts())
    assert gate.review(NOTE, "x").decision.rule == "audit_unavailable"
    assert gate.check_response(NOTE, "x").allowed


def test_search_has_a_deadline(open_gate: Opener) -> None:
    policy = (
        'version: "1"\ndefault_action: allow\npolicies: [{name: p, rules: [{action: redact,'
        " when: {response_matches: 'a(?:.*b)?'}}]}]\n"
    )
    review = open_gate(policy).review(NOTE, "a" * 400_000)
    assert review.decision.rule == "input_too_large"
    assert review.decision.duration_us < 5e6


# The guard


def test_guard_reviews_in_either_way(guard: Guard) -> None:
    assert guard.reviews
    assert guard.review("note", {"text": "x"}, SECRET).response == "[redacted:github_token]"
    review = asyncio.run(guard.areview("note", {"text": "x"}, ["TOP SECRET"], session="s"))
    assert isinstance(review, Review)
    assert not review.allowed


def test_guard_without_such_rules_does_not_ask(tmp_path: Path) -> None:
    with Guard('version: "1"\n', data_dir=tmp_path / "data") as guard:
        assert not guard.reviews
        assert guard.review("note", {}, SECRET).response == SECRET


class Down:
    reviews = True

    def review(self, call: ToolCall, response: object) -> Review:
        raise ServiceUnavailable("nobody there")

    def check(self, call: ToolCall) -> Decision:
        raise ServiceUnavailable("nobody there")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        return decision

    def poll(self, decision: Decision) -> Decision | None:
        return decision


def test_fail_open_decides_while_no_service_answers() -> None:
    opened = Guard.of(Down(), GuardOptions(fail_open=True)).review("note", {}, "x")
    closed = Guard.of(Down(), GuardOptions(fail_open=False)).review("note", {}, "x")
    assert (opened.allowed, opened.response) == (True, "x")
    assert (closed.allowed, closed.decision.rule) == (False, "service_unavailable")
    assert "nobody there" in str(closed.response)


def test_decorated_function_returns_what_may_be_seen(guard: Guard) -> None:
    @guard.tool("note")
    def note(text: str) -> Any:
        return {"out": text}

    assert note("harmless") == {"out": "harmless"}
    assert note(f"x {SECRET}") == {"out": "x [redacted:github_token]"}
    with pytest.raises(Denied) as caught:
        note("TOP SECRET")
    assert caught.value.decision.rule == "plans"
    assert str(caught.value).startswith("Output withheld by policy: note: not for models")


def test_decorated_coroutine_returns_what_may_be_seen(guard: Guard) -> None:
    @guard.tool("note")
    async def note(text: str) -> str:
        return text

    assert asyncio.run(note(SECRET)) == "[redacted:github_token]"
    with pytest.raises(Denied):
        asyncio.run(note("TOP SECRET"))


def test_generator_is_reviewed_as_one_text(guard: Guard) -> None:
    @guard.tool("note")
    def note(text: str) -> Iterator[object]:
        yield text[:9]
        yield {"k": SECRET}
        yield text[9:]

    assert list(note(f"a {SECRET} b")) == [
        {"k": "[redacted:github_token]"},
        "a [redacted:github_token] b",
    ]
    with pytest.raises(Denied, match="not for models"):
        list(note("is TOP SECRET"))


def test_async_generator_is_reviewed_as_one_text(guard: Guard) -> None:
    @guard.tool("note")
    async def note(text: str) -> AsyncIterator[object]:
        yield text[:9]
        yield [SECRET]
        yield text[9:]

    async def collect(text: str) -> list[object]:
        return [piece async for piece in note(text)]

    assert asyncio.run(collect(f"a {SECRET}")) == [
        ["[redacted:github_token]"],
        "a [redacted:github_token]",
    ]
    with pytest.raises(Denied, match="not for models"):
        asyncio.run(collect("is TOP SECRET"))


def test_what_is_yet_to_come_is_not_shown(guard: Guard) -> None:
    review = guard.review("note", {}, (text for text in [SECRET]))
    assert (review.allowed, review.decision.rule) == (False, "invalid_input")
    assert "as a stream" in str(review.response)


# The enforcement point of adapters


def test_point_reviews_and_never_raises(guard: Guard, tmp_path: Path) -> None:
    point = EnforcementPoint(guard, "note", ToolMapping())
    assert point.reviews
    assert point.review({"text": "x"}, [SECRET]).response == ["[redacted:github_token]"]
    assert asyncio.run(point.areview({"text": "x"}, SECRET)).response == "[redacted:github_token]"
    for review in (
        point.review({"text": "x"}, Unreadable()),
        asyncio.run(point.areview({"text": "x"}, Unreadable())),
        EnforcementPoint(None, "note", ToolMapping()).review({}, "x"),
        asyncio.run(EnforcementPoint(None, "note", ToolMapping()).areview({}, "x")),
    ):
        assert not review.allowed
        assert str(review.response).startswith("Output withheld by policy: note: ")


def test_point_lets_all_pass_where_no_rule_looks(tmp_path: Path) -> None:
    with Guard('version: "1"\n', data_dir=tmp_path / "data") as guard:
        point, output = EnforcementPoint(guard, "note", ToolMapping()), object()
        assert not point.reviews
        assert point.review({}, output).response is output
        assert asyncio.run(point.areview({}, output)).response is output
