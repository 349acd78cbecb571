"""Every function that runs a program asks once, obeys, and leaves the process as it was."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXEC = [
    "execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "execve-bare",
    "fexecve", "execveat", "execveat-relative", "__execvpe",
]  # fmt: skip
SPAWN = ["posix_spawn", "posix_spawnp", "vfork", "small-stack"]
SHELL = ["system", "popen"]
RAN = 1007  # the marker's exit status, as the probe prints it


class Call:
    """Runs the probe and says what came of it."""

    def __init__(self, probe: Any, environment: dict[str, str], tmp_path: Path) -> None:
        self.probe = probe
        self.out = tmp_path / "out"
        path = f"{probe.folder}:{os.environ['PATH']}"
        self.environment = environment | {"PATH": path}

    def __call__(self, entry: str) -> subprocess.CompletedProcess[str]:
        command = [self.probe.program, entry, self.probe.marker, self.out]
        return subprocess.run(
            [str(word) for word in command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def marks(self) -> list[str]:
        return self.out.read_text().splitlines() if self.out.exists() else []


@pytest.mark.parametrize("entry", EXEC)
def test_denied_exec_fails_with_eperm_and_changes_nothing(
    entry: str, probe: Any, denying: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    call = Call(probe, guarded(denying), tmp_path)
    done = call(entry)
    report = json.loads(done.stdout)
    assert (report["result"], report["errno"]) == (-1, errno.EPERM)
    assert report["fds"]
    assert report["environ"]
    assert report["signals"]
    assert done.stderr == "rampart: blocked — Destructive command blocked\n"
    assert call.marks() == []
    assert len(denying.queries) == 1


@pytest.mark.parametrize("entry", EXEC)
def test_allowed_exec_runs_the_program_guarded_and_asks_once(
    entry: str, probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    environment = guarded(allowing)
    call = Call(probe, environment, tmp_path)
    done = call(entry)
    assert (done.returncode, done.stderr) == (7, "")
    (mark,) = call.marks()
    assert mark.startswith("argc=3 [arg two]")
    for name in ("LD_PRELOAD", "RAMPART_SOCKET", "RAMPART_MODE", "RAMPART_SESSION"):
        assert f" {name}={environment[name]}" in mark
    assert ("BARE=1" in mark) == (entry in ("execve-bare", "execle"))
    (query,) = allowing.queries
    assert query.argv == tuple(map(os.fsencode, (probe.marker, call.out, "arg two")))
    assert Path(os.fsdecode(query.path)) == probe.marker
    assert (query.agent, query.session, query.flags, query.pid) == (b"tester", b"s1", 0, 0)


@pytest.mark.parametrize("entry", SPAWN)
def test_denied_spawn_answers_eperm_and_leaves_errno_alone(
    entry: str, probe: Any, denying: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    call = Call(probe, guarded(denying), tmp_path)
    done = call(entry)
    report = json.loads(done.stdout)
    in_child = entry in ("vfork", "small-stack")
    assert report["result"] == (1000 + errno.EPERM if in_child else errno.EPERM)
    if not in_child:
        assert report["errno"] == 77
    assert report["fds"]
    assert report["environ"]
    assert report["signals"]
    assert call.marks() == []
    assert len(denying.queries) == 1
    assert done.stderr == "rampart: blocked — Destructive command blocked\n"


@pytest.mark.parametrize("entry", SPAWN)
def test_allowed_spawn_runs_the_program_and_asks_once(
    entry: str, probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    call = Call(probe, guarded(allowing), tmp_path)
    report = json.loads(call(entry).stdout)
    assert report["result"] == RAN
    assert report["fds"]
    assert report["environ"]
    assert report["signals"]
    assert len(call.marks()) == 1
    assert allowing.programs() == [str(probe.marker)]


@pytest.mark.parametrize("entry", [*SHELL, "wordexp"])
def test_denied_shell_text_does_not_run(
    entry: str, probe: Any, denying: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    call = Call(probe, guarded(denying), tmp_path)
    report = json.loads(call(entry).stdout)
    assert report["result"] == (4 if entry == "wordexp" else -1)  # WRDE_CMDSUB
    assert report["errno"] == errno.EPERM
    assert report["fds"]
    assert report["environ"]
    assert report["signals"]
    assert call.marks() == []
    (query,) = denying.queries
    assert query.path == b"/bin/sh"
    assert query.argv[:2] == (b"sh", b"-c")
    assert os.fsencode(call.out) in query.argv[2]


@pytest.mark.parametrize("entry", SHELL)
def test_allowed_shell_text_runs_and_its_programs_are_asked_about(
    entry: str, probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    call = Call(probe, guarded(allowing), tmp_path)
    assert json.loads(call(entry).stdout)["result"] == RAN
    assert allowing.programs() == ["/bin/sh", str(probe.marker)]


@pytest.mark.parametrize("entry", ["system-scrubbed", "popen-scrubbed"])
def test_a_program_that_clears_its_environment_does_not_lose_the_guard(
    entry: str, probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    environment = guarded(allowing, RAMPART_AGENT="it's one")
    call = Call(probe, environment, tmp_path)
    assert json.loads(call(entry).stdout)["result"] == RAN
    (mark,) = call.marks()
    assert f"LD_PRELOAD={environment['LD_PRELOAD']}" in mark
    assert "RAMPART_AGENT=it's one" in mark
    # the shell that puts the guard back is not guarded; the one that runs the text is
    assert allowing.programs() == ["/bin/sh", str(probe.marker)]


def test_asking_whether_there_is_a_shell_asks_nobody(
    probe: Any, denying: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    report = json.loads(Call(probe, guarded(denying), tmp_path)("system-null").stdout)
    assert report["result"] != 0
    assert denying.queries == []


@pytest.mark.parametrize(("entry", "error"), [("execve-nopath", errno.EFAULT)])
def test_pointers_to_nothing_are_left_to_the_kernel(
    entry: str, error: int, probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    report = json.loads(Call(probe, guarded(allowing), tmp_path)(entry).stdout)
    assert (report["result"], report["errno"]) == (-1, error)


def test_exec_without_arguments_and_environment_is_asked_about_and_refused(
    probe: Any, denying: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    report = json.loads(Call(probe, guarded(denying), tmp_path)("execve-null").stdout)
    assert (report["result"], report["errno"]) == (-1, errno.EPERM)
    assert denying.queries[0].argv == ()


@pytest.mark.parametrize("entry", ["pidfd_spawn", "pidfd_spawnp"])
def test_spawn_with_a_descriptor_is_there_only_if_libc_has_it(
    entry: str, probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    call = Call(probe, guarded(allowing), tmp_path)
    report = json.loads(call(entry).stdout)
    assert report["result"] == errno.ENOSYS or call.marks()


def test_a_script_without_a_first_line_is_run_by_the_shell(
    probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "script"
    script.write_text(f"printf '%s\\n' \"$2\" > {tmp_path}/out\n")
    script.chmod(0o755)
    call = Call(probe, guarded(allowing), tmp_path)
    call.environment["PATH"] = f"{folder}:{call.environment['PATH']}"
    assert call("execvp-script").returncode == 0
    assert call.marks() == ["arg two"]
    assert allowing.programs() == [str(script)]


def test_a_directory_that_may_not_be_searched_does_not_hide_the_program(
    probe: Any, allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "marker").write_text("not executable")
    call = Call(probe, guarded(allowing), tmp_path)
    call.environment["PATH"] = f"/nonexistent:{other}:{call.environment['PATH']}"
    for entry in ("execvp", "posix_spawnp"):
        call(entry)
    assert len(call.marks()) == 2
    assert allowing.programs() == [str(probe.marker)] * 2
