"""The adapters as others see them: light to import, and documented by code that runs."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from rampart import Adapter

PACKAGES = Path(__file__).parents[2] / "packages"
FRAMEWORKS = {
    "autogen": ("autogen_core", "autogen_ext"),
    "crewai": ("crewai",),
    "langchain": ("langchain_core", "langgraph", "langchain"),
}
DENIED = {
    "autogen": "None of the blocks was executed. Block 2 of 2: Denied by policy: exec",
    "crewai": "Denied by policy: shell: ",
    "langchain": "Denied by policy: shell: ",
}
NAMES = pytest.mark.parametrize("name", FRAMEWORKS)


@NAMES
def test_plugin_imports_no_framework(name: str) -> None:
    code = (
        f"import sys, rampart_{name}.plugin as plugin;"
        "[adapter] = plugin.rampart_adapters(); adapter.supports(object());"
        f"print([name for name in sys.modules if name.split('.')[0] in {FRAMEWORKS[name]}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@NAMES
def test_entry_point_is_the_plugin(name: str) -> None:
    (entry,) = metadata.entry_points(group="rampart", name=name)
    (adapter,) = entry.load().rampart_adapters()
    assert isinstance(adapter, Adapter)
    assert adapter.name == name
    assert not adapter.supports("a text")


@pytest.mark.filterwarnings("ignore:Cannot set an attribute on 'crewai:ImportWarning")
@NAMES
def test_every_public_name_can_be_imported(name: str) -> None:
    package = importlib.import_module(f"rampart_{name}")
    for public in package.__all__:
        assert getattr(package, public)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


@NAMES
def test_example_of_the_readme_runs(name: str, tmp_path: Path) -> None:
    text = (PACKAGES / name / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    own = {"HOME": "home", "RAMPART_HOME": "rampart", "CREWAI_STORAGE_DIR": "crewai"}
    environment = {**os.environ, **{key: str(tmp_path / folder) for key, folder in own.items()}}
    environment["CREWAI_DISABLE_TELEMETRY"] = "true"
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    allowed, denied = done.stdout.splitlines()
    assert allowed == "hello"
    assert denied.startswith(DENIED[name])
