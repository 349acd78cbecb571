"""Guarded tools in AutoGen's own loop: the model reads the denial, and the agent goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ToolCallExecutionEvent
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, ModelFamily, ModelInfo, RequestUsage
from autogen_core.tools import FunctionTool, StaticStreamWorkbench, StaticWorkbench
from autogen_ext.models.replay import ReplayChatCompletionClient


def write_file(path: str, content: str) -> str:
    """Write a file."""
    Path(path).write_text(content)
    return "written"


def scripted(*calls: dict[str, str]) -> ReplayChatCompletionClient:
    """Return a model that calls ``write_file`` once per entry, then ends."""

    def call(number: int, arguments: dict[str, str]) -> CreateResult:
        made = FunctionCall(id=f"call-{number}", name="write_file", arguments=json.dumps(arguments))
        return CreateResult(
            finish_reason="function_calls",
            content=[made],
            usage=RequestUsage(prompt_tokens=0, completion_tokens=0),
            cached=False,
        )

    info = ModelInfo(
        vision=False,
        function_calling=True,
        json_output=False,
        family=ModelFamily.UNKNOWN,
        structured_output=False,
    )
    answers = [call(number, arguments) for number, arguments in enumerate(calls)]
    return ReplayChatCompletionClient([*answers, "done"], model_info=info)


WAYS: dict[str, Any] = {
    "tools": lambda guard, tool: {"tools": guard.protect([tool])},
    "workbench": lambda guard, tool: {"workbench": guard.protect(StaticWorkbench([tool]))},
    "stream": lambda guard, tool: {"workbench": guard.protect(StaticStreamWorkbench([tool]))},
    "tools in a workbench": lambda guard, tool: {
        "workbench": StaticWorkbench(guard.protect([tool]))
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_agent_reads_the_denial_and_goes_on(stage: Any, way: str) -> None:
    targets = [stage.folder / name / "notes.md" for name in ("secret", "public")]
    model = scripted(*({"path": str(target), "content": "x"} for target in targets))
    tool = FunctionTool(write_file, "Write a file.")
    agent = AssistantAgent("writer", model, max_tool_iterations=5, **WAYS[way](stage.guard, tool))
    result = asyncio.run(agent.run(task="Write the notes."))
    told = [
        each
        for message in result.messages
        if isinstance(message, ToolCallExecutionEvent)
        for each in message.content
    ]
    assert [(each.call_id, each.is_error) for each in told] == [("call-0", True), ("call-1", False)]
    assert "secrets are not for agents" in told[0].content
    assert result.messages[-1].to_text() == "done"
    assert [target.exists() for target in targets] == [False, True]
    recorded = [(d["call_id"], d["tool"], d["decision"]["action"]) for d in stage.decisions()]
    assert recorded == [("call-0", "write", "deny"), ("call-1", "write", "allow")]
