"""What users and plugins say about tools goes before what adapters know."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rampart import ConfigError, RampartError, ToolMap, hookimpl
from rampart.plugins import Plugins
from rampart.tooldata import added_maps, tools_path

BUILT_IN = ToolMap.parse("- {name: t, tool: read, params: {path: p}}", "built-in")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAMPART_HOME", str(tmp_path))
    monkeypatch.delenv("RAMPART_TOOLS", raising=False)
    return tmp_path


def found(name: str = "t", arguments: tuple[str, ...] = ("p",)) -> str:
    return BUILT_IN.find(object, name, arguments).tool


def test_without_a_file_the_adapter_decides(home: Path) -> None:
    assert added_maps() == ()
    assert found() == "read"


def test_file_of_the_user_goes_first_and_is_read_again_when_it_changes(home: Path) -> None:
    path = home / "tools.yaml"
    path.write_text("- {name: t, tool: delete, params: {path: p}}")
    assert tools_path() == path
    assert found() == "delete"
    path.write_text("- {name: other, tool: write, params: {path: p}}")
    assert found() == "read"
    assert found("other") == "write"
    path.unlink()
    assert found("other") == ""


def test_another_file_may_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = home / "named.yaml"
    named.write_text("- {name: t, tool: edit, params: {path: p}}")
    monkeypatch.setenv("RAMPART_TOOLS", str(named))
    assert found() == "edit"
    named.unlink()
    with pytest.raises(ConfigError, match=r"named\.yaml: does not exist"):
        found()


def test_file_that_others_may_write_is_refused(home: Path) -> None:
    path = home / "tools.yaml"
    path.write_text("- {name: t, tool: note, params: {}}")
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="others may write to it"):
        found()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: b", r"tools\.yaml:1:1: expected a list"),
        ("- {name: t, tool: x}", r"tools\.yaml:1:3: an entry needs"),
        ("- {name: t, tool: x, params: {}, more: 1}", "unknown key `more`"),
        ("- [", r"tools\.yaml:"),
    ],
)
def test_file_that_is_none_names_the_place(home: Path, text: str, says: str) -> None:
    (home / "tools.yaml").write_text(text)
    with pytest.raises(RampartError, match=says):
        found()


def test_file_that_is_no_text_is_an_error(home: Path) -> None:
    (home / "tools.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        found()


def plugins_with(answer: Any) -> Plugins:
    plugins = Plugins()

    def rampart_tools() -> Any:
        return answer

    plugins.register(SimpleNamespace(rampart_tools=hookimpl(rampart_tools)), name="shop")
    return plugins


def test_plugins_bring_maps() -> None:
    known = ToolMap.parse("- {name: buy, tool: exec, params: {command: line}}", "shop.yaml")
    assert list(plugins_with([known]).tool_maps()) == [known]


def test_plugin_that_brings_something_else_is_named() -> None:
    with pytest.raises(RampartError, match="plugin shop: .* is not a tool map"):
        list(plugins_with(["- text"]).tool_maps())
