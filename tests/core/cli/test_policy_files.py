"""`rampart policy lint`, `test`, `coverage`, `diff`, `explain`: as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .conftest import POLICY, Rampart

CLEAN = """\
version: "1"
default_action: deny
policies:
  - name: git
    match: {tool: exec}
    rules:
      - {name: push, action: ask, when: {command_matches: ["git push", "git push *"]}, message: no}
      - {name: reads, action: allow, when: {command_matches: [git status, "git log*"]}}
tests:
  - {call: git status, expect: allow, rule: git/reads}
"""
TESTS = """\
tests:
  - {name: pushes ask, call: git push origin main, expect: ask, rule: push}
  - {call: {tool: read, path: /etc/hosts}, expect: deny}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "policies"
    found.mkdir()
    (found / "p.yaml").write_text(CLEAN)
    (found / "p.test.yaml").write_text(TESTS)
    return found


def test_lint_of_a_clean_file_says_so(rampart: Rampart, folder: Path) -> None:
    done = rampart("policy", "lint", str(folder / "p.yaml"), str(folder / "p.test.yaml"))

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "2 files: 0 errors, 0 warnings\n"
    (folder / "p.test.yaml").write_text("tests: [{call: ls}]\n")
    assert (
        "1:9: error[test-invalid]" in rampart("policy", "lint", str(folder / "p.test.yaml")).stdout
    )


def test_lint_names_place_code_and_what_to_do(rampart: Rampart, folder: Path) -> None:
    bad = folder / "bad.yaml"
    bad.write_text(
        CLEAN.replace(
            "tests:", "  - {name: q, rules: [{action: ask, when: {program: gti}}]}\ntests:"
        )
    )

    done = rampart("policy", "lint", str(bad))

    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{bad}:9:53: warning[unknown-program] `gti` is no program")
    assert first.endswith("(q/rule-1)")
    assert second == "  help: did you mean `git`?"


def test_lint_as_data_and_errors_only(rampart: Rampart, folder: Path) -> None:
    bad = folder / "bad.yaml"
    bad.write_text(CLEAN.replace("[git status,", "[git status, git status,"))

    found = json.loads(rampart("policy", "lint", "--json", str(bad)).stdout)["findings"]

    assert [(each["code"], each["severity"], each["line"]) for each in found] == [
        ("duplicate-pattern", "warning", 8)
    ]
    assert rampart("policy", "lint", "--errors", str(bad)).returncode == 0


def test_lint_of_what_does_not_load_is_a_finding(rampart: Rampart, folder: Path) -> None:
    bad = folder / "bad.yaml"
    bad.write_text(CLEAN.replace("allow, when", "permit, when"))

    done = rampart("policy", "lint", "--json", str(bad), str(folder / "p.yaml"))

    (found,) = json.loads(done.stdout)["findings"]
    assert done.returncode == 1
    assert (found["code"], found["line"]) == ("does-not-load", 8)
    assert found["message"].startswith("unknown action `permit`")


def test_lint_without_a_file_is_about_the_policy_in_force(rampart: Rampart) -> None:
    done = rampart("policy", "lint", "--json")

    assert json.loads(done.stdout)["files"] == [str(rampart.data_dir / "policy.yaml")]
    assert rampart("policy", "lint", "--profile", "yolo").returncode == 0
    assert rampart("policy", "lint", "missing.yaml").returncode == 78


def test_tests_inside_and_beside_a_policy_are_run(rampart: Rampart, folder: Path) -> None:
    done = rampart("policy", "test", str(folder / "p.yaml"))

    assert (done.returncode, done.stdout) == (0, "3 passed, 0 failed\n")
    assert rampart("policy", "test", str(folder / "p.test.yaml")).stdout == "2 passed, 0 failed\n"


def test_failed_test_says_what_was_decided_and_by_whom(rampart: Rampart, folder: Path) -> None:
    (folder / "p.test.yaml").write_text(TESTS.replace("expect: ask", "expect: deny"))

    done = rampart("policy", "test", str(folder / "p.yaml"))

    assert done.returncode == 1
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == f"FAIL  pushes ask  ({folder}/p.test.yaml:2:5)"
    assert "- expected  deny" in lines
    assert "+ decided   ask" in lines
    assert "by git/push: no" in lines
    assert lines[-1] == "2 passed, 1 failed"


def test_results_as_data_and_as_junit(rampart: Rampart, folder: Path) -> None:
    (folder / "p.test.yaml").write_text(TESTS.replace("expect: ask", "expect: deny"))
    report = folder / "junit.xml"

    done = rampart("policy", "test", "--json", "--junit", str(report), str(folder / "p.yaml"))

    data = json.loads(done.stdout)
    assert (data["passed"], data["failed"]) == (2, 1)
    assert [each["passed"] for each in data["tests"]] == [True, False, True]
    suites = ET.parse(report).getroot()
    assert [(s.get("tests"), s.get("failures")) for s in suites] == [("1", "0"), ("2", "1")]
    failure = suites.find(".//failure")
    assert failure is not None
    assert "decided   ask" in (failure.text or "")


