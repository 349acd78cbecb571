"""The benchmarks run; how fast anything is, they say themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).with_name("run.py")


def test_every_part_measures_something_beside_its_peer(tmp_path: Path) -> None:
    environment = {**os.environ, "RAMPART_DISABLE_PLUGIN_AUTOLOAD": "1", "HOME": str(tmp_path)}
    parts = ["decisions", "responses", "audit", "evidence", "service", "import"]
    done = subprocess.run(
        [sys.executable, RUN, "--quick", "--json", "--only", *parts],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    names = {row["name"] for row in rows}
    assert {"git status", "ordinary commands", "enforce, 1 writer", "socket, preview"} <= names
    assert {"response, 10 KB", "response, 4 MiB of eyJ"} <= names
    assert {"HTTP preflight", "import rampart", "git status, repeated"} <= names
    assert {"verify, each record", "prove a record", "open and sign one more"} <= names
    assert all(row["p50"] > 0 for row in rows)
    assert all(row["ratio"] > 0 for row in rows if row["peer"])


def test_guarded_calls_stand_beside_bare_ones_of_every_framework(tmp_path: Path) -> None:
    own = {"HOME": str(tmp_path / "home"), "RAMPART_HOME": str(tmp_path / "rampart")}
    done = subprocess.run(
        [sys.executable, RUN, "--quick", "--json", "--only", "adapters"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    for name in ("function", "langchain", "crewai", "autogen"):
        assert rows[f"guarded, {name}"]["ratio"] > 0
