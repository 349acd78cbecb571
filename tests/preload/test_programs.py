"""Real programs: what they start runs only if allowed, and is asked about once."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rampart.wire import ExecQuery, encode_answer

SHELL = "/bin/sh"
PYTHON = {
    "run": "import subprocess; subprocess.run({argv})",
    "run bare name": "import subprocess; subprocess.run(['marker', *{argv}[1:]])",
    "run env": "import subprocess; subprocess.run({argv}, env={{'A': 'b'}})",
    "run preexec": "import subprocess; subprocess.run({argv}, preexec_fn=int)",
    "run session": "import subprocess; subprocess.run({argv}, start_new_session=True)",
    "posix_spawn path": "import subprocess; subprocess.run({argv}, close_fds=False)",
    "execv": "import os; os.execv({argv}[0], {argv})",
    "execlp": "import os; os.execlp('marker', *{argv})",
    "spawnv": "import os; os.spawnv(os.P_WAIT, {argv}[0], {argv})",
    "posix_spawn": "import os; os.waitpid(os.posix_spawn({argv}[0], {argv}, os.environ), 0)",
    "posix_spawnp": "import os; os.waitpid(os.posix_spawnp('marker', {argv}, os.environ), 0)",
    "fexecve": "import os; os.execve(os.open({argv}[0], os.O_RDONLY), {argv}, os.environ)",
    "asyncio": (
        "import asyncio\n"
        "async def main():\n"
        "    await (await asyncio.create_subprocess_exec(*{argv})).wait()\n"
        "asyncio.run(main())"
    ),
    "pty": "import pty; pty.spawn({argv})",
}
PYTHON_SHELL = {
    "run shell": "import subprocess; subprocess.run({text}, shell=True)",
    "os.system": "import os; os.system({text})",
    "os.popen": "import os; os.popen({text}).read()",
    "asyncio shell": (
        "import asyncio\n"
        "async def main():\n"
        "    await (await asyncio.create_subprocess_shell({text})).wait()\n"
        "asyncio.run(main())"
    ),
}


class Setup:
    """The marker, and commands that run it."""

    def __init__(self, probe: Any, tmp_path: Path, guarded: Callable[..., Any]) -> None:
        self.marker = str(probe.marker)
        self.out = tmp_path / "out"
        self.folder = tmp_path
        self.argv = [self.marker, str(self.out), "two words"]
        self.text = shlex.join(self.argv)
        self.path = f"{probe.folder}:/usr/local/bin:/usr/bin:/bin"
        self._guarded = guarded

    def run(self, command: list[str], responder: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self._guarded(responder, PATH=self.path),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def ran(self) -> int:
        return len(self.out.read_text().splitlines()) if self.out.exists() else 0


@pytest.fixture
def setup(glibc_probe: Any, tmp_path: Path, guarded: Callable[..., Any]) -> Setup:
    return Setup(glibc_probe, tmp_path, guarded)


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing")
    return found


def deny_marker(query: ExecQuery) -> bytes:
    refused = query.path.endswith(b"/marker")
    return encode_answer("deny" if refused else "allow", "not this one")


def check(setup: Setup, respond: Callable[..., Any], command: list[str], before: list[str]) -> None:
    """``before`` are the programs that are asked about ahead of the marker."""
    refusing, allowing = respond(deny_marker), respond()
    done = setup.run(command, refusing)
    assert setup.ran == 0, done
    assert [Path(each).name for each in refusing.programs()] == [*before, "marker"]
    assert "rampart: blocked — not this one" in done.stderr + done.stdout
    setup.run(command, allowing)
    assert setup.ran == 1
    assert [Path(each).name for each in allowing.programs()] == [*before, "marker"]
    assert allowing.queries[-1].argv[1:] == tuple(map(os.fsencode, setup.argv[1:]))


@pytest.mark.parametrize("name", PYTHON)
def test_python(name: str, setup: Setup, respond: Callable[..., Any]) -> None:
    code = PYTHON[name].format(argv=repr(setup.argv))
    check(setup, respond, [sys.executable, "-c", code], [])


@pytest.mark.parametrize("name", PYTHON_SHELL)
def test_python_with_a_shell(name: str, setup: Setup, respond: Callable[..., Any]) -> None:
    code = PYTHON_SHELL[name].format(text=repr(setup.text))
    check(setup, respond, [sys.executable, "-c", code], ["sh"])


@pytest.mark.parametrize("name", PYTHON_SHELL)
def test_python_shell_text_is_refused_as_a_whole(name: str, setup: Setup, denying: Any) -> None:
    code = PYTHON_SHELL[name].format(text=repr("echo x > written"))
    setup.run([sys.executable, "-c", code], denying)
    assert not (setup.folder / "written").exists()
    assert denying.queries[0].argv[1:] == (b"-c", b"echo x > written")


@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize(
    "form", ["{text}", "true; {text}", "exec {text}", "({text})", "x=$({text})"]
)
def test_shells(shell: str, form: str, setup: Setup, respond: Callable[..., Any]) -> None:
    check(setup, respond, [program(shell), "-c", form.format(text=setup.text)], [])


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_that_clears_its_environment_stays_guarded(
    shell: str, setup: Setup, respond: Callable[..., Any]
) -> None:
    text = f"unset LD_PRELOAD RAMPART_SOCKET; env -i {shell} -c {shlex.quote(setup.text)}"
    check(setup, respond, [program(shell), "-c", text], ["env", shell])


NODE = {
    "spawnSync": ("require('child_process').spawnSync({argv}[0], {argv}.slice(1))", []),
    "spawnSync env": (
        "require('child_process').spawnSync({argv}[0], {argv}.slice(1), {{env: {{}}}})",
        [],
    ),
    "execSync": ("require('child_process').execSync({text})", ["sh"]),
}


@pytest.mark.parametrize("name", NODE)
def test_node(name: str, setup: Setup, respond: Callable[..., Any]) -> None:
    code, before = NODE[name]
    text = code.format(argv=repr(setup.argv), text=repr(setup.text))
    shown = f"try {{ {text} }} catch (e) {{ console.log(String(e)) }}"
    refusing, allowing = respond(deny_marker), respond()
    setup.run([program("node"), "-e", shown], refusing)
    assert setup.ran == 0
    assert [Path(each).name for each in refusing.programs()] == [*before, "marker"]
    setup.run([program("node"), "-e", shown], allowing)
    assert setup.ran == 1
    assert [Path(each).name for each in allowing.programs()] == [*before, "marker"]


PERL = {
    "list": ("system({list})", []),
    "shell": ("system({text} . ' ;')", ["sh"]),
    "exec": ("exec({list})", []),
    "backticks": ("my $x = `{plain} ;`", ["sh"]),
}


@pytest.mark.parametrize("name", PERL)
def test_perl(name: str, setup: Setup, respond: Callable[..., Any]) -> None:
    code, before = PERL[name]
    words = ", ".join(f"'{word}'" for word in setup.argv)
    text = code.format(list=words, text=f'"{setup.text}"', plain=setup.text)
    check(setup, respond, [program("perl"), "-e", text], before)


TOOLS = {
    "env": (["env", "-i", "{marker}"], []),
    "nohup": (["nohup", "{marker}"], []),
    "timeout": (["timeout", "9", "{marker}"], []),
    "nice": (["nice", "{marker}"], []),
    "setsid": (["setsid", "-w", "{marker}"], []),
    "xargs": (["xargs", "-a", "/dev/null", "{marker}"], []),
    "find": (["find", "/dev/null", "-maxdepth", "0", "-exec", "{marker}", ";"], []),
}


@pytest.mark.parametrize("name", TOOLS)
def test_tools_that_run_other_programs(
    name: str, setup: Setup, respond: Callable[..., Any]
) -> None:
    words, before = TOOLS[name]
    command = [program(words[0])]
    for word in words[1:]:
        command += setup.argv if word == "{marker}" else [word]
    check(setup, respond, command, before)


def test_make(setup: Setup, respond: Callable[..., Any]) -> None:
    (setup.folder / "Makefile").write_text(f"all:\n\t@{setup.text}\n")
    check(setup, respond, [program("make")], [])


def test_a_tree_of_programs_is_guarded_to_its_leaves(
    setup: Setup, respond: Callable[..., Any]
) -> None:
    inner = f"import os; os.environ.clear(); os.execv({setup.marker!r}, {setup.argv!r})"
    middle = shlex.join(["env", "-i", sys.executable, "-c", inner])
    command = [program("bash"), "-c", f"{middle}; true"]
    check(setup, respond, command, ["env", Path(sys.executable).name])


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing")
def test_a_question_costs_few_system_calls(setup: Setup, allowing: Any, library: Path) -> None:
    """Between the function's entry and the kernel's execve: look, ask, go."""
    trace = setup.folder / "trace"
    variables = [f"RAMPART_SOCKET={allowing.path}", f"LD_PRELOAD={library}"]
    given = [word for item in variables for word in ("-E", item)]
    command = ["strace", "-o", str(trace), *given, "dash", "-c", f"exec {setup.text}"]
    subprocess.run(command, env={"PATH": setup.path}, check=False)
    if setup.ran == 0:
        pytest.skip("strace may not trace here")
    calls = [line.split("(")[0] for line in trace.read_text().splitlines()]
    second = [n for n, name in enumerate(calls) if name == "execve"][1]
    asked = calls[max(n for n in range(second) if calls[n].startswith("faccessat")) : second]
    allowed = {
        "faccessat2",
        "clock_gettime",
        "socket",
        "connect",
        "sendmsg",
        "recvfrom",
        "ppoll",
        "close",
    }
    assert set(asked) <= allowed
    assert len(asked) <= 12
