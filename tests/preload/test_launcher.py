"""``rampart preload``: which service is used, what the program gets, and what comes back."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rampart.errors import ConfigError
from rampart.wire import ExecQuery, encode_answer
from rampart_preload import library, library_path
from rampart_preload.program import NotExecutable, NotFound, find_program, obstacle

RAMPART = str(Path(sys.executable).with_name("rampart"))
BLOCKED = "rampart: blocked — "
POLICY = """
version: "1"
default_action: allow
policies:
  - name: no-marker
    match: {tool: exec}
    rules:
      - action: deny
        when: {command_matches: ["*forbidden*"]}
        message: Destructive command blocked
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAMPART_", "LD_"))}
    # WHY: whatever listens on the published port of this machine is none of this test's business
    return plain | {"RAMPART_HOME": str(data_dir)}


@pytest.fixture
def preload(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [RAMPART, "preload", *words],
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def started(environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [RAMPART, "preload", *words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def owner_of(path: str) -> int:
    """The process that listens on a local socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("iII", data)[0]
    return pid


def ends(pid: int, timeout_s: float = 30) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


# --- a private service


def test_commands_are_checked_by_a_service_of_this_run(
    preload: Callable[..., Any], data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "names").write_text("/forbidden\n")
    text = f'echo "$RAMPART_SOCKET"; xargs -a {tmp_path}/names ls; echo "after $?"; exit 3'
    done = preload("--", "sh", "-c", text)
    path, after = done.stdout.splitlines()
    assert after == "after 126"
    assert done.returncode == 3
    assert f"{BLOCKED}Destructive command blocked\n" in done.stderr
    assert not Path(path).exists()  # INVARIANT: the service is gone with the program
    assert any((data_dir / "audit").iterdir())


def test_a_refused_program_ends_with_126_and_does_not_run(preload: Callable[..., Any]) -> None:
    done = preload("--", "echo", "forbidden")
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr == f"{BLOCKED}Destructive command blocked\n"


def test_monitor_mode_runs_it(preload: Callable[..., Any]) -> None:
    done = preload("--mode", "monitor", "--", "sh", "-c", "ls -d /forbidden / ; echo ran")
    assert (done.returncode, done.stdout) == (0, "/\nran\n")
    assert "blocked" not in done.stderr


def test_a_policy_for_this_run(preload: Callable[..., Any], tmp_path: Path) -> None:
    policy = tmp_path / "other.yaml"
    policy.write_text(POLICY.replace("forbidden", "harmless"))
    assert preload("--policy", str(policy), "--", "echo", "forbidden").returncode == 0
    assert preload("--policy", str(policy), "--", "echo", "harmless").returncode == 126


def test_a_policy_that_does_not_load_runs_nothing(
    preload: Callable[..., Any], data_dir: Path
) -> None:
    (data_dir / "policy.yaml").write_text("version: 7\n")
    done = preload("--", "echo", "ran")
    assert done.stdout == ""
    assert done.returncode == 65  # the policy's own error
    assert "policy.yaml:1:" in done.stderr
    assert "rampart: the decision service did not start; nothing was run" in done.stderr


def test_a_data_directory_with_a_long_name(
    preload: Callable[..., Any], data_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / ("d" * 120)
    data_dir.rename(folder)
    done = preload("--data-dir", str(folder), "--", "sh", "-c", 'echo "$RAMPART_SOCKET"')
    assert done.returncode == 0
    assert not Path(done.stdout.strip()).parent.exists()


def test_the_status_of_a_killed_program_is_128_and_the_signal(preload: Callable[..., Any]) -> None:
    assert preload("--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_program(
    number: signal.Signals, started: Callable[..., subprocess.Popen[str]]
) -> None:
    code = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    with started("--", sys.executable, "-c", code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == 5


def test_a_killed_launcher_leaves_no_service_behind(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    with started("--", "sh", "-c", 'echo "$RAMPART_SOCKET"; read line') as process:
        assert process.stdout is not None
        service = owner_of(process.stdout.readline().strip())
        assert not ends(service, timeout_s=0)
        process.kill()
        assert ends(service)


def test_a_service_that_ends_early_is_reported_once(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    with started("--", "sh", "-c", 'echo "$RAMPART_SOCKET"; read line; exit 4') as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        os.kill(owner_of(process.stdout.readline().strip()), signal.SIGKILL)
        expected = "rampart: the decision service has ended; commands are no longer checked\n"
        assert process.stderr.readline() == expected
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert process.wait(30) == 4


# --- a service that runs


def test_the_socket_of_a_running_service_is_used(
    preload: Callable[..., Any], respond: Callable[..., Any], data_dir: Path
) -> None:
    running = respond(path=data_dir / "rampart.sock")
    show = "echo $LD_PRELOAD $RAMPART_URL $RAMPART_MODE $RAMPART_FAIL_OPEN $RAMPART_AGENT"
    text = f"{show} $RAMPART_SOCKET [$RAMPART_SESSION] [$RAMPART_TOKEN$RAMPART_DEBUG]; exec true"
    done = preload("--", "sh", "-c", text, RAMPART_TOKEN="of-people")
    session = f"preload-{running.queries[0].session.decode().removeprefix('preload-')}"
    assert done.stdout.split() == [
        str(library_path()), "http://127.0.0.1:9090", "enforce", "1", "preload",
        str(running.path), f"[{session}]", "[]",
    ]  # fmt: skip
    assert [Path(path).name for path in running.programs()] == ["sh", "true"]
    assert running.queries[0].argv == (b"sh", b"-c", text.encode())
    assert {query.session for query in running.queries} == {session.encode()}


def test_the_options_reach_the_library(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond(lambda q: encode_answer("deny" if b"no" in q.argv else "allow", "never"))
    done = preload(
        *("--socket", str(running.path), "--agent", "me", "--session", "s9", "--debug"),
        *("--fail-open=false", "--", "sh", "-c", "echo $RAMPART_FAIL_OPEN; true; exec env no"),
    )
    assert done.stdout == "0\n"
    assert done.returncode == 126  # the shell's own, after EPERM
    assert "rampart_preload: intercepted execve: " in done.stderr
    assert f"rampart_preload: sending to unix:{running.path}\n" in done.stderr
    assert {(query.agent, query.session) for query in running.queries} == {(b"me", b"s9")}


def test_an_approval_that_is_pending_is_named(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond(lambda q: encode_answer("ask", "approval pending: rampart approve 01A"))
    done = preload("--socket", str(running.path), "--", "true")
    assert done.returncode == 126
    assert done.stderr == f"{BLOCKED}approval pending: rampart approve 01A\n"


@pytest.mark.parametrize(("fail_open", "code"), [("true", 0), ("false", 126)])
def test_a_service_that_hangs(
    fail_open: str, code: int, preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond(hangs=True)
    done = preload("--socket", str(running.path), f"--fail-open={fail_open}", "--", "true")
    assert done.returncode == code


def test_a_service_that_answers_nonsense_is_refused(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond(lambda q: b"nonsense")
    done = preload("--socket", str(running.path), "--", "true")
    assert done.returncode == 126


def test_a_port_that_was_named_is_asked_over_http(
    preload: Callable[..., Any], data_dir: Path
) -> None:
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(b'{"status": "ok"}')

        def do_POST(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(b'{"decision": "allow", "message": ""}')

        def reply(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        port = str(server.server_address[1])
        words = ("--port", port, "--", "sh", "-c", "echo $RAMPART_TOKEN $RAMPART_SOCKET; exec true")
        done = preload("--token", "secret", *words)
        assert done.stdout == "secret\n"
        assert asked == [("/v1/preflight/exec", "Bearer secret")] * 2
        done = preload(*words)
        assert done.returncode == 77
        assert "a token is needed" in done.stderr
        (data_dir / "token.eval").write_text("of-agents\n")
        assert preload(*words).stdout == "of-agents\n"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_disabled_mode_asks_nobody(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond(lambda q: encode_answer("deny", ""))
    done = preload(
        "--socket", str(running.path), "--mode", "disabled", "--", "sh", "-c", "exec true"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert running.queries == []


# --- the program


def test_a_missing_program_ends_with_127(preload: Callable[..., Any]) -> None:
    done = preload("--", "no-such-program")
    assert (done.returncode, done.stderr) == (127, "rampart: no-such-program: command not found\n")


def test_a_file_that_is_no_program_ends_with_126(preload: Callable[..., Any]) -> None:
    done = preload("--", "/etc/passwd")
    assert (done.returncode, done.stderr) == (126, "rampart: /etc/passwd: permission denied\n")


def test_a_script_without_a_first_line_runs(
    preload: Callable[..., Any], respond: Callable[..., Any], tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text('echo "got $1"\n')
    script.chmod(0o755)
    for words in ((), ("--socket", str(respond().path))):
        assert preload(*words, "--", str(script), "it").stdout == "got it\n"


def test_options_after_the_program_are_its_own(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    done = preload("--socket", str(respond().path), "echo", "--debug", "-h")
    assert done.stdout == "--debug -h\n"


def test_a_program_is_found_as_a_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "tool").write_text("")
    (second / "tool").chmod(0o755)
    monkeypatch.setenv("PATH", f"/nowhere:{first}:{second}")
    assert find_program("tool") == str(second / "tool")
    monkeypatch.setenv("PATH", str(first))
    with pytest.raises(NotExecutable):
        find_program("tool")
    for name in ("other", "", str(tmp_path / "none")):
        with pytest.raises(NotFound):
            find_program(name)


def test_a_program_that_cannot_be_guarded_is_recognised(tmp_path: Path) -> None:
    assert obstacle("/bin/sh") == ""
    assert obstacle(sys.executable) == ""
    changed = tmp_path / "arm"
    header = bytearray(Path("/bin/sh").read_bytes()[:64])
    header[18:20] = (40).to_bytes(2, "little")
    changed.write_bytes(header)
    assert obstacle(str(changed)) == "is built for another architecture"
    cut = tmp_path / "cut"
    cut.write_bytes(b"\x7fELF\x02\x01")
    assert obstacle(str(cut)) == ""
    loop = tmp_path / "loop"
    loop.write_text(f"#!{loop}\n")
    assert obstacle(str(loop)) == ""
    if os.geteuid() == 0:
        setuid = tmp_path / "setuid"
        shutil.copy("/bin/true", setuid)
        os.chown(setuid, 65534, 65534)
        setuid.chmod(0o4755)
        assert obstacle(str(setuid)) == "runs as another user"


@pytest.fixture
def static_program(tmp_path: Path) -> Path:
    source, program = tmp_path / "static.c", tmp_path / "static"
    source.write_text("int main(void) { return 6; }\n")
    built = subprocess.run(
        ["gcc", "-static", "-o", program, source], capture_output=True, text=True, check=False
    )
    if built.returncode:
        pytest.skip(f"nothing can be linked statically here: {built.stderr[-200:]}")
    return program


def test_a_static_program_runs_with_a_warning(
    preload: Callable[..., Any], respond: Callable[..., Any], static_program: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{static_program}\n")
    script.chmod(0o755)
    for program in (static_program, script):
        done = preload("--socket", str(respond().path), "--", str(program))
        assert done.returncode == 6
        assert f"warning: {program} is statically linked" in done.stderr


# --- the library


def test_the_library_of_the_package_is_used_then_the_installed_one(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert library_path(data_dir) == library.PACKAGED
    monkeypatch.setattr(library, "PACKAGED", tmp_path / "none")
    with pytest.raises(ConfigError, match=r"librampart\.so not found") as caught:
        library_path(data_dir)
    assert "make" in caught.value.help
    installed = data_dir / "lib" / "librampart.so"
    installed.parent.mkdir()
    installed.write_bytes(b"")
    assert library_path(data_dir) == installed


def test_a_path_that_the_loader_would_split_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "with space" / "librampart.so"
    odd.parent.mkdir()
    odd.write_bytes(b"")
    monkeypatch.setattr(library, "PACKAGED", odd)
    with pytest.raises(ConfigError, match="spaces or colons"):
        library_path(tmp_path / "data")


def test_a_foreign_preload_stays_behind_ours(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond()
    done = preload(
        *("--socket", str(running.path), "--", "sh", "-c", "echo $LD_PRELOAD"),
        LD_PRELOAD=f"{library_path()}:libc.so.6",
    )
    assert done.stdout == f"{library_path()}:libc.so.6\n"


def test_a_query_about_the_program_is_the_one_the_library_would_send(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond()
    preload("--socket", str(running.path), "--", "env", "env", "true")
    top: ExecQuery = running.queries[0]
    inner: ExecQuery = running.queries[1]
    assert top.path == inner.path
    assert top.argv == (b"env", *inner.argv)


def test_a_launcher_inside_a_guarded_program_asks_the_same_service(
    preload: Callable[..., Any], respond: Callable[..., Any]
) -> None:
    running = respond()
    done = preload("--socket", str(running.path), "--", RAMPART, "preload", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(running.programs()[-1]).name == "true"


def test_a_named_socket_without_a_service_starts_one_and_says_so(
    preload: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "none"
    done = preload("--socket", str(path), "--", "echo", "ran")
    assert done.stdout == "ran\n"
    assert done.stderr == f"rampart: no service at {path}; starting one for this run\n"
