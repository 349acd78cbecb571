"""The enforcement point: whatever happens, a call that was not allowed does not run."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rampart import Decision, Denied, EnforcementPoint, Guard, ToolMapping
from rampart.audit.read import read_records

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: notes
    match: {tool: [note]}
    rules:
      - {action: deny, when: {tool_param_matches: {text: ["*forbidden*"]}}, message: not this word}
"""


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    with Guard(POLICY, data_dir=tmp_path / "rampart") as guard:
        yield guard


def decisions(tmp_path: Path) -> list[Any]:
    folder = tmp_path / "rampart" / "audit"
    return [record for record in read_records(folder) if record["type"] == "decision"]


def write(text: str, times: int = 1, **more: Any) -> str:
    return text * times


def allowed(point: EnforcementPoint, way: str, *args: Any, **kwargs: Any) -> Any:
    if way == "aallow":
        return asyncio.run(point.aallow(write, args, kwargs))
    return point.allow(write, args, kwargs)


WAYS = ["allow", "aallow"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_decided_is_handed_back_as_a_copy(guard: Guard, tmp_path: Path, way: str) -> None:
    point = EnforcementPoint(guard, "note", ToolMapping(), hidden=["secret"])
    words = ["a"]
    hidden = threading.Lock()
    args, kwargs = allowed(point, way, "hello", words=words, secret=hidden)
    words.append("b")
    assert (args, kwargs) == (("hello",), {"words": ["a"], "secret": hidden})
    (decision,) = decisions(tmp_path)
    assert decision["params"] == {"text": "hello", "times": 1, "words": ["a"]}


@pytest.mark.parametrize("way", WAYS)
def test_denial_is_raised_with_its_reason(guard: Guard, way: str) -> None:
    with pytest.raises(Denied, match="Denied by policy: note: not this word") as caught:
        allowed(EnforcementPoint(guard, "note", ToolMapping()), way, "forbidden")
    assert caught.value.decision.policy == "notes"


class Failing:
    """A decision point that fails in every way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def check(self, call: object) -> Decision:
        raise self.error

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        raise self.error

    def poll(self, decision: Decision) -> Decision:
        raise self.error


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError(), RecursionError(), OSError()])
def test_any_exception_is_a_denial(way: str, error: Exception) -> None:
    point = EnforcementPoint(Guard.of(Failing(error)), "note", ToolMapping())
    with pytest.raises(Denied, match=f"the decision failed: {type(error).__name__}"):
        allowed(point, way, "hello")


@pytest.mark.parametrize("way", WAYS)
def test_value_that_cannot_be_copied_or_read_is_a_denial(guard: Guard, way: str) -> None:
    point = EnforcementPoint(guard, "note", ToolMapping())
    with pytest.raises(Denied, match="argument `lock` cannot be copied"):
        allowed(point, way, "hello", lock=threading.Lock())
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(Denied, match="the decision failed: ValueError"):
        allowed(point, way, "hello", endless=endless)


def test_required_parameter_that_is_missing_is_a_denial(guard: Guard) -> None:
    mapping = ToolMapping.override("deploy", {"target": "where"})
    assert mapping is not None
    point = EnforcementPoint(guard, "note", mapping)
    assert point.enforce({"where": "here"}).allowed
    decision = asyncio.run(point.aenforce({"there": "x"}))
    assert (decision.action, decision.rule) == ("deny", "invalid_input")
    assert decision.message == "deploy: parameter `target` is missing"


def test_passed_call_passes_once_and_no_other_call_does(guard: Guard, tmp_path: Path) -> None:
    point = EnforcementPoint(guard, "note", ToolMapping())
    twin = EnforcementPoint(guard, "note", ToolMapping())
    args, kwargs = point.allow(write, ("hello",), {})
    with point.passing(write, args, kwargs):
        point.allow(write, ("other",), {})  # another call
        twin.allow(write, ("hello",), {})  # another tool
        assert len(decisions(tmp_path)) == 3
        point.allow(write, ("hello",), {})  # the one that was passed
        assert len(decisions(tmp_path)) == 3
        point.allow(write, ("hello",), {})  # the same once more
        assert len(decisions(tmp_path)) == 4
    point.allow(write, ("hello",), {})
    assert len(decisions(tmp_path)) == 5


def test_copies_share_the_guard_and_a_pickled_point_has_none(guard: Guard) -> None:
    point = EnforcementPoint(guard, "note", ToolMapping())
    assert copy.deepcopy({"p": point})["p"] is point
    thawed = pickle.loads(pickle.dumps(point))
    with pytest.raises(Denied, match="lost its guard"):
        thawed.allow(write, ("hello",), {})


def test_context_says_who_asks(guard: Guard, tmp_path: Path) -> None:
    point = EnforcementPoint(
        guard, "note", ToolMapping(), context=lambda _: {"agent": "ann", "call_id": "c1"}
    )
    point.enforce({"text": "hello"})
    (decision,) = decisions(tmp_path)
    assert (decision["agent"], decision["call_id"]) == ("ann", "c1")
