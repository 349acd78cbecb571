"""The digest binds an approval to one call: whatever changes the call changes the digest."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart.approval import call_digest
from rampart.errors import InputError
from rampart.model import ToolCall

CALL = ToolCall("exec", {"command": "make deploy"}, "claude", "s1", "r1", "c1", "/home/u", 0)


def test_the_digest_is_fixed():
    """Stored approvals must outlive an update."""
    assert call_digest(CALL, "0" * 16) == (
        "00283913dbfd09863112befdace118c95b6f018845b503189d6db09ea2dcd149"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"tool": "code"},
        {"params": {"command": "make deploy "}},
        {"agent": "x"},
        {"session": "x"},
        {"cwd": "/"},
        {"params": {"command": "make deploy", "timeout": None}},
        {"params": {}},
    ],
)
def test_another_call_has_another_digest(change):
    assert call_digest(replace(CALL, **change), "g") != call_digest(CALL, "g")


def test_another_policy_generation_has_another_digest():
    assert call_digest(CALL, "g") != call_digest(CALL, "h")


def test_asking_again_for_the_same_thing_has_the_same_digest():
    again = replace(CALL, run_id="r2", call_id="c2")
    assert call_digest(again, "g") == call_digest(CALL, "g")


def test_fields_cannot_flow_into_each_other():
    one = ToolCall("exec", {}, agent="a", session="b")
    two = ToolCall("exec", {}, agent="ab", session="")
    assert call_digest(one, "g") != call_digest(two, "g")


@pytest.mark.parametrize(
    "params",
    [
        {1: "x"},
        {"a": {None: 1}},
        {"a": [{2.5: 1}]},
        {"a": object()},
        {"a": float("nan")},
        {"a": b"x"},
        {"a": {1, 2}},
    ],
)
def test_parameters_that_json_would_have_to_guess_are_refused(params):
    with pytest.raises(InputError):
        call_digest(ToolCall("custom", params), "g")


def test_endless_parameters_are_refused():
    loop = {}
    loop["self"] = loop
    with pytest.raises(InputError, match="nested too deep"):
        call_digest(ToolCall("custom", loop), "g")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(first, second):
    """Equal as JSON: 1 is not true and 1.0 is not 1."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return repr(first) == repr(second)


@given(
    st.dictionaries(st.text(max_size=3), json_values, max_size=3),
    st.dictionaries(st.text(max_size=3), json_values, max_size=3),
)
def test_two_calls_share_a_digest_only_if_they_are_the_same(first, second):
    digests = [call_digest(ToolCall("custom", params), "g") for params in (first, second)]
    assert (digests[0] == digests[1]) == same(first, second)
