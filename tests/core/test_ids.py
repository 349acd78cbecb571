"""ULIDs stay in order whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart.ids import UlidFactory, decode, encode


class Steps:
    """A clock that shows the given times one after the other."""

    def __init__(self, times: list[float]) -> None:
        self._times = iter(times)

    def now(self) -> float:
        return next(self._times)

    def monotonic(self) -> float:
        return 0.0


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=30))
def test_ids_increase_strictly_even_if_the_clock_steps_back(times: list[float]) -> None:
    factory = UlidFactory(Steps(times))
    made = [factory.new() for _ in times]
    assert made == sorted(set(made))


def test_ids_increase_past_one_found_on_disk() -> None:
    factory = UlidFactory(Steps([1.0, 1.0]))
    newest = encode((5_000 << 80) | 7)
    factory.advance_past(newest)
    assert factory.new() > newest


@given(st.integers(0, 2**128 - 1))
def test_number_and_text_are_the_same_thing(value: int) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize("text", ["", "x" * 26, "8" + "0" * 25, "0" * 25, "0" * 25 + "U"])
def test_what_is_no_ulid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a ULID|substring"):
        decode(text)
