"""`rampart` blocks in a crew's files: they tighten, are checked, and nothing is passed over."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.project import CrewBase, agent, crew, task, tool
from crewai.tools import BaseTool
from crewai.tools import tool as as_tool
from rampart import ConfigError, Guard
from rampart_crewai import guard_crew, guard_project, load_crew
from rampart_crewai.settings import read_blocks

# Each time a crew runs, CrewAI uses things that itself and its dependencies have deprecated.
# It also says that the callbacks which it added to a crew itself cannot be serialized.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:function callbacks cannot be serialized:UserWarning"),
]

ran: list[str] = []

STRICTER = """\
version: "1"
default_action: allow
policies:
  - name: writers
    match: {tool: [note]}
    rules:
      - {action: deny, when: {tool_param_matches: {text: ["*loud*"]}}, message: not so loud}
      - {action: allow, when: {tool_param_matches: {text: ["*forbidden*"]}}}
"""
TASKS = """\
writing:
  description: Write the notes.
  expected_output: The notes.
  agent: writer
"""


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@as_tool("note")
def write_note(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return f"noted {text}"


@as_tool("peek")
def peek(where: str) -> str:
    """Look."""
    ran.append(where)
    return f"saw {where}"


def project(folder: Path, llm: Any, block: str, *, tasks: str = TASKS) -> Any:
    """Return a `@CrewBase` project whose writer has `block` in its `agents.yaml`."""
    lines = ["writer:", "  role: Writer", "  goal: Write notes", "  backstory: You write.",
             "  tools: [note, peek]", *(f"  {line}" for line in block.splitlines())]  # fmt: skip
    (folder / "agents.yaml").write_text("\n".join(lines) + "\n")
    (folder / "tasks.yaml").write_text(tasks)
    (folder / "stricter.yaml").write_text(STRICTER)

    @CrewBase
    class Notes:
        agents: list[Any]
        tasks: list[Task]
        agents_config = str(folder / "agents.yaml")
        tasks_config = str(folder / "tasks.yaml")

        @tool
        def note(self) -> BaseTool:
            return write_note

        @tool
        def peek(self) -> BaseTool:
            return peek

        @agent
        def writer(self) -> Agent:
            return Agent(config=self.agents_config["writer"], llm=llm)  # type: ignore[index]  # filled from YAML

        @task
        def writing(self) -> Task:
            return Task(config=self.tasks_config["writing"])  # type: ignore[arg-type,index,call-arg]  # filled from YAML

        @crew
        def crew(self) -> Crew:
            return Crew(agents=self.agents, tasks=self.tasks)

    return Notes()


def notes(*texts: str) -> list[tuple[str, dict[str, str]]]:
    return [("note", {"text": text}) for text in texts]


def options(stage: Any) -> dict[str, Any]:
    return {"data_dir": stage.data_dir, "workspace": stage.folder}


def test_agents_block_tightens_and_never_loosens(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    """The block's policy denies `loud`, and its grant for `forbidden` counts for nothing."""
    llm = scripted(*notes("loud", "forbidden", "hello"))
    guarded = stage.guard.protect(
        project(tmp_path, llm, "rampart: {policy: stricter.yaml, agent: scribe}"), **options(stage)
    )
    assert guarded.crew().kickoff().raw == "done"
    assert ran == ["hello"]
    assert "not so loud" in llm.seen[-1]
    assert "not this word" in llm.seen[-1]
    assert {d["agent"] for d in stage.decisions()} == {"scribe"}
    last = [d["decision"]["action"] for d in stage.decisions() if d["params"]["text"] == "hello"]
    assert last == ["allow", "allow"]


@pytest.mark.parametrize("native", [True, False])
def test_block_counts_although_only_the_crew_was_protected(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path, native: bool, monkeypatch: Any
) -> None:
    monkeypatch.setenv("RAMPART_HOME", str(stage.data_dir))
    llm = scripted(*notes("loud", "hello"), native=native)
    made = project(tmp_path, llm, "rampart: {policy: stricter.yaml}").crew()
    guard_crew(made, stage.guard).kickoff()
    assert ran == ["hello"]


