"""What a guarded tool answers: uses are counted rightly, and outputs are reviewed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.tools import BaseTool, tool
from crewai.tools.base_tool import Tool, to_langchain
from crewai.tools.tool_failure import ToolFailure
from rampart import Guard
from rampart_crewai import install_hooks

# Each time a crew runs, CrewAI uses things that itself and its dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

REVIEWS = """\
version: "1"
default_action: allow
policies:
  - name: outputs
    rules:
      - {action: redact, when: {response_matches: ["sk-[a-z]{8}"]}, message: a key}
      - {action: deny, when: {response_matches: ["TOP SECRET"]}, message: not for agents}
"""
ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class Note(BaseTool):
    name: str = "note"
    description: str = "Write a note."

    def _run(self, text: str) -> str:
        ran.append(text)
        return text

    async def _arun(self, text: str) -> str:
        return self._run(text)


@tool("note")
def note(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return text


@tool("note")
async def anote(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return text


TOOLS: dict[str, Callable[[], BaseTool]] = {
    "class": Note,
    "function": note.model_copy,
    "async function": anote.model_copy,
}


def react(subject: BaseTool) -> Callable[[str], Any]:
    (structured,) = to_langchain([subject])
    return lambda text: structured.invoke({"text": text})


WAYS: dict[str, Callable[[BaseTool], Callable[[str], Any]]] = {
    "run": lambda subject: lambda text: subject.run(text=text),
    "arun": lambda subject: lambda text: asyncio.run(subject.arun(text=text)),
    "ReAct": react,
}
CASES = [(kind, way) for kind in TOOLS for way in WAYS if (kind, way) != ("function", "arun")]


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_denied_call_does_not_use_up_a_use(stage: Any, kind: str, way: str) -> None:
    subject = TOOLS[kind]()
    subject.max_usage_count = 2
    guarded = stage.guard.protect(subject)
    call = WAYS[way](guarded)
    for text in ("forbidden", "one", "forbidden", "forbidden", "two"):
        call(text)
    assert ran == ["one", "two"]
    assert guarded.current_usage_count == 2


def test_allowed_calls_are_still_limited(stage: Any) -> None:
    """The negative control: giving back a use must not lift the limit."""
    guarded = stage.guard.protect(Note(max_usage_count=1))
    guarded.run(text="one")
    assert "usage limit" in guarded.run(text="two").message
    assert ran == ["one"]


@pytest.fixture
def reviewer(tmp_path: Path) -> Iterator[Guard]:
    with Guard(REVIEWS, data_dir=tmp_path / "reviews") as guard:
        yield guard


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_output_is_redacted_or_withheld_before_the_model_sees_it(
    reviewer: Guard, kind: str, way: str
) -> None:
    call = WAYS[way](reviewer.protect(TOOLS[kind]()))
    assert call("hello") == "hello"
    redacted = call("the key is sk-abcdefgh, keep it")
    assert "sk-abcdefgh" not in redacted
    assert redacted.startswith("the key is ")
    assert redacted.endswith(", keep it")
    withheld = call("TOP SECRET plans")
    assert isinstance(withheld, ToolFailure)
    assert "TOP SECRET" not in withheld.message
    assert (withheld.code, len(ran)) == ("policy_withheld", 3)


@tool("look_up")
def look_up(page: int) -> str:
    """Look up a page."""
    return {1: "the key is sk-abcdefgh", 2: "TOP SECRET plans"}.get(page, "nothing here")


@dataclass
class Found:
    where: str
    size: int


def test_withheld_output_did_use_the_tool_and_is_not_cached(reviewer: Guard) -> None:
    guarded = reviewer.protect(Note(max_usage_count=1))
    withheld = guarded.run(text="TOP SECRET")
    assert guarded.current_usage_count == 1
    assert guarded.cache_function({}, withheld) is False
    assert guarded.cache_function({}, "public") is True


def test_output_that_is_no_text_stays_what_it_is(reviewer: Guard) -> None:
    @tool("find")
    def find(name: str) -> Found:
        """Find."""
        return Found(name, 3)

    guarded = reviewer.protect(find)
    assert guarded.run(name="a") == Found("a", 3)
    assert "sk-abcdefgh" not in str(guarded.run(name="sk-abcdefgh"))


def crew_of(llm: Any, *tools: BaseTool) -> Crew:
    writer = Agent(role="Writer", goal="g", backstory="b", tools=list(tools), llm=llm)
    work = Task(description="Write.", expected_output="Notes.", agent=writer)
    return Crew(agents=[writer], tasks=[work])


def test_output_of_a_tool_that_is_guarded_inside_and_outside_is_reviewed_once(
    reviewer: Guard,
) -> None:
    @reviewer.tool("note")
    def write(text: str) -> str:
        ran.append(text)
        return text

    outer: Any = reviewer.protect(Tool(name="note", description="", func=write))
    assert "sk-" not in outer.run(text="key sk-abcdefgh")
    withheld = outer.run(text="TOP SECRET")
    assert isinstance(withheld, ToolFailure)
    assert withheld.code == "policy_withheld"
    assert len(ran) == 2


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("way", ["protect", "hooks"])
def test_model_never_reads_what_a_rule_takes_out(
    reviewer: Guard, scripted: Callable[..., Any], way: str, native: bool
) -> None:
    """In the crew's own loop, and also when CrewAI serves the output from its cache."""
    llm = scripted(*(("look_up", {"page": page}) for page in (1, 2, 3, 1)), native=native)
    subject = crew_of(llm, look_up)
    if way == "protect":
        reviewer.protect(subject)
    else:
        install_hooks(reviewer)
    assert "done" in str(subject.kickoff())
    told = llm.seen[-1]
    assert "sk-abcdefgh" not in told
    assert "TOP SECRET" not in told
    assert "nothing here" in told
    assert "not for agents" in told


def test_reviews_are_skipped_where_no_rule_looks(stage: Any) -> None:
    guarded = stage.guard.protect(note)
    assert guarded.run(text="sk-abcdefgh") == "sk-abcdefgh"
    assert len(stage.decisions()) == 1
