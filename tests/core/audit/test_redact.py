"""AUD-10: credentials of well-known shapes never reach a record."""

import hashlib
import hmac
import time

import pytest
from rampart.audit.redact import Redactor
from rampart.credentials import SHAPES

KEY = b"k" * 32
REDACTOR = Redactor(KEY)
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

SECRETS = [
    ("aws_key", "aws s3 ls AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    (
        "secret",
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY x",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    ("github_token", "git clone https://ghp_" + "a1" * 18, "ghp_" + "a1" * 18),
    ("github_token", "github_pat_" + "A1_" * 10, "github_pat_" + "A1_" * 10),
    ("gitlab_token", "glpat-abcdefghij0123456789", "glpat-abcdefghij0123456789"),
    ("slack_token", "xoxb-1234567890-abcdef", "xoxb-1234567890-abcdef"),
    (
        "slack_webhook",
        "curl https://hooks.slack.com/services/T000/B000/XXXXXXXX",
        "T000/B000/XXXXXXXX",
    ),
    ("openai_key", "OPENAI=sk-proj-abcdefghij0123456789", "sk-proj-abcdefghij0123456789"),
    ("anthropic_key", "sk-ant-api03-abcdefghij0123456789", "sk-ant-api03-abcdefghij0123456789"),
    ("stripe_key", "sk_live_abcdefghij0123456789", "sk_live_abcdefghij0123456789"),
    ("google_key", "AIza" + "a1B2c" * 7, "AIza" + "a1B2c" * 7),
    ("npm_token", "npm_" + "a1B2c3" * 6, "npm_" + "a1B2c3" * 6),
    ("private_key", f"echo '{PEM}' > key", PEM),
    (
        "private_key",
        "-----BEGIN PRIVATE KEY-----\nMIIE cut off",
        "-----BEGIN PRIVATE KEY-----\nMIIE cut off",
    ),
    ("jwt", f"session {JWT}", JWT),
    ("authorization", 'curl -H "Authorization: Bearer abc.def" x', "abc.def"),
    ("authorization", "{'Authorization': 'token abcdef'}", "abcdef"),
    ("bearer", "bearer 0123456789abcdef", "0123456789abcdef"),
    ("basic", "Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("url_password", "psql postgres://u:hunter2@db/x", "hunter2"),
    ("user_password", "curl -u admin:hunter2 https://x", "hunter2"),
    ("user_password", "curl --user 'admin:hunter2' https://x", "hunter2"),
    ("secret", "password=hunter2 next", "hunter2"),
    ("secret", "DB_PASSWORD: 'two words' next", "two words"),
    ("secret", "mysql --password hunter2 -e x", "hunter2"),
    ("secret", "tool --client-secret=hunter2", "hunter2"),
    ("secret", '{"api_key": "hunter2"}', "hunter2"),
    ("secret", '{\\"apiKey\\": \\"hunter2\\"}', "hunter2"),
    ("secret", "MYSQL_PWD=hunter2 mysqldump", "hunter2"),
    ("secret", "x?access_token=hunter2&y=1", "hunter2"),
]

HARMLESS = [
    "git status && ls -la src/",
    "the password policy is strict, the token bucket is not",
    "basic authentication and bearer instruments",
    "cd $PWD; echo PWD=/home/u",
    "mysql --password=$DB_PASSWORD",
    "export TOKEN=${TOKEN}",
    "max_tokens=4096, tokens: 100",
    "https://example.org:8080/a@b",
    "sk-learn and task-force-1 and eyJ",
    "sort -u names.txt",
    "keyboard, monkey = 3",
    "docker run -u 1000 image",
    "pip install --user package",
]


@pytest.mark.parametrize(("kind", "text", "secret"), SECRETS)
def test_a_credential_is_replaced_by_a_keyed_mark(kind, text, secret):
    digest = hmac.digest(KEY, secret.encode(), hashlib.sha256).hex()[:12]
    assert REDACTOR.text(text) == text.replace(secret, f"[redacted:{kind}:{digest}]")


@pytest.mark.parametrize(("kind", "text", "secret"), SECRETS)
def test_without_a_key_the_mark_gives_nothing_away(kind, text, secret):
    assert Redactor().text(text) == text.replace(secret, f"[redacted:{kind}]")


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_recorded_as_it_stands(text):
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(("kind", "text", "secret"), SECRETS)
def test_redacting_twice_changes_nothing_more(kind, text, secret):
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


def test_the_same_secret_has_the_same_mark_and_another_key_another_one():
    first, second = REDACTOR.text("password=a1b2c3"), REDACTOR.text("password=a1b2c3")
    assert first == second != Redactor(b"other").text("password=a1b2c3")


@pytest.mark.parametrize(
    "name", ["password", "apiKey", "client_secret", "AUTH-TOKEN", "Authorization"]
)
@pytest.mark.parametrize("value", ["hunter2", 12345, ["hunter2"]])
def test_a_value_under_a_telling_name_is_replaced(name, value):
    redacted = Redactor().value({name: value})[name]
    assert redacted in ("[redacted:secret]", ["[redacted:secret]"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_tokens", 5), ("password", None), ("password", ""), ("token", "$TOKEN"), ("monkey", "x")],
)
def test_a_value_that_is_no_secret_stays(name, value):
    assert Redactor().value({name: value}) == {name: value}


def test_every_match_contains_one_of_its_hints():
    """The hints decide what is scanned at all; a missing one would let secrets through."""
    for kind, text, _secret in SECRETS:
        matching = [shape for shape in SHAPES if shape.kind == kind and shape.pattern.search(text)]
        assert matching
        assert all(any(hint in text.lower() for hint in shape.hints) for shape in matching)


HOSTILE = [
    "eyJ",
    "eyJa.",
    "-----BEGIN PRIVATE KEY",
    "sk-",
    "token=",
    'token="',
    "password:'",
    "://a:",
    "-u a",
    "authorization: ",
    "bearer ",
    "basic ",
    "secret_",
    "a_pwd",
    "--password ",
    "key\\\\",
    "[redacted:",
    "gl",
    "xox",
    "akia",
    "api",
    "--a-a-a-a",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_is_scanned_in_linear_time(unit):
    """POL-03 for the log: eight times the text takes about eight times as long, not sixty-four."""

    def cost(size):
        text = unit * (size // len(unit)) + " token="
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            REDACTOR.text(text)
            best = min(best, time.perf_counter() - start)
        return best

    small, large = cost(8_000), cost(64_000)
    assert large < 30 * small + 0.01
