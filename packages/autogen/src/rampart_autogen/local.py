"""The stock executor for this machine, with the guard inside: one import changes, nothing else."""

from __future__ import annotations

from typing import Any, Self

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors._common import CommandLineCodeResult
from autogen_ext.code_executors.local import (
    LocalCommandLineCodeExecutor,
    LocalCommandLineCodeExecutorConfig,
)
from rampart import Guard

from rampart_autogen.blocks import Batch, working_directory
from rampart_autogen.defaults import default_guard
from rampart_autogen.executor import allowed_blocks, answer, reviewed


class RampartLocalCommandLineCodeExecutor(LocalCommandLineCodeExecutor):
    """``LocalCommandLineCodeExecutor`` whose code is decided before it runs.

    It takes what the stock one takes, and ``guard``: without one it uses that of
    ``set_default_guard``, or a ``Guard()`` on this machine's own policy. A denied batch answers
    ``exit_code`` 126, and nothing of it ran.
    """

    component_config_schema = LocalCommandLineCodeExecutorConfig
    component_provider_override = "rampart_autogen.RampartLocalCommandLineCodeExecutor"

    def __init__(self, *args: Any, guard: Guard | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard or default_guard()

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CommandLineCodeResult:
        """Run the blocks if every one of them is allowed. Raises: as the stock executor."""
        batch = Batch(self._guard, code_blocks, working_directory(self))
        if denied := await answer(batch, cancellation_token):
            return CommandLineCodeResult(denied.exit_code, denied.output, code_file=None)
        result = await super().execute_code_blocks(allowed_blocks(batch), cancellation_token)
        return await reviewed(batch, result, self._guard)  # type: ignore[return-value]  # a copy of it

    @classmethod
    def _from_config(cls, config: LocalCommandLineCodeExecutorConfig) -> Self:
        return cls(**config.model_dump())
