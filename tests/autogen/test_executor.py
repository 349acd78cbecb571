"""Code that agents write runs only if all of it is allowed; a refusal is a result, no error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import CodeExecutorAgent
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from rampart import Decision, Guard
from rampart_autogen import GuardedCodeExecutor, set_default_guard

# The executor warns that it runs code without a container; these tests do so on purpose.
# The agent warns that nobody approves its code; here the guard does.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor:UserWarning"),
    pytest.mark.filterwarnings("ignore:No approval function set:UserWarning"),
]


def python(name: str, note: str = "") -> CodeBlock:
    return CodeBlock(f"open('{name}', 'w').write('ran')  # {note}", "python")


def shell(name: str, note: str = "") -> CodeBlock:
    return CodeBlock(f"echo ran > {name}  # {note}", "sh")


def executor(stage: Any) -> GuardedCodeExecutor:
    guarded: GuardedCodeExecutor = stage.guard.protect(
        LocalCommandLineCodeExecutor(work_dir=stage.folder)
    )
    return guarded


def run(guarded: CodeExecutor, *blocks: CodeBlock) -> CodeResult:
    return asyncio.run(guarded.execute_code_blocks(list(blocks), CancellationToken()))


@pytest.mark.parametrize("block", [python, shell])
def test_allowed_code_runs_and_is_recorded_as_what_it_is(
    stage: Any, block: Callable[..., Any]
) -> None:
    result = run(executor(stage), block("made.txt"))
    assert result.exit_code == 0, result.output
    assert (stage.folder / "made.txt").read_text().strip() == "ran"
    (decision,) = stage.decisions()
    expected = {"python": "code", "sh": "exec"}[block("x").language]
    assert (decision["tool"], decision["cwd"]) == (expected, str(stage.folder))


@pytest.mark.parametrize("block", [python, shell])
def test_denied_code_does_not_run_and_says_so(stage: Any, block: Callable[..., Any]) -> None:
    result = run(executor(stage), block("made.txt", "forbidden"))
    assert result.exit_code == 126
    assert result.output.startswith("The code was NOT executed. Denied by policy:")
    assert "not this co" in result.output
    assert not (stage.folder / "made.txt").exists()
    assert len(stage.decisions()) == 1


@pytest.mark.parametrize("position", range(3))
def test_one_bad_block_stops_the_whole_batch(stage: Any, position: int) -> None:
    blocks = [python(f"{n}.txt") for n in range(3)]
    blocks[position].code += " forbidden"
    result = run(executor(stage), *blocks)
    assert result.exit_code == 126
    assert f"None of the blocks was executed. Block {position + 1} of 3:" in result.output
    assert sorted(path.name for path in stage.folder.glob("*.txt")) == []


def test_blocks_that_change_while_a_person_thinks_are_not_what_runs(stage: Any) -> None:
    block = python("asked.txt", "perhaps")

    def tamper() -> None:
        block.code = "open('tampered.txt', 'w')"

    person = stage.person(True, first=tamper)
    result = run(executor(stage), block)
    person.join()
    assert result.exit_code == 0, result.output
    assert (stage.folder / "asked.txt").exists()
    assert not (stage.folder / "tampered.txt").exists()


@pytest.mark.parametrize("approve", [True, False])
def test_code_waits_for_a_person(stage: Any, approve: bool) -> None:
    person = stage.person(approve)
    result = run(executor(stage), python("asked.txt", "perhaps"))
    person.join()
    assert result.exit_code == (0 if approve else 126)
    assert (stage.folder / "asked.txt").exists() is approve


def test_cancelling_while_a_person_thinks_runs_nothing(stage: Any) -> None:
    guarded = executor(stage)

    async def main() -> None:
        token = CancellationToken()
        block = python("asked.txt", "perhaps")
        running = asyncio.ensure_future(guarded.execute_code_blocks([block], token))
        question = await asyncio.to_thread(stage.question)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        stage.guard._point.resolve(question, True, by="a person")
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(main())
    assert not (stage.folder / "asked.txt").exists()


def test_file_that_the_first_line_names_is_a_write(stage: Any) -> None:
    guarded = executor(stage)
    harmless = "print('hello')"
    denied = run(guarded, CodeBlock(f"# filename: secret/job.py\n{harmless}", "python"))
    assert denied.exit_code == 126
    assert "secrets are not for agents" in denied.output
    assert not (stage.folder / "secret" / "job.py").exists()
    allowed = run(guarded, CodeBlock(f"# filename: public/job.py\n{harmless}", "python"))
    assert allowed.exit_code == 0, allowed.output
    assert [d["tool"] for d in stage.decisions()] == ["write", "write", "code"]


class Recording(CodeExecutor):
    """An executor that notes what is asked of it."""

    component_type = "code_executor"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.extra = "mine"

    async def execute_code_blocks(
        self, code_blocks: Sequence[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        self.said.append("execute")
        return CodeResult(0, "ran")

    async def start(self) -> None:
        self.said.append("start")

    async def stop(self) -> None:
        self.said.append("stop")

    async def restart(self) -> None:
        self.said.append("restart")

    async def _past_the_guard(self) -> None:
        self.said.append("past the guard")


def test_everything_else_is_the_executors_own(stage: Any) -> None:
    inner = Recording()
    guarded = stage.guard.protect(inner)
    assert isinstance(guarded, CodeExecutor)
    assert stage.guard.protect(guarded) is guarded
    assert guarded.extra == "mine"
    assert not hasattr(guarded, "_past_the_guard")

    async def main() -> None:
        async with guarded:
            await guarded.restart()

    asyncio.run(main())
    assert inner.said == ["start", "restart", "stop"]


class Broken:
    """A decision point that fails."""

    def check(self, call: object) -> Decision:
        raise RuntimeError("no disk")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        return decision

    def poll(self, decision: Decision) -> Decision:
        return decision


def test_failing_guard_denies_and_does_not_raise() -> None:
    inner = Recording()
    result = run(GuardedCodeExecutor(inner, Guard.of(Broken())), python("x"))
    assert result.exit_code == 126
    assert "the decision failed: RuntimeError" in result.output
    assert inner.said == []


def test_agent_reads_the_denial_and_the_team_goes_on(stage: Any) -> None:
    languages = ["python", "sh"]
    agent = CodeExecutorAgent("coder", code_executor=executor(stage), supported_languages=languages)

    async def ask(language: str, code: str) -> str:
        message = TextMessage(content=f"```{language}\n{code}\n```", source="user")
        answer = await agent.on_messages([message], CancellationToken())
        assert isinstance(answer.chat_message, TextMessage)
        return answer.chat_message.content

    async def main() -> tuple[str, str]:
        denied = await ask("python", "open('a.txt', 'w')  # forbidden")
        return denied, await ask("sh", "echo it works > b.txt; cat b.txt")

    denied, allowed = asyncio.run(main())
    assert "was NOT executed" in denied
    assert "not this code" in denied
    assert not (stage.folder / "a.txt").exists()
    assert "it works" in allowed


@pytest.fixture
def default_guard(stage: Any) -> Any:
    set_default_guard(stage.guard)
    yield stage.guard
    set_default_guard(None)


def test_configuration_keeps_the_guard(stage: Any, default_guard: Guard) -> None:
    dumped = executor(stage).dump_component()
    assert dumped.provider == "rampart_autogen.GuardedCodeExecutor"
    loaded = CodeExecutor.load_component(dumped.model_dump())
    assert isinstance(loaded, GuardedCodeExecutor)
    assert Path(loaded.work_dir) == stage.folder
    assert run(loaded, python("a.txt", "forbidden")).exit_code == 126
    assert not (stage.folder / "a.txt").exists()


def test_loaded_component_without_a_chosen_guard_uses_this_machines_policy(
    stage: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    (home / "policy.yaml").write_text('version: "1"\ndefault_action: deny\n')
    monkeypatch.setenv("RAMPART_HOME", str(home))
    set_default_guard(None)
    try:
        loaded = CodeExecutor.load_component(executor(stage).dump_component())
        assert run(loaded, python("a.txt")).exit_code == 126
    finally:
        set_default_guard(None)
