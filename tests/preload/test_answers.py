"""What the service's answers, and its absence, do to a command."""

from __future__ import annotations

import errno
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rampart.model import Verdict
from rampart.wire import ExecQuery, encode_answer

BLOCKED = "rampart: blocked — "
NO_ANSWER = f"{BLOCKED}the decision service gave no valid answer\n"
UNREACHABLE = f"{BLOCKED}the decision service cannot be reached, and fail-open is off\n"


class Attempt:
    """Executes the marker once from the probe; ``ran`` says whether it did."""

    def __init__(self, probe: Any, environment: dict[str, str], out: Path) -> None:
        command = [str(word) for word in (probe.program, "execve", probe.marker, out)]
        started = time.monotonic()
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=20, check=False
        )
        self.took_s = time.monotonic() - started
        self.ran = out.exists()
        self.stderr = done.stderr
        self.refused = f'"errno": {errno.EPERM}' in done.stdout
        assert self.ran != self.refused, done


@pytest.fixture
def attempt(
    glibc_probe: Any, guarded: Callable[..., Any], tmp_path: Path
) -> Callable[..., Attempt]:
    def run(responder: Any, **variables: str) -> Attempt:
        return Attempt(glibc_probe, guarded(responder, **variables), tmp_path / "out")

    return run


@pytest.mark.parametrize(
    ("verdict", "runs"), [("allow", True), ("watch", True), ("ask", False), ("deny", False)]
)
def test_allow_and_watch_run_ask_and_deny_do_not(
    verdict: Verdict, runs: bool, respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    reason = "approval pending: rampart approve 01ABC" if verdict == "ask" else ""
    done = attempt(respond(lambda query: encode_answer(verdict, reason)))
    assert done.ran == runs
    if verdict == "ask":
        assert done.stderr == f"{BLOCKED}{reason}\n"
    if verdict == "deny":
        assert done.stderr == f"{BLOCKED}not permitted by policy\n"


BROKEN = {
    "nothing": b"",
    "one byte": b"R",
    "cut header": b"RMP1\x00",
    "cut reason": b"RMP1\x00\x05abc",
    "other magic": b"RMP2\x00\x00",
    "unknown verdict": b"RMP1\x04\x00",
    "more than one answer": b"RMP1\x00\x00RMP1\x00\x00",
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "zeros": b"\0" * 300,
}


@pytest.mark.parametrize("fail_open", ["0", "1"])
@pytest.mark.parametrize("name", BROKEN)
def test_anything_but_an_answer_is_refused_even_when_failing_open(
    name: str, fail_open: str, respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    done = attempt(respond(lambda query: BROKEN[name]), RAMPART_FAIL_OPEN=fail_open)
    assert done.refused
    assert done.stderr == NO_ANSWER


def test_a_service_that_closes_without_reading_is_no_answer(
    respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    """This is what a service does to a process of another user."""
    done = attempt(respond(lambda query: b"", reads=False), RAMPART_FAIL_OPEN="1")
    assert done.refused


def test_a_refusal_before_the_whole_query_was_read_is_understood(
    respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    done = attempt(respond(lambda query: encode_answer("deny", "too large"), reads=False))
    assert done.refused


@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_an_answer_may_arrive_byte_by_byte(
    verdict: Verdict, respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    done = attempt(respond(lambda query: encode_answer(verdict, "x" * 255), one_byte=True))
    assert done.ran == (verdict == "allow")
    assert done.stderr == ("" if done.ran else f"{BLOCKED}{'x' * 255}\n")


@pytest.mark.parametrize(
    ("fail_open", "runs"), [("1", True), ("", True), ("0", False), ("x", False)]
)
def test_without_a_service_fail_open_decides(
    fail_open: str, runs: bool, attempt: Callable[..., Attempt], tmp_path: Path
) -> None:
    done = attempt(None, RAMPART_SOCKET=str(tmp_path / "none"), RAMPART_FAIL_OPEN=fail_open)
    assert done.ran == runs
    assert done.stderr == ("" if runs else UNREACHABLE)


@pytest.mark.parametrize("fail_open", ["0", "1"])
def test_a_service_that_hangs_delays_a_command_by_two_seconds(
    fail_open: str, respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    done = attempt(respond(hangs=True), RAMPART_FAIL_OPEN=fail_open)
    assert done.ran == (fail_open == "1")
    assert 1.8 < done.took_s < 8


def test_monitor_mode_asks_says_so_and_blocks_nothing(
    denying: Any, attempt: Callable[..., Attempt]
) -> None:
    done = attempt(denying, RAMPART_MODE="monitor")
    assert done.ran
    assert done.stderr == ""
    assert denying.queries[0].flags == 1


def test_disabled_mode_asks_nobody(denying: Any, attempt: Callable[..., Attempt]) -> None:
    assert attempt(denying, RAMPART_MODE="disabled").ran
    assert denying.queries == []


def test_an_unknown_mode_refuses(allowing: Any, attempt: Callable[..., Attempt]) -> None:
    done = attempt(allowing, RAMPART_MODE="enforced")
    assert done.stderr == f"{BLOCKED}RAMPART_MODE must be enforce, monitor or disabled\n"


def test_variables_that_do_not_fit_refuse(allowing: Any, attempt: Callable[..., Attempt]) -> None:
    done = attempt(allowing, RAMPART_AGENT="a" * 20_000)
    assert done.stderr == f"{BLOCKED}the RAMPART_ variables are too long\n"


def test_a_reason_cannot_move_the_cursor(
    respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    answer = b"RMP1\x03\x0c" + b"a\x1b[2Jb\nc\xffd\xc2\x9b"
    done = attempt(respond(lambda query: answer))
    assert done.stderr == f"{BLOCKED}a [2Jb c?d \n"


def test_debug_lines_are_the_published_ones(
    respond: Callable[..., Any], attempt: Callable[..., Attempt]
) -> None:
    responder = respond(lambda query: encode_answer("allow", ""))
    done = attempt(responder, RAMPART_DEBUG="1")
    program, out = (bytes(word).decode() for word in responder.queries[0].argv[:2])
    assert done.stderr.splitlines() == [
        f'rampart_preload: intercepted execve: {program} {out} "arg two"',
        f"rampart_preload: sending to unix:{responder.path}",
        "rampart_preload: decision: allow",
        "rampart_preload: proceeding with syscall",
    ]


def test_arguments_arrive_as_they_are(
    library: Path, allowing: Any, guarded: Callable[..., Any]
) -> None:
    """Two megabytes, one of 128 KB, bytes that are no UTF-8, empty ones, thousands of them."""
    arguments = [b"\xff\xfe", b"", b"x" * 131_000, *(b"y" * 300 for _ in range(5000)), b"\n'\""]
    command = [b"/bin/true", *arguments]
    subprocess.run(
        ["/bin/sh", "-c", 'exec "$@"', "sh", *command], env=guarded(allowing), check=True
    )
    asked: list[ExecQuery] = allowing.queries
    assert asked[-1].argv == tuple(command)
