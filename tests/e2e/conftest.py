"""A home, a data directory and the programs as a user finds them after installing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@dataclass
class Place:
    """One user's home with a project in it, and the environment of that user's shell."""

    home: Path
    project: Path
    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    home = tmp_path / "home"
    project = home / "project"
    data_dir = home / ".rampart"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("a private key\n")
    (home / "Documents").mkdir()
    (home / "Documents" / "thesis.txt").write_text("three years of work\n")
    project.mkdir()
    (project / "secrets.env").write_text("API_KEY=secret\n")
    environment = {
        "HOME": str(home),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAMPART_HOME": str(data_dir),
        "LANG": "C.UTF-8",
    }
    return Place(home, project, data_dir, environment)
