"""What the library cannot see. These tests state the README's limits; one that fails is news."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXECVE = {"x86_64": 59, "aarch64": 221}


def test_a_raw_system_call_is_not_seen(
    denying: Any, guarded: Callable[..., Any], glibc_probe: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code = (
        "import ctypes, sys\n"
        "words = (ctypes.c_char_p * 3)(*(w.encode() for w in sys.argv[1:]), None)\n"
        f"ctypes.CDLL(None).syscall({EXECVE[os.uname().machine]}, words[0], words, None)\n"
    )
    command = [sys.executable, "-c", code, str(glibc_probe.marker), str(out)]
    subprocess.run(command, env=guarded(denying), check=False)
    assert out.exists()
    assert denying.queries == []


def test_a_symbol_that_is_looked_up_at_run_time_is_seen(
    denying: Any, guarded: Callable[..., Any]
) -> None:
    assert hasattr(ctypes.CDLL(None), "execv")
    code = "import ctypes; ctypes.CDLL(None).execv(b'/bin/true', None)"
    done = subprocess.run([sys.executable, "-c", code], env=guarded(denying), check=False)
    assert done.returncode == 0  # it came back from execv
    assert denying.programs() == ["/bin/true"]


def test_a_static_program_is_asked_about_and_what_it_starts_is_not(
    respond: Callable[..., Any], guarded: Callable[..., Any], tmp_path: Path
) -> None:
    source, program = tmp_path / "static.c", tmp_path / "static"
    source.write_text(
        "#include <unistd.h>\n"
        'int main(void) { execl("/bin/echo", "echo", "unseen", (char *)0); return 1; }\n'
    )
    command = ["gcc", "-static", "-o", program, source]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"nothing can be linked statically here: {built.stderr[-200:]}")
    responder = respond()
    run = (
        f"import subprocess; print(subprocess.run([{str(program)!r}], capture_output=True).stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", run], env=guarded(responder), capture_output=True, check=False
    )
    assert b"unseen" in done.stdout
    assert responder.programs() == [str(program)]


def test_what_a_shell_does_itself_is_seen_only_as_its_text(
    allowing: Any, guarded: Callable[..., Any], tmp_path: Path
) -> None:
    text = f"echo x > {tmp_path}/written"
    code = f"import os; os.system({text!r})"
    subprocess.run([sys.executable, "-c", code], env=guarded(allowing), check=True)
    assert (tmp_path / "written").exists()
    assert [query.argv for query in allowing.queries] == [(b"sh", b"-c", text.encode())]
