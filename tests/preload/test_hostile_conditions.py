"""Programs that run out of descriptors, close their streams, or have very large environments."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rampart.wire import encode_answer

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, environment: dict[str, str], **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **how,
    )


NO_DESCRIPTORS = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
try: print(os.posix_spawn("/bin/true", ["true"], os.environ) > 0)
except OSError as error: print(error.errno)
"""


@pytest.mark.parametrize(("fail_open", "expected"), [("1", "True"), ("0", "1")])
def test_without_a_descriptor_fail_open_decides(
    fail_open: str, expected: str, denying: Any, guarded: Callable[..., Any]
) -> None:
    done = run(NO_DESCRIPTORS.format(limit=3), guarded(denying, RAMPART_FAIL_OPEN=fail_open))
    assert done.stdout == f"{expected}\n"
    assert denying.queries == []


def test_one_descriptor_is_enough_to_ask(denying: Any, guarded: Callable[..., Any]) -> None:
    assert run(NO_DESCRIPTORS.format(limit=4), guarded(denying)).stdout == "1\n"
    assert len(denying.queries) == 1


def test_closed_streams_are_not_mistaken_for_a_connection(
    denying: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    """The connection then is descriptor 0, 1 or 2; nothing may be written to it but the query."""
    code = (
        "import os\n"
        "for n in range(3): os.close(n)\n"
        "try: os.execv('/bin/true', ['true'])\n"
        "except OSError as error: os._exit(40 + error.errno)\n"
    )
    assert run(code, guarded(denying, RAMPART_DEBUG="1")).returncode == 41
    assert [query.argv for query in denying.queries] == [(b"true",)]


@pytest.mark.parametrize("count", [10, 200, 10_000])
def test_environments_of_any_size_carry_the_guard(
    count: int, allowing: Any, guarded: Callable[..., Any]
) -> None:
    code = (
        "import subprocess\n"
        f"env = {{f'V{{n}}': str(n) for n in range({count})}}\n"
        "done = subprocess.run(['/usr/bin/env', '/usr/bin/env'], env=env, stdout=subprocess.PIPE)\n"
        "names = [line.split(b'=')[0] for line in done.stdout.splitlines()]\n"
        "print(len(names), names.count(b'LD_PRELOAD'), names.count(b'RAMPART_SOCKET'))\n"
    )
    given = guarded(allowing)
    ours = sum(name.startswith(("LD_PRELOAD", "RAMPART_")) for name in given)
    assert run(code, given).stdout == f"{count + ours} 1 1\n"
    assert allowing.programs() == ["/usr/bin/env"] * 2


def test_a_full_queue_of_the_service_ends_at_the_deadline(
    guarded: Callable[..., Any], tmp_path: Path
) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(path)
            started = time.monotonic()
            code = "import os; os.execv('/bin/true', ['true'])"
            done = run(code, guarded(None, RAMPART_SOCKET=path))
            assert "cannot be reached" in done.stderr
            assert 1.8 < time.monotonic() - started < 8
        finally:
            for each in waiting:
                each.close()


def test_signals_do_not_end_a_question_early(
    respond: Callable[..., Any], guarded: Callable[..., Any]
) -> None:
    reading, writing = os.pipe()

    def after_three_signals(_query: Any) -> bytes:
        for _ in range(3):
            os.read(reading, 1)
        return encode_answer("deny", "after the signals")

    code = (
        "import os, signal\n"
        f"os.set_blocking({writing}, False)\n"
        f"signal.set_wakeup_fd({writing})\n"  # written to by the handler itself, inside execv
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)\n"
        "try: os.execv('/bin/true', ['true'])\n"
        "except OSError as error: print(error.errno)\n"
    )
    try:
        done = run(code, guarded(respond(after_three_signals)), pass_fds=(writing,))
    finally:
        os.close(writing)
        os.close(reading)
    assert done.stdout == "1\n"
    assert done.stderr == "rampart: blocked — after the signals\n"


def test_a_small_stack_limit_is_enough(allowing: Any, guarded: Callable[..., Any]) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (256 * 1024, 256 * 1024))

    command = ["dash", "-c", "true; exec env"]
    subprocess.run(command, env=guarded(allowing), preexec_fn=limit, check=True)
    assert len(allowing.queries) == 1


def test_two_copies_of_the_library_do_not_harm(
    library: Path, denying: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    copy = tmp_path / "librampart-copy.so"
    shutil.copy(library, copy)
    code = "import os\ntry: os.execv('/bin/true', ['true'])\nexcept OSError as e: print(e.errno)"
    assert run(code, guarded(denying, LD_PRELOAD=f"{library}:{copy}")).stdout == "1\n"
    assert len(denying.queries) == 1


def test_the_other_architecture_works(denying: Any, tmp_path: Path) -> None:
    compiler, emulator = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
    for tool in (compiler, emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing")
    path = f"{tmp_path}:{os.environ['PATH']}"
    library, program = tmp_path / "librampart.so", tmp_path / "probe"
    make = ["make", "-s", "-C", ROOT / "preload", f"CC={compiler}", f"OUT={library}"]
    subprocess.run(make, check=True)
    source = Path(__file__).with_name("probe.c")
    subprocess.run([compiler, "-O1", "-pthread", "-rdynamic", "-o", program, source], check=True)
    marker = tmp_path / "marker"
    marker.hardlink_to(program)
    given = (f"LD_PRELOAD={library}", f"RAMPART_SOCKET={denying.path}")
    variables = [word for entry in given for word in ("-E", entry)]
    for entry in ("execve", "posix_spawn", "fexecve", "execlp"):
        subprocess.run(
            [emulator, "-L", "/usr/aarch64-linux-gnu", *variables, program, entry, marker,
             tmp_path / "out"],
            check=True,
            env={"PATH": path},
        )  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert denying.programs() == [str(marker)] * 4
