"""Commands of database clients, and names of R, Julia, Octave and Elixir that are passed around."""

from __future__ import annotations

import time

import pytest
from rampart.errors import InputTooLarge
from rampart.intercept.code import source_actions
from rampart.model import Action, Host

HOST = Host(home="/home/me", cwd="/work", workspace="/work")


def read(language: str, text: str) -> list[Action]:
    return source_actions(language, text, HOST, cwd="", depth=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\! rm x", ("exec", "rm x")),
        ("select 1;\n\\! rm x", ("exec", "rm x")),
        (r"select 1 \g |rm x", ("exec", "rm x")),
        (r"\o |rm x", ("exec", "rm x")),
        (r"\o out.txt", ("write", "/work/out.txt")),
        (r"\i a.sql", ("read", "/work/a.sql")),
        (r"\copy t from 'a.csv' csv", ("read", "/work/a.csv")),
        (r"\COPY t (a, b) TO out.csv", ("write", "/work/out.csv")),
        (r"\lo_import a.bin", ("read", "/work/a.bin")),
        (r"\lo_export 12 a.bin", ("write", "/work/a.bin")),
        (".shell rm x", ("exec", "rm x")),
        ("select 1;\n.system rm x", ("exec", "rm x")),
        (".once '|rm x'", ("exec", "rm x")),
        (".output out.txt", ("write", "/work/out.txt")),
        (".import --csv a.csv t", ("read", "/work/a.csv")),
        (".backup main b.db", ("write", "/work/b.db")),
        (".restore b.db", ("read", "/work/b.db")),
        (".load ./evil", ("read", "/work/evil")),
        ("system rm x", ("exec", "rm x")),
        ("select 1; SYSTEM rm x", ("exec", "rm x")),
        ("source a.sql", ("read", "/work/a.sql")),
        ("tee out.txt", ("write", "/work/out.txt")),
    ],
)
def test_commands_of_clients_are_read(text: str, expected: tuple[str, str]) -> None:
    found = [(action.tool, action.command or action.path) for action in read("sql", text)]
    assert expected in found


@pytest.mark.parametrize(
    "text",
    [
        "SELECT system, source FROM t",
        "SELECT '.shell rm -rf ~'",
        "INSERT INTO t VALUES ('system rm x')",
        "SYSTEM FLUSH LOGS",
        "system reload config",
        r"\copy t to stdout csv",
        r"\dt+ public.*",
        ".mode csv",
        ".tables",
        ".output stdout",
    ],
)
def test_statements_and_harmless_commands_do_nothing(text: str) -> None:
    assert read("sql", text) == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("r", "f <- system; f('rm x')"),
        ("r", "lapply('rm x', system)"),
        ("r", "`system`('rm x')"),
        ("r", "get('sys' )('rm x')"),
        ("julia", "f = run; f(c)"),
        ("julia", 'println("a $(run(`rm x`)) b")'),
        ("octave", "f = @system; f('rm x')"),
        ("elixir", "f = &System.shell/1; f.('rm x')"),
    ],
)
def test_a_name_that_starts_programs_may_not_be_passed_around(language: str, text: str) -> None:
    assert any(action.opaque for action in read(language, text))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("r", "system.time(sum(1:10)); # system is fine in a comment\nprint('system')"),
        ("julia", 'println("run finished"); x = [1, 2]; println("$(length(x))")'),
        ("octave", "a = b'; disp('system')"),
        ("elixir", 'IO.puts("cmd #{1 + 1}")'),
    ],
)
def test_the_same_word_as_text_is_harmless(language: str, text: str) -> None:
    assert read(language, text) == []


@pytest.mark.parametrize("unit", ["\n", "\\!\n", "\\copy ", "\\g |", ".shell\n", "system ", "; "])
def test_hostile_text_takes_time_in_proportion(unit: str) -> None:
    """Four times the text must not take sixteen times as long; a quadratic reading would."""

    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        best = 9.0
        for _ in range(3):
            started = time.perf_counter()
            try:
                read("sql", text)
            except InputTooLarge:
                return 0.0
            best = min(best, time.perf_counter() - started)
        return best

    assert seconds(32_000) < 10 * seconds(8_000) + 0.02
