"""Threads and vfork: what a library with locks, caches or connections gets wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

STRESS = """
import os, subprocess, sys, threading
failed = []
def work():
    for _ in range(int(sys.argv[2])):
        try:
            done = subprocess.run(["/bin/true"], env={"A": "b"})
            if done.returncode:
                failed.append(done.returncode)
        except OSError as error:
            failed.append(error)
before = sorted(os.listdir("/proc/self/fd"))
threads = [threading.Thread(target=work) for _ in range(int(sys.argv[1]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(failed), failed[:3], before == sorted(os.listdir("/proc/self/fd")))
"""


def test_many_threads_start_programs_without_error_or_leak(
    respond: Callable[..., Any], guarded: Callable[..., Any]
) -> None:
    responder = respond()
    done = subprocess.run(
        [sys.executable, "-c", STRESS, "8", "100"],
        env=guarded(responder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "0 [] True\n", done.stderr
    assert len(responder.queries) == 800


def test_a_refusal_under_one_directory_ends_a_walk_through_path(
    denying: Any, guarded: Callable[..., Any]
) -> None:
    """CPython goes on after EPERM; the next directory is the same question."""
    code = "import subprocess; subprocess.run(['true'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=guarded(denying, PATH="/usr/bin:/bin"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError: [Errno 1] Operation not permitted" in done.stderr
    assert denying.programs() == ["/usr/bin/true"]
    assert done.stderr.count("rampart: blocked") == 1


def test_the_same_command_is_asked_about_again_when_it_is_tried_again(
    denying: Any, guarded: Callable[..., Any]
) -> None:
    """After an approval the agent repeats itself."""
    code = (
        "import os\n"
        "for _ in range(3):\n"
        "    try: os.execv('/bin/true', ['true'])\n"
        "    except OSError: pass\n"
    )
    subprocess.run([sys.executable, "-c", code], env=guarded(denying), check=True)
    assert denying.programs() == ["/bin/true"] * 3
