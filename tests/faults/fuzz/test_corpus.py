"""Everything that a fuzzer found once, and the seeds it started from, run again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
CORPUS = Path(__file__).with_name("corpus")
TARGETS = sorted(folder.name for folder in CORPUS.iterdir())


def replay(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, RUN, "replay", *names],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_of_the_corpus_breaks_its_target(target: str) -> None:
    done = replay(target)
    assert done.returncode == 0, done.stdout + done.stderr
    files = len(list((CORPUS / target).iterdir()))
    assert json.loads(done.stdout.splitlines()[-1]) == {"target": target, "files": files}


def test_every_target_has_a_corpus() -> None:
    done = replay()
    assert [json.loads(line)["target"] for line in done.stdout.splitlines() if line[0] == "{"]
    assert sorted(TARGETS) == sorted(
        json.loads(line)["target"] for line in done.stdout.splitlines() if line[0] == "{"
    )


def test_a_fuzzer_without_its_library_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "atheris.py").write_text("raise ImportError")
    program = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['shell'];"
    done = subprocess.run(
        [sys.executable, "-c", f"{program} runpy.run_path({str(RUN)!r}, run_name='__main__')"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "fuzzing needs atheris: pip install atheris\n"
