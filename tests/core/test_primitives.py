"""Guarded primitives: what was decided is what is run and opened."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rampart import Decision, Denied, Guard
from rampart.audit.read import read_records

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: commands
    match: {tool: [exec]}
    rules:
      - {action: deny, when: {command_matches: ["touch *forbidden*"]}, message: not this file}
      - {action: deny, when: {command_env_assignments: ["LD_PRELOAD=*"]}, message: no loading}
      - {action: redact, when: {response_matches: ["token-[a-z]+"]}, message: no tokens}
      - {action: deny, when: {response_matches: ["PRIVATE"]}, message: not to be seen}
  - name: files
    match: {tool: [read, write]}
    rules:
      - {action: deny, when: {path_matches: ["**/secret/**"]}, message: secrets are not for agents}
"""


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    (tmp_path / "secret").mkdir()
    with Guard(POLICY, data_dir=tmp_path / "rampart", workspace=tmp_path) as opened:
        yield opened


def decisions(tmp_path: Path) -> list[Any]:
    records: list[Any] = list(read_records(tmp_path / "rampart" / "audit"))
    return [record for record in records if record["type"] == "decision"]


def run(guard: Guard, way: str, *args: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    if way == "arun":
        return asyncio.run(guard.arun(*args, **options))
    return guard.run(*args, **options)


WAYS = pytest.mark.parametrize("way", ["run", "arun"])


@WAYS
def test_program_runs_and_its_output_comes_back(guard: Guard, tmp_path: Path, way: str) -> None:
    done = run(guard, way, ["printf", "%s|", "a b", "$HOME"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "a b|$HOME|", "")
    done = run(guard, way, "echo one && echo two >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "one\n", "two\n")
    assert run(guard, way, ["cat"], input="given").stdout == "given"
    assert [d["tool"] for d in decisions(tmp_path)] == ["exec"] * 3


@WAYS
@pytest.mark.parametrize(
    "command", [["touch", "forbidden"], "touch forbidden", "true && touch x.forbidden"]
)
def test_denied_program_does_not_run(guard: Guard, tmp_path: Path, way: str, command: Any) -> None:
    with pytest.raises(Denied, match="not this file") as caught:
        run(guard, way, command, cwd=tmp_path)
    assert caught.value.decision.policy == "commands"
    assert not list(tmp_path.glob("*forbidden*"))


@WAYS
def test_directory_is_part_of_what_is_decided(guard: Guard, tmp_path: Path, way: str) -> None:
    (tmp_path / "secret" / "key").write_text("a key")
    with pytest.raises(Denied, match="secrets are not"):
        run(guard, way, ["cat", "key"], cwd=tmp_path / "secret")
    assert run(guard, way, ["pwd", "-P"], cwd=tmp_path).stdout.strip() == str(tmp_path.resolve())


@WAYS
@pytest.mark.parametrize("command", [["true"], "true; true"])
def test_environment_is_part_of_what_is_decided(guard: Guard, way: str, command: Any) -> None:
    with pytest.raises(Denied, match="no loading"):
        run(guard, way, command, env={**os.environ, "LD_PRELOAD": "/tmp/x.so"})
    with pytest.raises(Denied, match="no name of a variable"):
        run(guard, way, command, env={"A B": "x"})
    shown = run(guard, way, [sys.executable, "-c", "import os; print(os.environ['NEW'])"],
                env={**os.environ, "NEW": "it's new"})  # fmt: skip
    assert shown.stdout == "it's new\n"


@WAYS
@pytest.mark.parametrize("command", [[], [1], ["a", None], 7, None, b"ls", {"a": 1}])
def test_command_that_is_none_is_denied(guard: Guard, way: str, command: Any) -> None:
    with pytest.raises(Denied, match="a command is a text, or a list of texts"):
        run(guard, way, command)


@WAYS
def test_list_that_changes_while_it_is_decided_changes_nothing(tmp_path: Path, way: str) -> None:
    words = ["echo", "decided"]

    class Slow:
        """A decision point that takes its time."""

        def check(self, call: Any) -> Decision:
            words[1] = "changed"
            return Decision("allow")

        enforce = check

        def finish(self, decision: Decision, timeout_s: float) -> Decision:
            return decision

        def poll(self, decision: Decision) -> Decision:
            return decision

    assert run(Guard.of(Slow()), way, words).stdout == "decided\n"


@WAYS
def test_output_is_reviewed(guard: Guard, way: str) -> None:
    done = run(guard, way, "echo token-abc; echo token-def >&2")
    assert "redacted" in done.stdout
    assert "token" not in done.stderr
    with pytest.raises(Denied, match="not to be seen"):
        run(guard, way, ["echo", "PRIVATE"])


@WAYS
def test_failures_are_those_of_subprocess(guard: Guard, way: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run(guard, way, ["false"], check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        run(guard, way, ["sleep", "60"], timeout_s=0.05)
    with pytest.raises(FileNotFoundError):
        run(guard, way, ["no-such-program-here"])


def test_cancelled_run_ends_the_program(guard: Guard, tmp_path: Path) -> None:
    started, ended = tmp_path / "started", tmp_path / "ended"

    async def main() -> None:
        line = f"echo > {started}; sleep 60; echo > {ended}"
        running = asyncio.ensure_future(guard.arun(line))
        while not started.exists():
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert not ended.exists()


# Files


def test_file_is_opened_as_open_does(guard: Guard, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    with guard.open(path, "w", encoding="utf-8") as file:
        file.write("one\n")
    with guard.open(str(path), "a") as file:
        file.write("two\n")
    with guard.open(path) as file:
        assert file.read() == "one\ntwo\n"
    with guard.open(path, "r+b") as file:
        assert file.read(3) == b"one"
    with pytest.raises(FileExistsError):
        guard.open(path, "x")
    seen = [(d["tool"], d["params"]["path"]) for d in decisions(tmp_path)]
    kinds = ["write", "write", "read", "read", "write", "write"]
    assert seen == [(kind, str(path)) for kind in kinds]


@pytest.mark.parametrize("mode", ["r", "rb", "w", "a", "x", "r+", "w+b"])
def test_denied_file_is_neither_opened_nor_made(guard: Guard, tmp_path: Path, mode: str) -> None:
    with pytest.raises(Denied, match="secrets are not for agents"):
        guard.open(tmp_path / "secret" / "key", mode)
    assert list((tmp_path / "secret").iterdir()) == []


def test_link_is_decided_as_where_it_leads(guard: Guard, tmp_path: Path) -> None:
    (tmp_path / "secret" / "key").write_text("a key")
    (tmp_path / "link").symlink_to(tmp_path / "secret" / "key")
    with pytest.raises(Denied):
        guard.open(tmp_path / "link")


def swapping(tmp_path: Path, swap: Callable[[], None]) -> Guard:
    """Return a guard that allows everything; ``swap`` happens while it decides."""

    class Swapping:
        """A decision point during whose answer somebody changes the disk."""

        def check(self, call: Any) -> Decision:
            swap()
            return Decision("allow")

        enforce = check

        def finish(self, decision: Decision, timeout_s: float) -> Decision:
            return decision

        def poll(self, decision: Decision) -> Decision:
            return decision

    return Guard.of(Swapping())


@pytest.mark.parametrize("mode", ["r", "w", "a"])
def test_link_that_is_put_there_meanwhile_is_not_followed(tmp_path: Path, mode: str) -> None:
    target, path = tmp_path / "target", tmp_path / "file"
    target.write_text("precious")
    path.write_text("ordinary")

    def swap() -> None:
        path.unlink()
        path.symlink_to(target)

    with pytest.raises(OSError, match="symbolic|Too many levels"):
        swapping(tmp_path, swap).open(path, mode)
    assert target.read_text() == "precious"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux tells where it led")
@pytest.mark.parametrize("mode", ["r", "w", "a"])
def test_directory_that_is_exchanged_meanwhile_is_noticed(tmp_path: Path, mode: str) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    for place in (folder, other):
        place.mkdir()
        (place / "file").write_text("precious")

    def swap() -> None:
        folder.rename(tmp_path / "gone")
        folder.symlink_to(other)

    with pytest.raises(Denied, match="led elsewhere"):
        swapping(tmp_path, swap).open(folder / "file", mode)
    assert (other / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "mode", "error"),
    [(3, "r", TypeError), (b"x", "r", TypeError), ("x", "", ValueError), ("x", "z", ValueError),
     ("x", "rw", ValueError), ("x", "U", ValueError)],
)  # fmt: skip
def test_what_is_no_path_or_mode_is_an_error(
    guard: Guard, path: Any, mode: str, error: Any
) -> None:
    with pytest.raises(error):
        guard.open(path, mode)
