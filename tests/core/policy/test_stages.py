"""Rules about responses and rules that ask webhooks: what loads, and what is refused and why."""

from __future__ import annotations

import pytest
from rampart.credentials import OWN_KINDS
from rampart.errors import PolicyError
from rampart.model import Webhook
from rampart.policy import Rule, parse_policy

HOOK = "webhook: {url: https://hooks.example/x}"


def rule(text: str) -> Rule:
    document = parse_policy(
        f'version: "1"\npolicies:\n  - name: p\n    rules:\n      - {text}\n', filename="p.yaml"
    )
    return document.policies[0].rules[0]


@pytest.mark.parametrize("action", ["allow", "watch", "log", "ask", "require_approval", "deny"])
def test_files_of_the_existing_program_load_unchanged(action: str) -> None:
    read = rule(
        f"{{action: {action}, when: {{command_matches: ['cat *'], response_matches: ['AKIA[0-9A-Z]"
        "{16}', '(?i)password'], response_not_matches: [EXAMPLE]}, message: no}"
    )
    assert read.when.response_matches == ("AKIA[0-9A-Z]{16}", "(?i)password")
    assert read.when.response_not_matches == ("EXAMPLE",)
    assert read.when.of_response


def test_webhook_of_the_existing_program_loads() -> None:
    read = rule(
        "{action: webhook, when: {command_matches: ['*production*']}, "
        "webhook: {url: 'http://localhost:8090/verify', timeout: 5s, fail_open: true}}"
    )
    assert read.webhook == Webhook("http://localhost:8090/verify", 5.0, "", True)


@pytest.mark.parametrize(
    ("url", "timeout", "seconds"),
    [
        ("https://hooks.example/a?b=c", "500ms", 0.5),
        ("http://127.0.0.1:1/", "2s", 2.0),
        ("http://[::1]:8080/x", "30s", 30.0),
    ],
)
def test_webhook_may_be_elsewhere_over_tls_or_on_this_machine(
    url: str, timeout: str, seconds: float
) -> None:
    read = rule(
        f"{{action: webhook, webhook: {{url: '{url}', timeout: {timeout}, secret_env: HOOK_KEY}}}}"
    )
    assert read.webhook == Webhook(url, seconds, "HOOK_KEY", False)


def test_credentials_are_named_by_kind_or_all_of_their_own_form() -> None:
    assert rule(
        "{action: redact, when: {response_credentials: true}}"
    ).when.response_credentials == (OWN_KINDS)
    one = rule("{action: deny, when: {response_credentials: [private_key, secret]}}")
    assert one.when.response_credentials == ("private_key", "secret")
    assert "secret" not in OWN_KINDS


REFUSED = {
    "expression that is none": ("{action: deny, when: {response_matches: '('}}", "regular expr"),
    "look-behind": ("{action: deny, when: {response_matches: '(?<=a)b'}}", "regular expr"),
    "empty list": ("{action: deny, when: {response_matches: []}}", "empty list"),
    "unknown kind": ("{action: deny, when: {response_credentials: [aws_keys]}}", "aws_key"),
    "credentials: false": ("{action: deny, when: {response_credentials: false}}", "says nothing"),
    "redact of nothing": ("{action: redact}", "without a condition on the response"),
    "redact of a call": ("{action: redact, when: {program: rm}}", "without a condition"),
    "redact by exclusion": (
        "{action: redact, when: {response_not_matches: x}}",
        "needs response_matches",
    ),
    "redact of the empty text": ("{action: redact, when: {response_matches: 'x*'}}", "empty text"),
    "grant by credentials": ("{action: allow, when: {response_credentials: true}}", "harmless"),
    "once": ("{action: deny, once: true, when: {response_matches: x}}", "is about calls"),
    "after": (
        "{action: deny, when: {response_matches: x, after: {tool: read}}}",
        "`after` is about calls",
    ),
    "call_count": (
        "{action: deny, when: {response_matches: x, call_count: {gte: 3}}}",
        "`call_count` is about calls",
    ),
    "response upstream": (
        "{action: deny, when: {upstream: {response_matches: x}}}",
        "cannot stand inside upstream",
    ),
    "webhook about a response": (
        f"{{action: webhook, {HOOK}, when: {{response_matches: x}}}}",
        "cannot decide about a response",
    ),
    "webhook without one": ("{action: webhook}", "without a `webhook`"),
    "webhook beside deny": (f"{{action: deny, {HOOK}}}", "its action is webhook"),
    "webhook, once": (f"{{action: webhook, {HOOK}, once: true}}", "`once` beside a webhook"),
    "no url": ("{action: webhook, webhook: {timeout: 1s}}", "webhook has no url"),
    "unknown key": (
        "{action: webhook, webhook: {url: 'https://h.example', tls: true}}",
        "unknown key `tls` in webhook",
    ),
    "in the clear": ("{action: webhook, webhook: {url: 'http://h.example/'}}", "in the clear"),
    "loopback by name": (
        "{action: webhook, webhook: {url: 'http://localhost.example/'}}",
        "in the clear",
    ),
    "another scheme": ("{action: webhook, webhook: {url: 'file:///etc/passwd'}}", "not the URL"),
    "no host": ("{action: webhook, webhook: {url: 'https:///x'}}", "not the URL"),
    "password": ("{action: webhook, webhook: {url: 'https://a:b@h.example/'}}", "password"),
    "bad port": ("{action: webhook, webhook: {url: 'https://h.example:99999/'}}", "not a URL"),
    "no duration": (
        "{action: webhook, webhook: {url: 'https://h.example', timeout: 5}}",
        "timeout: a duration",
    ),
    "too long": (
        "{action: webhook, webhook: {url: 'https://h.example', timeout: 31s}}",
        "over the limit of 30 seconds",
    ),
    "secret itself": (
        "{action: webhook, webhook: {url: 'https://h.example', secret_env: 's3cr3t!'}}",
        "the name of an environment variable",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_with_its_place(name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(PolicyError) as caught:
        rule(text)
    assert str(caught.value).startswith("p.yaml:5:")
    assert message in f"{caught.value} {caught.value.help}"


@pytest.mark.parametrize("word", ["redact", "webhook"])
def test_default_action_is_one_of_the_four_words(word: str) -> None:
    with pytest.raises(PolicyError, match=r"p:2:17: .* expected allow, watch, ask or deny"):
        parse_policy(f'version: "1"\ndefault_action: {word}\n', filename="p")
