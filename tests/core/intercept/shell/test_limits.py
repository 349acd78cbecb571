"""Hostile text: decided or opaque, in bounded time, without an exception."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.intercept.shell import parse
from rampart.limits import COMMAND_BYTES_MAX, SHELL_COMMANDS_MAX, SHELL_DEPTH_MAX

UNITS = {
    "open substitution": "$(",
    "open backtick": "`",
    "backticks": "`a`",
    "escaped backticks": "\\`",
    "brace": "{",
    "braces": "{a,b}",
    "nested braces": "{a,",
    "range": "{1..256} ",
    "backslash": "\\",
    "single quote": "'",
    "double quote": '"',
    "quoted": "'a'",
    "and": "a&&",
    "pipe": "a|",
    "list": "a;",
    "background": "a&",
    "words": "a ",
    "parenthesis": "(",
    "double parenthesis": "((",
    "failed arithmetic": "((a);",
    "arithmetic": "$((",
    "default": "${a:-",
    "subscript": "a[",
    "subscript of substitution": "a[$(",
    "here-document": "cat <<A\n",
    "here-documents": "<<A ",
    "redirect": ">a ",
    "if": "if a;then ",
    "whole if": "if a;then b;fi;",
    "while": "while a;do ",
    "function": "f(){ a;};",
    "functions": "f(){ ",
    "case": "case x in a) b;; esac;",
    "test": "[[ a && ",
    "process substitution": "<(a) ",
    "variable": "$x",
    "tilde": "~:",
    "newline": "\n",
    "comment": "#\n",
    "continuation": "a\\\n",
    "assignment": "a=$a$a;",
    "append": "a+=a;",
    "directory": "cd a;",
    "extended glob": "@(a|",
    "set": "set -- $@ a;",
    "alias": "alias a='a a';a;",
    "trap": "trap 'a;a' EXIT;",
    "eval": "eval 'a=1;eval b';",
    "loop": "for x in 1 2 3;do a;",
    "accents": "é",
    "time": "time ",
    "not": "! ",
}
SHAPES = {
    "doubling functions": "".join(f"f{i}(){{ f{i + 1};f{i + 1}; }};" for i in range(200)) + "f0",
    "nested loops": "for x in 1 2 3 4 5 6 7 8;do " * 20 + "a;" + "done;" * 20,
    "nested whiles": "while a;do b=1;" * 20 + "done;" * 20,
    "doubling text": "a=xxxxxxxxxx;" + "a=$a$a;" * 5000,
    "replacing text": "x=" + "a" * 30000 + ";" + "echo ${x//a/bb};" * 1000,
    "many variables": ";".join(f"v{i}=1" for i in range(5000)),
    "balanced parentheses": "echo $((" + "(" * 20000 + ")" * 20000 + "))",
    "balanced subscripts": "a[$(" * 23 + "x" + ")]" * 23,
    "balanced quotes": '"$(echo ' * 11 + "x" + ')"' * 11,
    "long array": "a=(" + "a " * 15000 + ");" + "echo ${a[@]};" * 2000,
    "sets": "set -- " + "a " * 15000 + ";" + "echo $@;" * 2000,
}
HOSTILE = {name: unit * (COMMAND_BYTES_MAX // len(unit.encode())) for name, unit in UNITS.items()}
HOSTILE |= {name: text[:COMMAND_BYTES_MAX] for name, text in SHAPES.items()}
SECONDS_MAX = 1.0  # the budget is 0.05; a quadratic reading of these takes many seconds


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_decided_in_bounded_time(name: str) -> None:
    started = time.process_time()
    parse(HOSTILE[name])
    assert time.process_time() - started < SECONDS_MAX


def test_depth_is_bounded_and_counts_the_shells_around() -> None:
    nested = "$(" * 20 + "a" + ")" * 20

    assert not parse(nested).opaque
    assert parse(nested, depth=SHELL_DEPTH_MAX - 10).opaque
    assert parse("$(" * 30 + "a" + ")" * 30).opaque
    assert parse("'a' b", depth=SHELL_DEPTH_MAX + 1).opaque


def test_more_commands_than_the_limit_are_opaque() -> None:
    assert not parse("a;" * SHELL_COMMANDS_MAX).opaque
    script = parse("a;" * (SHELL_COMMANDS_MAX + 1))
    assert script.opaque
    assert len(script.commands) == SHELL_COMMANDS_MAX


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    parse(text)


@given(st.binary(max_size=60))
def test_no_bytes_raise(data: bytes) -> None:
    parse(data.decode("utf-8", "surrogateescape"))


TOKENS = st.sampled_from(
    ["a", "rm", "$x", "${x", "}", "${x:-", "$(", ")", "`", "'", '"', "\\", "\n", ";", "&", "|", "<",
     ">", "<<E\n", "E\n", "<(", "((", "))", "$((", "[[", "]]", "{", "if ", "then ", "fi ", "for ",
     "in ", "do ", "done ", "case ", "esac ", "f() ", "x=", "x=(", "[", "]", "{a,b}", "~", "*", "!",
     "#", " ", "$'", "cd ", "eval ", "set -- ", "trap ", "alias ", "read ", "export ", "&>", "2>&1",
     "while ", "function ", "local ", "declare ", "unset ", "@", "%", "/", ":", "=~"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(TOKENS, max_size=30).map("".join), st.integers(0, 5))
def test_no_broken_line_raises(text: str, depth: int) -> None:
    parse(text, depth=depth, home="/h", cwd="/w")
