"""The classic lineage (``autogen.coding``: pyautogen 0.2 to 0.9, ag2 before 1.0).

Its executors are no class of ours or theirs but a protocol, and they are synchronous: a question to
a person blocks the thread that runs the code, as everything does there.

MUST decide every block before the first one runs, and run exactly what was decided.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rampart import ConfigError, Denied, EnforcementPoint, Guard

from rampart_autogen.blocks import EXIT_DENIED, Batch, working_directory
from rampart_autogen.mapping import tool_map

_POINT = "__rampart__"


class GuardedClassicCodeExecutor:
    """A drop-in for any classic code executor whose code is decided before it runs.

    Hand it to an agent as ``code_execution_config={"executor": guarded}``. A denied batch answers
    ``exit_code`` 126 and says which block is to blame; nothing of it ran.
    """

    def __init__(self, executor: Any, guard: Guard) -> None:
        self._inner = executor
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        # WHY: a private method of the executor could run code past the guard
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def code_extractor(self) -> Any:
        """Return the executor's own: how it finds blocks in a message."""
        return self._inner.code_extractor

    def execute_code_blocks(self, code_blocks: list[Any]) -> Any:
        """Run the blocks if every one of them is allowed. Raises: as the executor."""
        batch = Batch(self._guard, code_blocks, working_directory(self._inner), classic=True)
        base = _base()
        if denied := batch.denied():
            return base.CommandLineCodeResult(exit_code=EXIT_DENIED, output=denied, code_file=None)
        blocks = [base.CodeBlock(code=one.code, language=one.language) for one in batch.blocks]
        result = self._inner.execute_code_blocks(blocks)
        if not self._guard.reviews:
            return result
        return result.model_copy(update={"output": batch.reviewed(str(result.output))})

    def restart(self) -> None:
        """Restart the executor."""
        self._inner.restart()


def guard_classic_executor(executor: Any, guard: Guard) -> GuardedClassicCodeExecutor:
    """Return a guarded executor around a classic one."""
    if isinstance(executor, GuardedClassicCodeExecutor) and executor._guard is guard:  # noqa: SLF001 - our own
        return executor
    return GuardedClassicCodeExecutor(executor, guard)


def guard_classic_agent(agent: Any, guard: Guard) -> Any:
    """Guard a classic agent in place: its executor and the functions that it has so far.

    Raises: ConfigError for an agent that runs code without an executor (``code_execution_config``
    without ``executor``): its code would pass nothing that can be guarded.
    """
    named = guard.derived(agent=agent.name) if not guard.call("").agent else guard
    config = getattr(agent, "_code_execution_config", False)
    executor = getattr(agent, "_code_executor", None)
    if config is not False and executor is None:
        raise ConfigError(
            f"{agent.name} runs code without an executor",
            help='give it one: code_execution_config={"executor": LocalCommandLineCodeExecutor()}',
        )
    if executor is not None:
        inner = executor._inner if isinstance(executor, GuardedClassicCodeExecutor) else executor  # noqa: SLF001 - our own
        agent._code_executor = GuardedClassicCodeExecutor(inner, named)  # noqa: SLF001 - it has no setter
    functions = agent.function_map
    for name, function in list(functions.items()):
        functions[name] = _guarded(name, function, named)
    return agent


def _base() -> Any:
    return import_module("autogen.coding.base")


def _guarded(name: str, function: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
    """Return a function behind the guard; a denial is what it answers, as the model reads it."""
    inner: Callable[..., Any] = getattr(function, _POINT, function)
    known = frozenset(inspect.signature(inner).parameters)
    point = EnforcementPoint(guard, name, tool_map().find(object, name, known))

    def seen(args: Any, kwargs: Any, output: Any) -> Any:
        if not point.reviews:
            return output
        return point.review(point.view(inner, args, kwargs), output).response

    if inspect.iscoroutinefunction(inner):

        @functools.wraps(inner)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            try:
                args, kwargs = await point.aallow(inner, args, kwargs)
            except Denied as denied:
                return str(denied)
            return seen(args, kwargs, await inner(*args, **kwargs))

        setattr(run_async, _POINT, inner)
        return run_async

    @functools.wraps(inner)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            args, kwargs = point.allow(inner, args, kwargs)
        except Denied as denied:
            return str(denied)
        return seen(args, kwargs, inner(*args, **kwargs))

    setattr(run, _POINT, inner)
    return run
