"""A plugin can tighten a decision or be named as broken; it can never loosen one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from rampart import Action, Decision, ToolCall, hookimpl
from rampart.errors import PluginError
from rampart.plugins import PluginInfo, Plugins

CALL = ToolCall("exec", {"command": "ls"})
ALLOWED = Decision("allow", policy="base", rule="rule-1", generation="g", matched=("base",))


def plugins_with(*functions: object) -> Plugins:
    plugins = Plugins()
    for number, function in enumerate(functions):
        name = function.__name__  # type: ignore[attr-defined]
        plugins.register(SimpleNamespace(**{name: hookimpl(function)}), name=f"plugin-{number}")
    return plugins


def test_plugin_tightens_a_decision_and_is_named() -> None:
    def rampart_before_decision(call: ToolCall, actions: tuple[Action, ...]) -> Decision:
        return Decision("ask", f"{call.tool} after hours")

    decision = plugins_with(rampart_before_decision).tighten(CALL, (), ALLOWED)
    assert (decision.action, decision.policy) == ("ask", "plugin:plugin-0")
    assert decision.matched == ("plugin:plugin-0", "base")
    assert decision.generation == "g"


def test_plugin_cannot_loosen_a_decision() -> None:
    def rampart_before_decision(call: ToolCall) -> Decision:
        return Decision("allow", "trust me")

    denied = Decision("deny", "no")
    assert plugins_with(rampart_before_decision).tighten(CALL, (), denied) is denied


def test_every_plugin_is_heard_and_the_strictest_wins() -> None:
    def asks(call: ToolCall) -> Decision:
        return Decision("ask")

    def denies(call: ToolCall) -> Decision:
        return Decision("deny")

    asks.__name__ = denies.__name__ = "rampart_before_decision"
    for order in ((asks, denies), (denies, asks)):
        assert plugins_with(*order).tighten(CALL, (), ALLOWED).action == "deny"


@pytest.mark.parametrize("answer", ["allow", True, Decision("permit")])  # type: ignore[arg-type]
def test_plugin_that_answers_nonsense_denies(answer: object) -> None:
    def rampart_before_decision(call: ToolCall) -> object:
        return answer

    decision = plugins_with(rampart_before_decision).tighten(CALL, (), ALLOWED)
    assert (decision.action, decision.rule) == ("deny", "plugin_error")
    assert "plugin-0" in decision.message


def test_plugin_that_raises_denies_and_is_named() -> None:
    def rampart_before_decision(call: ToolCall) -> Decision:
        raise RuntimeError("broken inside")

    decision = plugins_with(rampart_before_decision).tighten(CALL, (), ALLOWED)
    assert decision.action == "deny"
    assert "plugin-0" in decision.message
    assert "broken inside" in decision.message


def test_observer_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def rampart_after_decision(decision: Decision) -> None:
        raise RuntimeError("observer bug")

    plugins_with(rampart_after_decision).observe(CALL, ALLOWED)
    assert "plugin-0" in caplog.text


def test_misspelt_hook_is_an_error_that_names_it() -> None:
    def rampart_befor_decision(call: ToolCall) -> None: ...

    with pytest.raises(PluginError, match="rampart_befor_decision"):
        plugins_with(rampart_befor_decision)


def test_hook_with_an_unknown_parameter_is_an_error() -> None:
    def rampart_before_decision(call: ToolCall, mood: str) -> None: ...

    with pytest.raises(PluginError, match="mood"):
        plugins_with(rampart_before_decision)


def test_plugin_that_does_not_import_is_named_and_denies_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken_rampart_plugin-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken-rampart-plugin\nVersion: 1.0\n"
    )
    (folder / "entry_points.txt").write_text("[rampart]\nbroken = broken_rampart_plugin\n")
    (tmp_path / "broken_rampart_plugin.py").write_text("raise OSError('no disk')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = Plugins()
    plugins.load_entry_points()
    assert (
        PluginInfo("broken", "broken-rampart-plugin", "1.0", "OSError: no disk")
        in plugins.installed
    )
    decision = plugins.tighten(CALL, (), ALLOWED)
    assert decision.action == "deny"
    assert "broken" in decision.message


def test_adapter_that_is_none_is_an_error_that_names_the_plugin() -> None:
    def rampart_adapters() -> list[object]:
        return [object()]

    with pytest.raises(PluginError, match="plugin-0"):
        list(plugins_with(rampart_adapters).adapters())
