"""``rampart allow``, ``block`` and ``rules``: shown, confirmed, saved, listed, removed."""

from __future__ import annotations

import json

import pytest


def decided(rampart, command: str) -> str:
    answer = rampart("check", "--json", "--", command)
    return str(json.loads(answer.stdout)["decision"])


def test_an_override_is_shown_saved_listed_and_removed(rampart):
    assert decided(rampart, "git push origin") == "ask"
    answer = rampart("allow", "git push *", "--for", "2h", "--reason", "release", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "allows   git push x\n" in answer.stdout
    assert "and not  git push x && curl example.com\n" in answer.stdout
    assert decided(rampart, "git push origin") == "allow"
    listed = rampart("rules").stdout
    assert "git push *  until " in listed
    assert "release" in listed
    (described,) = json.loads(rampart("rules", "--json").stdout)
    assert (described["action"], described["tool"]) == ("allow", ["exec"])
    assert rampart("rules", "remove", described["id"]).returncode == 0
    assert rampart("rules").stdout == "no overrides\n"
    assert decided(rampart, "git push origin") == "ask"


def test_a_block_denies(rampart):
    assert rampart("block", "echo *", "--yes").returncode == 0
    assert decided(rampart, "echo hi") == "deny"


def test_what_stays_denied_is_said(rampart):
    assert rampart("block", "git push *", "--yes").returncode == 0
    answer = rampart("allow", "git push *", "--yes")
    assert "but" in answer.stdout
    assert decided(rampart, "git push origin") == "deny"


@pytest.mark.parametrize(
    ("arguments", "problem", "code"),
    [
        (["allow", "git push *"], "nobody is here to confirm it: say --yes", 2),
        (["allow", "git push *", "--for", "soon", "--yes"], "--for 'soon'", 2),
        (["allow", "*", "--yes"], "this pattern covers everything", 65),
        (["allow", "echo $(", "--yes"], "this pattern covers no call", 65),
        (["rules", "remove", "allow-1"], "there is no override 'allow-1'", 65),
    ],
)
def test_a_mistake_is_told_and_nothing_is_saved(rampart, data_dir, arguments, problem, code):
    answer = rampart(*arguments)
    assert (answer.returncode, problem in answer.stderr) == (code, True), answer.stderr
    assert not (data_dir / "overrides.yaml").exists()


def test_the_data_directory_may_stand_anywhere(rampart, tmp_path):
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    assert rampart("allow", "make *", "--yes", "--data-dir", str(other)).returncode == 0
    (one,) = json.loads(rampart("rules", "--json", "--data-dir", str(other)).stdout)
    assert rampart("rules").stdout == "no overrides\n"
    assert rampart("rules", "remove", one["id"], "--data-dir", str(other)).returncode == 0
