"""The package as others see it: light to import, and documented by code that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import rampart_langchain
from rampart import Adapter
from rampart_langchain.plugin import rampart_adapters

README = Path(__file__).parents[2] / "packages" / "langchain" / "README.md"


def test_plugin_imports_no_framework() -> None:
    frameworks = ("langchain_core", "langgraph", "langchain")
    code = (
        "import sys, rampart_langchain.plugin as plugin;"
        "[adapter] = plugin.rampart_adapters(); adapter.supports(object());"
        f"print([name for name in sys.modules if name.split('.')[0] in {frameworks}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_entry_point_is_the_plugin() -> None:
    (entry,) = metadata.entry_points(group="rampart", name="langchain")
    assert entry.load().rampart_adapters is rampart_adapters
    (adapter,) = rampart_adapters()
    assert isinstance(adapter, Adapter)
    assert not adapter.supports("a text")


def test_every_public_name_can_be_imported() -> None:
    for name in rampart_langchain.__all__:
        assert getattr(rampart_langchain, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rampart_langchain.nothing


def test_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    environment = {**os.environ, "HOME": str(tmp_path), "RAMPART_HOME": str(tmp_path / "rampart")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
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
