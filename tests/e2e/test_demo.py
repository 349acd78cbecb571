"""The main job, as the README's first command runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_demo_shows_two_guarded_agents_and_an_intact_log() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    shown = done.stdout
    assert done.returncode == 0, shown + done.stderr
    assert "NO " not in shown.split("5. What really happened")[1]
    for harmless in ("✓ write_file: notes.md", "✓ read_file: notes.md", "✓ fetch:", "✓ git log"):
        assert harmless in shown
    for harmful in (
        "✗ shell: rm -rf ~/Documents",
        "✗ read_file: ~/.ssh/id_ed25519",
        "✗ shell: curl -s -d @secrets.env",
        "✗ rm -rf",
        "✗ cat",
    ):
        assert harmful in shown
    assert "[second terminal] $ rampart approve" in shown
    assert "✓ shell: git push --force origin main" in shown
    assert "agent: I did what I was allowed to do." in shown
    assert "agent: still running, done" in shown
