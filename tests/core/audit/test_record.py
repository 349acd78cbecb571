"""What a record's line is, byte for byte (core/docs/audit.md)."""

import hashlib
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart import strict_json
from rampart.approval import Approval
from rampart.audit.record import (
    GENESIS,
    Head,
    Redactor,
    approval_fields,
    build_line,
    decision_fields,
    encode_fields,
    format_time,
    parse_time,
)
from rampart.errors import AuditUnavailable
from rampart.limits import RECORD_BYTES_MAX, RECORD_FIELD_BYTES_MAX
from rampart.model import Action, Decision, ToolCall

ULID = "01HF7YAT00TAVT0VVA9VZ3C0ZE"
REDACTOR = Redactor(b"k" * 32)


def line_of(fields, seq=0, prev=GENESIS, back=0.0):
    return build_line(Head(1_700_000_000.25, back), (seq, ULID, prev), encode_fields(fields))


def test_a_line_is_exactly_what_the_specification_says():
    body = (
        b'{"v":1,"seq":7,"id":"01HF7YAT00TAVT0VVA9VZ3C0ZE","time":"2023-11-14T22:13:20.250000Z",'
        b'"prev":"' + b"a" * 64 + b'","tool":"exec","type":"decision"}'
    )
    own = hashlib.sha256(body).hexdigest()
    line = line_of({"type": "decision", "tool": "exec"}, seq=7, prev="a" * 64)
    assert line.data == body[:-1] + b',"hash":"' + own.encode() + b'"}\n'
    assert line.hash == own
    assert line.digest == hashlib.sha256(line.data[:-1]).hexdigest()


def test_a_step_back_of_the_clock_stands_in_the_record():
    assert b'Z","clock_back_s":3.500000,"prev"' in line_of({"type": "start"}, back=3.5).data
    assert b"clock_back_s" not in line_of({"type": "start"}, back=0.0005).data


def test_times_survive_and_impossible_ones_are_refused():
    assert parse_time(format_time(1_700_000_000.25)) == 1_700_000_000.25
    with pytest.raises(AuditUnavailable, match="not a date"):
        format_time(1e18)


@pytest.mark.parametrize("name", ["v", "seq", "id", "time", "prev", "hash", "clock_back_s"])
def test_fields_cannot_claim_what_the_log_sets(name):
    with pytest.raises(AuditUnavailable, match="the log itself sets"):
        encode_fields({"type": "decision", name: "forged"})


@pytest.mark.parametrize("fields", [{}, {"type": ""}, {"type": 3}, {"tool": "exec"}])
def test_a_record_without_a_type_is_refused(fields):
    with pytest.raises(AuditUnavailable, match="needs a `type`"):
        encode_fields(fields)


def test_fields_that_are_no_json_are_refused_not_guessed():
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        encode_fields({"type": "decision", "params": object()})


