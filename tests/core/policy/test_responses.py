"""Rules about responses: which of them speak, what they take out, and that nothing slips by."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from rampart.credentials import OWN_KINDS, SHAPES
from rampart.errors import InputTooLarge
from rampart.limits import (
    PARAMS_DEPTH_MAX,
    RESPONSE_BYTES_MAX,
    RESPONSE_FINDS_MAX,
    RESPONSE_ITEMS_MAX,
)
from rampart.model import Action, ToolCall
from rampart.policy import Engine, Reviewed, compile_policies, parse_policy
from rampart.policy.regex import compile_regex, compile_set
from rampart.policy.response_expressions import announcement

CALL = ToolCall("fetch", {"url": "https://x.test/"})
ACTIONS = (Action("fetch", "call", url="https://x.test/", host="x.test"),)
GITHUB = "ghp_" + "a" * 36
AWS = "AKIAABCDEFGHIJKLMNOP"


def engine(rules: str, *, match: str = "{}") -> Engine:
    text = f'version: "1"\npolicies:\n- name: p\n  match: {match}\n  rules:\n' + "".join(
        f"  - {line.strip()}\n" for line in rules.strip().splitlines()
    )
    return compile_policies([parse_policy(text, filename="p")], home="/home/me", workspace="/w")


def review(
    rules: str | Engine,
    response: object,
    actions: tuple[Action, ...] = ACTIONS,
    late: Callable[[], bool] = lambda: False,
) -> Reviewed:
    made = engine(rules) if isinstance(rules, str) else rules
    return made.review(CALL, actions, response, now=0.0, late=late)


def shown(rules: str | Engine, response: object) -> object:
    reviewed = review(rules, response)
    assert reviewed.decision.allowed, reviewed.decision
    return reviewed.response


TOKENS = "{name: tokens, action: redact, when: {response_credentials: true}}"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("nothing here", "nothing here"),
        (f"a {GITHUB} b {AWS}.", "a [redacted:github_token] b [redacted:aws_key]."),
        (f"ü\ud800 {GITHUB} ü", "ü\ud800 [redacted:github_token] ü"),
        (f"\xff {GITHUB}".encode("latin-1"), b"\xff [redacted:github_token]"),
        (bytearray(AWS.encode()), bytearray(b"[redacted:aws_key]")),
        ([1, None, True, 2.5, AWS], [1, None, True, 2.5, "[redacted:aws_key]"]),
        ((AWS, ("x", {"k": AWS})), ("[redacted:aws_key]", ("x", {"k": "[redacted:aws_key]"}))),
        ({AWS: 1}, {"[redacted:aws_key]": 1}),
        ({AWS: 1, AWS + " ": 2}, {"[redacted:aws_key]": 1, "[redacted:aws_key] ": 2}),
        ({AWS: 1, "AKIAABCDEFGHIJKLMNOQ": 2}, {"[redacted:aws_key]": 1, "[redacted:aws_key]'": 2}),
        ({1: {AWS}}, {1: {"[redacted:aws_key]"}}),
        (Path(f"/k/{AWS}"), "/k/[redacted:aws_key]"),
        (None, None),
        (b"", b""),
    ],
)
def test_redaction_keeps_the_structure_and_takes_out_exactly_the_secret(
    response: object, expected: object
) -> None:
    result = shown(TOKENS, response)
    assert result == expected
    assert type(result) is type(expected)


def test_what_is_not_touched_is_the_same_object() -> None:
    response = {"a": ["b", object()]}
    assert review(TOKENS, response).response is response


def test_named_tuple_stays_one() -> None:
    from collections import namedtuple

    Row = namedtuple("Row", "name key")  # noqa: PYI024 - the form that libraries return
    result = shown(TOKENS, Row("a", AWS))
    assert result == Row("a", "[redacted:aws_key]")
    assert isinstance(result, Row)


def test_value_is_found_by_its_name_and_a_named_group_says_what_is_taken() -> None:
    pattern = '"password": "?(?P<secret>[^",}]+)'
    rules = f"{{name: pw, action: redact, when: {{response_matches: '{pattern}'}}}}"
    response = {"user": "ann", "password": "hunter2", "next": {"password": 12345}}
    assert shown(rules, response) == {
        "user": "ann",
        "password": "[redacted:p/pw]",
        "next": {"password": "[redacted:p/pw]"},
    }


def test_anchors_mean_the_ends_of_a_text_also_inside_a_structure() -> None:
    rules = "{name: t, action: redact, when: {response_matches: ['(?m)^token: .*$', '^only$']}}"
    response = {"content": [{"text": "a\ntoken: b\nc"}, "only", "not only"]}
    assert shown(rules, response) == {
        "content": [{"text": "a\n[redacted:p/t]\nc"}, "[redacted:p/t]", "not only"]
    }


def test_find_over_several_values_is_taken_out_of_each() -> None:
    rules = "{name: t, action: redact, when: {response_matches: 'BEGIN.*END'}}"
    assert shown(rules, ["a BEGIN", "secret", "END b"]) == [
        "a [redacted:p/t]",
        "[redacted:p/t]",
        "[redacted:p/t] b",
    ]


def test_every_redact_rule_of_a_policy_counts() -> None:
    rules = """{name: w, action: watch, when: {response_matches: .}}
               {name: a, action: redact, when: {response_matches: aaa}}
               {name: b, action: redact, when: {response_matches: bbb}}"""
    reviewed = review(rules, "aaa bbb aaa")
    assert reviewed.response == "[redacted:p/a] [redacted:p/b] [redacted:p/a]"
    assert (reviewed.decision.action, reviewed.decision.rule) == ("watch", "a")
    assert [(t.rule, t.places) for t in reviewed.taken] == [("a", 2), ("b", 1)]


def test_finds_that_overlap_are_taken_out_together() -> None:
    rules = """{name: a, action: redact, when: {response_matches: 'one two'}}
               {name: b, action: redact, when: {response_matches: 'two three'}}"""
    assert shown(rules, "<one two three>") == "<[redacted:p/a]>"


@pytest.mark.parametrize(
    ("rules", "response", "action", "rule"),
    [
        ("{action: deny, when: {response_matches: a}}", "bab", "deny", "rule-1"),
        ("{action: deny, when: {response_matches: a}}", "b", "allow", ""),
        ("{action: ask, when: {response_matches: a}}", "a", "deny", "rule-1"),
        ("{action: watch, when: {response_matches: a}}", "a", "watch", "rule-1"),
        ("{action: deny, when: {response_matches: '^$'}}", "", "deny", "rule-1"),
        ("{action: deny, when: {response_matches: '^$'}}", "x", "allow", ""),
        ("{action: deny, when: {response_not_matches: OK}}", "fine", "deny", "rule-1"),
        ("{action: deny, when: {response_not_matches: OK}}", "all OK", "allow", ""),
        ("{action: deny, when: {response_matches: a, domain_matches: x.test}}", "a", "deny", "rule-1"),  # noqa: E501 - a row of a table
        ("{action: deny, when: {response_matches: a, domain_matches: y.test}}", "a", "allow", ""),
        ("{action: deny, when: {response_credentials: [aws_key]}}", AWS, "deny", "rule-1"),
        ("{action: deny, when: {response_credentials: [aws_key]}}", GITHUB, "allow", ""),
        ("{action: deny, when: {response_credentials: secret}}", "password: p4", "deny", "rule-1"),
        # a call that was made is not decided again
        ("{action: deny, when: {default: true}}", "a", "allow", ""),
        ("{action: deny, when: {domain_matches: x.test}}", "a", "allow", ""),
    ],
)  # fmt: skip
def test_verdict(rules: str, response: str, action: str, rule: str) -> None:
    decision = review(rules, response).decision
    assert (decision.action, decision.rule) == (action, rule)


def test_withholding_wins_over_redaction_whatever_the_order() -> None:
    redact = "{action: redact, when: {response_matches: a}}"
    deny = "{action: deny, when: {response_matches: b}}"
    for rules in (f"{redact}\n{deny}", f"{deny}\n{redact}"):
        assert review(rules, "a b").decision.action == "deny"


def test_exclusion_takes_out_the_finds_that_it_touches_and_no_others() -> None:
    """A text cannot buy freedom for one secret by holding the excluded one too."""
    when = "response_matches: 'AKIA[0-9A-Z]{16}', response_not_matches: 'AKIA[0-9A-Z]*EXAMPLE'"
    rules = f"{{name: r, action: redact, when: {{{when}}}}}"
    text = f"AKIAIOSFODNN7EXAMPLE {AWS}"
    assert shown(rules, text) == "AKIAIOSFODNN7EXAMPLE [redacted:p/r]"
    deny = rules.replace("redact", "deny")
    assert review(deny, text).decision.action == "deny"
    assert review(deny, "AKIAIOSFODNN7EXAMPLE").decision.action == "allow"


def test_exclusion_may_be_wider_than_the_find() -> None:
    rules = (
        "{action: deny, when: {response_matches: password, response_not_matches: password policy}}"
    )
    assert review(rules, "the password policy").decision.action == "allow"
    assert review(rules, "password policy, password x").decision.action == "deny"


GRANT = """{action: allow, when: {response_matches: 'public: [^\\n]*'}}
           {action: deny, when: {response_matches: 'AKIA'}}"""


def test_grant_needs_the_whole_response() -> None:
    assert review(GRANT, "public: AKIA").decision.action == "allow"
    assert review(GRANT, "public: x\nAKIA").decision.action == "deny"
    assert review(GRANT, ["public: x", "AKIA"]).decision.action == "deny"


def test_grant_for_one_action_releases_no_other() -> None:
    rules = """{action: allow, when: {command_matches: 'cat fix*', response_matches: '(?s).*'}}
               {action: deny, when: {response_matches: AKIA}}"""
    both = (
        Action("exec", "call", command="cat fixtures/a; cat b", whole=True),
        Action("exec", "command", command="cat fixtures/a", program="cat"),
        Action("exec", "command", command="cat b", program="cat"),
    )
    one = (
        Action("exec", "call", command="cat fixtures/a", whole=True),
        Action("exec", "command", command="cat fixtures/a", program="cat"),
        Action("read", "argument", path="/w/fixtures/a"),
    )
    opaque = (Action("exec", "command", command="cat fixtures/a", opaque="x"),)
    assert review(rules, "AKIA", both).decision.action == "deny"
    assert review(rules, "AKIA", one).decision.action == "allow"
    assert review(rules, "AKIA", opaque).decision.action == "deny"


def test_rule_about_reading_sees_what_a_command_reads() -> None:
    made = engine("{action: deny, when: {response_matches: x}}", match="{tool: read}")
    cat = (
        Action("exec", "call", command="cat a", whole=True),
        Action("exec", "command", command="cat a", program="cat"),
        Action("read", "argument", path="/w/a"),
    )
    assert review(made, "x", cat).decision.action == "deny"
    assert review(made, "x", cat[:2]).decision.action == "allow"


def test_call_without_actions_is_still_reviewed() -> None:
    assert review("{action: deny, when: {response_matches: x}}", "x", ()).decision.action == "deny"


def test_policy_of_another_agent_is_silent() -> None:
    made = engine("{action: deny, when: {response_matches: x}}", match="{agent: other}")
    assert review(made, "x").decision.action == "allow"


def test_expired_rule_is_gone() -> None:
    rules = "{action: deny, expires_at: 1970-01-01T00:00:10Z, when: {response_matches: x}}"
    made = engine(rules)
    assert made.review(CALL, ACTIONS, "x", now=9.0, late=lambda: False).decision.action == "deny"
    assert made.review(CALL, ACTIONS, "x", now=10.0, late=lambda: False).decision.action == "allow"


def test_rule_about_responses_says_nothing_before_the_call() -> None:
    made = engine("{action: deny, when: {response_matches: '.*'}}")
    assert made.decide(CALL, ACTIONS, now=0.0).rule == "default_action"
    assert made.reviews
    assert not engine("{action: deny}").reviews


# Limits: what cannot be searched to its end is not shown


def nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


TOO_LARGE: dict[str, Callable[[], object]] = {
    "bytes": lambda: "x" * (RESPONSE_BYTES_MAX + 1),
    "bytes in pieces": lambda: ["x" * 1024] * (RESPONSE_BYTES_MAX // 1024 + 1),
    "items": lambda: [1] * (RESPONSE_ITEMS_MAX + 1),
    "depth": lambda: nested(PARAMS_DEPTH_MAX + 1),
    "finds": lambda: "ab" * (RESPONSE_FINDS_MAX + 1),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_response_over_a_limit_is_refused(kind: str) -> None:
    made = engine("{action: redact, when: {response_matches: a}}")
    with pytest.raises(InputTooLarge):
        review(made, TOO_LARGE[kind]())


def test_response_at_the_limits_is_reviewed() -> None:
    made = engine("{action: redact, when: {response_matches: zzz}}")
    assert review(made, "x" * (RESPONSE_BYTES_MAX - 3) + "zzz").taken[0].places == 1
    assert review(made, nested(PARAMS_DEPTH_MAX)).decision.action == "allow"


def test_response_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InputTooLarge):
        review(TOKENS, value)


def test_search_that_takes_too_long_is_refused() -> None:
    """`a(.*b)?` looks through the rest of the text at each of its finds."""
    made = engine("{action: redact, when: {response_matches: 'a(?:.*b)?'}}")
    started = time.monotonic()
    with pytest.raises(InputTooLarge, match="too long|more than"):
        review(made, "a" * 1_000_000, late=lambda: time.monotonic() > started + 0.2)
    assert time.monotonic() - started < 5


class Failing(re2.Set):  # type: ignore[misc]  # no type information upstream
    """A set as it answers when it runs out of memory: as if nothing had matched."""

    def Match(self, _text: object) -> None:  # noqa: N802 - the name that re2 gives it
        return None


def test_search_that_fails_is_no_search_without_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    search = compile_set(["x", "y"], size_bytes_max=1 << 20)
    assert sorted(search(b"yx")) == [0, 1]
    assert list(search(b"")) == []

    monkeypatch.setattr(re2, "Set", Failing)
    made = engine("{action: deny, when: {response_matches: zzz}}")
    with pytest.raises(InputTooLarge, match="cannot be searched"):
        review(made, "harmless")


def test_expressions_that_are_too_large_together_do_not_load() -> None:
    with pytest.raises(ValueError, match="too large together"):
        compile_set([f"a[ab]{{100}}c{n}" for n in range(500)], size_bytes_max=20_000)


def test_search_is_linear_on_hostile_text() -> None:
    made = engine(TOKENS)

    def best_s(text: str) -> float:
        times = []
        for _ in range(3):
            started = time.perf_counter()
            review(made, text)
            times.append(time.perf_counter() - started)
        return min(times)

    for unit in ("eyJ", "sk-", "AKIA ", "-----BEGIN PRIVATE KEY", "xox", "hooks.slack.com/"):
        small, large = unit * (20_000 // len(unit)), unit * (320_000 // len(unit))
        assert best_s(large) < 100 * best_s(small) + 0.02, unit


# Nothing slips by


@pytest.mark.parametrize("kind", OWN_KINDS)
def test_what_announces_a_shape_is_an_expression_of_its_own(kind: str) -> None:
    for shape in SHAPES:
        if shape.kind == kind:
            assert compile_regex(announcement(shape)).search("nothing of the kind") is None


SECRETS = [
    AWS,
    GITHUB,
    "glpat-" + "a" * 20,
    "xoxb-1234567890-abc",
    "sk-ant-" + "a" * 20,
    "sk-" + "A1" * 12,
    "AIza" + "b" * 35,
    "npm_" + "c" * 36,
    "pypi-" + "d" * 60,
    "hf_" + "e" * 34,
    "sk_live_" + "f" * 24,
    "eyJhbGciOi.eyJzdWIiOi.abc_DEF",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----",
    "hooks.slack.com/services/T000/B000/XXXXXXXX",
]
TEXTS = st.text(alphabet=" \n.,:;()é😀", max_size=12)


@given(st.sampled_from(SECRETS), TEXTS, TEXTS, st.integers(0, 3))
def test_secret_is_found_wherever_it_stands(
    secret: str, before: str, after: str, depth: int
) -> None:
    value: object = f"{before} {secret} {after}"
    for level in range(depth):
        value = [value, before] if level % 2 else {"k": value, before: 1}
    assert secret.rpartition("/")[2] not in repr(shown(TOKEN_ENGINE, value)).replace("\\n", "\n")


TOKEN_ENGINE = engine(TOKENS)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="abAx ", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(alphabet="abA", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
ABA = engine("{name: r, action: redact, when: {response_matches: 'ab+A?'}}")


@given(PLAIN)
def test_redaction_of_a_structure_is_the_redaction_of_its_texts(value: Any) -> None:
    """A model written from the page: each text has its finds replaced, and nothing else changes."""
    result = shown(ABA, value)
    assert same_shape(value, result)
    assert review(ABA, result).decision.action == "allow"


def same_shape(first: Any, second: Any) -> bool:
    import re

    if isinstance(first, dict):
        return len(first) == len(second) and all(
            same_shape(a, b) for a, b in zip(first.values(), second.values(), strict=True)
        )
    if isinstance(first, list | tuple):
        return (
            type(first) is type(second)
            and len(first) == len(second)
            and all(same_shape(a, b) for a, b in zip(first, second, strict=True))
        )
    if isinstance(first, str):
        return bool(re.sub("ab+A?", "[redacted:p/r]", first) == second)
    return type(first) is type(second) and first == second


def test_random_bytes_never_break_a_review() -> None:
    source = random.Random(7)
    for _ in range(300):
        data = source.randbytes(source.randrange(200)) + AWS.encode() + source.randbytes(20)
        result = shown(TOKEN_ENGINE, data)
        assert isinstance(result, bytes)
        assert AWS.encode() not in result
