"""An agent whose graph stops when a person must agree: LangChain's own review, Rampart's policy.

Run it: python examples/langchain/review.py (the model is scripted; loop, tool and guard are real)
"""

import subprocess

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from rampart import Guard


@tool
def shell(command: str) -> str:
    """Run a command line and return what it prints."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


class ScriptedModel(BaseChatModel):
    commands: list[str]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: object, **options: object) -> "ScriptedModel":
        return self

    def _generate(self, messages: list, *args: object, **options: object) -> ChatResult:
        step = sum(isinstance(message, ToolMessage) for message in messages)
        calls = [
            {"name": "shell", "args": {"command": command}, "id": f"call-{n}"}
            for n, command in enumerate(self.commands)
        ]
        answer = AIMessage("I am done.", tool_calls=calls[step : step + 1])
        return ChatResult(generations=[ChatGeneration(message=answer)])


COMMANDS = ["echo hello", "rm -rf ~", "git branch -D an-old-idea"]

with Guard(agent="reviewed") as guard:
    agent = create_agent(
        ScriptedModel(commands=COMMANDS), guard.protect([shell]), checkpointer=InMemorySaver()
    )
    thread = {"configurable": {"thread_id": "1"}}
    result = agent.invoke({"messages": [("user", "Tidy up the project.")]}, thread)
    for question in result["__interrupt__"]:
        print("asked:", question.value["action_requests"][0])
    answer = {"type": "approve"}  # or reject with a message, or edit with other arguments
    result = agent.invoke(Command(resume={"decisions": [answer]}), thread)
    for message in result["messages"]:
        if isinstance(message, ToolMessage):
            print(f"{message.status}: {message.content}")
