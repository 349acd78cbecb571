"""A code executor behind the guard: all blocks of a batch are allowed, or none runs.

MUST decide every block before the first one runs, and run exactly what was decided.
MUST answer a denial as a result and never raise it: an exception ends a team's run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from autogen_core import CancellationToken, Component, ComponentModel
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from pydantic import BaseModel
from rampart import Decision, EnforcementPoint, Guard, ToolMapping, denial_text

from rampart_autogen.defaults import default_guard

EXIT_DENIED: Final = 126
SHELLS: Final = frozenset({"sh", "bash", "shell", "zsh", "ksh", "dash", "console", "terminal"})


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
        blocks = [CodeBlock(str(block.code), str(block.language)) for block in code_blocks]
        deciding = asyncio.ensure_future(self._first_denied(blocks))
        cancellation_token.link_future(deciding)
        denied = await deciding
        if denied is not None:
            return CodeResult(exit_code=EXIT_DENIED, output=denied)
        return await self._inner.execute_code_blocks(blocks, cancellation_token)

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

    async def _first_denied(self, blocks: Sequence[CodeBlock]) -> str | None:
        for number, block in enumerate(blocks, start=1):
            for tool, params in self._calls(block):
                point = EnforcementPoint(
                    self._guard, tool, ToolMapping(), context=lambda _: self._where()
                )
                decision = await point.aenforce(params)
                if not decision.allowed:
                    return _denial(number, len(blocks), tool, decision)
        return None

    def _calls(self, block: CodeBlock) -> list[tuple[str, dict[str, str]]]:
        """Return what a block would do: a file that it asks to be written, and its code."""
        calls = []
        if path := file_of_directive(block.code):
            calls.append(("write", {"path": path, "content": block.code}))
        if block.language.strip().lower() in SHELLS:
            return [*calls, ("exec", {"command": block.code})]
        return [*calls, ("code", {"language": block.language, "code": block.code})]

    def _where(self) -> dict[str, str]:
        directory = getattr(self._inner, "work_dir", None)
        return {} if directory is None else {"cwd": str(Path(directory).absolute())}

    def _to_config(self) -> GuardedCodeExecutorConfig:
        return GuardedCodeExecutorConfig(executor=self._inner.dump_component())

    @classmethod
    def _from_config(cls, config: GuardedCodeExecutorConfig) -> Self:
        return cls(CodeExecutor.load_component(config.executor), default_guard())


def guard_executor(executor: CodeExecutor, guard: Guard) -> GuardedCodeExecutor:
    """Return a guarded executor around ``executor``."""
    if isinstance(executor, GuardedCodeExecutor) and executor._guard is guard:  # noqa: SLF001 - our own
        return executor
    return GuardedCodeExecutor(executor, guard)


def file_of_directive(code: str) -> str:
    """Return the file that an executor writes a block to, as its first line says, or nothing."""
    first = code.split("\n", 1)[0]
    # WHY this and not a pattern: it is how the executors read the line
    return first.split(":")[1].strip() if first.startswith("# filename:") else ""


def _denial(number: int, total: int, tool: str, decision: Decision) -> str:
    head = "The code was NOT executed." if total == 1 else "None of the blocks was executed."
    where = "" if total == 1 else f" Block {number} of {total}:"
    return f"{head}{where} {denial_text(tool, decision)}"
