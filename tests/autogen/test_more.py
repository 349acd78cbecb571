"""The drop-in executor, approval functions, agents, teams, instrumentation, reviews, bad input."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.tools import (
    BaseTool,
    FunctionTool,
    StaticStreamWorkbench,
    StaticWorkbench,
    TextResultContent,
    ToolResult,
    ToolSchema,
    Workbench,
)
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.replay import ReplayChatCompletionClient
from autogen_ext.tools.code_execution import PythonCodeExecutionTool
from pydantic import BaseModel, Field
from rampart import ConfigError, Guard, UnsupportedObject
from rampart_autogen import (
    RampartLocalCommandLineCodeExecutor,
    policy_approval_func,
    set_default_guard,
)
from rampart_autogen.approval import blocks_of

# The executor warns that it runs code without a container; these tests do so on purpose.
# The agent warns that nobody approves its code; here the guard does.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor:UserWarning"),
    pytest.mark.filterwarnings("ignore:No approval function set:UserWarning"),
]
TOKEN = CancellationToken
ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def write(text: str) -> str:
    """Write a note."""
    ran.append(text)
    return f"noted {text}"


def note_tool() -> FunctionTool:
    return FunctionTool(write, "Write a note.", name="note")


def run(executor: CodeExecutor, *blocks: Any) -> CodeResult:
    return asyncio.run(executor.execute_code_blocks(list(blocks), TOKEN()))


def python(name: str, note: str = "") -> CodeBlock:
    return CodeBlock(f"open('{name}', 'w').write('ran')  # {note}", "python")


# The drop-in


def test_drop_in_is_the_stock_executor_with_a_guard(stage: Any) -> None:
    executor = RampartLocalCommandLineCodeExecutor(work_dir=stage.folder, guard=stage.guard)
    assert isinstance(executor, LocalCommandLineCodeExecutor)
    assert stage.guard.protect(executor) is executor
    assert run(executor, python("a.txt")).exit_code == 0
    denied = run(executor, python("b.txt"), python("c.txt", "forbidden"))
    assert (denied.exit_code, denied.code_file) == (126, None)  # type: ignore[attr-defined]  # as the stock one's
    assert sorted(path.name for path in stage.folder.glob("*.txt")) == ["a.txt"]
    assert len(stage.decisions()) == 3


def test_drop_in_keeps_its_guard_through_a_configuration(stage: Any) -> None:
    set_default_guard(stage.guard)
    try:
        made = RampartLocalCommandLineCodeExecutor(work_dir=stage.folder, timeout=7)
        dumped = made.dump_component()
        assert dumped.provider == "rampart_autogen.RampartLocalCommandLineCodeExecutor"
        loaded = CodeExecutor.load_component(dumped.model_dump())
    finally:
        set_default_guard(None)
    assert isinstance(loaded, RampartLocalCommandLineCodeExecutor)
    assert (loaded.timeout, Path(loaded.work_dir)) == (7, stage.folder)
    assert run(loaded, python("a.txt", "forbidden")).exit_code == 126


def test_drop_in_starts_and_stops_and_cleans_up_like_the_stock_one(stage: Any) -> None:
    executor = RampartLocalCommandLineCodeExecutor(guard=stage.guard)

    async def main() -> Path:
        async with executor:
            result = await executor.execute_code_blocks([python("a.txt")], TOKEN())
            assert result.exit_code == 0
            return executor.work_dir

    assert not asyncio.run(main()).exists()


# Blocks that cannot be read


class Unreadable:
    language = "python"

    @property
    def code(self) -> str:
        raise RuntimeError("no")


class Text(str):
    """A text that says something else when it is asked."""

    __slots__ = ()

    def __str__(self) -> str:
        return "print('harmless')"


BAD: dict[str, Any] = {
    "bytes": CodeBlock(b"print(1)", "python"),  # type: ignore[arg-type]  # on purpose
    "nothing": CodeBlock(None, "python"),  # type: ignore[arg-type]  # on purpose
    "a number for a language": CodeBlock("print(1)", 3),  # type: ignore[arg-type]  # on purpose
    "no block": object(),
    "a property that raises": Unreadable(),
    "enormous": CodeBlock("x = 1\n" * 2_000_000, "python"),
    "another text inside": CodeBlock(Text("open('x', 'w')  # forbidden"), "python"),
}


@pytest.mark.parametrize("case", BAD)
def test_block_that_cannot_be_read_is_denied_with_a_sentence(stage: Any, case: str) -> None:
    executor = RampartLocalCommandLineCodeExecutor(work_dir=stage.folder, guard=stage.guard)
    result = run(executor, python("a.txt"), BAD[case])
    assert result.exit_code == 126, result.output
    assert "None of the blocks was executed. Block 2 of 2: Denied by policy" in result.output
    assert not (stage.folder / "a.txt").exists()


# The approval function


def code_agent(stage: Any, **options: Any) -> CodeExecutorAgent:
    inner = LocalCommandLineCodeExecutor(work_dir=stage.folder)
    languages = ["python", "sh"]
    return CodeExecutorAgent("coder", inner, supported_languages=languages, **options)


def say(agent: CodeExecutorAgent, *blocks: str) -> str:
    message = TextMessage(content="\n".join(blocks), source="user")
    answer = asyncio.run(agent.on_messages([message], TOKEN())).chat_message
    assert isinstance(answer, TextMessage)
    return answer.content


def test_policy_answers_when_the_agent_asks_for_approval(stage: Any) -> None:
    if "approval_func" not in inspect.signature(CodeExecutorAgent).parameters:
        with pytest.raises(ConfigError, match="has no approval functions"):
            policy_approval_func(stage.guard)
        return
    agent = code_agent(stage, approval_func=policy_approval_func(stage.guard))
    harmless = "```python\nprint(6 * 7)\n```"
    assert "42" in say(agent, harmless)
    denied = say(agent, harmless, "```sh\necho x > a.txt # forbidden\n```")
    assert "Code execution was not approved. Reason: None of the blocks was executed." in denied
    assert "Block 2 of 2: Denied by policy: exec: not this command" in denied
    assert not (stage.folder / "a.txt").exists()
    assert [d["tool"] for d in stage.decisions()] == ["code", "code", "exec"]


def test_blocks_are_told_apart_as_the_agent_joined_them() -> None:
    codes = ["print(1)", "", "a\n\nb\n", "x = '``'", "# ``\n"]
    joined = "\n\n".join(f"```python\n{code}\n```" for code in codes)
    assert [block.code for block in blocks_of(joined) or []] == codes
    for broken in ("", "print(1)", "```python\nprint(1)", joined + "\n\nrm -rf /", "x" + joined):
        assert blocks_of(broken) is None, broken


# Agents and teams


def test_agent_is_guarded_in_place_under_its_own_name(stage: Any) -> None:
    agent = code_agent(stage)
    assert stage.guard.protect(agent) is agent
    stage.guard.protect(agent)
    assert "was NOT executed" in say(agent, "```python\nopen('a.txt', 'w')  # forbidden\n```")
    assert [d["agent"] for d in stage.decisions()] == ["coder"]


def test_team_is_guarded_and_members_that_cannot_act_are_left(stage: Any) -> None:
    model = ReplayChatCompletionClient(["done"])
    writer = AssistantAgent("writer", model, tools=[note_tool()]) if _calls(model) else None
    members: list[Any] = [code_agent(stage), *([writer] if writer else [])]
    team = RoundRobinGroupChat(members)
    assert stage.guard.protect(team) is team
    assert "was NOT executed" in say(members[0], "```sh\nrm -rf x # forbidden\n```")


def _calls(model: ReplayChatCompletionClient) -> bool:
    return bool(model.model_info["function_calling"])


def test_agent_that_has_nothing_to_guard_is_refused(stage: Any) -> None:
    class Odd(AssistantAgent):
        pass

    odd = Odd("odd", ReplayChatCompletionClient(["done"]))
    del odd.__dict__["_workbench"]
    with pytest.raises(UnsupportedObject, match="Odd has no tools and no code executor"):
        stage.guard.protect(odd)


# Everything in a process


@pytest.fixture
def instrumented(stage: Any) -> Iterator[Any]:
    with stage.guard.instrument("autogen"):
        yield stage


def test_instrumented_executors_decide_once(instrumented: Any) -> None:
    inner = LocalCommandLineCodeExecutor(work_dir=instrumented.folder)
    assert run(inner, python("a.txt")).exit_code == 0
    assert run(inner, python("b.txt", "forbidden")).exit_code == 126
    assert run(instrumented.guard.protect(inner), python("c.txt")).exit_code == 0
    drop_in = RampartLocalCommandLineCodeExecutor(
        work_dir=instrumented.folder, guard=instrumented.guard
    )
    assert run(drop_in, python("d.txt")).exit_code == 0
    assert len(instrumented.decisions()) == 4
    assert not (instrumented.folder / "b.txt").exists()


def test_executor_class_that_is_made_later_is_covered(instrumented: Any) -> None:
    class Later(LocalCommandLineCodeExecutor):
        async def execute_code_blocks(self, code_blocks: Any, cancellation_token: Any) -> Any:
            ran.append("later")
            return await super().execute_code_blocks(code_blocks, cancellation_token)

    later = Later(work_dir=instrumented.folder)
    assert run(later, python("a.txt", "forbidden")).exit_code == 126
    assert run(later, python("b.txt")).exit_code == 0
    assert (ran, len(instrumented.decisions())) == (["later"], 2)


class Alias(BaseModel):
    place: str = Field(alias="p")


class Reader(BaseTool[Alias, TextResultContent]):
    def __init__(self) -> None:
        super().__init__(Alias, TextResultContent, "read_file", "Read a file.")

    async def run(self, args: Alias, cancellation_token: CancellationToken) -> TextResultContent:
        ran.append(args.place)
        return TextResultContent(content=args.place)


def through(workbench: Workbench, name: str, arguments: dict[str, Any]) -> ToolResult:
    return asyncio.run(workbench.call_tool(name, arguments, call_id="c1"))


@pytest.mark.parametrize("kind", [StaticWorkbench, StaticStreamWorkbench])
def test_instrumented_tools_decide_once_on_every_path(instrumented: Any, kind: Any) -> None:
    bench = kind([note_tool()])
    assert through(bench, "note", {"text": "forbidden"}).is_error
    assert through(bench, "note", {"text": "hello"}).to_text() == "noted hello"
    guarded = instrumented.guard.protect(note_tool())
    assert through(kind([guarded]), "note", {"text": "again"}).to_text() == "noted again"
    assert {d["call_id"] for d in instrumented.decisions()} == {"c1"}
    assert (ran, len(instrumented.decisions())) == (["hello", "again"], 3)


def test_rules_see_an_argument_that_the_model_renames(instrumented: Any) -> None:
    result = through(StaticWorkbench([Reader()]), "read_file", {"p": "/x/secret/y"})
    assert result.is_error
    assert ran == []


class Bench(Workbench):
    """A workbench that knows its tools when it runs, as those for MCP servers."""

    component_type = "workbench"

    async def list_tools(self) -> list[ToolSchema]:
        return []

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        ran.append(name)
        text = str((arguments or {}).get("text", "done"))
        return ToolResult(name=name, result=[TextResultContent(content=text)], is_error=False)

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def reset(self) -> None: ...
    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


class Child(Bench):
    async def call_tool(self, *args: Any, **kwargs: Any) -> ToolResult:
        return await super().call_tool(*args, **kwargs)


@pytest.mark.parametrize("kind", [Bench, Child])
def test_instrumented_workbenches_decide_once(instrumented: Any, kind: Any) -> None:
    assert through(kind(), "note", {"text": "forbidden"}).is_error
    assert through(kind(), "note", {"text": "hello"}).to_text() == "hello"
    guarded = instrumented.guard.protect(kind())
    assert through(guarded, "note", {"text": "again"}).to_text() == "again"
    assert (ran, len(instrumented.decisions())) == (["note", "note"], 3)


def test_code_that_a_tool_runs_is_decided_as_code_alone(instrumented: Any) -> None:
    inner = LocalCommandLineCodeExecutor(work_dir=instrumented.folder)
    tool = PythonCodeExecutionTool(inner)
    result = asyncio.run(tool.run_json({"code": "print('forbidden')"}, TOKEN()))
    assert (result.success, [d["tool"] for d in instrumented.decisions()]) == (False, ["code"])


def test_uninstrument_undoes_exactly_what_was_done(stage: Any) -> None:
    kinds = (CodeExecutor, LocalCommandLineCodeExecutor, BaseTool, Workbench, Bench, Child)
    before = [dict(kind.__dict__) for kind in kinds]
    with stage.guard.instrument("autogen"):
        assert [dict(kind.__dict__) for kind in kinds] != before
        inner = LocalCommandLineCodeExecutor(work_dir=stage.folder)
    assert [dict(kind.__dict__) for kind in kinds] == before
    assert run(inner, python("a.txt", "forbidden")).exit_code == 0
    assert through(Bench(), "note", {"text": "forbidden"}).to_text() == "forbidden"
    assert stage.decisions() == []


def test_coverage_names_what_passes_the_guard(stage: Any) -> None:
    inner = LocalCommandLineCodeExecutor(work_dir=stage.folder)
    assert stage.guard.coverage(inner).paths == ()
    for thing in (inner, note_tool(), StaticWorkbench([])):
        assert stage.guard.coverage(stage.guard.protect(thing)).paths
    with stage.guard.instrument("autogen") as coverage:
        assert len(coverage.paths) == 3
        assert coverage.gaps


# What tools stand for


HTTP: list[tuple[str, dict[str, Any], str]] = [
    ("/items/{key}", {"key": "7", "text": "x"}, "http://api.example:8080/items/7"),
    ("items/{key}", {"key": "a b/../c"}, "http://api.example:8080/items/a%20b/../c"),
    ("/", {}, "http://api.example:8080/"),
]


@pytest.mark.parametrize(("path", "arguments", "url"), HTTP)
def test_http_tool_stands_for_the_address_that_it_was_made_with(
    tmp_path: Path, path: str, arguments: dict[str, Any], url: str
) -> None:
    http = pytest.importorskip("autogen_ext.tools.http", reason="needs autogen-ext[http-tool]")
    properties = {name: {"type": "string"} for name in arguments}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    tool = http.HttpTool(
        "api", "api.example", 8080, schema, path=path, scheme="http", method="POST"
    )
    policy = 'version: "1"\ndefault_action: deny\n'
    with Guard(policy, data_dir=tmp_path / "rampart") as guard:
        guarded = guard.protect(tool)
        result = through(StaticWorkbench([guarded]), "api", arguments)
        records = _decisions(tmp_path / "rampart")
    assert result.is_error
    assert (records[0]["tool"], records[0]["params"]["url"]) == ("fetch", url)


def _decisions(data_dir: Path) -> list[dict[str, Any]]:
    found = []
    for file in sorted((data_dir / "audit").glob("*.jsonl")):
        found += [json.loads(line) for line in file.read_text().splitlines()]
    return [record for record in found if record["type"] == "decision"]


# What comes back


REVIEWS = """\
version: "1"
default_action: allow
policies:
  - name: outputs
    rules:
      - {action: redact, when: {response_matches: ["sk-[a-z]{8}"]}, message: a key}
      - {action: deny, when: {response_matches: ["TOP SECRET"]}, message: not for agents}
