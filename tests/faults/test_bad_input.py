"""What a user may get wrong, or find broken: one clear line that says where and what to do.

Real processes on real files. Nothing that should be guarded runs unguarded, and no traceback shows.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POLICY = """\
version: "1"
default_action: allow
policies:
  - name: p
    rules: [{action: deny, when: {command_matches: ["rm *"]}, message: no removing}]
"""
GUARDED = """\
import sys
from rampart import Guard, RampartError
try:
    with Guard(policy={policy!r}) as guard:
        decision = guard.enforce("exec", {{"command": "ls"}})
        print("ran" if decision.allowed else "denied: " + decision.rule)
except RampartError as error:
    sys.exit(f"{{error.code}}|{{error}}|{{error.help}}")
"""
CONNECTED = """\
import sys
from rampart import Guard, RampartError
try:
    guard = Guard.connect({url!r}, token={token!r}, fail_open={fail_open})
    decision = guard.enforce("exec", {{"command": "ls"}})
    print(decision.action, decision.rule)
except RampartError as error:
    sys.exit(f"{{error.code}}|{{error}}|{{error.help}}")
"""


@dataclass(frozen=True)
class Home:
    """A user's home, and how programs are run in it."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / ".rampart"

    def make_data(self) -> Path:
        self.data.mkdir(mode=0o700, exist_ok=True)
        return self.data

    def environment(self, **more: str) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAMPART_", "LD_"))}
        return plain | {"HOME": str(self.folder), "RAMPART_HOME": str(self.data)} | more

    def run(
        self, *command: object, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            env=env or self.environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def rampart(self, *words: object) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "rampart", *words)

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", program)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def fails(done: subprocess.CompletedProcess[str], code: int, *told: str) -> None:
    """The exit code is ``code``, and the message says all of ``told``, without a traceback."""
    said = done.stderr
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{said}"
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) <= 3, said
    for text in told:
        assert text in said


# Policies

