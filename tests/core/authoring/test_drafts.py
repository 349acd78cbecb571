"""Drafts are policies that load and prove themselves, whatever a record holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.authoring.drafts import Seen, new_rule, scalar
from rampart.errors import InputError, InputTooLarge
from rampart.model import Host
from rampart.policy import parse_policy
from rampart.policy.composer import compose
from rampart.policy.fields import plain

HOST = Host(home="/home/me", cwd="/home/me/app", workspace="/home/me/app")


def seen(tool: str, because: dict[str, Any] | None = None, **params: Any) -> Seen:
    return Seen("01J", tool, params, because or {}, "deny", "default_action")


def draft(record: Seen, action: str = "allow") -> Any:
    text = new_rule(record, action, HOST)
    (policy,) = parse_policy(f'version: "1"\npolicies:\n{text}', filename="new").policies
    return policy.rules[0].when, policy.match.tool


@pytest.mark.parametrize(
    ("record", "field", "value", "tool"),
    [
        (seen("exec", command="make all"), "command_matches", ("make all",), "exec"),
        (seen("exec", command="make 'a b' && ls"), "command_matches", ("make a b", "ls"), "exec"),
        (seen("exec", command="cat ~/x"), "command_matches", ("cat /home/me/x",), "exec"),
        (seen("read", path="/srv/a[1].txt"), "path_matches", ("/srv/a[[]1].txt",), "read"),
        (seen("exec", {"tool": "write", "path": "/srv/x"}, command="echo a > /srv/x"),
         "path_matches", ("/srv/x",), "write"),
        (seen("fetch", {"tool": "fetch", "url": "https://x.example/"}, url="https://x.example"),
         "url_matches", ("https://x.example/",), "fetch"),
        (seen("mail", to="a*b"), "tool_param_matches", {"to": ("a?b",)}, "mail"),
    ],
)  # fmt: skip
def test_draft_is_as_narrow_as_the_call(record: Seen, field: str, value: object, tool: str) -> None:
    when, tools = draft(record)

    assert getattr(when, field) == value
    assert tools == (tool,)


def test_no_grant_is_drafted_for_what_cannot_be_known() -> None:
    with pytest.raises(InputError, match="cannot match this call"):
        new_rule(seen("exec", command="eval $X"), "allow", HOST)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_text_as_a_scalar_stays_that_text(text: str) -> None:
    assert plain(compose(scalar(text), "x")) == text


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.sampled_from(["x", "a\nb: c"]),
)
@settings(max_examples=40, deadline=None)
def test_hostile_record_makes_a_policy_or_a_clear_error(text: str, tool: str) -> None:
    record = Seen(text, tool, {"to": text}, {}, "deny", text)
    try:
        found = new_rule(record, "deny", HOST)
    except (InputError, InputTooLarge):
        return
    document = parse_policy(f'version: "1"\npolicies:\n{found}', filename="new")
    assert [len(policy.rules) for policy in document.policies] == [1]
