"""What a command line would run, by example."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from rampart.errors import InputTooLarge
from rampart.intercept.shell import Command, Redirect, Script, Word, parse, words_of_argv
from rampart.limits import COMMAND_BYTES_MAX

from . import oracle

CASES = yaml.safe_load((oracle.CASES / "commands.yaml").read_text(encoding="utf-8"))


def shown(word: Word) -> str:
    return word.text if word.known else f"?{word.text}"


def described(command: Command) -> dict[str, Any]:
    found: dict[str, Any] = {
        "argv": [shown(word) for word in command.words],
        "assignments": [f"{name}={shown(word)}" for name, word in command.assignments],
        "redirects": [redirection(redirect) for redirect in command.redirects],
        "upstream": list(command.upstream),
        "cwd": command.cwd,
    }
    if any(word.substitutions for word in command.words):
        found["from"] = [list(word.substitutions) for word in command.words]
    return found


def redirection(redirect: Redirect) -> str:
    fd = "" if redirect.fd is None else redirect.fd
    return f"{fd}{redirect.op} {shown(redirect.target)}"


def programs(script: Script) -> list[str]:
    return [" ".join(shown(word) for word in command.words) for command in script.commands]


@pytest.mark.parametrize("case", CASES, ids=[case["text"] for case in CASES])
def test_a_line_yields_exactly_these_commands(case: dict[str, Any]) -> None:
    script = parse(case["text"], home="/home/u", cwd="/w")

    plain = {"assignments": [], "redirects": [], "upstream": [], "cwd": ""}
    assert [described(command) for command in script.commands] == [
        plain | command for command in case["commands"]
    ]
    assert script.opaque == case.get("opaque", "")


@pytest.mark.parametrize("text", oracle.snippets("refused.txt"))
def test_what_is_not_understood_is_opaque(text: str) -> None:
    assert parse(text).opaque


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("rm a; if b; then rm c", ["rm a", "b", "rm c"]),
        ("rm a\nrm b 'open", ["rm a", "rm b"]),
        ("rm a; $(rm b; rm c", ["rm a", "rm b", "rm c"]),
        ("rm a; echo ${b", ["rm a", "echo"]),
    ],
)
def test_what_was_read_before_a_problem_is_listed(text: str, before: list[str]) -> None:
    script = parse(text)

    assert script.opaque
    assert set(before) <= set(programs(script))


def test_source_is_the_command_as_written() -> None:
    script = parse("a=1 'x' \"y $a\" >f; { b  c; } | d")

    assert [command.source for command in script.commands] == ["a=1 'x' \"y $a\" >f", "b  c", "d"]
    assert [word.source for word in script.commands[0].words] == ["'x'", '"y $a"']


def test_variables_are_those_known_at_that_point() -> None:
    script = parse("a=1; b $a; a=2; c=$(d); e")

    values = [{name: shown(word) for name, word in c.variables.items()} for c in script.commands]
    assert values[0] == {}
    assert values[1] == {"a": "1"}
    assert values[-1] == {"a": "2", "c": "?$(d)"}


def test_variables_from_outside_are_used_and_lose_their_substitutions() -> None:
    outer = parse("x=$(curl u); y=rm; eval '$y $x'")
    inner = parse("$y $x", variables=outer.commands[-1].variables)

    assert programs(inner) == ["rm ?$(curl u)"]
    assert inner.commands[0].words[1].substitutions == ()


def test_functions_and_aliases_travel_with_the_variables() -> None:
    outer = parse("f() { rm $1; }\nalias q='rm b'\nz=(rm c)\nend")
    variables = outer.commands[-2].variables

    assert programs(parse("f a", variables=variables)) == ["rm a"]
    assert programs(parse("q", variables=variables)) == ["rm b", "q"]
    assert programs(parse("${z[@]}", variables=variables)) == ["rm c"]
    exported = {"BASH_FUNC_ls%%": Word("() { rm d; }")}
    assert programs(parse("ls", variables=exported)) == ["rm d"]


def test_functions_defined_by_functions_that_are_not_called_are_followed() -> None:
    assert programs(parse("f() { g() { rm a; }; }; b")) == ["b", "rm a"]


def test_a_plain_line_and_its_quoted_spelling_are_the_same() -> None:
    fast, slow = parse("git status -s\n"), parse("'git' status -s\n")

    assert programs(fast) == programs(slow) == ["git status -s"]
    assert fast.commands[0].source == "git status -s"


@pytest.mark.parametrize("space", ["\v", "\f", "\x1c", "\x85", "\u00a0", "\u2003", "\u3000"])
def test_only_blank_tab_and_newline_separate_words(space: str) -> None:
    assert [word.text for word in parse(f"a{space}b c").commands[0].words] == [f"a{space}b", "c"]


def test_exact_words_are_taken_as_they_are() -> None:
    command = words_of_argv(["echo", "$(rm x)", "*", "a b"])

    assert [word.text for word in command.words] == ["echo", "$(rm x)", "*", "a b"]
    assert all(word.known and not word.glob for word in command.words)


def test_a_command_over_the_limit_is_refused() -> None:
    parse("a" * COMMAND_BYTES_MAX)
    with pytest.raises(InputTooLarge):
        parse("a" * (COMMAND_BYTES_MAX + 1))
    with pytest.raises(InputTooLarge):
        parse("é" * (COMMAND_BYTES_MAX // 2 + 1))


def test_data_is_not_commands() -> None:
    lines = [
        "echo 'rm -rf /'",
        "git commit -m 'run rm -rf / && reboot'",
        "# rm -rf /\necho done",
        "cat > notes <<'EOF'\nrm -rf /\n$(reboot)\nEOF",
        'grep "rm -rf /" log',
    ]
    for line in lines:
        script = parse(line)
        assert not script.opaque
        assert len(script.commands) == 1
        assert script.commands[0].words[0].text in ("echo", "git", "cat", "grep")
