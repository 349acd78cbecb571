"""A plugin can tighten a decision or be named as broken; it can never loosen one."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace

import pytest
from rampart import Action, Decision, Guard, ToolCall, hookimpl, plugins
from rampart.errors import PluginError
from rampart.limits import PLUGIN_DECIDE_S
from rampart.plugins import PluginInfo, Plugins
from rampart.workers import Overdue, Workers

CALL = ToolCall("exec", {"command": "ls"})
ALLOWED = Decision("allow", policy="base", rule="rule-1", generation="g", matched=("base",))


def plugins_with(*functions: Callable[..., object]) -> Plugins:
    plugins = Plugins()
    for number, function in enumerate(functions):
        name = function.__name__
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


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Return an event that nobody sets before the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_plugin_that_hangs_is_named_and_denies_in_time(stuck: threading.Event) -> None:
    def rampart_before_decision(call: ToolCall) -> None:
        stuck.wait()

    hanging, started = plugins_with(rampart_before_decision), time.monotonic()
    for _ in range(2):
        decision = hanging.tighten(CALL, (), ALLOWED)
        assert (decision.action, decision.rule) == ("deny", "plugin_error")
        assert "plugin-0 took too long" in decision.message
    assert time.monotonic() - started < 8 * PLUGIN_DECIDE_S


def test_plugin_that_hung_once_decides_again_when_it_recovers(stuck: threading.Event) -> None:
    def rampart_before_decision(call: ToolCall) -> Decision:
        stuck.wait()
        return Decision("watch", "back again")

    plugins = plugins_with(rampart_before_decision)
    assert plugins.tighten(CALL, (), ALLOWED).action == "deny"
    stuck.set()
    assert plugins.tighten(CALL, (), ALLOWED).action == "watch"


def test_observer_that_hangs_is_reported_and_changes_nothing(
    stuck: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def rampart_after_decision(decision: Decision) -> None:
        stuck.wait()

    plugins_with(rampart_after_decision).observe(CALL, ALLOWED)
    assert "plugin-0 is slow" in caplog.text


def test_plugin_that_ends_the_program_denies_instead() -> None:
    def rampart_before_decision(call: ToolCall) -> None:
        sys.exit(0)

    decision = plugins_with(rampart_before_decision).tighten(CALL, (), ALLOWED)
    assert decision.action == "deny"
    assert "SystemExit" in decision.message


def test_hooks_see_the_context_of_their_caller() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")

    def rampart_before_decision(call: ToolCall) -> Decision:
        return Decision("ask", user.get())

    user.set("ann")
    assert plugins_with(rampart_before_decision).tighten(CALL, (), ALLOWED).message == "ann"


def test_guard_denies_while_a_plugin_hangs(
    stuck: threading.Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def rampart_before_decision(call: ToolCall) -> None:
        stuck.wait()

    hanging = plugins_with(rampart_before_decision)
    monkeypatch.setattr("rampart.embedded.installed_plugins", lambda: hanging)
    policy = "version: '1'\ndefault_action: allow\n"
    with Guard(policy, data_dir=tmp_path) as guard:
        decision = guard.enforce("exec", {"command": "ls"})
    assert decision.action == "deny"
    assert "plugin-0 took too long" in decision.message


def test_plugin_that_loads_slowly_is_named_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = threading.Event()
    said: list[str] = []

    class Reports(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())
            reported.set()

    def rampart_catalog() -> list[dict[str, object]]:
        assert reported.wait(30)
        return []

    monkeypatch.setattr(plugins, "PLUGIN_LOAD_S", 0.01)
    log = logging.getLogger("rampart.plugins")
    log.addHandler(handler := Reports())
    try:
        plugins_with(rampart_catalog)
    finally:
        log.removeHandler(handler)
    assert "plugin-0: rampart_catalog" in said[0]


def test_calls_that_hang_never_hold_more_than_their_threads(stuck: threading.Event) -> None:
    workers = Workers("hanging-worker", 2)
    for _ in range(5):
        with pytest.raises(Overdue):
            workers.run(stuck.wait, 0.01)
    assert sum("hanging-worker" in thread.name for thread in threading.enumerate()) == 2
    stuck.set()
    assert workers.run(lambda: "free again", 30) == "free again"


def test_threads_are_used_again() -> None:
    workers = Workers("test-worker", 8)
    names = {workers.run(threading.get_ident, 30) for _ in range(20)}
    assert len(names) == 1


def test_forked_process_asks_plugins_as_well() -> None:
    workers = Workers("test-worker", 1)
    assert workers.run(lambda: 1, 30) == 1
    child = os.fork()
    if child == 0:
        try:
            os._exit(workers.run(lambda: 7, 10))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