def test_copies_of_an_agent_keep_its_block(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    """`kickoff_for_each` runs copies; the hooks see tools that were added after that."""
    llm = scripted(*notes("loud", "hello"))
    made = guard_project(
        project(tmp_path, llm, "rampart: {policy: stricter.yaml}"), stage.guard, **options(stage)
    ).crew()
    made.agents[0].tools = [write_note]
    made.tasks[0].tools = [write_note]
    made.kickoff_for_each([{}])
    assert ran == ["hello"]


def test_policy_on_trial_is_logged_and_blocks_nothing(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    llm = scripted(*notes("loud", "forbidden"))
    block = "rampart: {policy: stricter.yaml, mode: monitor}"
    guarded = stage.guard.protect(project(tmp_path, llm, block), **options(stage))
    with caplog.at_level(logging.WARNING, "rampart.crewai"):
        guarded.crew().kickoff()
    assert ran == ["loud"]
    said = [each.message for each in caplog.records if each.name == "rampart.crewai"]
    assert said == ["on trial, note of Writer would be denied: not so loud"]


def test_nobody_is_asked_where_a_block_says_so(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    llm = scripted(("peek", {"where": str(stage.folder / "ask" / "a")}), *notes("hello"))
    block = "rampart:\n  ask: deny\n  tools:\n    peek: {tool: read, params: {path: where}}"
    stage.guard.protect(project(tmp_path, llm, block), **options(stage)).crew().kickoff()
    assert ran == ["hello"]
    assert "it needs an approval, and nobody is asked here" in llm.seen[-1]


def test_tools_block_says_what_a_tool_stands_for(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    llm = scripted(("peek", {"where": "/x/secret/y"}))
    block = "rampart:\n  tools:\n    peek: {tool: read, params: {path: where}}"
    stage.guard.protect(project(tmp_path, llm, block), **options(stage)).crew().kickoff()
    assert ran == []
    assert "secrets are not for agents" in llm.seen[-1]


def test_tasks_block_counts_besides_the_agents(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    llm = scripted(*notes("loud", "hello"))
    tasks = TASKS + "  rampart: {policy: stricter.yaml}\n"
    subject = project(tmp_path, llm, "cache: true", tasks=tasks)
    stage.guard.protect(subject, **options(stage)).crew().kickoff()
    assert ran == ["hello"]


WRONG: dict[str, tuple[str, str]] = {
    "misspelt key": ("rampart: {polcy: a.yaml}", "agents.yaml:6:20: unknown key `polcy`: expected"),
    "not a mapping": ("rampart: strict", "agents.yaml:6:12: expected a mapping"),
    "empty": ("rampart:", "agents.yaml:6:11: expected a mapping"),
    "word": ("rampart: {ask: never}", "agents.yaml:6:18: expected wait or deny"),
    "number": ("rampart: {ask_timeout_s: soon}", "agents.yaml:6:28: expected a number of seconds"),
    "negative": ("rampart: {ask_timeout_s: -1}", "agents.yaml:6:28: expected a number of seconds"),
    "infinite": ("rampart: {ask_timeout_s: .inf}", "agents.yaml:6:28: expected a number"),
    "not a text": ("rampart: {profile: 3}", "agents.yaml:6:22: expected a text"),
    "twice": ("rampart: {ask: deny, ask: wait}", "agents.yaml:6:24: `ask` stands here twice"),
    "two blocks": ("rampart: {ask: deny}\nrampart: {ask: wait}", ":7:3: `rampart` stands here"),
    "both": ("rampart: {policy: a, profile: b}", "agents.yaml:6:12: `policy` and `profile`"),
    "lone mode": ("rampart: {mode: monitor}", "agents.yaml:6:12: `mode` is about a `policy`"),
    "lone params": ("rampart: {tools: {note: {params: {a: b}}}}", ":6:27: `params` needs `tool`"),
    "tool's agent": ("rampart: {tools: {note: {agent: x}}}", ":6:35: unknown key `agent`"),
    "no such profile": ("rampart: {profile: nope}", "agents.yaml:6:12: there is no profile named"),
    "no such file": ("rampart: {policy: nope.yaml}", "agents.yaml:6:12: "),
    "no such tool": (
        "rampart: {tools: {nope: {ask: deny}}}",
        ":6:27: there is no tool `nope` here",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_a_block_is_named_with_file_and_line(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path, case: str
) -> None:
    block, expected = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        stage.guard.protect(project(tmp_path, scripted(), block), **options(stage)).crew()
    assert expected in caught.value.message, caught.value.message


def test_block_of_an_agent_that_the_class_does_not_make_is_an_error(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    subject = project(tmp_path, scripted(), "cache: true")
    with (tmp_path / "agents.yaml").open("a") as file:
        file.write("editor:\n  role: Editor\n  rampart: {ask: deny}\n")
    with pytest.raises(ConfigError, match=r"agents.yaml:9:12: the class has no @agent method"):
        stage.guard.protect(subject, **options(stage))


def test_merged_mappings_bring_their_block(tmp_path: Path) -> None:
    """YAML merge keys are how people share settings between agents; CrewAI reads them."""
    file = tmp_path / "agents.yaml"
    file.write_text("base: &base\n  rampart: {ask: deny}\nwriter:\n  <<: *base\n  role: Writer\n")
    assert read_blocks(file)["writer"].ask == "deny"


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe\x00", b"a: [", b"- 1\n- 2", b"[" * 5000, b"a: &a {<<: *a}", b"x" * (1 << 21)],
)
def test_file_that_cannot_be_read_is_an_error_and_nothing_else(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "agents.yaml"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=r"agents.yaml:\d+:\d+: "):
        read_blocks(file)


def json_crew(folder: Path, block: dict[str, Any]) -> Path:
    (folder / "agents").mkdir()
    writer = {"role": "Writer", "goal": "Write notes", "backstory": "b", "rampart": block}
    (folder / "agents" / "writer.jsonc").write_text(
        "// who writes\n" + json.dumps(writer, indent="\t")
    )
    (folder / "stricter.yaml").write_text(STRICTER)
    work = {"name": "w", "description": "Write.", "expected_output": "Notes.", "agent": "writer"}
    crew_file = folder / "crew.jsonc"
    crew_file.write_text(json.dumps({"agents": ["writer"], "tasks": [work], "inputs": {"a": "b"}}))
    return crew_file


def test_crew_from_json_has_blocks_too(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CrewAI alone refuses a key that it does not know."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    source = json_crew(tmp_path, {"policy": "../stricter.yaml", "agent": "scribe"})
    made, inputs = load_crew(source, stage.guard, **options(stage))
    assert inputs == {"a": "b"}
    made.agents[0].llm = llm = scripted(*notes("loud", "hello"))
    made.agents[0].tools = made.tasks[0].tools = [write_note]
    made.kickoff()
    assert ran == ["hello"]
    assert "not so loud" in llm.seen[-1]
    assert {d["agent"] for d in stage.decisions()} == {"scribe"}


def test_wrong_block_in_json_is_named_with_file_and_line(stage: Any, tmp_path: Path) -> None:
    source = json_crew(tmp_path, {"profil": "strict"})
    with pytest.raises(ConfigError, match=r"writer.jsonc:7:\d+: unknown key `profil`"):
        load_crew(source, stage.guard)


def test_agents_that_look_the_same_cannot_have_different_blocks(
    stage: Any, scripted: Callable[..., Any], tmp_path: Path
) -> None:
    from rampart_crewai.blocks import Blocks
    from rampart_crewai.settings import Block

    twins = [Agent(role="Writer", goal="g", backstory="b", llm=scripted()) for _ in range(2)]
    blocks = Blocks(stage.guard)
    blocks.add(twins[0], Block("a.yaml:1:1", ask="deny"))
    blocks.add(twins[1], Block("a.yaml:1:1", ask="deny"))
    with pytest.raises(ConfigError, match=r"^a.yaml:9:1: another agent with this role"):
        blocks.add(twins[1], Block("a.yaml:9:1"))


def test_block_guard_previews_the_stricter_answer(stage: Any, tmp_path: Path) -> None:
    from rampart_crewai.blocks import BlockGuard

    with Guard(STRICTER, data_dir=tmp_path / "other") as extra:
        guard = BlockGuard(stage.guard, extra)
        answers = {text: guard.check("note", {"text": text}).action
                   for text in ("loud", "forbidden", "hello")}  # fmt: skip
    assert answers == {"loud": "deny", "forbidden": "deny", "hello": "allow"}
    assert stage.decisions() == []