def test_a_long_text_becomes_its_size_and_digest():
    text = "ä" * RECORD_FIELD_BYTES_MAX
    fields = decision_fields(
        ToolCall("write", {"content": text}), Decision("deny"), redactor=REDACTOR
    )
    data = text.encode()
    assert fields["params"] == {
        "content": {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    }


def test_a_record_over_its_bound_loses_its_largest_field_and_nothing_else():
    params = {f"p{n}": "x" * (RECORD_FIELD_BYTES_MAX - 1) for n in range(8)}
    fields = decision_fields(
        ToolCall("write", params, agent="a"), Decision("deny"), redactor=REDACTOR
    )
    data = encode_fields(fields)
    assert len(data) < RECORD_BYTES_MAX
    record = json.loads(data)
    whole = strict_json.dumps(params)
    assert record["params"] == {"size": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    assert record["agent"] == "a"
    assert len(line_of(fields).data) <= RECORD_BYTES_MAX


def test_a_decision_record_says_who_asked_what_and_what_was_answered():
    call = ToolCall("exec", {"command": "ls"}, "claude", "s1", "r1", "c1", "/home/u", 2)
    decision = Decision(
        "watch",
        "look",
        "dev",
        "rules[1]",
        ("dev", "base"),
        generation="0123456789abcdef",
        duration_us=12.345,
        because=Action("exec", "command", command="ls"),
        approval_id="apr_1",
    )
    assert decision_fields(call, decision, redactor=REDACTOR, monitor=True) == {
        "type": "decision",
        "tool": "exec",
        "params": {"command": "ls"},
        "agent": "claude",
        "session": "s1",
        "run_id": "r1",
        "call_id": "c1",
        "cwd": "/home/u",
        "depth": 2,
        "decision": {
            "action": "watch",
            "policy": "dev",
            "rule": "rules[1]",
            "message": "look",
            "matched": ["dev", "base"],
        },
        "generation": "0123456789abcdef",
        "duration_us": 12.3,
        "approval_id": "apr_1",
        "monitor": True,
        "because": {"tool": "exec", "origin": "command", "command": "ls"},
    }


def test_every_text_of_a_decision_is_redacted():
    secret = "ghp_" + "a1B2c3D4e5" * 4
    call = ToolCall(secret, {secret: secret}, secret, secret, secret, secret, secret)
    decision = Decision("deny", f"no {secret}", secret, secret, (secret,))
    action = Action("exec", "command", command=secret, path=secret, url=secret, opaque=secret)
    decision.because = action
    fields = decision_fields(call, decision, redactor=REDACTOR, actions=[action])
    assert secret not in json.dumps(fields)


def test_an_approval_record_says_who_answered():
    approval = Approval(
        "apr_1",
        "denied",
        "m",
        "p",
        "r",
        "token=abc12345",
        "ann",
        1.0,
        2.0,
        1.5,
        False,
        "d" * 64,
        "exec",
        {},
        "",
        "",
        "",
        "",
        "",
        0,
    )
    assert approval_fields(approval) == {
        "type": "approval",
        "approval_id": "apr_1",
        "status": "denied",
        "by": "ann",
        "reason": "token=[redacted:secret]",
        "digest": "d" * 64,
        "policy": "p",
        "rule": "r",
    }


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), json_values, max_size=5))
def test_whatever_json_a_call_holds_survives_the_round_trip(params):
    class Nothing(Redactor):
        def text(self, text):
            return text

        def mark(self, kind, secret):
            return secret

    fields = decision_fields(ToolCall("custom", params), Decision("deny"), redactor=Nothing())
    line = line_of(fields).data[:-1]
    record = strict_json.loads_object(line, size_bytes_max=RECORD_BYTES_MAX)
    assert record["params"] == params


class Odd(Mapping):
    def __init__(self, inner):
        self.inner = inner

    def __getitem__(self, key):
        return self.inner[key]

    def __iter__(self):
        return iter(self.inner)

    def __len__(self):
        return len(self.inner)


def endless():
    loop = {}
    loop["self"] = loop
    return loop


odd_values = st.recursive(
    st.sampled_from(
        [
            float("nan"),
            float("inf"),
            10**40,
            -(10**40),
            b"\xff\0",
            object(),
            "\ud800",
            {1, 2},
            endless(),
        ]
    )
    | st.integers()
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(
            st.text(max_size=3) | st.integers() | st.none() | st.tuples(st.integers()),
            inner,
            max_size=3,
        )
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(Odd)
    ),
    max_leaves=10,
)


@given(odd_values)
def test_whatever_python_a_call_holds_becomes_a_line_that_strict_readers_accept(value):
    fields = decision_fields(
        ToolCall("custom", {"value": value}), Decision("deny"), redactor=REDACTOR
    )
    line = line_of(fields).data[:-1]
    assert strict_json.loads_object(line, size_bytes_max=RECORD_BYTES_MAX)["type"] == "decision"


def test_two_names_that_become_one_hide_no_value():
    secrets = {f"token=abc{n}": n for n in range(3)}
    redacted = Redactor().value(secrets)
    assert sorted(redacted.values()) == [0, 1, 2]
