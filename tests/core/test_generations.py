"""Policies that follow their files: noticed within a second, whole or not at all."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from rampart.config import load_settings
from rampart.embedded import gate_of, live_policies, preview_gate
from rampart.errors import PolicyError
from rampart.gate import Gate
from rampart.generations import LivePolicies, Projects
from rampart.hosts import HostFacts
from rampart.model import ToolCall
from rampart.sources import documents_in_force

LONG_AGO_S = 1000


def text(action: str, number: int = 0) -> str:
    rules = f"[{{action: {action}, when: {{command_matches: [run]}}, message: '{number}'}}]"
    return f"""
version: "1"
default_action: allow
policies:
  - {{name: first, rules: {rules}}}
  - {{name: second, rules: {rules}}}
"""


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A policy file, what follows it, and a gate on that."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "policy.yaml"
        self.write(text("deny"))
        self.clock = Clock()
        self.settings = load_settings(data_dir=folder / "data", policy=self.file, environment={})
        self.hosts = HostFacts(workspace=folder)
        self.policies = LivePolicies(
            lambda files: documents_in_force(self.settings, None, files),
            projects=Projects(self.hosts, self.settings.data_dir),
            monotonic=self.clock,
        )
        self.gate = preview_gate(self.policies, self.hosts)

    def write(self, words: str, *, age_s: float = LONG_AGO_S) -> None:
        """Put a new file in the place of the old one, as editors do."""
        fresh = self.file.with_name(".fresh")
        fresh.write_text(words)
        moment = time.time() - age_s
        os.utime(fresh, (moment, moment))
        fresh.rename(self.file)

    def answer(self, line: str = "run") -> str:
        return self.gate.check(ToolCall("exec", {"command": line})).action

    def later(self, seconds: float = 1.1) -> None:
        self.clock.now += seconds


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_changed_file_is_in_force_within_a_second(stage):
    assert stage.answer() == "deny"
    stage.write(text("ask"))
    assert stage.answer() == "deny"  # not looked at again in the same second
    stage.later()
    assert stage.answer() == "ask"
    assert stage.answer() == "ask"


def test_a_file_that_it_extends_counts_as_well(stage, tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text('version: "1"\ndefault_action: allow\n')
    stage.write('version: "1"\nextends: [base.yaml]\n')
    stage.later()
    assert stage.answer() == "allow"
    base.write_text('version: "1"\ndefault_action: deny\n')
    os.utime(base, (1, 1))
    stage.later()
    assert stage.answer() == "deny"


def test_a_file_that_does_not_load_changes_nothing_and_is_reported_once(stage, caplog):
    stage.write("policies: [")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            stage.later()
            assert stage.answer() == "deny"
    assert "policy.yaml:2:1" in stage.policies.problem
    assert sum("stays in force" in record.message for record in caplog.records) == 1
    stage.write(text("ask"))
    stage.later()
    assert (stage.answer(), stage.policies.problem) == ("ask", "")


@pytest.mark.parametrize("how", ["removed", "a directory", "a base that is missing"])
def test_what_cannot_be_read_changes_nothing(stage, how):
    if how == "removed":
        stage.file.unlink()
    elif how == "a directory":
        stage.file.unlink()
        stage.file.mkdir()
        os.utime(stage.file, (1, 1))
    else:
        stage.write('version: "1"\nextends: [missing.yaml]\n')
    stage.later()
    assert stage.answer() == "deny"
    assert stage.policies.problem


def test_a_missing_base_that_appears_repairs_the_policy(stage, tmp_path):
    stage.write('version: "1"\nextends: [missing.yaml]\n')
    stage.later()
    assert stage.answer() == "deny"
    (tmp_path / "missing.yaml").write_text('version: "1"\ndefault_action: ask\n')
    os.utime(tmp_path / "missing.yaml", (1, 1))
    stage.later()
    assert stage.answer() == "ask"


def test_a_file_that_is_being_written_is_left_alone_for_a_moment(stage):
    with stage.file.open("w") as file:
        file.write('version: "1"\ndefault_action: allow\n')  # half of it, and it would load
        file.flush()
        stage.later()
        assert stage.answer() == "deny"
        file.write("policies: [{name: a, rules: [{action: deny}]}]\n")
    os.utime(stage.file, (1, 1))
    stage.later()
    assert stage.answer("ls") == "deny"


def test_two_changes_within_one_tick_of_the_clock_are_both_seen(stage):
    moment = time.time() - 1
    for action in ("ask", "deny", "ask"):
        words = text(action).ljust(1000)
        with stage.file.open("r+") as file:  # the same inode, size and time
            file.truncate(0)
            file.write(words)
        os.utime(stage.file, (moment, moment))
        stage.later()
        assert stage.answer() == action


def test_a_touched_file_is_no_new_generation(stage):
    before = stage.policies.current()
    os.utime(stage.file, (5, 5))
    stage.later()
    stage.answer()
    assert stage.policies.current() is before


def test_remembered_answers_do_not_outlive_their_policy(stage):
    for action in ("ask", "deny", "allow", "deny"):
        stage.write(text(action))
        stage.later()
        assert [stage.answer() for _ in range(3)] == [action] * 3


def test_a_projects_policy_that_appears_changes_or_goes_is_noticed(stage, tmp_path):
    file = tmp_path / ".rampart" / "policy.yaml"
    assert stage.answer("ls") == "allow"
    file.parent.mkdir()
    for words, expected in [
        ('version: "1"\npolicies: [{name: a, rules: [{action: ask}]}]', "ask"),
        ("not a policy", "deny"),
        ('version: "1"\npolicies: [{name: a, rules: [{action: watch}]}]', "watch"),
    ]:
        file.write_text(words)
        os.utime(file, (1, 1))
        stage.later()
        assert stage.answer("ls") == expected
    file.unlink()
    stage.later()
    assert stage.answer("ls") == "allow"


def test_the_own_policy_counts_from_when_it_is_there(tmp_path):
    settings = load_settings(data_dir=tmp_path, environment={})
    policies = live_policies(settings)
    assert "profile:standard" in [each.filename for each in policies.current().documents]
    (tmp_path / "policy.yaml").write_text(text("deny"))
    os.utime(tmp_path / "policy.yaml", (1, 1))
    assert policies.look()
    assert policies.current().documents[0].filename == str(tmp_path / "policy.yaml")


def test_what_does_not_load_at_the_start_is_refused(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("policies: [")
    with pytest.raises(PolicyError, match="p.yaml:2:1"):
        live_policies(load_settings(data_dir=tmp_path, policy=file, environment={}))


@pytest.mark.parametrize("reloads", [150, pytest.param(1000, marks=pytest.mark.campaign)])
def test_reloads_under_load_and_nobody_sees_half_a_policy(tmp_path, reloads):
    """Each generation says one number in both of its policies, and a word that follows from it."""
    file = tmp_path / "policy.yaml"
    file.write_text(text("deny"))
    alone = {"RAMPART_SELF_PROTECTION": "off"}  # most of the time would go into compiling it
    settings = load_settings(data_dir=tmp_path / "data", policy=file, environment=alone)
    policies = live_policies(settings, look_s=0)
    gate, close = gate_of(settings, policies, workspace=tmp_path)
    words = ("deny", "ask", "watch")
    done = threading.Event()
    wrong: list[object] = []
    seen: set[str] = set()

    def ask() -> None:
        number = 0
        while not done.is_set():
            number += 1
            line = "run" if number % 2 else f"true {number}; run"
            decision = gate.check(ToolCall("exec", {"command": line}, cwd=str(tmp_path)))
            said = decision.message
            if not said.isdecimal() or decision.action != words[int(said) % 3]:
                wrong.append(decision)
            if decision.matched != ("first", "second"):
                wrong.append(decision)
            seen.add(decision.generation)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 20)  # more chances to see something half done
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, reloads + 1):
            fresh = tmp_path / "fresh"
            fresh.write_text(text(words[number % 3], number))
            fresh.rename(file)
            assert policies.look(anyway=True)
    finally:
        done.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
        close()
    assert wrong == []
    assert len(seen) > reloads // 20
    assert _gate_of_last(gate) == str(reloads)


def _gate_of_last(gate: Gate) -> str:
    return gate.check(ToolCall("exec", {"command": "run"})).message
