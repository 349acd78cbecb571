"""Two guards of one process share a data directory, and a person answers in another process."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from rampart import Decision, Guard

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: p
    match: {tool: exec}
    rules: [{action: ask, when: {command_matches: ["*"]}, message: sure?}]
"""


def test_answer_from_another_process_reaches_the_first_guard_after_a_second_was_opened(
    tmp_path: Path,
) -> None:
    """Opening the database once more must not take away the locks that it is held open with."""
    answers: list[Decision] = []
    with Guard(POLICY, data_dir=tmp_path / "data", ask_timeout_s=60) as first:
        first.enforce("read", {"path": "a"})
        with Guard(POLICY, data_dir=tmp_path / "data") as second:
            second.check("read", {"path": "a"})
            asking = threading.Thread(
                target=lambda: answers.append(first.enforce("exec", {"command": "ls"}))
            )
            asking.start()
            question = ""
            while not question:
                pending = first._point.pending()  # type: ignore[attr-defined]  # an embedded gate
                question = pending[0].id if pending else ""
            second._point.pending()  # type: ignore[attr-defined]  # opens the same file
            command = [sys.executable, "-m", "rampart", "approve", question]
            subprocess.run(
                [*command, "--data-dir", str(tmp_path / "data")], check=True, capture_output=True
            )
            asking.join(timeout=30)
    assert [(each.action, each.rule) for each in answers] == [("allow", "approved")]
