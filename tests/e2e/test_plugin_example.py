"""The worked plugin does what it says, installed as a distribution of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[2] / "examples" / "plugin"
PROGRAM = """\
import sys, types
from rampart import Denied, Guard

robots = types.ModuleType("robots")

class Robot:
    def move(self, place: str) -> str:
        return f"moved to {place}"

robots.Robot = Robot
sys.modules["robots"] = robots
POLICY = '''
version: "1"
default_action: allow
policies:
  - name: robots
    match: {tool: robot_move}
    rules: [{action: deny, when: {params: {place: {eq: roof}}}, message: not on the roof}]
'''
with Guard(POLICY) as guard:
    for command in ("shipit status", "shipit rollout api"):
        decision = guard.check("exec", {"command": command})
        print(command, decision.action, decision.message)
    robot = guard.protect(Robot())
    print(robot.move("hall"))
    try:
        robot.move("roof")
    except Denied as denied:
        print(denied)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the plugin into a folder, without its dependencies and without an index."""
    site = tmp_path_factory.mktemp("site")
    wheel = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(site)]
    subprocess.run(wheel, cwd=PLUGIN, check=True, capture_output=True)
    (built,) = site.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(built), str(site)], check=True)
    return site


def run(site: Path, place: Path, hour: int, *words: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "RAMPART_HOME": str(place / "data"),
        "PYTHONPATH": str(site),
        "OFFICE_HOUR": str(hour),
    }
    done = subprocess.run(
        [sys.executable, *words],
        env=environment,
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(("hour", "answer"), [(10, "allow"), (3, "deny nobody watches")])
def test_plugin_knows_the_program_tightens_and_guards(
    installed: Path, tmp_path: Path, hour: int, answer: str
) -> None:
    said = run(installed, tmp_path, hour, "-c", PROGRAM).splitlines()
    assert said[0].startswith("shipit status allow"), said
    assert said[1].startswith(f"shipit rollout api {answer}"), said
    assert said[2] == "moved to hall"
    assert "not on the roof" in said[3]


def test_plugin_is_listed(installed: Path, tmp_path: Path) -> None:
    said = run(installed, tmp_path, 10, "-m", "rampart", "plugins")
    assert "office-hours" in said
    assert "0.1.0" in said
