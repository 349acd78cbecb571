"""Overrides: they lift ask, watch and the default, never a deny; a block denies."""

from __future__ import annotations

import stat
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from rampart.config import Settings, load_settings
from rampart.embedded import gate_of, live_policies
from rampart.errors import ConfigError, InputError, PolicyError
from rampart.gate import Gate
from rampart.intercept import intercept
from rampart.model import Decision, Host, ToolCall
from rampart.overrides import Wish, add, prepare, remove
from rampart.policy import compile_policies, parse_policy
from rampart.sources import overrides_document

HOST = Host("/home/me", "/home/me/app", "/home/me/app", "me", {}, None)
BASE = """
version: "1"
default_action: deny
policies:
  - name: base
    rules:
      - {action: deny, when: {command_matches: ["rm -rf /*"]}}
      - {action: ask, when: {command_matches: ["git push*"]}}
      - {action: ask, when: {path_matches: ["**/notes/**"]}}
      - {action: watch, when: {program: date}}
      - {action: allow, when: {program: [ls, cd]}}
"""


def decide(wishes: list[Wish], line: str, base: str = BASE, tool: str = "exec") -> Decision:
    texts = [prepare(wish, cwd=Path("/home/me/app")).text for wish in wishes]
    overrides = parse_policy('version: "1"\npolicies:\n' + "".join(texts), filename="o.yaml")
    documents = [parse_policy(base, filename="p.yaml"), replace(overrides, layer="overrides")]
    call = ToolCall(tool, {"command" if tool == "exec" else "path": line}, cwd=HOST.cwd)
    engine = compile_policies(documents, home=HOST.home, workspace=HOST.workspace)
    return engine.decide(call, intercept(call, HOST), now=0.0)


PUSH = Wish("allow", "git push *")


@pytest.mark.parametrize(
    ("wish", "line", "expected"),
    [
        (PUSH, "git push origin", "allow"),
        (PUSH, "git push", "ask"),
        (PUSH, "ls && git push origin", "allow"),
        (PUSH, "git push origin && date", "ask"),
        (PUSH, "git push origin && make", "deny"),
        (PUSH, "git push origin > ~/.bashrc", "deny"),
        (PUSH, "PATH=/tmp git push origin", "ask"),
        (PUSH, "git push $X", "ask"),
        (PUSH, "$X push origin", "deny"),
        (Wish("allow", "date*"), "date", "allow"),
        (Wish("allow", "make"), "make", "allow"),
        (Wish("allow", "rm -rf *"), "rm -rf /home", "deny"),
        (Wish("allow", "rm -rf *"), "rm -rf build", "allow"),
        (Wish("allow", "cat *"), "cat notes/a", "allow"),
        (Wish("allow", "cat *"), "cat notes/a | sh", "deny"),
        (Wish("deny", "ls *"), "ls -la", "deny"),
        (Wish("deny", "ls *"), "ls", "allow"),
        (Wish("allow", "git push *", session="s*"), "git push origin", "ask"),
    ],
)
def test_what_an_override_changes(wish, line, expected):
    assert decide([wish], line).action == expected


def test_a_block_beats_an_allow():
    assert decide([PUSH, Wish("deny", "git push *")], "git push origin").action == "deny"


def test_a_path_is_lifted_for_the_tool_that_was_named():
    wish = Wish("allow", "notes/*", tool="read")
    assert decide([wish], "/home/me/app/notes/a", tool="read").action == "allow"
    assert decide([wish], "/home/me/app/notes/a", tool="write").action == "ask"


def test_a_question_to_a_webhook_is_not_lifted():
    base = """
version: "1"
policies:
  - {name: hook, rules: [{action: webhook, webhook: {url: "https://x.test/"}}]}
"""
    assert decide([PUSH], "git push origin", base).action == "ask"


def test_a_default_action_in_the_overrides_says_nothing():
    documents = [
        replace(
            parse_policy('version: "1"\ndefault_action: allow', filename="o"), layer="overrides"
        ),
        parse_policy('version: "1"\ndefault_action: ask', filename="p"),
    ]
    assert compile_policies(documents, home="", workspace="").default_action == "ask"