"""


@pytest.fixture
def reviewer(tmp_path: Path) -> Iterator[Guard]:
    with Guard(REVIEWS, data_dir=tmp_path / "reviews") as guard:
        yield guard


SECRETS = [("hello", "hello"), ("the key is sk-abcdefgh", "the key is "), ("TOP SECRET", "")]


@pytest.mark.parametrize(("text", "left"), SECRETS)
@pytest.mark.parametrize("way", ["executor", "drop-in", "instrument"])
def test_output_of_code_is_reviewed(
    reviewer: Guard, tmp_path: Path, way: str, text: str, left: str
) -> None:
    (tmp_path / "page.txt").write_text(text)
    inner: Any = LocalCommandLineCodeExecutor(work_dir=tmp_path)
    if way == "executor":
        inner = reviewer.protect(inner)
    elif way == "drop-in":
        inner = RampartLocalCommandLineCodeExecutor(work_dir=tmp_path, guard=reviewer)
    blocks = [CodeBlock("print(open('page.txt').read())", "python"), CodeBlock("true", "sh")]
    if way == "instrument":
        with reviewer.instrument("autogen"):
            result = run(inner, *blocks)
    else:
        result = run(inner, *blocks)
    _require_reviewed(result.output, text, left)


def _require_reviewed(output: str, text: str, left: str) -> None:
    if text == "hello":
        assert output.strip() == "hello"
        return
    assert "sk-abcdefgh" not in output
    assert "TOP SECRET" not in output
    assert (output.startswith(left) and left) or "not for agents" in output


@pytest.mark.parametrize(("text", "left"), SECRETS)
def test_output_of_a_tool_that_is_guarded_inside_and_outside_is_reviewed(
    reviewer: Guard, text: str, left: str
) -> None:
    @reviewer.tool("look_up")
    async def look_up(page: int) -> str:
        return text

    outer = reviewer.protect(FunctionTool(look_up, "Look up a page."))
    output = through(StaticWorkbench([outer]), "look_up", {"page": 1}).to_text()
    _require_reviewed(output, text, left)


@pytest.mark.parametrize(("text", "left"), SECRETS)
@pytest.mark.parametrize("way", ["tool", "workbench", "instrument", "stream"])
def test_output_of_a_tool_is_reviewed(reviewer: Guard, way: str, text: str, left: str) -> None:
    def look_up(page: int) -> str:
        """Look up a page."""
        return text

    tool = FunctionTool(look_up, "Look up a page.")
    bench: Any = (StaticStreamWorkbench if way == "stream" else StaticWorkbench)([tool])
    if way == "tool":
        bench = StaticWorkbench([reviewer.protect(tool)])
    elif way in ("workbench", "stream"):
        bench = reviewer.protect(bench)

    async def stream() -> list[Any]:
        return [item async for item in bench.call_tool_stream("look_up", {"page": 1})]

    if way == "stream":
        output = str(asyncio.run(stream())[-1].to_text())
    elif way == "instrument":
        with reviewer.instrument("autogen"):
            output = through(bench, "look_up", {"page": 1}).to_text()
    else:
        output = through(bench, "look_up", {"page": 1}).to_text()
    _require_reviewed(output, text, left)


class Page(BaseModel):
    title: str
    body: str


def test_output_that_is_a_model_stays_one(reviewer: Guard) -> None:
    def look_up(body: str) -> Page:
        """Look up a page."""
        return Page(title="a", body=body)

    guarded = reviewer.protect(FunctionTool(look_up, "Look up a page."))
    clean = asyncio.run(guarded.run_json({"body": "hello"}, TOKEN()))
    assert clean == Page(title="a", body="hello")
    redacted = asyncio.run(guarded.run_json({"body": "sk-abcdefgh"}, TOKEN()))
    assert isinstance(redacted, Page)
    assert "sk-abcdefgh" not in redacted.body


# Bad input to tools


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = value
    return value


class Uncopyable:
    def __deepcopy__(self, memo: object) -> object:
        raise RuntimeError("no copies")


ARGUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "circular": lambda: {"text": circular()},
    "enormous": lambda: {"text": "x" * 5_000_000},
    "uncopyable": lambda: {"text": Uncopyable()},
}


@pytest.mark.parametrize("way", ["workbench", "instrument"])
@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_cannot_be_read_are_denied(stage: Any, case: str, way: str) -> None:
    bench: Workbench = StaticWorkbench([note_tool()])
    if way == "instrument":
        with stage.guard.instrument("autogen"):
            result = through(bench, "note", ARGUMENTS[case]())
    else:
        result = through(stage.guard.protect(bench), "note", ARGUMENTS[case]())
    assert result.is_error
    assert "Denied by policy: note: " in result.to_text()
    assert ran == []


def test_tool_that_runs_forever_can_be_cancelled_before_it_is_decided(stage: Any) -> None:
    """A token that was cancelled already lets nothing run."""
    guarded = stage.guard.protect(LocalCommandLineCodeExecutor(work_dir=stage.folder))

    async def main() -> None:
        token = TOKEN()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await guarded.execute_code_blocks([python("a.txt")], token)

    asyncio.run(main())
    assert not (stage.folder / "a.txt").exists()


class Streaming(StaticStreamWorkbench):
    """A stream that yields parts."""

    async def call_tool_stream(
        self, name: str, *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        yield "part sk-abcdefgh"
        yield ToolResult(name=name, result=[TextResultContent(content="end")], is_error=False)


def test_parts_of_a_stream_are_reviewed(reviewer: Guard) -> None:
    guarded = reviewer.protect(Streaming([]))

    async def main() -> list[Any]:
        return [item async for item in guarded.call_tool_stream("note", {"text": "a"})]

    first, last = asyncio.run(main())
    assert first.startswith("part ")
    assert "sk-abcdefgh" not in first
    assert last.to_text() == "end"
