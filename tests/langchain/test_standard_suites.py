"""The suites that LangChain offers to whoever writes a tool pass on guarded tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests


def note(text: str, times: int = 1) -> str:
    """Write a note."""
    return text * times


async def anote(text: str, times: int = 1) -> str:
    """Write a note."""
    return note(text, times)


def noted(text: str, times: int = 1) -> tuple[str, Path]:
    """Write a note."""
    return note(text, times), Path(text)


class Note(BaseTool):
    name: str = "note"
    description: str = "Write a note."

    def _run(self, text: str, times: int = 1) -> str:
        return note(text, times)


TOOLS: dict[str, Any] = {
    "function": lambda: StructuredTool.from_function(note),
    "both": lambda: StructuredTool.from_function(note, coroutine=anote),
    "pair": lambda: StructuredTool.from_function(
        noted, response_format="content_and_artifact", name="note"
    ),
    "class": Note,
}


class Guarded:
    """One kind of tool, which a fixture makes and guards."""

    kind: str
    made: BaseTool

    @pytest.fixture(autouse=True)
    def _make(self, stage: Any) -> None:
        type(self).made = stage.guard.protect(TOOLS[self.kind]())

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @property
    def tool_constructor(self) -> BaseTool:
        return self.made

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"text": "hello", "times": 2}


def suites() -> dict[str, type]:
    """Return a class for each suite and kind of tool, as pytest collects them."""
    found: dict[str, type] = {}
    for kind in TOOLS:
        for suite in (ToolsUnitTests, ToolsIntegrationTests):
            name = f"Test{kind.title()}{suite.__name__}"
            made = type(name, (Guarded, suite), {"kind": kind, "__module__": __name__})
            found[name] = pytest.mark.anyio(made)
    return found


globals().update(suites())