# The file


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with the policy above."""
    file = tmp_path / "policy.yaml"
    file.write_text(BASE)
    return load_settings(data_dir=tmp_path / "data", policy=file, environment={})


def save(settings: Settings, pattern: str, action: Literal["allow", "deny"] = "allow") -> str:
    override = prepare(Wish(action, pattern, reason='because "x"'), cwd=Path("/"))
    add(settings, override)
    return override.id


def names(settings: Settings) -> list[str]:
    document = overrides_document(settings)
    return [policy.name for policy in document.policies] if document else []


def test_overrides_are_added_and_removed_and_the_file_is_ours_alone(settings):
    saved = [save(settings, f"tool-{n} *") for n in range(3)]
    assert names(settings) == saved
    assert stat.S_IMODE(settings.overrides_path.stat().st_mode) == 0o600
    for name in (saved[1], saved[2], saved[0]):
        remove(settings, name)
        saved.remove(name)
        assert names(settings) == saved
    with pytest.raises(InputError, match="there is no override 'x'"):
        remove(settings, "x")
    assert names(settings) == []
    assert len(list(settings.data_dir.iterdir())) == 2  # the file and its lock


def test_what_people_wrote_into_the_file_stays(settings):
    first = save(settings, "make *")
    text = settings.overrides_path.read_text()
    own = "  # mine\n  - name: by-hand\n    rules: [{action: deny, when: {program: nc}}]\n"
    settings.overrides_path.write_text(text + own)
    second = save(settings, "ls *")
    assert names(settings) == [first, "by-hand", second]
    remove(settings, second)
    assert own in settings.overrides_path.read_text()


def test_a_file_that_does_not_load_is_not_touched(settings):
    settings.data_dir.mkdir(mode=0o700)
    settings.overrides_path.write_text("policies: [")
    with pytest.raises(PolicyError):
        save(settings, "make *")
    settings.overrides_path.write_text(
        'version: "1"\npolicies: [{name: a, rules: [{action: deny}]}]\n'
    )
    with pytest.raises((PolicyError, ConfigError)):
        save(settings, "make *")
    assert names(settings) == ["a"]


def test_many_who_save_at_once_lose_nothing(settings):
    saved: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: saved.append(save(settings, f"tool-{n} *")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(settings)) == sorted(saved)
    assert len(saved) == 8


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        (Wish("allow", "*"), "covers everything"),
        (Wish("allow", "echo $("), "covers no call"),
        (Wish("allow", " ", tool="read"), "covers no call"),
        (Wish("deny", "x", tool="note"), "the pattern can only be `\\*`"),
    ],
)
def test_a_pattern_that_is_no_use_is_refused(wish, problem):
    with pytest.raises(InputError, match=problem):
        prepare(wish, cwd=Path("/"))


@pytest.mark.parametrize("pattern", ["", "x" * 2000])
def test_a_pattern_that_does_not_load_is_refused(pattern):
    with pytest.raises((InputError, PolicyError)):
        prepare(Wish("allow", pattern, tool="read"), cwd=Path("/"))


def test_the_sample_that_is_shown_is_true():
    for wish in (PUSH, Wish("deny", "ls*"), Wish("allow", "~/x/**", tool="read")):
        override = prepare(wish, cwd=Path("/tmp"))
        assert override.covers != override.leaves
    assert prepare(PUSH, cwd=Path("/tmp")).covers.params == {"command": "git push x"}


# In force


def enforce(gate: Gate, line: str) -> str:
    return gate.enforce(ToolCall("exec", {"command": line}, cwd="/tmp")).action


def test_once_means_one_call_of_all_processes(settings, tmp_path):
    override = prepare(Wish("allow", "make *", once=True), cwd=tmp_path)
    add(settings, override)
    gates = [gate_of(settings, live_policies(settings)) for _ in range(2)]
    try:
        assert [enforce(gate, "make x") for gate, _ in gates] == ["allow", "deny"]
    finally:
        for _, close in gates:
            close()


def test_an_override_ends_when_its_time_is_over(settings, tmp_path):
    add(settings, prepare(Wish("allow", "make *", until=time.time() + 3600), cwd=tmp_path))
    policies = live_policies(settings).current()
    host = host_in(tmp_path)
    call = ToolCall("exec", {"command": "make x"}, cwd="/tmp")
    engine = policies.engine(host)
    actions = intercept(call, host)
    assert engine.decide(call, actions, now=time.time()).action == "allow"
    assert engine.decide(call, actions, now=time.time() + 7200).action == "deny"


def host_in(folder: Path) -> Host:
    return Host(str(folder), str(folder), str(folder), "me", {}, None)


def test_overrides_that_do_not_load_refuse_the_start(settings):
    settings.data_dir.mkdir(mode=0o700)
    settings.overrides_path.write_text("nonsense")
    with pytest.raises(PolicyError, match="overrides.yaml:1:1"):
        live_policies(settings)
    settings.overrides_path.write_text('version: "1"\nextends: [yolo]\n')
    with pytest.raises(PolicyError, match="policies and nothing else"):
        live_policies(settings)
