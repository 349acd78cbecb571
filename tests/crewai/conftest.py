"""A home of its own for CrewAI, and a scripted model.

CrewAI reads its settings from the environment when it is imported, sends telemetry and writes below
HOME when a crew runs. So the settings are made here, before any test module imports it.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

os.environ |= {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}

with warnings.catch_warnings():
    # WHY: a lazy module inside CrewAI refuses the attribute that importing its child sets
    warnings.filterwarnings("ignore", "Cannot set an attribute on 'crewai", ImportWarning)
    import crewai.crew
    import crewai.project  # noqa: F401 - imported here so that the warning stays here


@pytest.fixture(scope="module", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let CrewAI write where nobody minds."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("CREWAI_STORAGE_DIR", str(home / "crewai"))
        patch.chdir(home)
        yield


@pytest.fixture(autouse=True)
def no_hooks_left_behind() -> Iterator[None]:
    yield
    from rampart_crewai import uninstall_hooks

    uninstall_hooks()


@pytest.fixture
def scripted() -> Callable[..., Any]:
    """Return a maker of models that call the given tools one after the other, then end."""
    from crewai.llms.base_llm import BaseLLM

    class ScriptedLLM(BaseLLM):
        calls: list[tuple[str, dict[str, Any]]]
        native: bool = True
        step: int = 0
        seen: list[str]

        def supports_function_calling(self) -> bool:
            return self.native

        def call(self, messages: Any, tools: Any = None, *args: Any, **options: Any) -> Any:
            self.seen.append(json.dumps(messages, default=str))
            step, self.step = self.step, self.step + 1
            if step >= len(self.calls):
                return "done" if self.native else "Thought: I know it.\nFinal Answer: done"
            name, arguments = self.calls[step]
            if self.native:
                function = {"name": name, "arguments": json.dumps(arguments)}
                return [{"id": f"call-{step}", "type": "function", "function": function}]
            return f"Thought: next.\nAction: {name}\nAction Input: {json.dumps(arguments)}"

        async def acall(self, *args: Any, **options: Any) -> Any:
            return self.call(*args, **options)

    return lambda *calls, native=True: ScriptedLLM(
        model="scripted", calls=list(calls), native=native, seen=[]
    )
