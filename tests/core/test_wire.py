"""The local socket's frames: what is sent is what is read, and nothing else is."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart.errors import InputTooLarge, ProtocolError, RampartError
from rampart.limits import SOCKET_FRAME_BYTES_MAX
from rampart.wire import (
    HEADER,
    MAGIC,
    ExecQuery,
    decode_answer,
    decode_query,
    encode_answer,
    encode_query,
)

TEXT = st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"x"))


@given(st.builds(ExecQuery, TEXT, st.lists(TEXT, max_size=6).map(tuple), TEXT, TEXT, TEXT))
def test_query_survives_the_wire_byte_for_byte(query: ExecQuery) -> None:
    assert decode_query(encode_query(query)) == query


@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error_and_nothing_else(data: bytes) -> None:
    for parse in (decode_query, decode_answer):
        try:
            parse(data)
        except RampartError:
            continue
        assert data.startswith(MAGIC)


@given(st.integers(0, 60), st.integers(0, 255))
def test_a_changed_byte_never_becomes_an_exception_of_another_kind(at: int, value: int) -> None:
    frame = bytearray(encode_query(ExecQuery(b"/bin/ls", (b"ls", b"-l"), b"a", b"s", b"/")))
    frame[at % len(frame)] = value
    with suppress(RampartError):
        decode_query(bytes(frame))


def test_argument_count_that_lies_is_refused() -> None:
    frame = bytearray(encode_query(ExecQuery(b"/bin/ls", (b"ls",))))
    frame[12] = 2
    with pytest.raises(ProtocolError, match="says 2 arguments and holds 1"):
        decode_query(bytes(frame))


def test_frame_over_its_bound_is_refused_before_it_is_read() -> None:
    header = HEADER.pack(MAGIC, SOCKET_FRAME_BYTES_MAX + 1, 1, 0, 0, 0)
    with pytest.raises(InputTooLarge):
        decode_query(header)


def test_nul_inside_a_string_is_refused() -> None:
    with pytest.raises(ProtocolError, match="NUL"):
        encode_query(ExecQuery(b"/bin/ls", (b"a\0b",)))


@given(st.text(max_size=400))
def test_reason_is_printable_and_fits(reason: str) -> None:
    verdict, text = decode_answer(encode_answer("deny", reason))
    assert verdict == "deny"
    assert text.isprintable()
    assert len(text.encode()) <= 255


@pytest.mark.parametrize("verdict", ["allow", "watch", "ask", "deny"])
def test_every_verdict_survives_the_wire(verdict: str) -> None:
    assert decode_answer(encode_answer(verdict, "why — so")) == (verdict, "why — so")  # type: ignore[arg-type]