BROKEN = {
    "missing file": (None, 78, ("policy.yaml: the policy cannot be read", "--policy")),
    "broken YAML": ('version: "1"\npolicies: [\n', 65, ("policy.yaml:3:1: not yaml",)),
    "unknown key": (
        'version: "1"\ndefalt_action: deny\n',
        65,
        ("policy.yaml:2:1: unknown key `defalt_action`", "did you mean `default_action`"),
    ),
    "duplicate key": ('version: "1"\nversion: "1"\n', 65, ("policy.yaml:2:1: duplicate key",)),
    "unknown action": (
        'version: "1"\npolicies:\n  - name: p\n    rules: [{action: permit}]\n',
        65,
        ("policy.yaml:4:", "permit"),
    ),
    "binary": ("\0\1\2", 65, ("policy.yaml:",)),
    "empty": ("", 65, ("policy.yaml:",)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_policy_that_does_not_load_is_refused_with_its_place(home: Home, name: str) -> None:
    text, code, told = BROKEN[name]
    policy = home.folder / "policy.yaml"
    if text is not None:
        policy.write_text(text)
    fails(home.rampart("check", "--policy", policy, "--", "ls"), code, *told)
    fails(home.rampart("serve", "--policy", policy, "--port", "0"), code, *told)
    done = home.python(GUARDED.format(policy=str(policy)))
    assert done.returncode == 1
    assert "ran" not in done.stdout
    assert told[0] in done.stderr


def test_a_command_is_not_run_under_a_policy_that_does_not_load(home: Home) -> None:
    policy, marker = home.make_data() / "policy.yaml", home.folder / "ran"
    policy.write_text("version: [")
    done = home.rampart("preload", "--", "touch", marker)
    fails(done, 65, "policy.yaml:2:1: not yaml", "nothing was run")
    assert not marker.exists()


# The data directory


def _open_to_others(home: Home) -> None:
    home.make_data().chmod(0o777)


def _file_in_its_place(home: Home) -> None:
    home.data.write_text("")


def _log_is_a_file(home: Home) -> None:
    (home.make_data() / "audit").write_text("")


def _log_of_another(home: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    log = home.make_data() / "audit"
    log.mkdir(mode=0o700)
    os.chown(log, 12345, -1)


def _log_open_to_others(home: Home) -> None:
    log = home.make_data() / "audit"
    log.mkdir(mode=0o700)
    log.chmod(0o777)


def _log_through_a_link(home: Home) -> None:
    (home.folder / "elsewhere").mkdir(mode=0o700)
    (home.make_data() / "audit").symlink_to(home.folder / "elsewhere")


def _corrupt_approvals(home: Home) -> None:
    file = home.make_data() / "approvals.db"
    file.write_bytes(b"garbage" * 400)
    file.chmod(0o600)


def _tampered_log(home: Home) -> None:
    home.make_data()
    (home.data / "policy.yaml").write_text(POLICY)
    done = home.python(GUARDED.format(policy=str(home.data / "policy.yaml")))
    assert done.stdout == "ran\n", done.stderr
    [segment] = (home.data / "audit").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"allow"', b'"deny"')
    segment.write_bytes(b"".join(lines))


PLACES = {
    "others may write to it": (_open_to_others, 78, (".rampart: ", "chmod go-w")),
    "it is a file": (_file_in_its_place, 78, (".rampart: ", "--data-dir")),
    "the log is a file": (_log_is_a_file, 74, ("audit: not a directory",)),
    "the log belongs to another": (_log_of_another, 74, ("audit: belongs to another user",)),
    "others may write the log": (
        _log_open_to_others,
        74,
        ("audit: others may write", "chmod go-w"),
    ),
    "the log is a link": (_log_through_a_link, 74, ("audit: not a directory, or a symbolic link",)),
    "the approvals are corrupt": (
        _corrupt_approvals,
        78,
        ("approvals.db: file is not a database", "move the file away"),
    ),
    "the log was tampered with": (_tampered_log, 74, ("is not the one that was written",)),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_data_directory_that_cannot_be_trusted_stops_everything(home: Home, name: str) -> None:
    prepare, code, told = PLACES[name]
    prepare(home)
    policy = home.folder / "other.yaml"
    policy.write_text(POLICY)
    fails(home.rampart("serve", "--policy", policy, "--port", "0"), code, *told)
    done = home.python(GUARDED.format(policy=str(policy)))
    assert done.returncode == 1
    assert "ran" not in done.stdout
    assert told[0] in done.stderr
    marker = home.folder / "ran"
    done = home.rampart("preload", "--policy", policy, "--", "touch", marker)
    fails(done, code, *told[:1], "nothing was run")
    assert not marker.exists()


# The service


@contextmanager
def serving(home: Home, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    reader, writer = os.pipe()
    words = ["serve", "--port", "0", "--quiet", "--ready-fd", str(writer), *more]
    with subprocess.Popen(
        [sys.executable, "-m", "rampart", *words], env=home.environment(), pass_fds=[writer]
    ) as process:
        os.close(writer)
        try:
            with os.fdopen(reader) as file:
                yield process, json.loads(file.readline())
        finally:
            process.kill()
            process.wait()


@contextmanager
def listener(answer: bytes | None) -> Iterator[str]:
    """A server that reads each call, says ``answer`` and goes; None resets the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def work() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    request = b""
                    while not request.endswith(b"}"):  # the end of the body
                        request += connection.recv(65536)
                    if answer is None:
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    else:
                        connection.sendall(answer)

        thread = threading.Thread(target=work)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_port_in_use_is_named(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fails(home.rampart("serve", "--port", port), 78, str(port), "--port")


def test_a_second_service_does_not_take_the_socket_of_the_first(home: Home) -> None:
    with serving(home, "--socket", str(home.folder / "s")):
        done = home.rampart("serve", "--port", "0", "--socket", home.folder / "s")
        fails(done, 78, str(home.folder / "s"))


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_wrong_token_denies_even_where_a_missing_service_would_not(
    home: Home, fail_open: bool
) -> None:
    with serving(home) as (_, ready):
        program = CONNECTED.format(url=ready["url"], token="wrong" * 8, fail_open=fail_open)
        done = home.python(program)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "unauthorized|" in done.stderr
    assert "Traceback" not in done.stderr


DYING = {
    "without a word": b"",
    "inside the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "inside the body": b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"decision":"allow"',
    "after nonsense": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "after another protocol": b"SSH-2.0-OpenSSH_9.0\r\n",
}


@pytest.mark.parametrize("fail_open", [True, False])
@pytest.mark.parametrize("name", DYING)
def test_half_an_answer_is_no_answer_and_never_allows(
    home: Home, name: str, fail_open: bool
) -> None:
    with listener(DYING[name]) as url:
        done = home.python(CONNECTED.format(url=url, token="t" * 32, fail_open=fail_open))
    fails(done, 1, "protocol_error|", url)
    assert done.stdout == ""


@pytest.mark.parametrize(("fail_open", "said"), [(True, "allow"), (False, "deny")])
def test_a_connection_that_breaks_is_a_missing_service(
    home: Home, fail_open: bool, said: str
) -> None:
    with listener(None) as url:
        done = home.python(CONNECTED.format(url=url, token="t" * 32, fail_open=fail_open))
    assert done.stdout == f"{said} service_unavailable\n", done.stderr
    assert done.stderr.count("calls are allowed until it answers") == fail_open


@pytest.mark.parametrize("fail_open", ["0", "1"])
def test_a_run_whose_service_is_missing_is_guarded_by_one_of_its_own(
    home: Home, fail_open: str
) -> None:
    (home.make_data() / "policy.yaml").write_text(POLICY)
    kept = home.folder / "kept"
    kept.touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        port = taken.getsockname()[1]
        words = ("--port", port, "--token", "t" * 32, f"--fail-open={fail_open}")
        done = home.rampart("preload", *words, "--", "rm", kept)
    fails(done, 126, f"no service at http://127.0.0.1:{port}", "blocked — no removing")
    assert kept.exists()


# Building


def _without_compilers(folder: Path) -> str:
    tools = folder / "bin"
    tools.mkdir()
    for name in ("sh", "env", "uname", "ldd"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    return str(tools)


def test_a_missing_compiler_says_which_packages_to_install(home: Home) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'preload')!r});"
        "import hatch_build; hatch_build.find_compiler()"
    )
    pytest.importorskip("hatchling")
    path = _without_compilers(home.folder)
    done = home.run(sys.executable, "-c", program, env={"PATH": path, "HOME": str(home.folder)})
    fails(done, 1, "no C compiler: cc, gcc, clang not found", "apt-get install gcc", "SKIP_NATIVE")


def test_the_installer_names_what_it_needs(home: Home) -> None:
    done = home.run(sys.executable, ROOT / "dev.py", "nonsense")
    assert done.returncode == 2
    assert "usage: python3 dev.py" in done.stdout
