"""The Guard that a Python program holds: functions, context, waiting, a missing service."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rampart
from rampart import Decision, Denied, Guard, ToolCall, UnsupportedObject
from rampart.audit.read import read_records
from rampart.config import load_settings
from rampart.embedded import gate_of
from rampart.errors import ConfigError, PolicyError, PolicyMissing, ServiceUnavailable
from rampart.guard import GuardOptions
from rampart.sources import PolicyInForce, policy_documents


def decisions(tmp_path: Path) -> list[dict[str, Any]]:
    return [r for r in read_records(tmp_path / "data" / "audit") if r["type"] == "decision"]


def answer_soon(tmp_path: Path, policy: str, approve: bool, reason: str = "") -> threading.Thread:
    """A person at another terminal: answers the first question that appears."""
    settings = load_settings(data_dir=tmp_path / "data", environment={})
    gate, close = gate_of(
        settings, PolicyInForce(policy_documents(text=policy)), workspace=tmp_path
    )

    def person() -> None:
        deadline = time.monotonic() + 20
        while not gate.pending() and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        gate.resolve(gate.pending()[0].id, approve, by="ann", reason=reason)
        close()

    thread = threading.Thread(target=person)
    thread.start()
    return thread


def test_function_runs_only_if_its_call_is_allowed(guard: Guard) -> None:
    ran: list[str] = []

    @guard.tool("exec", params={"command": "line"})
    def run(line: str, times: int = 1) -> str:
        """Run a line."""
        ran.append(line)
        return line * times

    assert run("ls", times=2) == "lsls"
    with pytest.raises(Denied) as caught:
        run("rm -rf /")
    assert ran == ["ls"]
    assert caught.value.decision.policy == "destruction"
    assert "no removing" in str(caught.value)
    assert "use trash" in str(caught.value)
    assert run.__doc__ == "Run a line."


def test_coroutine_function_stays_one(guard: Guard) -> None:
    ran: list[str] = []

    @guard.tool("exec")
    async def run(command: str) -> str:
        ran.append(command)
        return command

    assert asyncio.run(run("ls")) == "ls"
    with pytest.raises(Denied):
        asyncio.run(run("rm x"))
    assert ran == ["ls"]


def test_protect_guards_functions_and_lists_and_leaves_the_original(
    guard: Guard, tmp_path: Path
) -> None:
    def exec(command: str) -> str:  # noqa: A001 - the name of the tool
        return command

    guarded = guard.protect([exec])[0]
    with pytest.raises(Denied):
        guarded("rm x")
    assert exec("rm x") == "rm x"
    assert decisions(tmp_path)[-1]["tool"] == "exec"


def test_protect_says_what_it_supports(guard: Guard) -> None:
    with pytest.raises(
        UnsupportedObject, match="no installed adapter knows builtins.int"
    ) as caught:
        guard.protect(7)
    assert "functions" in caught.value.help


def test_context_names_who_asks(guard: Guard, tmp_path: Path) -> None:
    with guard.context(agent="outer", run_id="r1"), guard.context(agent="inner"):
        guard.enforce("exec", {"command": "ls"}, call_id="c1")
    guard.enforce("exec", {"command": "ls"})
    first, second = decisions(tmp_path)
    assert [first[k] for k in ("agent", "session", "run_id", "call_id")] == [
        "inner",
        "s1",
        "r1",
        "c1",
    ]
    assert (second["agent"], second["run_id"]) == ("tester", "")
    with pytest.raises(TypeError, match="unknown context"), guard.context(mood="x"):
        pass


@pytest.mark.parametrize(("approve", "action"), [(True, "allow"), (False, "deny")])
def test_enforce_waits_for_a_person(
    guard: Guard, tmp_path: Path, policy: str, approve: bool, action: str
) -> None:
    person = answer_soon(tmp_path, policy, approve, "because")
    decision = guard.enforce("exec", {"command": "git push"})
    person.join()
    assert decision.action == action


def test_async_enforce_waits_without_blocking_the_loop(
    guard: Guard, tmp_path: Path, policy: str
) -> None:
    async def both() -> tuple[Decision, int]:
        ticks = 0
        waiting = asyncio.create_task(guard.aenforce("exec", {"command": "git push"}))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return await waiting, ticks

    person = answer_soon(tmp_path, policy, True)
    decision, ticks = asyncio.run(both())
    person.join()
    assert decision.action == "allow"
    assert ticks > 0  # the loop went on while the question waited


def test_cancelled_wait_leaves_the_question_unused(guard: Guard, tmp_path: Path) -> None:
    async def cancel() -> None:
        waiting = asyncio.create_task(guard.aenforce("exec", {"command": "git push"}))
        while not any(r["decision"]["action"] == "ask" for r in decisions(tmp_path)):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(cancel())


class Unreachable:
    """A decision service that is not there."""

    def check(self, call: ToolCall) -> Decision:
        raise ServiceUnavailable("nobody listens")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        raise AssertionError("nothing to wait for")

    poll = finish  # type: ignore[assignment]


def test_unreachable_service_fails_open_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard.of(Unreachable(), GuardOptions(fail_open=True))
    with caplog.at_level(logging.WARNING, logger="rampart"):
        answers = [guard.enforce("exec", {"command": "ls"}) for _ in range(3)]
    assert [a.action for a in answers] == ["allow"] * 3
    assert answers[0].rule == "service_unavailable"
    assert len(caplog.records) == 1


def test_unreachable_service_denies_when_told_to_fail_closed() -> None:
    guard = Guard.of(Unreachable(), GuardOptions(fail_open=False))
    assert guard.enforce("exec", {"command": "ls"}).action == "deny"


def test_closed_guard_denies(tmp_path: Path, policy: str) -> None:
    guard = Guard(policy, data_dir=tmp_path / "data")
    guard.close()
    assert guard.enforce("exec", {"command": "ls"}).action == "deny"


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda d: Guard("no-such-file.yaml", data_dir=d), PolicyMissing, "cannot be read"),
        (lambda d: Guard(profile="nosuch", data_dir=d), PolicyMissing, "no profile named 'nosuch'"),
        (lambda d: Guard('version: "1"\npolicy: []\n', data_dir=d), PolicyError, "<text>:2:1"),
        (lambda d: Guard('version: "1"\npolicies: [\n', data_dir=d), PolicyError, "<text>:"),
        (lambda d: Guard(data_dir=d / "file" / "x"), ConfigError, "cannot be used as a directory"),
    ],
)
def test_guard_that_cannot_decide_does_not_start(
    tmp_path: Path, make: Callable[[Path], Guard], error: type[Exception], says: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=says):
        make(tmp_path)


def test_public_names_are_sorted_and_there() -> None:
    assert rampart.__all__ == sorted(rampart.__all__)
    assert all(hasattr(rampart, name) for name in rampart.__all__)
