"""Formats of other programs: nothing that an agent wrote gets out of its field."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from rampart.audit.export import COLUMNS, cef_line, csv_header, csv_row, ocsf_line

NASTY = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1",
    "  =HYPERLINK(1)",
    "\n=1",
    "＝1+1",
    'a","=1+1","b',
    "x\r\n=1+1",
    "a|b\\c=d\nrt=0 act=allow",
    "CEF:0|x|y",
    "\x1b]0;title\x07",
    "\u202eevil",
    "",
]


def record(text):
    return {
        "v": 1,
        "seq": 7,
        "id": "01JD5T3Z6V9K2M4N8P0QRSTVWX",
        "time": "2026-03-01T10:00:00.250000Z",
        "type": "decision",
        "tool": text,
        "params": {"command": text, "path": text},
        "agent": text,
        "session": text,
        "run_id": text,
        "call_id": text,
        "cwd": text,
        "depth": 0,
        "duration_us": 12.5,
        "decision": {"action": "deny", "policy": text, "rule": text, "message": text},
        "hash": "ab" * 32,
    }


@pytest.mark.parametrize("text", NASTY)
def test_no_cell_starts_a_formula_and_every_row_has_every_column(text):
    lines = csv_header() + csv_row(record(text)) + csv_row(record("ls"))
    rows = list(csv.reader(io.StringIO(lines, newline=""), strict=True))
    assert [len(row) for row in rows] == [len(COLUMNS)] * 3
    assert len(lines.split("\r\n")) == 4
    for cell in rows[1]:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
        assert cell.isprintable()


def test_ordinary_cells_stay_as_they_are():
    (row,) = csv.DictReader(io.StringIO(csv_header() + csv_row(record("ls -la"))))
    assert (row["subject"], row["seq"], row["duration_us"]) == ("ls -la", "7", "12.5")
    assert json.loads(row["params"]) == {"command": "ls -la", "path": "ls -la"}


def test_a_negative_number_is_a_number_and_no_formula():
    assert '"-3"' in csv_row({**record("x"), "depth": -3})


def parse_cef(line):
    """Read CEF as its specification says: seven headers, then key=value with escapes."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert len(parts) == 8
    pairs = re.findall(r"(?:^| )([A-Za-z0-9]+)=((?:\\.|[^\\=])*?)(?= [A-Za-z0-9]+=|$)", parts[7])
    return parts[:7], {key: re.sub(r"\\(.)", r"\1", value) for key, value in pairs}


@pytest.mark.parametrize("text", NASTY)
def test_a_cef_line_has_the_fields_that_were_meant(text):
    line = cef_line(record(text), version="1.0")
    assert "\n" not in line
    assert "\r" not in line
    assert line.isprintable()
    heads, pairs = parse_cef(line)
    assert heads[0] == "CEF:0"
    assert heads[5:] == ["decision deny", "8"]
    assert pairs["act"] == "deny"
    assert pairs["rt"] == "1772359200250"
    if text.isprintable() and text:
        assert pairs["msg"] == text
        assert pairs["cs5"] == text


def test_a_long_value_is_cut_for_collectors_with_a_limit():
    _, pairs = parse_cef(cef_line(record("x" * 5000), version="1"))
    assert len(pairs["msg"]) == 1023
    assert pairs["msg"].endswith("…")


@pytest.mark.parametrize(
    ("action", "ids"),
    [("allow", (1, 1)), ("watch", (3, 17)), ("ask", (0, 14)), ("deny", (2, 2))],
)
def test_an_ocsf_event_has_what_its_class_requires(action, ids):
    source = record("=1+1")
    source["decision"]["action"] = action
    event = json.loads(ocsf_line(source, version="1"))
    required = {
        "activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "severity_id",
        "src_endpoint", "time", "type_uid",
    }  # fmt: skip
    assert required <= set(event)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert (event["action_id"], event["disposition_id"]) == ids
    assert event["time"] == 1772359200250
    assert event["unmapped"] == source
    assert "\n" not in ocsf_line(source, version="1")


def test_records_of_other_kinds_are_exported_too():
    approval = {"type": "approval", "id": "X", "time": "?", "status": "denied", "by": "=me"}
    assert "'=me" in csv_row(approval)
    assert "|approval denied|" in cef_line(approval, version="1")
    event = json.loads(ocsf_line(approval, version="1"))
    assert (event["actor"]["user"], event["action_id"]) == ({"name": "=me"}, 0)
