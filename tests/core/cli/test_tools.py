"""``rampart tools scan``: how an application's tools would be seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(sys.executable).with_name("rampart")
APPLICATION = '''
from langchain_core.tools import BaseToolkit, tool

@tool
def shell(command: str) -> str:
    """Run a command."""

@tool
def deploy(stage: str, file_name: str) -> str:
    """Deploy a file."""

def plain(path: str, mood: int = 3) -> str:
    """Do something."""

class Kit(BaseToolkit):
    def get_tools(self):
        return [shell, deploy]

kit = Kit()

def everything():
    return [shell, deploy, plain]

async def from_a_server():
    return [shell]

class Shop(BaseToolkit):
    def __init__(self, *args, **options):
        super().__init__()

    def get_tools(self):
        return [shell]

number = 7
'''


def scan(folder: Path, *words: str, tools: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(APPLICATION)
    (folder / "home").mkdir(exist_ok=True)
    if tools:
        (folder / "home" / "tools.yaml").write_text(tools)
    return subprocess.run(
        [PROGRAM, "tools", "scan", *words],
        cwd=folder,
        env={"RAMPART_HOME": str(folder / "home"), "HOME": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_known_and_custom_tools_are_told_apart_and_tried(tmp_path: Path) -> None:
    done = scan(tmp_path, "shop:everything")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("shell -> exec(command=command or cmd")
    assert lines[1:3] == [
        '  allow  {"command": "git status"}',
        '  deny   {"command": "rm -rf ~"}  this would remove a whole home',
    ]
    assert lines[3].startswith("deploy -> deploy(stage, file_name)  (a custom tool")
    assert "~/.ssh/id_ed25519" in lines[5]
    assert lines[5].startswith("  deny")
    assert lines[6].startswith("plain -> plain(path, mood)")


@pytest.mark.parametrize("name", ["shop:from_a_server", "shop:Shop"])
def test_class_and_coroutine_function_are_asked_for_their_tools(tmp_path: Path, name: str) -> None:
    done = scan(tmp_path, name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("shell -> exec(")


def test_json_says_the_same(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = json.loads(scan(tmp_path, "shop:kit", "--json").stdout)
    assert [(tool["name"], tool["tool"], tool["mapped"]) for tool in seen] == [
        ("shell", "exec", True),
        ("deploy", "deploy", False),
    ]
    assert seen[0]["class"] == "langchain_core.tools.structured.StructuredTool"
    assert [trial["decision"] for trial in seen[0]["trials"]] == ["allow", "deny"]
    assert seen[0]["trials"][1]["policy"] == "destroys-trees"


def test_map_of_the_user_and_another_profile_count(tmp_path: Path) -> None:
    text = "- {name: deploy, tool: write, params: {path: file_name}}"
    (tool,) = json.loads(
        scan(tmp_path, "shop:deploy", "--json", "--profile", "yolo", tools=text).stdout
    )
    assert (tool["tool"], tool["params"]) == ("write", {"path": "file_name"})
    assert tool["trials"][0]["decision"] in ("allow", "watch")


def test_nothing_is_recorded(tmp_path: Path) -> None:
    scan(tmp_path, "shop:everything")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("shop", 78, "MODULE:OBJECT is needed"),
        ("shop:nothing", 78, "has no attribute 'nothing'"),
        ("no_such_module_here:x", 78, "No module named"),
        ("shop:number", 64, "no installed adapter knows builtins.int"),
    ],
)
def test_what_cannot_be_scanned_is_an_error_that_says_why(
    tmp_path: Path, name: str, code: int, says: str
) -> None:
    done = scan(tmp_path, name)
    assert done.returncode == code
    assert says in done.stderr
    assert done.stdout == ""
