"""A CrewAI project from YAML, guarded by one line: `guard.protect(Janitors())`.

Run it: python examples/crewai/crew.py
The second command waits for a person: `rampart pending` and `rampart approve ID` in another
terminal. The `rampart` block in config/agents.yaml says what only this agent must not do.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false"}

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.project import CrewBase, agent, crew, task
from crewai.tools import tool
from rampart import Guard


@tool
def shell(command: str) -> str:
    """Run a command line and return what it prints."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


class ScriptedLLM(BaseLLM):
    script: list[str] = ["echo tidy > a && cat a", "git push --force", "rm -rf ~", "crontab -r"]

    def call(self, messages: Any, *args: Any, **options: Any) -> str:
        if len(self.script) < 4:
            print("the model reads:", str(messages[-2]["content"]).rpartition("Observation: ")[2])
        if not self.script:
            return "Thought: done\nFinal Answer: I did what I was allowed to do."
        return f'Thought: next\nAction: shell\nAction Input: {{"command": "{self.script.pop(0)}"}}'


@CrewBase
class Janitors:
    @agent
    def janitor(self) -> Agent:
        model = ScriptedLLM(model="scripted")
        return Agent(config=self.agents_config["janitor"], tools=[shell], llm=model)

    @task
    def tidy(self) -> Task:
        return Task(config=self.tasks_config["tidy"])

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=self.tasks)


if __name__ == "__main__":
    with Guard(agent="crewai-demo", ask_timeout_s=120) as guard:
        print(guard.protect(Janitors()).crew().kickoff())
