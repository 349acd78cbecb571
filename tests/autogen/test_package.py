"""The package as others see it: light to import, and documented by code that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import rampart_autogen
from rampart import Adapter
from rampart_autogen.plugin import rampart_adapters

README = Path(__file__).parents[2] / "packages" / "autogen" / "README.md"


def test_plugin_imports_no_framework() -> None:
    frameworks = ("autogen_core", "autogen_ext")
    code = (
        "import sys, rampart_autogen.plugin as plugin;"
        "[adapter] = plugin.rampart_adapters(); adapter.supports(object());"
        f"print([name for name in sys.modules if name.split('.')[0] in {frameworks}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_entry_point_is_the_plugin() -> None:
    (entry,) = metadata.entry_points(group="rampart", name="autogen")
    assert entry.load().rampart_adapters is rampart_adapters
    (adapter,) = rampart_adapters()
    assert isinstance(adapter, Adapter)
    assert not adapter.supports("a text")


def test_every_public_name_can_be_imported() -> None:
    for name in rampart_autogen.__all__:
        assert getattr(rampart_autogen, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rampart_autogen.nothing


def test_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    environment = {**os.environ, "HOME": str(tmp_path), "RAMPART_HOME": str(tmp_path / "rampart")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore:Using LocalCommandLine", "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    allowed, denied = done.stdout.splitlines()
    assert allowed == "hello"
    assert denied.startswith(
        "None of the blocks was executed. Block 2 of 2: Denied by policy: exec"
    )
