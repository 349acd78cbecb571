"""Tool maps: data that says what a framework's tool stands for, read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field
from rampart import RampartError, ToolMap, ToolMapping, plain

TEXT = """\
- class: shop.Tool
  name: [buy, order]
  tool: exec
  params: {command: [line, command], cwd: "self.folder?", shell: "=sh"}
"""


class Tool:
    folder: Any = None


def resolved(params: str, arguments: dict[str, Any], subject: object = None) -> Any:
    """Return (parameters, what is missing) of a map with one entry."""
    text = f"- {{name: t, tool: x, params: {params}}}"
    (mapping,) = ToolMap.parse(text, "tools.yaml").by_name["t"]
    _tool, values, missing = mapping.call("t", arguments, subject)
    return values, missing


@pytest.mark.parametrize(
    ("params", "arguments", "expected"),
    [
        ("{a: b}", {"b": "1"}, ({"a": "1"}, "")),
        ("{a: b}", {}, ({}, "a")),
        ("{a: b}", {"b": None}, ({}, "a")),
        ('{a: "b?"}', {}, ({}, "")),
        ("{a: [b, c]}", {"c": "2"}, ({"a": "2"}, "")),
        ('{a: [b, "=z"]}', {}, ({"a": "z"}, "")),
        ('{a: [b, "=z"]}', {"b": "1"}, ({"a": "1"}, "")),
        ('{a: "=fixed"}', {"a": "other"}, ({"a": "fixed", "argument_a": "other"}, "")),
        ("{a: {join: [d, f]}}", {"d": "x", "f": "y"}, ({"a": "x/y"}, "")),
        ("{a: {join: [d, f]}}", {"d": "x", "f": "/y"}, ({"a": "/y"}, "")),
        ("{a: {join: [d, f]}}", {"f": "y"}, ({"a": "y"}, "")),
        ("{a: {join: [d, f]}}", {"d": "x"}, ({}, "a")),
        ("{a: {join: [d, f]}}", {"d": 7, "f": "y"}, ({}, "a")),
        ('{a: {each: b, with: ";"}}', {"b": ["1", "2"]}, ({"a": "1;2"}, "")),
        ('{a: {each: b, with: ";"}}', {"b": "1"}, ({"a": "1"}, "")),
        ('{a: {each: b, with: ";"}}', {"b": [1]}, ({}, "a")),
        ('{a: {each: b, with: ";"}}', {"b": []}, ({}, "a")),
        ('{a: {each: b, with: ";"}}', {}, ({}, "a")),
        ("{a: {json: b, key: k}}", {"b": '{"k": "v"}'}, ({"a": "v"}, "")),
        ("{a: {json: b, key: k}}", {"b": "no json"}, ({}, "a")),
        ("{a: {json: b, key: k}}", {"b": "[]"}, ({}, "a")),
        ("{a: b}", {"b": "1", "extra": 2}, ({"a": "1", "extra": 2}, "")),
    ],
)
def test_parameters_come_from_where_the_map_says(
    params: str, arguments: dict[str, Any], expected: Any
) -> None:
    assert resolved(params, arguments) == expected


def test_attribute_of_the_tool_stands_in_for_an_argument() -> None:
    subject = Tool()
    subject.folder = Path("/srv")
    assert resolved("{a: [b, self.folder]}", {}, subject) == ({"a": "/srv"}, "")
    assert resolved("{a: [b, self.folder]}", {"b": "1"}, subject) == ({"a": "1"}, "")
    assert resolved("{a: [b, self.nothing]}", {}, subject) == ({}, "a")


def test_second_name_for_the_same_thing_stays_visible() -> None:
    """Only one of the two is mapped; the core refuses two that disagree."""
    assert resolved("{a: [b, c]}", {"b": "1", "c": "2"}) == ({"a": "1", "c": "2"}, "")


def test_class_is_found_along_its_bases_and_before_the_name() -> None:
    known = ToolMap.parse(TEXT, "tools.yaml")
    base = type("Tool", (), {"__module__": "shop"})
    derived = type("Mine", (base,), {})
    assert known.find(derived, "other", ()).tool == "exec"
    assert known.find(object, "buy", ("line",)).tool == "exec"
    assert known.find(object, "buy", ("number",)).tool == ""
    assert known.find(object, "sell", ("line",)).tool == ""


def test_unknown_tool_keeps_its_name_and_arguments() -> None:
    assert ToolMapping().call("mine", {"a": 1}, None) == ("mine", {"a": 1}, "")


def test_override() -> None:
    assert ToolMapping.override(None, None) is None
    mapping = ToolMapping.override("exec", {"command": "line"})
    assert mapping is not None
    assert mapping.call("mine", {"line": "ls"}, None) == ("exec", {"command": "ls"}, "")
    with pytest.raises(RampartError, match="`params` needs `tool`"):
        ToolMapping.override(None, {"command": "line"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b", "1:1: expected a list"),
        ("- a", "1:3: expected a mapping"),
        ("- {name: t, tool: x, params: {}, extra: y}", "unknown key `extra`"),
        ("- {name: t, params: {}}", "an entry needs"),
        ("- {tool: x, params: {}}", "an entry needs"),
        ("- {class: a.B, tool: x, params: {}}\n- {class: a.B, tool: y, params: {}}", "2:3.*twice"),
        ("- {name: t, tool: x, params: {a: {each: b}}}", "a source is"),
        ("- {name: t, name: u, tool: x, params: {}}", "duplicate key `name`"),
    ],
)
def test_wrong_map_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(RampartError, match=message):
        ToolMap.parse(text, "tools.yaml")


class Colour(Enum):
    RED = "red"


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


@dataclass
class Point:
    x: int


class Model(BaseModel):
    shown: str
    left_out: str = Field(default="", exclude=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        (Text("real"), "real"),
        (Path("/a"), "/a"),
        (b"bytes", "bytes"),
        (Colour.RED, "red"),
        ((1, {"a": {2}}), [1, {"a": [2]}]),
        (Point(3), {"x": 3}),
        ({1: "a"}, {"1": "a"}),
        (Model(shown="a", left_out="b"), {"shown": "a", "left_out": "b"}),
        (complex(1, 2), "(1+2j)"),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    """A policy sees all that the tool gets."""
    assert plain(value) == expected


def test_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested deeper"):
        plain(endless)
