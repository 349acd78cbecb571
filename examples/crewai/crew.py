"""A crew with YAML agents and tasks whose tools are guarded: `guard.protect(crew)`.

Run it: python examples/crewai/crew.py
The model is scripted, so no network and no key is needed.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.project import CrewBase, agent, crew, task
from crewai.tools import tool
from rampart import Guard


@tool
def shell(command: str) -> str:
    """Run a command line and return what it prints."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"


class ScriptedLLM(BaseLLM):
    """Asks for one command after the other, in the words of CrewAI's own protocol."""

    commands: list[str] = ["echo tidy > status.txt && cat status.txt", "rm -rf ~"]
    step: int = 0

    def call(self, messages: Any, *args: Any, **options: Any) -> str:
        if self.step:
            heard = str(messages[-2]["content"]).rpartition("Observation: ")[2]
            print(f"the model reads: {heard}\n")
        self.step += 1
        if self.step <= len(self.commands):
            command = self.commands[self.step - 1]
            return f'Thought: next\nAction: shell\nAction Input: {{"command": "{command}"}}'
        return "Thought: done\nFinal Answer: I did what I was allowed to do."


@CrewBase
class Janitors:
    """One janitor, one task."""

    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @agent
    def janitor(self) -> Agent:
        return Agent(
            config=self.agents_config["janitor"], tools=[shell], llm=ScriptedLLM(model="scripted")
        )

    @task
    def tidy(self) -> Task:
        return Task(config=self.tasks_config["tidy"])

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks)


if __name__ == "__main__":
    with Guard(agent="crewai-demo") as guard:
        print(guard.protect(Janitors().crew()).kickoff())