def test_no_test_at_all_is_an_error(rampart: Rampart) -> None:
    done = rampart("policy", "test")

    assert done.returncode == 78
    assert "there is not one test" in done.stderr


def test_test_file_about_another_policy_or_a_profile(rampart: Rampart, folder: Path) -> None:
    (folder / "a.test.yaml").write_text("policy: p.yaml\n" + TESTS)
    (folder / "b.test.yaml").write_text("profile: yolo\ntests: [{call: git push, expect: watch}]\n")

    done = rampart("policy", "test", str(folder / "a.test.yaml"), str(folder / "b.test.yaml"))

    assert done.stdout == "3 passed, 0 failed\n"


def test_coverage_names_the_rules_that_nothing_reaches(rampart: Rampart, folder: Path) -> None:
    (folder / "p.test.yaml").unlink()
    file = str(folder / "p.yaml")

    done = rampart("policy", "coverage", file)

    assert done.returncode == 0
    assert done.stdout == f"{file}:7:9: git/push was never reached\n1 of 2 rules reached\n"
    assert rampart("policy", "coverage", "--require-all", file).returncode == 1


def test_coverage_counts_the_calls_of_the_log(rampart: Rampart, folder: Path, ask: object) -> None:
    assert callable(ask)
    ask("git push")

    data = json.loads(rampart("policy", "coverage", "--json", str(folder / "p.yaml")).stdout)
    without = rampart("policy", "coverage", "--json", "--no-log", str(folder / "p.yaml"))

    counts = {each["rule"]: (each["tests"], each["recorded"]) for each in data["coverage"]}
    assert counts == {"push": (1, 1), "reads": (1, 0)}
    assert json.loads(without.stdout)["coverage"][0]["recorded"] == 0


def test_diff_shows_what_became_looser(rampart: Rampart, folder: Path) -> None:
    new = folder / "new.yaml"
    new.write_text(CLEAN.replace("name: push, action: ask", "name: push, action: watch"))
    old = str(folder / "p.yaml")

    done = rampart("policy", "diff", "--no-log", old, str(new))

    assert done.returncode == 1
    assert "LOOSER  ask → watch" in done.stdout
    assert "git push" in done.stdout
    assert "(git/push → git/push)" in done.stdout
    back = rampart("policy", "diff", "--no-log", str(new), old)
    assert back.returncode == 0
    assert "stricter  watch → ask" in back.stdout
    same = rampart("policy", "diff", "--no-log", old, old)
    assert (same.returncode, same.stdout) == (0, "0 calls looser, 0 stricter\n")


def test_diff_decides_the_recorded_calls_again(rampart: Rampart, folder: Path, ask: object) -> None:
    assert callable(ask)
    ask("git push --tags upstream-of-the-log")
    new = folder / "new.yaml"
    asks = 'action: ask, when: {command_matches: ["git push*"]}'
    new.write_text(POLICY.replace(asks, asks.replace("ask", "allow", 1)))

    done = rampart("policy", "diff", "--json", str(rampart.data_dir / "policy.yaml"), str(new))

    calls = [each for group in json.loads(done.stdout)["groups"] for each in group["calls"]]
    recorded = [each["call"] for each in calls if each["origin"].startswith("record ")]
    assert recorded == ["git push --tags upstream-of-the-log"]
    assert done.returncode == 1


def test_explain_says_a_rule_in_words(rampart: Rampart) -> None:
    done = rampart("policy", "explain", "shell/rule-2")

    assert done.returncode == 0
    assert "Asks a person (`exec`) if" in done.stdout
    assert "the command is like `git push*`" in done.stdout
    assert "pushing needs a person" in done.stdout


def test_explain_shows_examples_and_rivals(rampart: Rampart, folder: Path) -> None:
    file = folder / "p.yaml"
    file.write_text(
        CLEAN.replace("message: no}", "message: no, examples: {match: [git push, git pull]}}")
    )
    text = file.read_text().replace(
        "tests:", "  - {name: hard, rules: [{action: deny, when: {program: git}}]}\ntests:"
    )
    file.write_text(text)

    data = json.loads(
        rampart("policy", "explain", "--json", "--policy", str(file), "git/push").stdout
    )

    (rule,) = data["rules"]
    assert [each["holds"] for each in rule["examples"]] == [True, False]
    rival = rule["rivals"][0]
    assert (rival["policy"], rival["says"], rival["wins"]) == ("hard", "deny", True)


def test_explain_of_an_unknown_rule_names_the_nearest(rampart: Rampart) -> None:
    done = rampart("policy", "explain", "shell/rule-22")

    assert done.returncode == 78
    assert "did you mean shell/rule-2" in done.stderr
