"""The program itself: help, errors, plugins, and how it ends."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import click
import pytest
from rampart.cli import main as program
from rampart.cli.terminal import visible
from rampart.hookspecs import hookimpl
from rampart.plugins import Plugins

COMMANDS = ["approve", "audit", "check", "deny", "pending", "plugins", "policy", "serve", "token"]
FAMILIES = [["audit", "tail"], ["audit", "show"], ["audit", "verify"], ["policy", "show"]]
HEAVY = ("uvicorn", "starlette", "httpx", "rampart.server", "rampart.gate", "sqlite3")


def test_version(rampart):
    found = rampart("--version")
    assert re.fullmatch(r"rampart \d+\.\d+\.\d+\n", found.stdout)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--version"], ["check", "--help"], ["serve", "--help"]])
def test_what_needs_no_service_imports_none(arguments):
    code = (
        "import sys\nfrom rampart.cli.main import run\n"
        f"run({arguments!r})\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_help_lists_every_command(rampart):
    found = rampart("--help")
    assert found.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", found.stdout, re.MULTILINE), command


@pytest.mark.parametrize("family", [[], ["audit"], ["policy"]])
def test_a_family_without_a_command_shows_its_help(rampart, family):
    found = rampart(*family)
    assert found.returncode == 0
    assert found.stdout == rampart(*family, "--help").stdout
    assert "Commands:" in found.stdout


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + FAMILIES)
def test_every_command_has_help_with_examples(command, capsys):
    assert program.run([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: rampart")
    if command not in (["audit"], ["policy"]):
        assert "Examples:\n    " in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "there is no command 'nonsense'"),
        (["check", "--nonsense"], "No such option"),
        (["check"], "nothing to check"),
        (["check", "--profile", "a", "--policy", "b", "ls"], "exclude each other"),
        (["audit", "verify", "--anchor", "x"], "RECORDS:HEAD"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line_with_help(rampart, arguments, message):
    found = rampart(*arguments)
    assert found.returncode == 2
    assert found.stdout == ""
    lines = found.stderr.splitlines()
    assert lines[0].startswith("rampart: ")
    assert message in lines[0]
    assert lines[1].startswith("  help: `rampart")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check", "--profile", "nonsense", "ls"], 78, "no profile named 'nonsense'"),
        (["check", "--policy", "/nonexistent", "ls"], 78, "cannot be read"),
        (["approve", "apr_0"], 65, "there is no approval"),
        (["audit", "show", "0"], 74, "there is no audit log"),
        (["token", "--data-dir", "/dev/null/x"], 78, "cannot be used"),
    ],
)
def test_an_error_ends_with_its_own_exit_code_and_no_traceback(rampart, arguments, code, message):
    found = rampart(*arguments)
    assert found.returncode == code
    assert found.stdout == ""
    assert found.stderr.startswith("rampart: ")
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_a_policy_that_does_not_load_is_told_with_its_place(rampart, data_dir):
    (data_dir / "policy.yaml").write_text('version: "1"\npolicies: nonsense\n')
    found = rampart("check", "ls")
    assert found.returncode == 65
    assert re.search(r"policy\.yaml:2:\d+: ", found.stderr)


def test_a_data_directory_may_stand_before_or_after_the_command(rampart, tmp_path):
    for number, arguments in enumerate(
        (("--data-dir", "DIR", "token"), ("token", "--data-dir", "DIR"))
    ):
        folder = tmp_path / str(number)
        assert (
            rampart(*(str(folder) if word == "DIR" else word for word in arguments)).returncode == 0
        )
        assert (folder / "token").exists()


def test_a_closed_pipe_ends_the_program_quietly(rampart):
    found = subprocess.run(
        ["/bin/sh", "-c", '"$@" | true', "sh", *rampart.command("policy", "show")],
        env=rampart.environment,
        capture_output=True,
        check=True,
    )
    assert found.stderr == b""


def test_ctrl_c_ends_the_program_quietly(rampart, ask):
    ask()
    with subprocess.Popen(
        rampart.command("audit", "tail", "-f"),
        env=rampart.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert b"git push" in process.stdout.readline()
        process.send_signal(2)
        _out, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, b"")


# Plugins


class Greeter:
    @hookimpl
    def rampart_commands(self):
        return [click.Command("greet", callback=lambda: click.echo("hello"))]


class Squatter:
    @hookimpl
    def rampart_commands(self):
        return [click.Command("check", callback=lambda: click.echo("everything is fine"))]


class Failing:
    @hookimpl
    def rampart_commands(self):
        raise RuntimeError("no commands today")


@pytest.fixture
def with_plugins(monkeypatch):
    def use(**plugins):
        found = Plugins()
        for name, plugin in plugins.items():
            found.register(plugin, name=name)
        monkeypatch.setattr("rampart.plugins.installed_plugins", lambda: found)
        program._plugin_commands.cache_clear()

    yield use
    program._plugin_commands.cache_clear()


def test_a_plugin_brings_a_command(with_plugins, capsys):
    with_plugins(greeter=Greeter())
    assert program.run(["greet"]) == 0
    assert capsys.readouterr().out == "hello\n"
    program.run(["--help"])
    assert "greet" in capsys.readouterr().out


def test_a_plugin_cannot_take_the_place_of_a_command(with_plugins, capsys, data_dir):
    with_plugins(squatter=Squatter())
    assert program.run(["--data-dir", str(data_dir), "check", "rm -rf /"]) == 1
    assert "everything is fine" not in capsys.readouterr().out
    program.run(["--help"])
    assert "plugin squatter: there is a command `check` already" in capsys.readouterr().err


def test_a_plugin_that_fails_is_named_and_breaks_no_other_command(with_plugins, capsys):
    with_plugins(failing=Failing())
    assert program.run(["--help"]) == 0
    shown = capsys.readouterr()
    assert "plugin failing: rampart_commands: no commands today" in shown.err
    assert "check" in shown.out
    assert program.run(["greet"]) == 2


def test_a_plugin_that_does_not_import_is_named_and_breaks_no_other_command(rampart, tmp_path):
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rampart]\nbroken = broken_module_of_nobody\n")
    paths = os.pathsep.join([str(tmp_path), *rampart.environment.get("PYTHONPATH", "").split(":")])
    own = {"RAMPART_DISABLE_PLUGIN_AUTOLOAD": "0", "PYTHONPATH": paths.rstrip(":")}
    assert rampart("--help", **own).returncode == 0
    listed = rampart("plugins", **own)
    assert listed.returncode == 70
    line = next(line for line in listed.stdout.splitlines() if line.startswith("broken "))
    assert re.search(r"broken 1\.0 +cannot be used: ModuleNotFoundError", line)
    assert "plugin broken cannot be used" in listed.stderr
    assert rampart("token", **own).returncode == 0


# What reaches the terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcode 漢字 🙂", "plain text, ünïcode 漢字 🙂"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\u2028", r"\u2028"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_would_act_upon_is_escaped(text, shown):
    assert visible(text) == shown


def on_a_terminal(rampart, *arguments, **environment):
    """Run a command with standard output on a terminal and return what it printed."""
    main, other = pty.openpty()
    with subprocess.Popen(
        rampart.command(*arguments),
        env={**rampart.environment, "TERM": "xterm", **environment},
        stdout=other,
        stdin=other,
        stderr=subprocess.PIPE,
    ):
        os.close(other)
        shown = b""
        try:
            while part := os.read(main, 65536):
                shown += part
        except OSError:
            pass  # the other end is closed
    os.close(main)
    return shown.decode()


def test_colours_are_for_terminals_whose_user_wants_them(rampart):
    assert "\x1b[" in on_a_terminal(rampart, "check", "ls")
    assert "\x1b[" not in on_a_terminal(rampart, "check", "ls", NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(rampart, "check", "ls", TERM="dumb")
    assert "\x1b[" not in rampart("check", "ls").stdout


def test_an_agents_text_cannot_move_the_cursor(rampart, ask):
    ask("git push\x1b[2J\u202e", agent="\x1b]0;title\x07")
    for arguments in (
        ["pending"],
        ["pending", "--json"],
        ["audit", "tail"],
        ["audit", "tail", "--json"],
    ):
        found = rampart(*arguments)
        assert "git push" in found.stdout
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", found.stdout), arguments
