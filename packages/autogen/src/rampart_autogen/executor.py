"""A code executor behind the guard: all blocks of a batch are allowed, or none runs.

MUST decide every block before the first one runs, and run exactly what was decided.
MUST answer a denial as a result and never raise it: an exception ends a team's run.
"""

from __future__ import annotations

import asyncio
import copy
from types import TracebackType
from typing import Any, Self

from autogen_core import CancellationToken, Component, ComponentModel
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from pydantic import BaseModel
from rampart import Guard

from rampart_autogen.blocks import EXIT_DENIED, Batch, working_directory
from rampart_autogen.defaults import default_guard
from rampart_autogen.passing import letting


class GuardedCodeExecutorConfig(BaseModel):
    """What a configuration says: the executor inside. The guard is this process's own."""

    executor: ComponentModel


class GuardedCodeExecutor(CodeExecutor, Component[GuardedCodeExecutorConfig]):
    """A drop-in for any AutoGen code executor whose code is decided before it runs.

    A denied batch answers ``exit_code`` 126 and says which block is to blame; nothing of it ran.
    Everything else (``work_dir``, ``timeout``, …) is the executor's own.
    """

    component_config_schema = GuardedCodeExecutorConfig
    component_provider_override = "rampart_autogen.GuardedCodeExecutor"

    def __init__(self, executor: CodeExecutor, guard: Guard) -> None:
        self._inner = executor
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        # WHY: a private method of the executor could run code past the guard
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        """Run the blocks if every one of them is allowed. Raises: as the executor."""
        batch = Batch(self._guard, code_blocks, working_directory(self._inner))
        if denied := await answer(batch, cancellation_token):
            return denied
        blocks = allowed_blocks(batch)
        with letting(self._inner):
            result = await self._inner.execute_code_blocks(blocks, cancellation_token)
        return await reviewed(batch, result, self._guard)

    async def start(self) -> None:
        """Start the executor."""
        await self._inner.start()

    async def stop(self) -> None:
        """Stop the executor."""
        await self._inner.stop()

    async def restart(self) -> None:
        """Restart the executor."""
        await self._inner.restart()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)

    def _to_config(self) -> GuardedCodeExecutorConfig:
        return GuardedCodeExecutorConfig(executor=self._inner.dump_component())

    @classmethod
    def _from_config(cls, config: GuardedCodeExecutorConfig) -> Self:
        return cls(CodeExecutor.load_component(config.executor), default_guard())


def guard_executor(executor: CodeExecutor, guard: Guard) -> CodeExecutor:
    """Return a guarded executor around ``executor``; one that this guard has already, as it is."""
    if guard_of(executor) is guard:
        return executor
    return GuardedCodeExecutor(executor, guard)


def guard_of(executor: object) -> Guard | None:
    """Return the guard that an executor decides with, or None."""
    found = getattr(executor, "__dict__", {}).get("_guard")
    return found if isinstance(found, Guard) else None


async def answer(batch: Batch, cancellation_token: CancellationToken) -> CodeResult | None:
    """Return the result of a denied batch; None if it may run. Raises: CancelledError."""
    deciding = asyncio.ensure_future(batch.adenied())
    cancellation_token.link_future(deciding)
    denied = await deciding
    return CodeResult(exit_code=EXIT_DENIED, output=denied) if denied else None


def allowed_blocks(batch: Batch) -> list[CodeBlock]:
    """Return what may run: copies of the blocks, made before they were decided."""
    return [CodeBlock(block.code, block.language) for block in batch.blocks]


async def reviewed(batch: Batch, result: CodeResult, guard: Guard) -> CodeResult:
    """Return a result with what the model may see of its output."""
    if not guard.reviews:
        return result
    seen = copy.copy(result)
    seen.output = await batch.areviewed(str(result.output))
    return seen
