"""`rampart audit` shows what was decided about outputs as such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rampart import Guard

POLICY = """\
version: "1"
default_action: allow
policies:
  - name: outputs
    rules:
      - {action: deny, when: {response_matches: plans}, message: not for models}
"""


def test_review_is_shown_as_one(data_dir: Path, rampart: Any) -> None:
    with Guard(POLICY, data_dir=data_dir) as guard:
        guard.enforce("read", {"path": "notes.txt"})
        guard.review("read", {"path": "notes.txt"}, "secret plans")
    first, second = rampart("audit", "tail").stdout.splitlines()[-2:]
    assert "output" not in first
    assert "output of notes.txt" in second
    assert "not for models (outputs/rule-1)" in second
    assert "secret plans" not in first + second
