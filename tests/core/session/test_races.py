"""Processes and threads that race: a limit holds, and a one-time rule is used one time."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from rampart.audit import AuditLog
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.model import ToolCall
from rampart.policy import parse_policy
from rampart.session import History
from rampart.sources import PolicyInForce

PROCESSES = 6
LIMIT = """
version: "1"
default_action: allow
policies:
- name: p
  rules: [{name: limit, action: deny, when: {call_count: {tool: note, gte: 5, by: session}}}]
"""
ONCE = """
version: "1"
default_action: deny
policies:
- name: p
  rules:
  - {name: gift, action: allow, once: true, when: {program: ls}}
  - {name: block, action: deny, once: true, when: {program: rm}}
  - {name: then, action: allow, when: {program: rm}}
"""


def race(work: Callable[[int], object]) -> list[object]:
    """Run ``work`` in processes that start together; return what each returned."""
    held, release = os.pipe()
    readers = []
    for number in range(PROCESSES):
        reader, writer = os.pipe()
        if os.fork() == 0:
            status = 1
            try:
                os.close(release)
                os.read(held, 1)
                os.write(writer, json.dumps(work(number)).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        readers.append(reader)
    os.close(held)
    os.close(release)
    found = []
    for reader in readers:
        with os.fdopen(reader, "rb") as pipe:
            found.append(json.loads(pipe.read()))
        os.wait()
    return found


def gate_in(tmp_path: Path, policy: str) -> Gate:
    return Gate(
        PolicyInForce([parse_policy(policy, filename="p.yaml")]),
        hosts=HostFacts(workspace=tmp_path),
        audit=AuditLog.open(tmp_path / "audit"),
        history=History(tmp_path / "sessions.db"),
    )


def enforced(gate: Gate, tool: str, params: dict[str, str], times: int) -> list[str]:
    call = ToolCall(tool, params, session="s")
    return [gate.enforce(call).action for _ in range(times)]


def flat(found: list[object]) -> list[str]:
    return [word for words in found for word in words]  # type: ignore[attr-defined]  # lists of words


def test_processes_that_race_for_a_limit_get_exactly_what_it_allows(tmp_path: Path) -> None:
    answers = flat(race(lambda _: enforced(gate_in(tmp_path, LIMIT), "note", {"x": "y"}, 3)))
    assert sorted(set(answers)) == ["allow", "deny"]
    assert answers.count("allow") == 4


def test_of_processes_that_race_for_a_one_time_grant_one_gets_it(tmp_path: Path) -> None:
    ls = {"command": "ls"}
    answers = flat(race(lambda _: enforced(gate_in(tmp_path, ONCE), "exec", ls, 2)))
    assert answers.count("allow") == 1


def test_of_processes_that_race_against_a_one_time_denial_one_is_stopped(tmp_path: Path) -> None:
    rm = {"command": "rm x"}
    answers = flat(race(lambda _: enforced(gate_in(tmp_path, ONCE), "exec", rm, 2)))
    assert answers.count("deny") == 1


def test_children_of_a_busy_process_use_the_history_safely(tmp_path: Path) -> None:
    """A gate that was opened before the fork decides in the children as in the parent."""
    gate = gate_in(tmp_path, LIMIT)
    first = enforced(gate, "note", {"x": "y"}, 1)
    answers = flat(race(lambda _: enforced(gate, "note", {"x": "y"}, 2)))
    assert (first + answers).count("allow") == 4
    assert enforced(gate, "note", {"x": "y"}, 1) == ["deny"]


def test_threads_that_race_for_a_limit_get_exactly_what_it_allows(tmp_path: Path) -> None:
    gate, answers, lock = gate_in(tmp_path, LIMIT), [], threading.Lock()
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        found = enforced(gate, "note", {"x": "y"}, 2)
        with lock:
            answers.extend(found)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16
    assert answers.count("allow") == 4


def test_without_looking_again_a_limit_would_not_hold(tmp_path: Path) -> None:
    """The control: what two calls rest on has changed by the time that the second takes it."""
    gate = gate_in(tmp_path, LIMIT)
    enforced(gate, "note", {"x": "y"}, 3)
    call = ToolCall("note", {"x": "y"}, session="s")
    (first, mine), (second, theirs) = gate._decide(call), gate._decide(call)
    assert first.allowed
    assert second.allowed
    assert mine is not None
    assert theirs is not None
    assert theirs.take(second, runs=True) is True
    assert mine.take(first, runs=True) is False


def test_a_process_that_dies_before_its_record_has_left_no_mark(tmp_path: Path) -> None:
    """What it took stays taken, which is the strict side; what it did not do has not happened."""
    policy = """
version: "1"
default_action: allow
policies:
- name: p
  rules:
  - {name: out, action: deny, when: {program: curl, after: {tool: note}}}
  - {name: limit, action: deny, when: {call_count: {tool: note, gte: 3}}}
"""
    note = ToolCall("note", {"x": "y"}, session="s")
    child = os.fork()
    if child == 0:
        gate = gate_in(tmp_path, policy)
        assert gate._audit is not None
        gate._audit.append = lambda *_: os._exit(7)  # type: ignore[assignment,method-assign]  # a crash
        gate.enforce(note)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    gate = gate_in(tmp_path, policy)
    assert gate.check(ToolCall("exec", {"command": "curl x.example"}, session="s")).allowed
    assert [gate.enforce(note).action for _ in range(2)] == ["allow", "deny"]
