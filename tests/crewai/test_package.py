"""The package as others see it: light to import, and documented by code that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import rampart_crewai
from rampart import Adapter
from rampart_crewai.plugin import rampart_adapters

README = Path(__file__).parents[2] / "packages" / "crewai" / "README.md"


def test_plugin_imports_no_framework() -> None:
    frameworks = ("crewai",)
    code = (
        "import sys, rampart_crewai.plugin as plugin;"
        "[adapter] = plugin.rampart_adapters(); adapter.supports(object());"
        f"print([name for name in sys.modules if name.split('.')[0] in {frameworks}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_entry_point_is_the_plugin() -> None:
    (entry,) = metadata.entry_points(group="rampart", name="crewai")
    assert entry.load().rampart_adapters is rampart_adapters
    (adapter,) = rampart_adapters()
    assert isinstance(adapter, Adapter)
    assert not adapter.supports("a text")


def test_every_public_name_can_be_imported() -> None:
    for name in rampart_crewai.__all__:
        assert getattr(rampart_crewai, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rampart_crewai.nothing


def test_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    environment = {**os.environ, "HOME": str(tmp_path), "RAMPART_HOME": str(tmp_path / "rampart")}
    environment |= {"CREWAI_STORAGE_DIR": str(tmp_path / "crewai")}
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
    assert denied.startswith("Denied by policy: shell: ")
