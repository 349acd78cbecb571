"""Streams: what comes in pieces is searched as if it had come at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rampart import Denied, Guard
from rampart.audit.read import read_records
from rampart.errors import InputError
from rampart.limits import STREAM_HELD_CHARS

SECRET = "ghp_" + "a1B2" * 9
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 8000 + "\n-----END RSA PRIVATE KEY-----"
POLICY = """\
version: "1"
default_action: allow
policies:
  - name: outputs
    rules:
      - {name: tokens, action: redact, when: {response_credentials: true}}
      - {name: plans, action: deny, when: {response_matches: "TOP SECRET"}, message: not for models}
"""
FILL = "lorem ipsum dolor sit amet\n"
LONG = FILL * (3 * STREAM_HELD_CHARS // len(FILL))


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    with Guard(POLICY, data_dir=tmp_path_factory.mktemp("streams") / "data") as opened:
        yield opened


def records(tmp_path: Path) -> list[dict[str, Any]]:
    return [r for r in read_records(tmp_path / "data" / "audit") if r["type"] == "response"]


def streamed(guard: Guard, pieces: list[str]) -> tuple[str, list[str]]:
    stream = guard.review_stream("note", {})
    early = [stream.feed(piece) for piece in pieces]
    return "".join(early) + stream.finish(), early


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1000, 4096, STREAM_HELD_CHARS, 10 * STREAM_HELD_CHARS])
@pytest.mark.parametrize("secret", [SECRET, KEY])
def test_secret_over_two_pieces_is_taken_out(guard: Guard, secret: str, size: int) -> None:
    text = f"{LONG}{secret}\n{LONG}{secret}\n{LONG}"
    kind = "[redacted:github_token]" if secret == SECRET else "[redacted:private_key]"
    shown, early = streamed(guard, cut(text, size))
    assert shown == f"{LONG}{kind}\n{LONG}{kind}\n{LONG}"
    assert any(early)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2 * STREAM_HELD_CHARS), st.integers(700, 40_000))
def test_where_the_pieces_end_makes_no_difference(guard: Guard, at: int, size: int) -> None:
    text = f"{LONG[:at]}{SECRET}\n{LONG}"
    shown, _ = streamed(guard, cut(text, size))
    assert shown == f"{LONG[:at]}[redacted:github_token]\n{LONG}"


def test_short_text_comes_at_the_end(guard: Guard) -> None:
    assert streamed(guard, ["a", SECRET[:9], SECRET[9:] + "."]) == (
        "a[redacted:github_token].",
        [""] * 3,
    )


def test_withheld_text_ends_the_stream_and_is_recorded(tmp_path: Path) -> None:
    with Guard(POLICY, data_dir=tmp_path / "data") as guard:
        stream = guard.review_stream("note", {})
        pieces = cut(LONG + "TOP SECRET" + LONG, 5000)
        with pytest.raises(Denied, match="not for models"):
            [stream.feed(piece) for piece in pieces]
        with pytest.raises(InputError, match="has ended"):
            stream.feed("more")
        with pytest.raises(InputError, match="has ended"):
            stream.finish()
    assert records(tmp_path)[-1]["decision"]["action"] == "deny"


def test_all_that_is_shown_is_recorded_before(tmp_path: Path) -> None:
    with Guard(POLICY, data_dir=tmp_path / "data") as guard:
        stream = guard.review_stream("note", {})
        shown = sum(len(stream.feed(piece)) for piece in cut(LONG, 5000))
        assert shown == sum(r["response"]["size"] for r in records(tmp_path)) > 0


@pytest.mark.parametrize(
    "rule",
    [
        "{action: deny, when: {response_not_matches: END OF REPORT}}",
        "{action: allow, when: {response_matches: '(?s).*END OF REPORT'}}",
    ],
)
def test_rule_about_the_whole_holds_everything_back(tmp_path: Path, rule: str) -> None:
    policy = POLICY.replace("    rules:\n", f"    rules:\n      - {rule}\n")
    with Guard(policy, data_dir=tmp_path / "data") as guard:
        shown, early = streamed(guard, [*cut(LONG, 5000), "END OF REPORT"])
        assert (shown, set(early)) == (LONG + "END OF REPORT", {""})


def test_without_rules_pieces_pass(tmp_path: Path) -> None:
    with Guard('version: "1"\n', data_dir=tmp_path / "data") as guard:
        shown, _ = streamed(guard, [SECRET, LONG])
        assert shown == SECRET + LONG
