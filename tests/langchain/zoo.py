"""Tools of every kind that LangChain has, all called ``note``, and how each is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, Tool

ran: list[Any] = []


class Note(BaseTool):
    """A tool written as a class."""

    name: str = "note"
    description: str = "Write a note."

    def _run(self, text: str, times: int = 1) -> str:
        ran.append(text)
        return text * times


class NoteWithConfig(Note):
    def _run(self, text: str, config: RunnableConfig) -> str:  # type: ignore[override]  # LangChain gives it the config
        ran.append(text)
        return f"{text} {config['metadata']['who']}"


class AsyncNote(Note):
    async def _arun(self, text: str, times: int = 1) -> str:
        ran.append(text)
        return text * times


class DelegatingNote(Note):
    async def _arun(self, text: str, times: int = 1) -> str:
        return self._run(text, times)


def write(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return text


async def awrite(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return text


def write_for(text: str, user: Annotated[str, InjectedToolArg]) -> str:
    """Write a note for somebody."""
    ran.append(text)
    return f"{text} for {user}"


def write_twice(text: str) -> tuple[str, list[str]]:
    """Write a note."""
    ran.append(text)
    return text, [text]


def with_config(text: str, config: RunnableConfig) -> str:
    """Write a note."""
    ran.append(text)
    return f"{text} {config['metadata']['who']}"


def made(function: Callable[..., Any], **options: Any) -> BaseTool:
    return StructuredTool.from_function(function, name="note", **options)


TOOLS: dict[str, Callable[[], BaseTool]] = {
    "function": lambda: made(write),
    "function and coroutine": lambda: made(write, coroutine=awrite),
    "injected": lambda: made(write_for),
    "content and artifact": lambda: made(write_twice, response_format="content_and_artifact"),
    "config": lambda: made(with_config),
    "class": Note,
    "class with config": NoteWithConfig,
    "class with _arun": AsyncNote,
    "class whose _arun calls _run": DelegatingNote,
    "single input": lambda: Tool("note", write, "Write a note."),
    "single input, async": lambda: Tool("note", write, "Write a note.", coroutine=awrite),
    "coroutine only": lambda: StructuredTool.from_function(coroutine=awrite, name="note"),
}
WAYS = [(kind, way) for kind in TOOLS for way in ("invoke", "ainvoke")]


def call(subject: BaseTool, way: str, text: str, *, call_id: str | None = "c1") -> Any:
    arguments: dict[str, Any] = {"text": text}
    if "single" in repr(type(subject)) or isinstance(subject, Tool):
        arguments = {"__arg1": text}
    schema: Any = subject.get_input_schema()
    if "user" in schema.model_fields:
        arguments["user"] = "ann"
    config: RunnableConfig = {"metadata": {"who": "bob"}}
    sent: Any = arguments
    if call_id is not None:
        sent = {"name": "note", "args": arguments, "id": call_id, "type": "tool_call"}
    if way == "ainvoke":
        return asyncio.run(subject.ainvoke(sent, config))
    return subject.invoke(sent, config)
