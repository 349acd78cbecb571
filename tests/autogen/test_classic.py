"""The classic lineage: the same promises for `autogen.coding` executors and for its agents."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from rampart import ConfigError, Decision, Guard
from rampart_autogen import GuardedClassicCodeExecutor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its dependencies warn when they are imported
    coding = pytest.importorskip("autogen.coding", reason="no classic autogen is installed")
    import autogen

CodeBlock = coding.CodeBlock


def python(name: str, note: str = "") -> Any:
    return CodeBlock(code=f"open('{name}', 'w').write('ran')  # {note}", language="python")


def shell(name: str, note: str = "") -> Any:
    return CodeBlock(code=f"echo ran > {name}  # {note}", language="sh")


def executor(stage: Any) -> Any:
    return stage.guard.protect(coding.LocalCommandLineCodeExecutor(work_dir=stage.folder))


@pytest.mark.parametrize("block", [python, shell])
def test_allowed_code_runs_and_is_recorded_as_what_it_is(stage: Any, block: Any) -> None:
    result = executor(stage).execute_code_blocks([block("made.txt")])
    assert result.exit_code == 0, result.output
    assert (stage.folder / "made.txt").read_text().strip() == "ran"
    (decision,) = stage.decisions()
    assert decision["tool"] == {"python": "code", "sh": "exec"}[block("x").language]
    assert decision["cwd"] == str(stage.folder)


@pytest.mark.parametrize("position", range(3))
def test_one_bad_block_stops_the_whole_batch(stage: Any, position: int) -> None:
    blocks = [python(f"{n}.txt") for n in range(3)]
    blocks[position].code += " forbidden"
    result = executor(stage).execute_code_blocks(blocks)
    assert result.exit_code == 126
    assert f"None of the blocks was executed. Block {position + 1} of 3:" in result.output
    assert sorted(path.name for path in stage.folder.glob("*.txt")) == []


def test_blocks_that_change_while_a_person_thinks_are_not_what_runs(stage: Any) -> None:
    block = python("asked.txt", "perhaps")

    def tamper() -> None:
        block.code = "open('tampered.txt', 'w')"

    person = stage.person(True, first=tamper)
    result = executor(stage).execute_code_blocks([block])
    person.join()
    assert result.exit_code == 0, result.output
    assert (stage.folder / "asked.txt").exists()
    assert not (stage.folder / "tampered.txt").exists()


@pytest.mark.parametrize(
    "first", ["# filename: secret/a.py", "# secret/a.py", "  # secret/a.py", "// secret/a.py"]
)
def test_comment_on_the_first_line_names_the_file_that_is_written(stage: Any, first: str) -> None:
    """These executors take any comment there for the name of a file."""
    block = CodeBlock(code=f"{first}\nprint('hello')", language="python")
    result = executor(stage).execute_code_blocks([block])
    assert result.exit_code == 126
    assert "secrets are not for agents" in result.output
    assert not list((stage.folder / "secret").iterdir())


def test_everything_else_is_the_executors_own(stage: Any) -> None:
    guarded = executor(stage)
    assert isinstance(guarded, coding.CodeExecutor)
    assert isinstance(guarded, GuardedClassicCodeExecutor)
    assert stage.guard.protect(guarded) is guarded
    assert Path(guarded.work_dir) == stage.folder
    assert type(guarded.code_extractor).__name__ == "MarkdownCodeExtractor"
    assert not hasattr(guarded, "_execute_code_dont_check_setup")
    with pytest.warns(UserWarning, match="not supported"):
        guarded.restart()


class Broken:
    """A decision point that fails."""

    def check(self, call: object) -> Decision:
        raise RuntimeError("no disk")

    enforce = check

    def finish(self, decision: Decision, timeout_s: float) -> Decision:
        return decision

    def poll(self, decision: Decision) -> Decision:
        return decision


def test_failing_guard_denies_and_does_not_raise(stage: Any) -> None:
    inner = coding.LocalCommandLineCodeExecutor(work_dir=stage.folder)
    result = GuardedClassicCodeExecutor(inner, Guard.of(Broken())).execute_code_blocks(
        [python("made.txt")]
    )
    assert result.exit_code == 126
    assert "the decision failed: RuntimeError" in result.output
    assert not (stage.folder / "made.txt").exists()


def agent(name: str = "coder", **options: Any) -> Any:
    return autogen.ConversableAgent(name, llm_config=False, human_input_mode="NEVER", **options)


def test_agent_reads_the_denial_and_the_chat_goes_on(stage: Any) -> None:
    inner = coding.LocalCommandLineCodeExecutor(work_dir=stage.folder)
    coder = agent(code_execution_config={"executor": inner})
    assert stage.guard.protect(coder) is coder
    say = {"role": "user", "content": "```python\nopen('a.txt', 'w')  # forbidden\n```"}
    denied = coder.generate_reply(messages=[say])
    assert "was NOT executed" in str(denied)
    assert not (stage.folder / "a.txt").exists()
    say = {"role": "user", "content": "```sh\necho it works > b.txt; cat b.txt\n```"}
    assert "it works" in str(coder.generate_reply(messages=[say]))
    assert {d["agent"] for d in stage.decisions()} == {"coder"}


def test_functions_of_an_agent_are_guarded(stage: Any) -> None:
    ran: list[str] = []

    def read_file(path: str) -> str:
        ran.append(path)
        return f"read {path}"

    coder = agent(code_execution_config=False, function_map={"read_file": read_file})
    stage.guard.protect(coder)
    stage.guard.protect(coder)
    for path, heard in (("/x/secret/y", "secrets are not for agents"), ("a", "read a")):
        call = {"name": "read_file", "arguments": json.dumps({"path": path})}
        assert heard in coder.execute_function(call)[1]["content"]
    assert ran == ["a"]
    assert len(stage.decisions()) == 2


def test_agent_that_runs_code_without_an_executor_is_refused(stage: Any, tmp_path: Path) -> None:
    config = {"work_dir": str(tmp_path), "use_docker": False}
    coder = agent(code_execution_config=config)
    if getattr(coder, "_code_executor", None) is not None:
        pytest.skip("this version always has an executor")
    with pytest.raises(ConfigError, match="coder runs code without an executor"):
        stage.guard.protect(coder)
