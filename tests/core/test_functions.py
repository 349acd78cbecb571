"""Plain functions behind a guard, and the arguments that people and models hand to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rampart import Decision, Denied, Guard, UnsupportedObject
from rampart.audit.read import read_records

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: commands
    match: {tool: [exec]}
    rules:
      - {action: deny, when: {command_matches: ["*forbidden*"]}, message: not this command}
  - name: output
    match: {tool: [note]}
    rules:
      - {action: redact, when: {response_matches: ["token-[a-z]+"]}, message: no tokens}
      - {action: deny, when: {response_matches: ["PRIVATE"]}, message: not for the model}
"""

ran: list[Any] = []


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    ran.clear()
    with Guard(POLICY, data_dir=tmp_path / "rampart", workspace=tmp_path) as opened:
        yield opened


def decisions(tmp_path: Path) -> list[Any]:
    records: list[Any] = list(read_records(tmp_path / "rampart" / "audit"))
    return [record for record in records if record["type"] == "decision"]


def test_method_is_decided_without_the_object_that_it_belongs_to(
    guard: Guard, tmp_path: Path
) -> None:
    class Runner:
        lock = threading.Lock()

        @guard.tool("exec", params={"command": "line"})
        def run(self, line: str) -> str:
            ran.append(line)
            return line

        @classmethod
        @guard.tool("exec")
        def of_class(cls, command: str) -> str:
            ran.append(command)
            return command

    assert Runner().run("ls") == "ls"
    assert Runner.of_class(command="ls") == "ls"
    with pytest.raises(Denied, match="not this command"):
        Runner().run(line="forbidden")
    with pytest.raises(Denied, match="not this command"):
        Runner.of_class("forbidden")
    assert ran == ["ls", "ls"]
    assert next(d["params"] for d in decisions(tmp_path)) == {"command": "ls"}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_mapped_parameter_that_is_missing_is_refused(guard: Guard, kind: str) -> None:
    if kind == "sync":

        @guard.tool("exec", params={"command": "line"})
        def run(line: str | None = None) -> None:
            ran.append(line)

        with pytest.raises(Denied, match="parameter `command` is missing"):
            run()
    else:

        @guard.tool("exec", params={"command": "line"})
        async def arun(line: str | None = None) -> None:
            ran.append(line)

        with pytest.raises(Denied, match="parameter `command` is missing"):
            asyncio.run(arun())
    assert ran == []


def test_argument_that_has_the_name_of_a_mapped_parameter_stays_visible(
    guard: Guard, tmp_path: Path
) -> None:
    @guard.tool("exec", params={"command": "line"})
    def run(line: str, command: str = "") -> None:
        ran.append((line, command))

    run("ls", command="more")
    assert decisions(tmp_path)[0]["params"] == {"command": "ls", "argument_command": "more"}


@pytest.mark.parametrize(
    "params", [{"command": "ls", "cmd": "pwd"}, {"command": ["ls", 7]}, {"command": b"ls"},
               {"command": 7}, {"command": None}, {}, {"command": "x" * 200_000},
               {"command": {"a": 1}}, {"command": "ls\0"}],
)  # fmt: skip
def test_bad_input_is_refused_in_words_and_nothing_runs(guard: Guard, params: Any) -> None:
    @guard.tool("exec")
    def run(**given: Any) -> None:
        ran.append(given)

    if params == {"command": b"ls"}:  # bytes are what they say
        run(**params)
        assert ran == [params]
        return
    with pytest.raises(Denied) as caught:
        run(**params)
    assert ran == []
    assert "Do not repeat this call" in str(caught.value)
    assert caught.value.decision.message


def test_circular_and_deep_arguments_are_refused(guard: Guard) -> None:
    @guard.tool("note")
    def note(what: Any) -> None:
        ran.append(what)

    circular: list[Any] = []
    circular.append(circular)
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    for value in (circular, deep, {"a": circular}):
        with pytest.raises(Denied, match="nested deeper"):
            note(value)
    assert ran == []


class Changing:
    """A decision point during whose answer somebody changes the arguments."""

    def __init__(self, change: Any) -> None:
        self.change = change

    def check(self, call: Any) -> Decision:
        self.change()
        return Decision("allow")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        return decision

    def poll(self, decision: Decision) -> Decision:
        return decision


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_was_decided_is_what_runs(kind: str) -> None:
    paths, options = ["a"], {"deep": ["a"], "set": {"a"}}

    def change() -> None:
        paths.append("b")
        options["deep"].append("b")  # type: ignore[attr-defined]  # a list
        options["more"] = ["b"]

    guard = Guard.of(Changing(change))
    seen: list[Any] = []

    def take(names: list[str], **more: Any) -> None:
        seen.append((names, more))

    async def atake(names: list[str], **more: Any) -> None:
        take(names, **more)

    if kind == "sync":
        guard.protect(take)(paths, options=options)
    else:
        asyncio.run(guard.protect(atake)(paths, options=options))
    assert seen == [(["a"], {"options": {"deep": ["a"], "set": {"a"}}})]


def test_objects_are_handed_on_as_they_are(guard: Guard, tmp_path: Path) -> None:
    lock = threading.Lock()

    @guard.tool("note")
    def note(text: str, holder: Any) -> Any:
        return holder

    assert note("hello", lock) is lock
    assert note("hello", [lock]) == [lock]


def test_output_of_a_function_is_reviewed(guard: Guard) -> None:
    @guard.tool("note")
    def note(text: str) -> str:
        return text

    assert "redacted" in note("token-abc")
    with pytest.raises(Denied, match="not for the model"):
        note("PRIVATE")


class Failing(Changing):
    """A decision point that fails."""

    def __init__(self) -> None:
        super().__init__(self.fail)

    def fail(self) -> None:
        raise OSError("no disk")


def test_guard_that_fails_denies() -> None:
    def take() -> None:
        ran.append("ran")

    ran.clear()
    with pytest.raises(Denied, match="the decision failed: OSError"):
        Guard.of(Failing()).protect(take)()
    assert ran == []


@pytest.mark.parametrize("thing", [7, "text", object(), int, {"a": 1}, lambda: (yield)])
def test_what_cannot_be_guarded_is_an_error_unless_it_is_a_function(
    guard: Guard, thing: Any
) -> None:
    if callable(thing) and getattr(thing, "__name__", "") == "<lambda>":
        assert guard.protect(thing) is not thing
        return
    with pytest.raises(UnsupportedObject, match="no installed adapter knows"):
        guard.protect(thing)
