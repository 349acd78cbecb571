"""Every finding is found where it stands, and its harmless neighbour is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rampart.authoring.findings import CODES, Finding
from rampart.authoring.lint import lint
from rampart.authoring.stage import Stage
from rampart.sources import PolicyInForce, policy_documents, profile_names

Lint = Callable[[str], tuple[Finding, ...]]

HEAD = 'version: "1"\nextends: [self-protection]\ndefault_action: deny\npolicies:\n'


def policy(*rules: str, match: str = "") -> str:
    lines = "".join(f"    - {rule}\n" for rule in rules)
    scope = f"  match: {match}\n" if match else ""
    return f"{HEAD}- name: p\n{scope}  rules:\n{lines}"


def deny(when: str, **scope: str) -> str:
    return policy(f"{{action: deny, when: {{{when}}}}}", **scope)


def allow(when: str, **scope: str) -> str:
    return policy(f"{{action: allow, when: {{{when}}}}}", **scope)


ANY = "{action: deny, when: {default: true}}"
ALLOW_GIT = "{action: allow, when: {command_matches: [git log*, git status]}}"
# code: (a policy that has it, where it stands, one that has not)
CASES: list[tuple[str, str, str, str]] = [
    ("contradiction", deny("effect: remote, effect_not: [remote, force]"), "7:57",
     deny("effect: [remote, force], effect_not: remote")),
    ("contradiction", deny("agent_depth: {gte: 3, lt: 2}"), "7:42", deny("agent_depth: {gte: 2}")),
    ("contradiction", deny("params: {n: {gt: 3, lt: 3}}"), "7:37", deny("params: {n: {gt: 3}}")),
    ("example-fails", policy("{action: deny, when: {program: ls}, examples: {match: [pwd]}}"),
     "7:62", policy("{action: deny, when: {program: ls}, examples: {match: [ls -l]}}")),
    ("example-fails", policy("{action: deny, when: {program: ls}, examples: {not_match: [ls]}}"),
     "7:66", policy("{action: deny, when: {program: ls}, examples: {not_match: [pwd]}}")),
    ("excluded-entirely", deny("command_matches: [rm -rf *], command_not_matches: [rm *]"), "7:79",
     deny("command_matches: [rm *], command_not_matches: [rm -r *]")),
    ("excluded-entirely", allow("path_matches: [/a/**], path_not_matches: [/a/**]"), "7:71",
     allow("path_matches: [/a/**], path_not_matches: [/a/b/**]")),
    ("grant-of-opaque", allow("opaque: true"), "7:38", deny("opaque: true")),
    ("mixed-conditions", deny("path_matches: [/a], command_matches: [cat *]"), "7:43",
     deny("program: cat, command_matches: [cat *]")),
    ("mixed-conditions", deny("path_matches: [/a], domain_matches: [x.y]"), "7:65",
     deny("effect: recursive, path_matches: [/a]")),
    ("operator-in-grant", allow("command_matches: [make all && make install]"), "7:48",
     deny("command_matches: [make all && make install]")),
    ("operator-in-grant", allow("command_matches: ['ls > *']"), "7:48",
     allow("command_matches: ['grep a|b *']")),
    ("too-late", policy(ALLOW_GIT, "{action: deny, when: {command_matches: [git log --all*]}}"),
     "8:7", policy("{action: deny, when: {command_matches: [git log --all*]}}", ALLOW_GIT)),
    ("unreachable", policy(ANY, ALLOW_GIT), "8:7", policy(ALLOW_GIT, ANY)),
    ("unreachable", policy("{action: deny, when: {path_matches: [~/a/**]}}",
                           "{action: deny, when: {path_matches: [~/a/b/*.txt]}}"), "8:7",
     policy("{action: deny, when: {path_matches: [~/a/*]}}",
            "{action: deny, when: {path_matches: [~/a/b/*.txt]}}")),
    ("url-without-scheme", deny("url_matches: [x.example/*]"), "7:43",
     deny("url_matches: ['http*x.example/*', '*/admin/*', 'https://x.example/*']")),
    ("wrong-tool", deny("command_matches: [cat *]", match="{tool: read}"), "8:46",
     deny("command_matches: [cat *]", match="{tool: [read, e*c]}")),
    ("braces-in-glob", deny("path_matches: ['*.{pem,key}']"), "7:44",
     deny("path_matches: ['${workspace}/x']")),
    ("duplicate-pattern", deny("path_matches: [/a, /b, /a]"), "7:52",
     deny("path_matches: [/a, /b]")),
    ("exact-command", deny("command_matches: [shred]"), "7:47",
     deny("command_matches: [shred, shred *]")),
    ("exclusion-only", allow("command_not_matches: [rm *]"), "7:51",
     deny("path_not_matches: ['${workspace}/**']")),
    ("expired", policy("{action: deny, expires_at: 2020-01-01T00:00:00Z}"), "7:34",
     policy("{action: deny, expires_at: 2040-01-01T00:00:00Z}")),
    ("glued-star", allow("command_matches: ['rm*']"), "7:48", allow("command_matches: ['ls *']")),
    ("home-in-command", deny("command_matches: ['cat ~/.ssh/*']"), "7:47",
     deny("command_matches: ['git show HEAD~1']")),
    ("quotes-in-command", allow("command_matches: [\"git commit -m 'x'\"]"), "7:48",
     allow("command_matches: [git commit -m x]")),
    ("regex-in-glob", deny("command_matches: ['^rm .*$']"), "7:47",
     deny("command_matches: ['rm .*']")),
    ("spaces-in-command", deny("command_matches: ['rm  -rf *']"), "7:47",
     deny("command_matches: ['rm -rf *']")),
    ("unknown-program", deny("program: [gti]"), "7:39", deny("program: [our-own-tool]")),
    ("unknown-tool", deny("default: true", match="{tool: [exce]}"), "6:18",
     deny("default: true", match="{tool: [our_tool, 'mcp__*']}")),
    ("wide-grant", allow("command_matches: ['git *']"), "7:29",
     allow("command_matches: ['git log*']")),
    ("overridden", allow("path_matches: ['~/.rampart/**']", match="{tool: write}"), "8:7",
     allow("path_matches: ['~/notes/**']", match="{tool: write}")),
    ("test-invalid", HEAD.replace("policies:\n", "tests: [{call: ls, expcet: allow}]\n"), "4:20",
     HEAD.replace("policies:\n", "tests: [{call: ls, expect: deny}]\n")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "bad", "place", "good"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)]
)
def test_finding_stands_where_it_belongs_and_not_beside_it(
    code: str, bad: str, place: str, good: str, findings_of: Lint
) -> None:
    found = [each for each in findings_of(bad) if each.code == code]

    assert [each.where for each in found] == [f"<text>:{place}"]
    assert found[0].message
    assert code not in {each.code for each in findings_of(good)}


def test_every_code_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(CODES) - {"does-not-load"}


@pytest.mark.parametrize("name", profile_names())
def test_built_in_profile_is_clean(name: str) -> None:
    documents = policy_documents(profile=name)

    assert lint(documents[0], Stage(PolicyInForce(documents), now=0.0)) == ()


def test_priority_that_was_meant_to_win_is_explained(findings_of: Lint) -> None:
    text = (
        f"{HEAD}- name: low\n  rules: [{{action: deny, when: {{program: make}}}}]\n"
        "- name: high\n  priority: 99\n  "
        "rules: [{action: allow, when: {command_matches: [make all]}}]\n"
    )

    (found,) = [each for each in findings_of(text) if each.code == "overridden"]

    assert "never who wins" in found.help
    assert "low/rule-1" in found.message


def test_grant_that_another_policy_narrows_is_no_wide_grant(findings_of: Lint) -> None:
    text = (
        f"{HEAD}- name: git\n  rules: [{{action: allow, when: {{command_matches: ['git *']}}}}]\n"
        "- name: care\n  rules: [{action: ask, when: {effect: [irreversible, publishes, "
        "persistence, loader-change, credential, deploys, privileged, covers-tracks, "
        "disables-security]}}]\n"
    )

    assert "wide-grant" not in {each.code for each in findings_of(text)}


def test_disabled_policy_is_left_alone(findings_of: Lint) -> None:
    text = policy(ANY, ALLOW_GIT).replace("- name: p\n", "- name: p\n  enabled: false\n")

    assert findings_of(text) == ()


@pytest.mark.parametrize(
    "rules",
    [
        # a restriction after a grant of everything still meets what no grant covers
        ("{action: ask, when: {opaque: true}}", "{action: allow, when: {default: true}}"),
        ("{action: deny, when: {path_matches: [x], path_not_matches: [y]}}",
         "{action: deny, when: {path_matches: [x]}}"),
        ("{action: allow, when: {command_matches: [ls]}}",
         "{action: watch, when: {command_matches: [ls]}}"),
        ("{action: deny, when: {response_matches: [x]}}", "{action: deny, when: {program: ls}}"),
        ("{action: deny, once: true, when: {program: ls}}", "{action: allow, when: {program: ls}}"),
        ("{action: deny, expires_at: 2040-01-01T00:00:00Z, when: {program: ls}}",
         "{action: deny, when: {program: ls}}"),
        ("{action: deny, when: {program: ls, effect: remote}}",
         "{action: deny, when: {program: ls}}"),
    ],
)  # fmt: skip
def test_rules_that_both_have_their_turn(rules: tuple[str, ...], findings_of: Lint) -> None:
    codes = {each.code for each in findings_of(policy(*rules))}

    assert not codes & {"unreachable", "too-late"}
