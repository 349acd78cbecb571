"""Additions to the catalog describe new programs, and never hide what a known one does."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.errors import InputTooLarge, RampartError
from rampart.intercept import intercept
from rampart.intercept.catalog import Catalog, ExtendedCatalog, builtin_catalog, read_additions
from rampart.intercept.commands import shell_actions
from rampart.intercept.examples import HOST
from rampart.model import Action, ToolCall

DEPLOYCTL = {
    "deployctl": {
        "aliases": ["dctl"],
        "options": {"-e --env": "text", "--manifest": "read"},
        "subcommands": {"status": [], "burn": ["irreversible", "remote"]},
    }
}


def catalog_with(*tables: dict[str, Any]) -> Catalog:
    additions = [each for table in tables for each in read_additions(table, "p.yaml")]
    return ExtendedCatalog(builtin_catalog(), additions)


def read(line: str, *tables: dict[str, Any]) -> list[Action]:
    return shell_actions(line, HOST, catalog=catalog_with(*tables))


def effects(actions: list[Action]) -> set[str]:
    return set().union(*(action.effects for action in actions))


def paths(actions: list[Action], tool: str) -> set[str]:
    return {action.path for action in actions if action.tool == tool}


@pytest.mark.parametrize(
    "line",
    [
        "deployctl burn api",
        "dctl --env prod burn api",
        "deployctl2 -e prod burn api",
        "DEPLOYCTL.EXE burn api",
        "./bin/deployctl burn api",
        "sudo env A=1 dctl burn",
        "bash -c 'dctl burn'",
        "echo api | xargs dctl burn",
        "find . -exec dctl burn {} +",
        "python3 -c \"import os; os.system('dctl burn')\"",
        "node -e \"require('child_process').execSync('dctl burn')\"",
        "echo $(dctl burn)",
        "f() { dctl burn; }; f",
    ],
)
def test_an_added_program_is_known_wherever_commands_run(line: str) -> None:
    assert "irreversible" not in effects(shell_actions(line, HOST))
    assert "irreversible" in effects(read(line, DEPLOYCTL))


@pytest.mark.parametrize(
    ("tool", "params"),
    [
        ("exec", {"command": "dctl burn"}),
        ("exec", {"argv": ["dctl", "burn"]}),
        ("exec", {"command": "sh", "stdin": "dctl burn"}),
        ("code", {"language": "bash", "code": "dctl burn"}),
        ("code", {"language": "python", "code": "import os\nos.system('dctl burn')"}),
        ("mcp", {"name": "run_shell", "arguments": {"command": "dctl burn"}}),
        ("my_terminal", {"command": "dctl burn"}),
        ("run_python", {"code": "import os; os.system('dctl burn')"}),
    ],
)
def test_every_kind_of_call_uses_the_catalog_in_force(tool: str, params: dict[str, Any]) -> None:
    call = ToolCall(tool, params)
    assert "irreversible" not in effects(list(intercept(call, HOST)))
    assert "irreversible" in effects(list(intercept(call, HOST, catalog_with(DEPLOYCTL))))


def test_options_and_files_of_an_added_program_are_read() -> None:
    actions = read("dctl --manifest m.yaml -e burn status", DEPLOYCTL)
    assert paths(actions, "read") == {"/workspace/m.yaml"}
    assert effects(actions) == set()


def test_a_known_program_gets_new_subcommands_behind_its_own_options() -> None:
    table = {"git": {"subcommands": {"wipe": ["irreversible"], "remote burn": ["irreversible"]}}}
    assert "irreversible" in effects(read("git -C sub wipe x", table))
    assert "irreversible" in effects(read("git remote burn x", table))
    assert "irreversible" not in effects(read("git status", table))
    assert "foreign-source" in effects(read("git remote add x https://x.example/", table))


def test_new_options_count_in_subcommands_too() -> None:
    table = {"git": {"options": {"--undo-file": "delete"}}}
    assert paths(read("git commit --undo-file x", table), "delete") == {"/workspace/x"}


def test_an_addition_under_another_name_concerns_that_name_only() -> None:
    table = {"bash": {"flags": {"--burn": ["irreversible"]}}}
    assert "irreversible" in effects(read("bash --burn", table))
    assert "irreversible" not in effects(read("sh --burn", table))
    table = {"sh": {"flags": {"--burn": ["irreversible"]}}}
    assert "irreversible" in effects(read("bash --burn", table))
    table = {"python": {"flags": {"--burn": ["irreversible"]}}}
    assert "irreversible" in effects(read("python3.11 --burn", table))


@pytest.mark.parametrize(
    ("table", "line", "effect", "path"),
    [
        ({"rm": []}, "rm -rf build", "recursive", "/workspace/build"),
        ({"rm": {"operands": "text"}}, "rm -rf build", "force", "/workspace/build"),
        ({"rm": {"flags": {"-r": []}}}, "rm -r build", "recursive", "/workspace/build"),
        ({"rm": {"flags": {"-f": "dry-run"}}}, "rm -rf build", "force", "/workspace/build"),
        ({"rm": {"flags": {"-f": "help"}}}, "rm -rf build", "force", "/workspace/build"),
        ({"rm": {"options": {"-r": "text"}}}, "rm -r build", "recursive", "/workspace/build"),
        ({"rm": {"options": {"-z": "text"}}}, "rm -rz build", "recursive", "/workspace/build"),
        ({"rm": {"subcommands": {"build": []}}}, "rm -r build", "recursive", "/workspace/build"),
        ({"grm": []}, "grm -rf build", "recursive", "/workspace/build"),
        ({"RM": []}, "rm -rf build", "recursive", "/workspace/build"),
    ],
)
def test_an_addition_cannot_make_a_known_program_look_harmless(
    table: dict[str, Any], line: str, effect: str, path: str
) -> None:
    actions = read(line, table)
    assert effect in effects(actions)
    assert path in paths(actions, "delete")


def test_what_a_known_program_runs_stays_visible() -> None:
    table = {"sudo": {"options": {"-n": "text"}, "operands": "text"}}
    commands = {action.command for action in read("sudo -n rm -rf build", table)}
    assert "rm -rf build" in commands
    table = {"docker": {"subcommands": {"exec": {"operands": "text"}}}}
    assert "contained" in effects(read("docker exec web rm x", table))


def test_a_launchers_unknown_option_stays_opaque_until_the_entry_is_replaced() -> None:
    table: dict[str, Any] = {"nice": {"flags": {"--new": []}}}
    assert any(action.opaque for action in read("nice --new rm x", table))
    table = {
        "nice": {"replace": "true", "style": "posix", "flags": {"--new": []}, "operands": "command"}
    }
    actions = read("nice --new rm x", table)
    assert not any(action.opaque for action in actions)
    assert paths(actions, "delete") == {"/workspace/x"}


def test_replacing_puts_the_known_entry_aside_for_all_of_its_names() -> None:
    table = {"split": {"replace": "true", "effects": ["remote"]}}
    assert effects(read("split segments delete x", table)) == {"remote"}
    assert paths(read("split -b 1 a", table), "read") == set()


def test_later_additions_add_to_earlier_ones() -> None:
    first = {"ourtool": {"subcommands": {"drop": ["irreversible"]}}}
    actions = read("ourtool drop x", first, {"ourtool": {"subcommands": {"drop": []}}})
    assert effects(actions) == {"irreversible"}


def test_an_added_program_is_not_trusted_to_set_up_a_shell() -> None:
    line = 'eval "$(ourtool init bash)"'
    assert any(action.opaque for action in shell_actions(line, HOST))
    assert any(action.opaque for action in read(line, {"ourtool": []}))


def test_readings_of_nested_launchers_are_bounded() -> None:
    """Two readings that disagree about an option must not multiply at each level."""
    table = {"nice": {"options": {"-z": "text"}}}
    line = "nice -z " * 22 + "true"
    started = time.perf_counter()
    with suppress(InputTooLarge):
        read(line, table)
    assert time.perf_counter() - started < 5  # unbounded, this takes minutes


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"git": {"style": "posix"}}, "`style` of `git`, which is known, cannot be changed"),
        ({"git": {"subcommands": {"push": {"reader": "tar"}}}}, "`reader` of `push`"),
        ({"x": {"aliases": ["rm"]}}, "the alias `rm` is the name of another program"),
        ({"x": {"aliases": ["python3"]}}, "the alias `python3` is the name of another program"),
        ({"x": {"aliases": ["z"]}, "y": {"aliases": ["z"]}}, "the alias `z`"),
        ({"x": {"aliases": ["y"]}, "y": []}, "the alias `y`"),
        ({"x": {"flags": {"-m": {"mode": "none"}}}}, "`x` has no mode `none`"),
        ({"/bin/x": []}, "no name of a program"),
        ({"": []}, "no name of a program"),
        ({"x": {"effects": ["loopback"]}}, "unknown effect 'loopback'"),
        ({"x": {"subcommands": {"a " * 9: []}}}, "a subcommand is one word or more"),
        ({"x": {"example": {"x a": "irreversible"}}}, "an example are a list"),
        ({"x": {"replace": "maybe"}}, "replace is true or false"),
    ],
)
def test_an_addition_that_cannot_be_made_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RampartError, match=message):
        catalog_with(table)


def test_without_additions_the_entries_are_the_built_in_ones() -> None:
    catalog, builtin = catalog_with({"ourtool": []}), builtin_catalog()
    assert catalog.find("git") is builtin.find("git")
    assert catalog.find("nosuchprogram") is None
    assert catalog.variables is builtin.variables
    assert set(builtin.names()) < set(catalog.names())


LINES = [
    (name, line)
    for name in builtin_catalog().names()
    for line in (builtin_catalog().find(name).examples)  # type: ignore[union-attr]  # it is listed
]
WORDS = st.sampled_from(["-r", "-f", "-n", "-c", "-e", "-i", "-o", "--force", "-x", "-d", "-u"])
SUBCOMMANDS = st.sampled_from(["push", "run", "exec", "install", "delete", "config", "a", "x"])
ROLES_GIVEN = st.sampled_from(["text", "read", "command", "shell", "chdir"])
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "effects": st.just([]),
        "operands": st.sampled_from(["text", "read", "command", ["text", "text..."]]),
        "flags": st.dictionaries(WORDS, st.sampled_from([[], "help", "dry-run"]), max_size=4),
        "options": st.dictionaries(WORDS, ROLES_GIVEN, max_size=4),
        "subcommands": st.dictionaries(SUBCOMMANDS, st.just([]), max_size=3),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LINES), ENTRIES)
def test_no_addition_hides_anything(listed: tuple[str, str], entry: dict[str, Any]) -> None:
    """What a line does by the built-in catalog, it does with any addition to its program."""
    name, line = listed
    try:
        catalog = catalog_with({name: entry})
    except RampartError:
        return
    before = shell_actions(line, HOST)
    after = shell_actions(line, HOST, catalog=catalog)
    assert effects(before) <= effects(after)
    for action in before:
        same = [
            other
            for other in after
            if (other.tool, other.command, other.path, other.url)
            == (action.tool, action.command, action.path, action.url)
        ]
        assert any(action.effects <= other.effects for other in same), action
        if action.opaque:
            assert any(other.opaque for other in same)
        if not action.grantable:
            assert any(not other.grantable for other in same)
