"""Guarding a whole process: one guard a framework, undone exactly, whatever an adapter does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from rampart import ConfigError, Guard, hookimpl
from rampart.instrumentation import coverage_of, instrument, uninstrument
from rampart.plugins import Plugins


class Fake:
    """An adapter whose framework is a list."""

    name = "lists"
    gaps = ("tuples",)

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.done: list[str] = []

    def supports(self, obj: object) -> bool:
        return False

    def protect(self, obj: Any, guard: Guard) -> Any:
        return obj

    def instrument(self, guard: Guard) -> Sequence[str]:
        self.done.append("instrument")
        if self.error is not None:
            raise self.error
        return ["append"]

    def uninstrument(self) -> None:
        self.done.append("uninstrument")


def plugins_of(*adapters: object) -> Plugins:
    plugins = Plugins()

    def rampart_adapters() -> list[object]:
        return list(adapters)

    plugins.register(SimpleNamespace(rampart_adapters=hookimpl(rampart_adapters)), name="fake")
    return plugins


@pytest.fixture(autouse=True)
def _undone(guard: Guard) -> Iterator[None]:
    yield
    uninstrument(guard)


def test_it_is_installed_once_and_undone_once(guard: Guard) -> None:
    fake = Fake()
    plugins = plugins_of(fake)
    covered = instrument(guard, "lists", plugins)
    assert instrument(guard, "lists", plugins) is covered
    assert str(covered) == "lists: guarded\n  + append\n  - not covered: tuples"
    assert coverage_of(guard, "lists", plugins) is covered
    uninstrument(guard, "lists")
    uninstrument(guard, "lists")
    assert fake.done == ["instrument", "uninstrument"]
    assert str(coverage_of(guard, "lists", plugins)) == "lists: not guarded"


@pytest.mark.parametrize("error", [RuntimeError("half done"), ConfigError("version 9 is unknown")])
def test_adapter_that_fails_leaves_nothing_behind_and_is_heard(
    guard: Guard, error: Exception
) -> None:
    fake = Fake(error)
    with pytest.raises(type(error), match=str(error)):
        instrument(guard, "lists", plugins_of(fake))
    assert fake.done == ["instrument", "uninstrument"]
    fake.error = None
    assert instrument(guard, "lists", plugins_of(fake)).paths == ("append",)


def test_framework_that_is_not_installed_is_named(guard: Guard) -> None:
    fake = Fake(ImportError("No module named 'lists'"))
    with pytest.raises(ConfigError, match="lists cannot be instrumented: No module named") as told:
        instrument(guard, "lists", plugins_of(fake))
    assert "pip install rampart-lists" in told.value.help


def test_adapter_without_it_is_no_answer(guard: Guard) -> None:
    bare = SimpleNamespace(name="lists", supports=lambda obj: False, protect=lambda obj, guard: obj)
    with pytest.raises(ConfigError, match="no installed adapter can instrument 'lists'") as told:
        instrument(guard, "lists", plugins_of(bare))
    assert "known: none" in told.value.help


def test_coverage_of_a_function_and_of_what_nobody_knows(guard: Guard) -> None:
    def plain() -> None:
        """Do nothing."""

    guarded = guard.protect(plain)
    assert guard.coverage(guarded).paths == ("plain(...)",)
    assert guard.coverage(plain).paths == ()
    assert guard.coverage(object()).paths == ()
    assert guard.coverage([guarded, plain]).gaps[-1] == "plain"
