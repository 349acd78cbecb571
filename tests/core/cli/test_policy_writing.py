"""`rampart policy init`, `new-rule`, `fmt`, `schema`: what they write and what they leave."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rampart.policy import parse_policy

from .conftest import Rampart


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new.yaml"


def test_init_writes_a_policy_and_its_tests(rampart: Rampart, new: Path) -> None:
    wishes = ["--push", "ask", "--host", "docs.example", "--protect", "~/taxes/**"]

    done = rampart("policy", "init", "--output", str(new), *wishes)

    tests = new.with_name("new.test.yaml")
    assert done.stdout.split() == [str(new), str(tests)]
    assert rampart("policy", "lint", str(new)).returncode == 0
    assert rampart("policy", "test", str(new)).returncode == 0
    assert rampart("policy", "fmt", "--check", str(new)).returncode == 0
    policy = ["--policy", str(new), "--"]
    assert rampart("check", *policy, "git", "push").returncode == 3
    assert rampart("check", *policy, "cat ~/taxes/2029.pdf").returncode == 1
    assert rampart("check", *policy, "curl https://other.example/").returncode == 3
    assert rampart("check", *policy, "curl https://docs.example/").returncode == 0


@pytest.mark.parametrize("profile", ["standard", "strict", "paranoid", "ci", "yolo"])
def test_init_starts_from_every_profile(profile: str, rampart: Rampart, new: Path) -> None:
    assert rampart("policy", "init", "--profile", profile, "--output", str(new)).returncode == 0

    done = rampart("policy", "test", str(new))

    assert done.stdout == "3 passed, 0 failed\n"


def test_init_overwrites_nothing(rampart: Rampart, new: Path) -> None:
    new.write_text("mine")

    done = rampart("policy", "init", "--output", str(new))

    assert done.returncode == 78
    assert "--force" in done.stderr
    assert new.read_text() == "mine"
    assert not new.with_name("new.test.yaml").exists()
    assert rampart("policy", "init", "--output", str(new), "--force").returncode == 0
    assert "extends: [standard]" in new.read_text()


def test_init_does_not_write_through_a_link(rampart: Rampart, new: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    new.symlink_to(victim)

    done = rampart("policy", "init", "--output", str(new), "--force")

    assert done.returncode == 78
    assert victim.read_text() == "mine"


def test_init_asks_on_a_terminal(rampart: Rampart, new: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        rampart.command("policy", "init", "--output", str(new)),
        env=rampart.environment, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.write(ours, b"strict\ndeny\n\n~/private/**\n")
        out, error = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == 0, error
    assert b"Start from" in out
    text = new.read_text()
    assert "extends: [strict]" in text
    assert "action: deny" in text
    assert "~/private/**" in text
    assert "other-hosts" not in text


@pytest.fixture
def record(rampart: Rampart, ask: Callable[..., str]) -> Callable[[str], str]:
    """Return a function that makes a call which asks, and returns its record's id."""

    def make(command: str) -> str:
        ask(command)
        lines = rampart("audit", "tail", "--json").stdout.splitlines()
        return str(json.loads(lines[-1])["id"])

    return make


def test_new_rule_is_narrow_and_proves_itself(
    rampart: Rampart, record: Callable[[str], str], new: Path
) -> None:
    done = rampart("policy", "new-rule", record("git push origin 'v*'"))

    assert done.returncode == 0, done.stderr
    new.write_text(f'version: "1"\npolicies:\n{done.stdout}')
    (policy,) = parse_policy(new.read_text(), filename="new").policies
    (rule,) = policy.rules
    assert (policy.match.tool, rule.action) == (("exec",), "allow")
    assert rule.when.command_matches == ("git push origin v?",)
    assert rule.examples.match[0].call == "git push origin 'v*'"
    assert "`shell/rule-2` says ask" in done.stdout
    assert rampart("policy", "test", str(new)).stdout == "1 passed, 0 failed\n"


def test_new_rule_of_a_line_names_its_commands(
    rampart: Rampart, record: Callable[[str], str], new: Path
) -> None:
    done = rampart("policy", "new-rule", record("git push && echo ~/app"))

    new.write_text(f'version: "1"\npolicies:\n{done.stdout}')
    (policy,) = parse_policy(new.read_text(), filename="new").policies
    home = str(Path.home())
    assert policy.rules[0].when.command_matches == ("git push", f"echo {home}/app")
    assert rampart("policy", "test", str(new)).returncode == 0


def test_new_rule_may_say_another_word(rampart: Rampart, record: Callable[[str], str]) -> None:
    done = rampart("policy", "new-rule", "--action", "deny", record("git push"))

    assert "action: deny" in done.stdout


def test_new_rule_of_no_record_is_an_error(rampart: Rampart, record: Callable[[str], str]) -> None:
    record("git push")

    done = rampart("policy", "new-rule", "01J9ZQ4M8E6V5T3K2X1W0Y9Z8A")

    assert done.returncode == 74
    assert "there is no record" in done.stderr


def test_fmt_rewrites_a_file_and_keeps_its_mode(rampart: Rampart, new: Path) -> None:
    new.write_text("default_action: ask   # why\nversion: '1'\n")
    new.chmod(0o640)

    assert rampart("policy", "fmt", "--check", str(new)).returncode == 1
    assert "+version" in rampart("policy", "fmt", "--diff", str(new)).stdout
    done = rampart("policy", "fmt", str(new))

    assert done.stdout == f"{new}: changed\n"
    assert new.read_text() == 'version: "1"\ndefault_action: ask   # why\n'
    assert new.stat().st_mode & 0o777 == 0o640
    assert rampart("policy", "fmt", "--check", str(new)).returncode == 0
    assert [each for each in new.parent.iterdir() if "new.yaml." in each.name] == []


def test_fmt_leaves_what_does_not_load(rampart: Rampart, new: Path) -> None:
    new.write_text("policies: [")

    assert rampart("policy", "fmt", str(new)).returncode == 65
    assert new.read_text() == "policies: ["


def test_schema_is_printed_or_written(rampart: Rampart, new: Path) -> None:
    printed = rampart("policy", "schema").stdout

    assert json.loads(printed)["title"] == "Rampart policy"
    assert rampart("policy", "schema", "--output", str(new)).returncode == 0
    assert new.read_text() == printed


def test_family_lists_every_command(rampart: Rampart) -> None:
    shown = rampart("policy", "--help").stdout

    for name in (
        "coverage",
        "diff",
        "explain",
        "fmt",
        "init",
        "lint",
        "new-rule",
        "schema",
        "test",
    ):
        assert f"\n  {name} " in shown
        assert "Examples:" in rampart("policy", name, "--help").stdout
