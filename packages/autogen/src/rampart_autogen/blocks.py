"""Blocks of code on their way to an executor: what each would do, and what is answered instead.

Nothing here knows AutoGen: both of its lineages, and what users build on them, share it.

MUST decide every block before the first one runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rampart import Decision, EnforcementPoint, Guard, ToolMapping, denial_text

EXIT_DENIED: Final = 126
SHELLS: Final = frozenset({"sh", "bash", "shell", "zsh", "ksh", "dash", "console", "terminal"})

# How the classic executors read where a block is to be saved. INVARIANT: as they do, and for them
# `filename:` may be left out, so every comment on the first line names a file.
_CLASSIC_FILE_LINES: Final = (
    re.compile(r"^<!-- (filename:)?(.+?) -->", re.DOTALL),
    re.compile(r"^/\* (filename:)?(.+?) \*/", re.DOTALL),
    re.compile(r"^// (filename:)?(.+?)$", re.DOTALL),
    re.compile(r"^# (filename:)?(.+?)$", re.DOTALL),
)

Call = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Block:
    """A copy of one block; ``problem`` says why it cannot be read."""

    code: str
    language: str
    problem: str = ""

    @classmethod
    def of(cls, block: object) -> Block:
        """Return a copy of any lineage's block. Never raises."""
        try:
            code, language = getattr(block, "code", None), getattr(block, "language", None)
        except Exception as error:  # noqa: BLE001 - a foreign property may raise anything
            return cls("", "", f"the block cannot be read: {type(error).__name__}")
        for name, value in (("code", code), ("language", language)):
            if not isinstance(value, str):
                return cls("", "", f"its `{name}` is {type(value).__name__} instead of text")
        return cls(str.__str__(code), str.__str__(language))

    def calls(self, *, classic: bool) -> list[Call]:
        """Return what the block would do: write a file that it names, and run its code."""
        calls: list[Call] = []
        read = classic_file_of_directive if classic else file_of_directive
        if path := read(self.code):
            calls.append(("write", {"path": path, "content": self.code}))
        return [*calls, self.run()]

    def run(self) -> Call:
        """Return the call that runs the code."""
        if self.language.strip().lower() in SHELLS:
            return "exec", {"command": self.code}
        return "code", {"language": self.language, "code": self.code}


class Batch:
    """All blocks that an executor was given at once: allowed together, or not at all.

    ``where`` is the context of the calls; ``classic`` says which lineage will run them.
    """

    def __init__(
        self,
        guard: Guard,
        blocks: Sequence[object],
        where: Mapping[str, Any],
        *,
        classic: bool = False,
    ) -> None:
        self._guard = guard
        self._where = dict(where)
        self._classic = classic
        self.blocks = [Block.of(block) for block in blocks]

    def denied(self) -> str:
        """Decide every block; return the text for the model if one is denied, else nothing."""
        for number, block in enumerate(self.blocks, start=1):
            if block.problem:
                return self._text(number, "code", _unreadable(block))
            for tool, params in block.calls(classic=self._classic):
                decision = self._point(tool).enforce(params)
                if not decision.allowed:
                    return self._text(number, tool, decision)
        return ""

    async def adenied(self) -> str:
        """As ``denied``, without blocking the event loop."""
        for number, block in enumerate(self.blocks, start=1):
            if block.problem:
                return self._text(number, "code", _unreadable(block))
            for tool, params in block.calls(classic=self._classic):
                decision = await self._point(tool).aenforce(params)
                if not decision.allowed:
                    return self._text(number, tool, decision)
        return ""

    def reviewed(self, output: str) -> str:
        """Return what the model may see of the output of all blocks."""
        for tool, params in self._runs():
            output = str(self._point(tool).review(params, output).response)
        return output

    async def areviewed(self, output: str) -> str:
        """As ``reviewed``, without blocking the event loop."""
        for tool, params in self._runs():
            output = str((await self._point(tool).areview(params, output)).response)
        return output

    def _runs(self) -> Iterator[Call]:
        """Yield one call for each tool that the blocks stand for: the output is all of theirs."""
        if self._guard.reviews:
            calls = {tool: (tool, params) for tool, params in map(Block.run, self.blocks)}
            yield from calls.values()

    def _point(self, tool: str) -> EnforcementPoint:
        return EnforcementPoint(self._guard, tool, ToolMapping(), context=lambda _: self._where)

    def _text(self, number: int, tool: str, decision: Decision) -> str:
        total = len(self.blocks)
        head = "The code was NOT executed." if total == 1 else "None of the blocks was executed."
        where = "" if total == 1 else f" Block {number} of {total}:"
        return f"{head}{where} {denial_text(tool, decision)}"


def file_of_directive(code: str) -> str:
    """Return the file that an executor saves a block to, as its first line says, or nothing."""
    first = code.split("\n", 1)[0]
    # WHY this and not a pattern: it is how the executors read the line
    return first.split(":")[1].strip() if first.startswith("# filename:") else ""


def classic_file_of_directive(code: str) -> str:
    """Return the file that a classic executor saves a block to, or nothing."""
    first = code.split("\n", 1)[0].strip()
    found = next((m for p in _CLASSIC_FILE_LINES if (m := p.match(first))), None)
    return found.group(2).strip() if found else ""


def working_directory(executor: object) -> dict[str, str]:
    """Return where an executor's code runs, as a call's context."""
    try:
        directory = getattr(executor, "work_dir", None)
        return {} if directory is None else {"cwd": str(Path(directory).absolute())}
    except (OSError, TypeError, ValueError):  # a property of the executor
        return {}


def _unreadable(block: Block) -> Decision:
    return Decision("deny", block.problem, rule="invalid_input")
