"""Settings come from arguments, then the environment, then defaults."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rampart.config import ensure_private_directory, load_settings, parse_bool
from rampart.errors import ConfigError


def test_argument_wins_over_environment_wins_over_default(tmp_path: Path) -> None:
    env = {"RAMPART_HOME": str(tmp_path / "env"), "RAMPART_PROFILE": "strict"}
    assert load_settings(data_dir=tmp_path / "arg", environment=env).data_dir == tmp_path / "arg"
    assert load_settings(environment=env).data_dir == tmp_path / "env"
    assert load_settings(environment={}).data_dir == Path.home() / ".rampart"
    assert load_settings(profile="ci", environment=env).profile == "ci"
    assert load_settings(environment=env).profile == "strict"


def test_policy_file_of_the_data_directory_is_used_unless_something_else_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "policy.yaml").write_text('version: "1"\n')
    env = {"RAMPART_HOME": str(tmp_path)}
    assert load_settings(environment=env).policy == tmp_path / "policy.yaml"
    assert load_settings(profile="strict", environment=env).policy is None
    assert load_settings(policy="other.yaml", environment=env).policy == Path.cwd() / "other.yaml"
    assert load_settings(environment={**env, "RAMPART_POLICY": "/p.yaml"}).policy == Path("/p.yaml")


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        ensure_private_directory(shared)


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used as a directory"):
        ensure_private_directory(tmp_path / "file" / "inner")


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = ensure_private_directory(tmp_path / "new")
    finally:
        os.umask(old)
    assert made.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("TRUE", True), ("off", False), ("0", False)]
)
def test_switch_words(text: str, value: bool) -> None:
    assert parse_bool(text, name="RAMPART_FAIL_OPEN") is value


def test_a_switch_with_another_word_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="RAMPART_FAIL_OPEN: 'maybe'"):
        parse_bool("maybe", name="RAMPART_FAIL_OPEN")
