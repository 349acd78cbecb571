"""A scripted chat model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class ScriptedModel(BaseChatModel):
    """Calls the given tools one after the other, then says that it is done."""

    calls: list[tuple[str, dict[str, Any]]]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> ScriptedModel:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        step = sum(isinstance(message, ToolMessage) for message in messages)
        answer = AIMessage("done")
        if step < len(self.calls):
            name, arguments = self.calls[step]
            call = {"name": name, "args": arguments, "id": f"call-{step}", "type": "tool_call"}
            answer = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=answer)])


@pytest.fixture
def scripted() -> Callable[..., ScriptedModel]:
    return lambda *calls: ScriptedModel(calls=list(calls))
