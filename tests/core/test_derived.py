"""A derived guard is the same guard under another name: same policy, same log, same end."""

from __future__ import annotations

from pathlib import Path

from rampart import Guard
from rampart.audit.read import read_records

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: p
    match: {tool: exec}
    rules: [{action: ask, when: {command_matches: ["perhaps"]}, message: sure?}]
"""


def test_derived_guard_names_another_agent_in_the_same_log(tmp_path: Path) -> None:
    with Guard(POLICY, data_dir=tmp_path, agent="first", session="s") as guard:
        guard.derived(agent="second").enforce("read", {"path": "a"})
        guard.enforce("read", {"path": "a"})
        said = [(r["agent"], r["session"]) for r in read_records(tmp_path / "audit")]
    assert said == [("second", "s"), ("first", "s")]


def test_derived_guard_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    with Guard(POLICY, data_dir=tmp_path, ask_timeout_s=600) as guard:
        decision = guard.derived(ask_timeout_s=0.0).enforce("exec", {"command": "perhaps"})
    assert (decision.action, decision.rule) == ("deny", "approval_expired")


def test_closing_a_derived_guard_closes_nothing_and_a_closed_one_denies(tmp_path: Path) -> None:
    guard = Guard(POLICY, data_dir=tmp_path)
    derived = guard.derived(agent="second")
    derived.close()
    assert guard.enforce("read", {"path": "a"}).allowed
    guard.close()
    assert derived.enforce("read", {"path": "a"}).rule == "audit_unavailable"
