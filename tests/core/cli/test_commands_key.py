"""The command line decides and shows with what a policy says about programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

POLICY = """\
version: "1"
default_action: allow
policies:
  - {name: lasting, rules: [{action: deny, when: {effect: irreversible}}]}
commands:
  deployctl:
    summary: our deployments
    aliases: [dctl]
    subcommands: {burn: [irreversible, remote]}
"""


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "described.yaml"
    path.write_text(POLICY)
    return str(path)


def test_check_explain_and_batch_use_the_catalog_in_force(rampart, policy):
    assert rampart("check", "--policy", policy, "dctl burn api").returncode == 1
    assert rampart("check", "--policy", policy, "dctl status").returncode == 0
    explained = rampart("explain", "--policy", policy, "dctl burn api")
    assert explained.returncode == 1
    assert "irreversible, remote" in explained.stdout
    row = json.dumps({"id": 1, "tool": "exec", "input": {"command": "dctl burn api"}})
    found = rampart("check", "--batch", "--policy", policy, stdin=row + "\n")
    assert json.loads(found.stdout)["decision"] == "deny"


def test_policy_show_names_the_programs_that_a_policy_describes(rampart, policy):
    shown = rampart("policy", "show", "--policy", policy).stdout
    assert "describes  deployctl: our deployments" in shown
    (document, *_) = json.loads(rampart("policy", "show", "--policy", policy, "--json").stdout)[
        "documents"
    ]
    assert document["commands"] == [
        {
            "program": "deployctl",
            "summary": "our deployments",
            "replace": False,
            "where": f"{policy}:6:3",
        }
    ]
