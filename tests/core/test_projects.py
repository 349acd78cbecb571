"""Policies that come with projects: read where a call happens, able to tighten and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rampart import Guard
from rampart.config import load_settings
from rampart.errors import ConfigError
from rampart.limits import PROJECT_POLICY_BYTES_MAX
from rampart.projects import project_files

OWN = """
version: "1"
default_action: allow
policies:
  - {name: mine, rules: [{action: deny, when: {command_matches: ["rm *"]}}]}
"""
TIGHT = """
version: "1"
default_action: allow
policies:
  - name: theirs
    rules:
      - {action: deny, when: {command_matches: ["make deploy*"]}, message: not from here}
      - {action: allow, when: {command_matches: ["rm *"]}}
"""

Put = Callable[[str], Path]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project directory."""
    folder = tmp_path / "app"
    (folder / ".git").mkdir(parents=True)
    return folder


@pytest.fixture
def put(project: Path) -> Put:
    """Return a function that writes the project's policy."""

    def write(text: str) -> Path:
        file = project / ".rampart" / "policy.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    """Return a guard on ``OWN`` that belongs to no project."""
    with Guard(OWN, data_dir=tmp_path / "data") as opened:
        yield opened


def check(guard: Guard, line: str, cwd: Path) -> tuple[str, str]:
    decision = guard.check("exec", {"command": line}, cwd=str(cwd))
    return decision.action, decision.policy


def test_a_projects_policy_tightens_in_it_and_nowhere_else(guard, project, put, tmp_path):
    put(TIGHT)
    assert check(guard, "make deploy", project) == ("deny", "project/app/theirs")
    assert check(guard, "make test", project)[0] == "allow"
    assert check(guard, "rm x", project) == ("deny", "mine")
    assert check(guard, "make deploy", tmp_path) == ("allow", "")


def test_a_part_of_a_project_with_marks_of_its_own_is_no_way_out(guard, project, put):
    put(TIGHT)
    part = project / "packages" / "web"
    part.mkdir(parents=True)
    (part / "package.json").write_text("{}")
    assert check(guard, "make deploy", part)[0] == "deny"


def test_what_stands_in_the_home_or_above_is_no_projects():
    own = Path("/home/me/data")
    files = project_files("/home/me/src/app", "/home/me", own)
    assert [str(file) for file in files] == [
        "/home/me/src/app/.rampart/policy.yaml",
        "/home/me/src/.rampart/policy.yaml",
    ]
    assert project_files("/home/me", "/home/me", own) == ()
    assert project_files("/home", "/home/me", own) == ()
    assert project_files("/dev/null/no-project", "/home/me", own) == ()


def test_rampart_s_own_directory_is_not_a_projects_policy():
    assert project_files("/srv/app", "/home/me", Path("/srv/app/.rampart")) == (
        Path("/srv/.rampart/policy.yaml"),
    )


REFUSED = {
    "not yaml": ("policies: [", ".yaml:3:1: "),
    "an unknown key": ("policy: []", "unknown key `policy`"),
    "programs": ("commands: {rm: {replace: true}}", "`commands` cannot"),
    "notices": ("notify: {url: x}", "`notify` cannot"),
    "changes": ("rules: {irreversible: off}", "`rules` cannot"),
    "a file": ("extends: [/etc/passwd]", "cannot extend the file '/etc/passwd'"),
    "a webhook": (
        'policies: [{name: a, rules: [{action: webhook, webhook: {url: "https://x.test/"}}]}]',
        "cannot ask a webhook",
    ),
    "lifting": (
        """policies:
  - name: a
    rules: [{action: ask, when: {after: {until_approved: x, tool: y}}}]
""",
        "`until_approved` cannot",
    ),
    "too much": ("#" * PROJECT_POLICY_BYTES_MAX, "larger than"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_file_that_does_not_load_or_asks_for_more_denies_everything_there(
    guard, project, put, name, tmp_path
):
    text, problem = REFUSED[name]
    file = put('version: "1"\n' + text)
    decision = guard.check("exec", {"command": "ls"}, cwd=str(project))
    assert (decision.action, decision.rule) == ("deny", "does-not-load")
    assert problem in decision.message
    assert str(file) in decision.message
    assert "RAMPART_PROJECT_POLICIES=off" in decision.suggestions[-1]
    assert check(guard, "ls", tmp_path)[0] == "allow"


def test_links_and_pipes_are_not_read(guard, project, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2: [")
    file = project / ".rampart" / "policy.yaml"
    file.parent.mkdir()
    file.symlink_to(secret)
    decision = guard.check("exec", {"command": "ls"}, cwd=str(project))
    assert decision.action == "deny"
    assert "cannot be a link" in decision.message
    assert "hunter2" not in decision.message
    other = tmp_path / "other"
    (other / ".rampart").mkdir(parents=True)
    os.mkfifo(other / ".rampart" / "policy.yaml")
    assert "not a file" in guard.check("exec", {"command": "ls"}, cwd=str(other)).message
    third = tmp_path / "third"
    (third / ".git").mkdir(parents=True)
    (third / ".rampart").symlink_to(file.parent)
    assert "cannot be a link" in guard.check("exec", {"command": "ls"}, cwd=str(third)).message


def test_a_profile_that_a_project_extends_tightens_as_well(guard, project, put):
    put('version: "1"\nextends: [strict]\n')
    line = "cat ~/.ssh/id_ed25519"
    assert check(guard, line, project)[0] == "deny"
    assert check(guard, "ls", project)[0] == "allow"  # not by the profile's default


def test_a_projects_rules_about_responses_count_once_it_was_seen(guard, project, put):
    put(
        'version: "1"\npolicies: [{name: a, rules: [{action: redact, when: '
        '{response_matches: "customer-[0-9]+"}}]}]'
    )
    assert not guard.reviews
    call = {"command": "ls"}
    assert guard.enforce("exec", call, cwd=str(project)).allowed
    assert guard.reviews
    review = guard.review("exec", call, "customer-17", cwd=str(project))
    assert "customer-17" not in str(review.response)


def test_project_policies_can_be_switched_off(project, put, tmp_path, monkeypatch):
    put("no policy")
    monkeypatch.setenv("RAMPART_PROJECT_POLICIES", "off")
    with Guard(OWN, data_dir=tmp_path / "data") as guard:
        assert check(guard, "ls", project)[0] == "allow"
    with pytest.raises(ConfigError, match="RAMPART_PROJECT_POLICIES: 'perhaps' is not a switch"):
        load_settings(environment={"RAMPART_PROJECT_POLICIES": "perhaps"})


@pytest.mark.parametrize("line", ["rampart approve apr_1", "echo x > ~/.rampart/policy.yaml"])
def test_an_agent_is_kept_from_its_guard_whatever_the_policy_says(
    guard, tmp_path, line, monkeypatch
):
    assert check(guard, line, tmp_path)[0] == "deny"
    assert check(guard, "rampart status", tmp_path)[0] == "allow"
    monkeypatch.setenv("RAMPART_SELF_PROTECTION", "off")
    with Guard(OWN, data_dir=tmp_path / "other") as unprotected:
        assert check(unprotected, line, tmp_path)[0] == "allow"


def test_links_of_the_workspace_are_followed(guard, project, put, tmp_path):
    put(TIGHT)
    (tmp_path / "link").symlink_to(project)
    assert check(guard, "make deploy", tmp_path / "link")[0] == "deny"
