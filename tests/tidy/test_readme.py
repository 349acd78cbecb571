"""The README is true: its policy loads, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rampart.intercept import intercept
from rampart.model import Host, ToolCall
from rampart.sources import PolicyInForce, policy_documents

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("packages/*/README.md"),
        *ROOT.glob("core/docs/**/*.md"),
    ]
    if ".venv" not in path.parts
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_policy_of_the_readme_does_what_it_says() -> None:
    (text,) = blocks("yaml")
    host = Host("/home/me", "/home/me/project", "/home/me/project")
    engine = PolicyInForce(policy_documents(text=text)).engine(host)

    def action(command: str) -> str:
        call = ToolCall("exec", {"command": command}, cwd=host.cwd)
        return engine.decide(call, intercept(call, host), now=0.0).action

    assert action("kubectl get pods --context=production") == "ask"
    assert action("kubectl get pods --context=staging") == "allow"
    assert action("rm -rf ~") == "deny"


@pytest.mark.parametrize(
    "command",
    sorted({m for block in blocks("sh") for m in re.findall(r"rampart [a-z]+(?: [a-z]+)?", block)}),
)
def test_commands_of_the_readme_exist(command: str) -> None:
    words = shlex.split(command)[1:]
    program = Path(sys.executable).with_name("rampart")
    for length in (len(words), 1):
        done = subprocess.run(
            [program, *words[:length], "--help"], capture_output=True, check=False
        )
        if done.returncode == 0:
            return
    pytest.fail(f"{command}: {done.stderr.decode()}")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert broken == []
