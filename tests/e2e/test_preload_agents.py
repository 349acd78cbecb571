"""`rampart preload -- CMD`: programs that nobody changed, guarded to the last child."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rampart.audit.read import read_records
from rampart.audit.verify import verify_log

BIN = Path(sys.executable).parent

PYTHON_FORMS = {
    "subprocess list": "import subprocess; subprocess.run(['rm', '-rf', {target!r}])",
    "subprocess shell": "import subprocess; subprocess.run('rm -rf ' + {target!r}, shell=True)",
    "subprocess env": "import subprocess; subprocess.run(['rm', '-rf', {target!r}], env={{}})",
    "os.system": "import os; os.system('rm -rf ' + {target!r})",
    "os.execv": "import os; os.execv('/bin/rm', ['rm', '-rf', {target!r}])",
    "os.execvp": "import os; os.execvp('rm', ['rm', '-rf', {target!r}])",
    "os.posix_spawn": "import os; os.posix_spawn('/bin/rm', ['rm', '-rf', {target!r}], os.environ)",
}


def preload(place: Any, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "rampart", "preload", "--session", "e2e", "--", *command],
        cwd=place.project,
        env=dict(place.environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("form", PYTHON_FORMS)
def test_python_agent_cannot_remove_a_home_by_any_exec_form(place: Any, form: str) -> None:
    target = str(place.home / "Documents")
    done = preload(place, sys.executable, "-c", PYTHON_FORMS[form].format(target=target))
    assert (place.home / "Documents" / "thesis.txt").exists(), done.stderr
    denied = [
        r
        for r in read_records(place.data_dir / "audit")
        if r["type"] == "decision" and r["decision"]["action"] in ("deny", "ask")  # type: ignore[index]
    ]
    assert denied
    assert verify_log(place.data_dir / "audit").verdict == "ok"


NODE_AGENT = """
const run = require('child_process').execFileSync
try { run('rm', ['-rf', process.argv[2]]) } catch (error) {}
run('touch', ['went-on'])
"""


BASH_AGENT = 'rm -rf "$1"; touch went-on\n'


@pytest.mark.parametrize(("program", "text"), [("bash", BASH_AGENT), ("node", NODE_AGENT)])
def test_other_languages_are_guarded_and_go_on(place: Any, program: str, text: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
    (place.project / "agent").write_text(text)
    done = preload(place, program, "agent", str(place.home / "Documents"))
    assert (place.home / "Documents" / "thesis.txt").exists(), done.stderr
    assert (place.project / "went-on").exists(), done.stderr
    denied = [
        r
        for r in read_records(place.data_dir / "audit")
        if r["type"] == "decision" and r["decision"]["action"] == "deny"  # type: ignore[index]
    ]
    assert len(denied) == 1
    assert denied[0]["decision"]["message"] in done.stderr or program == "node"  # type: ignore[index]


def test_harmless_program_runs_as_if_nothing_were_there(place: Any) -> None:
    done = preload(
        place,
        sys.executable,
        "-c",
        "import subprocess; print(subprocess.check_output(['echo', 'hi']))",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "b'hi\\n'\n", "")


def test_denied_command_itself_exits_126(place: Any) -> None:
    done = preload(place, "rm", "-rf", str(place.home))
    assert done.returncode == 126
    assert done.stderr.startswith("rampart: blocked — ")
    assert place.home.exists()


def test_exit_code_and_missing_program_are_the_shell_s_own(place: Any) -> None:
    assert preload(place, "sh", "-c", "exit 7").returncode == 7
    assert preload(place, "no-such-program-anywhere").returncode == 127
