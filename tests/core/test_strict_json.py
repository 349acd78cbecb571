"""JSON that another parser could read differently is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart.errors import InputError, InputTooLarge, RampartError
from rampart.strict_json import dumps, loads, loads_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5).filter(str.isprintable), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_survives_and_has_one_text(value: object) -> None:
    text = dumps(value)
    assert loads(text, size_bytes_max=100_000) == value
    assert dumps(loads(text, size_bytes_max=100_000)) == text
    assert b"\n" not in text


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_our_error(data: bytes) -> None:
    try:
        value = loads(data, size_bytes_max=1000)
    except RampartError:
        return
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"a":1,"a":2}', "duplicate key 'a'"),
        (b'{"a":{"b":1,"b":1}}', "duplicate key 'b'"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[Infinity]", "Infinity"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'[["\\udfff"]]', "surrogate"),
        (b'"\\ud800"', "surrogate"),
        (b"[123456789012345678901]", "digits"),
        (b'{"a":', "1:6: not JSON"),
        (b"\xff", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_ambiguous_json_is_refused_with_a_reason(text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        loads(text, size_bytes_max=1000)


def test_deep_nesting_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(InputTooLarge, match="nested deeper"):
        loads(b"[" * 100_000 + b"]" * 100_000, size_bytes_max=1_000_000)


def test_brackets_inside_strings_do_not_count_as_nesting() -> None:
    assert loads(dumps({"a": "[" * 100 + '"{' * 50}), size_bytes_max=1000) == {
        "a": "[" * 100 + '"{' * 50
    }


def test_size_is_bounded() -> None:
    with pytest.raises(InputTooLarge):
        loads(b" " * 11, size_bytes_max=10)


def test_an_object_is_asked_for_by_name() -> None:
    with pytest.raises(InputError, match="a JSON object is needed, not list"):
        loads_object(b"[]", size_bytes_max=10)


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"bytes", {"a": object()}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        dumps(value)
