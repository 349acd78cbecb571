"""Bash is asked what it would run; every answer must be among the commands listed."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rampart.intercept.shell import Script, parse

from . import oracle

LINES = oracle.snippets("lines.txt")
HOME = "/home/user"

pytestmark = pytest.mark.skipif(
    subprocess.run(
        [oracle.BASH, "-c", "((BASH_VERSINFO[0] >= 5))"], capture_output=True, check=False
    ).returncode
    != 0,
    reason="bash 5 is the partner of these tests",
)


def words(script: Script) -> list[str] | None:
    return oracle.known_words(script.commands[-1])


@pytest.mark.parametrize("text", LINES)
def test_every_program_that_bash_runs_is_listed(text: str, tmp_path: Path) -> None:
    script = parse(text, home=HOME)

    assert not script.opaque
    assert [
        argv for argv in oracle.programs(text, tmp_path) if not oracle.listed(script, argv)
    ] == []


def test_the_programs_that_are_found_include_exact_words(tmp_path: Path) -> None:
    """A negative control: the comparison above would also pass with nothing but unknown words."""
    exact = missed = 0
    for text in LINES[::8]:
        script = parse(text, home=HOME)
        for argv in oracle.programs(text, tmp_path):
            exact += oracle.exactly(script, argv)
            missed += oracle.listed(Script(script.commands[:-1]), argv) is False
    assert exact > 60
    assert missed > 40


def test_bash_finds_no_fault_with_what_is_understood() -> None:
    refused = [text for text in LINES if not oracle.accepts(text)]

    assert refused == []


QUOTED = st.text(alphabet="ab \t\n'\"\\$`*?[]{},~#!;&|<>()=é", max_size=12)
STYLES = st.lists(st.sampled_from(["single", "double", "escape", "ansi"]), min_size=1, max_size=4)


def spelled(text: str, styles: list[str]) -> str:
    """Write ``text`` as one word, its pieces quoted in different ways."""
    size = max(1, len(text) // len(styles) + 1)
    pieces = [text[at : at + size] for at in range(0, len(text), size)] or [""]
    found = "''"
    for index, piece in enumerate(pieces):
        match styles[index % len(styles)]:
            case "single":
                found += shlex.quote(piece)
            case "double":
                found += '"' + "".join(f"\\{c}" if c in '"\\$`' else c for c in piece) + '"'
            case "escape":
                found += "".join("'\n'" if c == "\n" else f"\\{c}" for c in piece)
            case _:
                found += "$'" + "".join(f"\\U{ord(c):08x}" for c in piece) + "'"
    return found


@given(QUOTED, STYLES, STYLES)
def test_two_spellings_of_a_word_are_the_same_word(
    text: str, one: list[str], two: list[str]
) -> None:
    first, second = (parse(f"x {spelled(text, styles)}") for styles in (one, two))

    assert words(first) == words(second) == ["x", text]
    assert not first.commands[0].words[1].glob


PIECES = st.sampled_from(
    ["a", "b c", "'", '"', "\\", "$'", '$"', "$v", "${v}", '"$v"', "${w}", "'x y'", '"z', "\n",
     "\t", " ", "{", "}", "{a,b}", ",", "{1..3}", "$(echo p q)", "`echo r`", "$((1+2))",
     "${v:-d e}", "${e:-f g}", '"${e:-h}"', "${v%z}", "${v#a}", "${#v}", "=", ":", "#", "\\\n",
     "$e", '"$e"', '"$@"', "$@", '"$*"', "${v:1:1}", "-", "!", "[", "]", "$"]
)  # fmt: skip
SETUP = "v='az k'; w=m; e=; set -- 's t' u\n"


@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # each example is a process: no shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.lists(PIECES, min_size=1, max_size=6).map("".join), min_size=40, max_size=40))
def test_words_expand_as_in_bash(tmp_path: Path, candidates: list[str]) -> None:
    """Forty lines share one bash: each is evaluated there, and its words are compared."""
    texts = [f"{SETUP}xx {candidate}" for candidate in candidates]
    understood = [text for text in texts if not parse(text).opaque]
    script = "".join(
        f"(eval {shlex.quote(text)}) 2>/dev/null; builtin printf '\\2\\0' >&9\n"
        for text in understood
    )
    answers = oracle.separate(oracle.programs_raw(script, tmp_path))
    assert len(answers) == len(understood)
    for text, ran in zip(understood, answers, strict=True):
        found = parse(text)
        assert [argv for argv in ran if not oracle.listed(found, argv)] == [], text
