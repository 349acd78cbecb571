"""Every example runs as it stands: real frameworks, scripted models, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rampart.audit.read import read_records
from rampart.audit.verify import verify_log

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
}


def run_example(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one example with a home and a data directory of its own."""
    home = place / "home"
    (home / "project").mkdir(parents=True)
    (home / "thesis.txt").write_text("three years of work\n")
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "RAMPART_HOME": str(place / "data"),
        "CREWAI_STORAGE_DIR": str(place / "crewai"),
        **QUIET,
    }
    stop = threading.Event()
    person = threading.Thread(target=approve_all, args=(environment, home, stop))
    person.start()
    try:
        return subprocess.run(
            [sys.executable, *words],
            cwd=home / "project",
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        stop.set()
        person.join()


def approve_all(environment: dict[str, str], home: Path, stop: threading.Event) -> None:
    """Answer every question, as a person in another terminal does."""

    def rampart(*words: str) -> str:
        command = [sys.executable, "-m", "rampart", *words]
        return subprocess.run(
            command, cwd=home, env=environment, capture_output=True, text=True, check=False
        ).stdout

    while not stop.wait(0.5):
        for question in json.loads(rampart("pending", "--json") or "[]"):
            rampart("approve", question["id"])


def decided(place: Path) -> list[tuple[str, str]]:
    """Return (tool, action) of every recorded decision; the log must be intact."""
    assert verify_log(place / "data" / "audit").verdict == "ok"
    records = (r for r in read_records(place / "data" / "audit") if r["type"] == "decision")
    return [(str(r["tool"]), r["decision"]["action"]) for r in records]  # type: ignore[index]


def answered(place: Path) -> list[str]:
    """Return how questions were answered."""
    return [str(r["status"]) for r in read_records(place / "data" / "audit") if "status" in r]


@pytest.mark.parametrize(
    ("path", "harmless", "harmful"),
    [
        ("crewai/crew.py", "the model reads: tidy", "timetables are not for janitors"),
        ("autogen/agent.py", "42", "NOT executed"),
        ("langchain/review.py", "success: hello", "error: Denied by policy: shell"),
    ],
)
def test_example_runs_what_is_harmless_and_stops_what_is_not(
    tmp_path: Path, path: str, harmless: str, harmful: str
) -> None:
    done = run_example(tmp_path, str(EXAMPLES / path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert harmless in done.stdout
    assert harmful in done.stdout
    assert (tmp_path / "home" / "thesis.txt").exists()
    answers = [action for _tool, action in decided(tmp_path)]
    assert {"allow", "ask", "deny"} <= set(answers)
    assert "approved" in answered(tmp_path)
