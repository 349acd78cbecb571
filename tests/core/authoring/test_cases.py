"""Tests of a policy: what they may say, and what an outcome tells when they do not hold."""

from __future__ import annotations

import pytest
from rampart.authoring.cases import Case, read_case_file, read_inline_cases
from rampart.authoring.trial import Outcome, play
from rampart.errors import PolicyError
from rampart.policy import parse_policy
from rampart.sources import PolicyInForce, policy_documents

NOW = 1_893_456_000.0
POLICY = """\
version: "1"
default_action: allow
policies:
  - name: shell
    match: {tool: exec}
    rules:
      - {name: push, action: ask, when: {command_matches: ["git push*"]}, message: ask first}
      - {name: office, action: deny, when: {program: kubectl, time: {hours: "22:00-06:00"}}}
  - name: files
    rules:
      - {name: own, action: deny, when: {path_matches: ["~/secret", "${workspace}/private/**"]}}
      - {name: sub, action: deny, when: {agent_depth: {gte: 2}, program: ssh}}
  - name: past
    rules:
      - name: leak
        action: ask
        when: {program: curl, after: {tool: read, path_matches: ["**/.env"], until_approved: env}}
      - {name: often, action: deny, when: {call_count: {tool: mail, gte: 3, window: 10m}}}
  - name: outputs
    rules:
      - {name: cards, action: redact, when: {response_matches: "card=(?P<secret>[0-9]+)"}}
      - {name: stop, action: deny, when: {response_matches: "TOP SECRET"}, message: no}
"""


def cases_of(text: str) -> tuple[Case, ...]:
    return read_case_file(f"tests:\n{text}".encode(), filename="p.test.yaml").cases


def outcomes_of(text: str) -> list[Outcome]:
    policies = PolicyInForce(policy_documents(text=POLICY))
    return [play(case, policies, now=NOW) for case in cases_of(text)]


GOOD = [
    "- {call: git push, expect: ask, rule: shell/push, message: 'ask*'}",
    "- {call: git push, expect: require_approval, rule: push}",
    "- {call: ls, expect: [allow, watch], rule: default_action}",
    "- {call: {tool: read, path: ~/secret}, expect: deny}",
    "- {call: cat secret, cwd: '~', expect: deny}",
    "- {call: cat /home/me/secret, home: /home/me, expect: deny}",
    "- {call: {tool: read, path: private/x}, expect: deny}",
    "- {call: {tool: read, path: private/x}, workspace: /w, cwd: /w, expect: deny}",
    "- {call: {tool: read, path: private/x}, workspace: /w, cwd: /x, expect: allow}",
    "- {call: cat private/x, cwd: sub, expect: allow}",
    "- {call: ssh h, depth: 2, expect: deny}",
    "- {call: ssh h, expect: allow}",
    "- {call: kubectl get pods, at: 2030-01-01T23:00:00Z, expect: deny}",
    "- {call: kubectl get pods, at: 2030-01-01T12:00:00Z, expect: allow}",
    "- {call: ls, response: card=123, expect: watch, shows: 'card=[redacted:outputs/cards]'}",
    "- {call: ls, response: {a: TOP SECRET}, expect: deny, rule: stop}",
    "- {call: ls, response: [fine, 1], expect: allow, shows: [fine, 1]}",
    """- name: a leak
  session: s
  steps:
    - {call: curl https://x.example/, expect: allow}
    - {call: cat .env, expect: allow}
    - {call: curl https://x.example/, expect: ask, rule: leak}
    - {call: curl https://x.example/, session: other, expect: allow}
    - {call: curl https://x.example/, expect: ask, approve: true}
    - {call: curl https://x.example/, expect: allow}
""",
    """- steps:
    - {call: {tool: mail, to: a}, expect: allow}
    - {call: {tool: mail, to: a}, expect: allow}
    - {call: {tool: mail, to: a}, expect: deny}
    - {call: {tool: mail, to: a}, later: 10m, expect: allow}
""",
]


@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
def test_case_that_holds(text: str) -> None:
    (outcome,) = outcomes_of(text)

    assert outcome.problems == ()


BAD = [
    ("- {call: git push, expect: allow}", ["- expected  allow", "+ decided   ask", "shell/push"]),
    ("- {call: git push, expect: ask, rule: other}", ["- expected rule  other", "shell/push"]),
    ("- {call: git push, expect: ask, message: x}", ["- expected message  x", "ask first"]),
    ("- {call: echo a && cat ~/secret, expect: allow}", ["because of  read /home/user/secret"]),
    ("- {call: ls, response: card=1, expect: watch, shows: card=1}", ["+ shows", "redacted"]),
    ("- steps: [{call: ls, expect: allow}, {call: ls, expect: deny}]", ["step 2: ls"]),
]


@pytest.mark.parametrize(("text", "parts"), BAD, ids=range(len(BAD)))
def test_case_that_does_not_hold_says_why(text: str, parts: list[str]) -> None:
    (outcome,) = outcomes_of(text)

    told = "\n".join(outcome.problems)
    assert not outcome.holds
    for part in parts:
        assert part in told


def test_sessions_of_two_cases_know_nothing_of_each_other() -> None:
    step = "{call: {tool: mail}, session: s, expect: allow}"

    outcomes = outcomes_of("".join(f"- steps: [{step}, {step}]\n" for _ in range(2)))

    assert all(outcome.holds for outcome in outcomes)


ERRORS = [
    ("- {call: ls}", "2:3: a test does not say what to expect"),
    ("- {expect: deny}", "2:3: a test has no call"),
    ("- {call: ls, expect: permit}", "2:22: unknown action `permit`"),
    ("- {call: ls, expcet: deny}", "2:14: unknown key `expcet` in a test"),
    ("- {call: {path: /x}, expect: deny}", "2:10: a call of another tool names it"),
    ("- {call: ls, steps: [{call: ls, expect: allow}]}", "`call` beside `steps`"),
    ("- {steps: [{call: ls, expect: allow, at: x}]}", "unknown key `at` in a step"),
    ("- {call: ls, expect: allow, shows: x}", "`shows` without a `response`"),
    ("- {call: ls, expect: allow, at: yesterday}", "must be a time with a zone"),
    ("- {call: ls, expect: allow, home: here}", "home must be an absolute directory"),
    ("- {steps: [{call: ls, expect: allow, later: soon}]}", "a duration is a number"),
    ("- ls", "2:3: a test must be a mapping, not a text"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_what_a_test_cannot_say_is_an_error_at_its_place(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        cases_of(text)

    assert message in str(caught.value)
    assert str(caught.value).startswith("p.test.yaml:2:")


def test_file_says_what_its_cases_have_in_common() -> None:
    text = b"profile: strict\nhome: /home/me\nagent: a\ntests: [{call: ls, expect: allow}]"

    found = read_case_file(text, filename="x.test.yaml")

    assert found.profile == "strict"
    assert found.cases[0].home == "/home/me"
    assert found.cases[0].steps[0].call.agent == "a"


def test_policy_and_profile_exclude_each_other() -> None:
    with pytest.raises(PolicyError, match="exclude each other"):
        read_case_file(b"profile: a\npolicy: b\ntests: [{call: ls, expect: allow}]", filename="x")


def test_inline_cases_stand_where_they_stand() -> None:
    document = parse_policy('version: "1"\ntests:\n  - {call: ls, expect: deny}', filename="p.yaml")

    (case,) = read_inline_cases(document)

    assert (case.name, case.where) == ("ls", "p.yaml:3:5")
