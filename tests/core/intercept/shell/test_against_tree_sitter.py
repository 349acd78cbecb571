"""A second parser with a real grammar: it must find no command name that is not listed."""

from __future__ import annotations

import pytest
import tree_sitter
import tree_sitter_bash
from rampart.intercept.shell import parse

from . import oracle

LANGUAGE = tree_sitter.Language(tree_sitter_bash.language())
NAMES = tree_sitter.Query(LANGUAGE, "(command name: (command_name (word) @name))")
DEFINED = tree_sitter.Query(LANGUAGE, "(function_definition name: (word) @name)")
# It knows neither `time` nor `coproc`, and takes `}` and `esac` for names in a few places.
# It reads these lines wrongly: continuations inside words, and here-documents that go on.
MISREAD = frozenset(
    {
        "!\\\nxa b",
        "x\\\na b\\\nc",
        "xa <<EOF\ntext\\\nEOF\nmore\nEOF\nxb",
        "xa <<EOF\n  EOF\nEOF \nEOF\nxb",
        'eval "f() { xa; }"; f',  # a function that is defined by `eval`
    }
)
NOT_NAMES = frozenset({"time", "coproc", "}", "esac", "!"})


def names(query: tree_sitter.Query, tree: tree_sitter.Tree) -> set[str]:
    found = tree_sitter.QueryCursor(query).captures(tree.root_node)
    return {node.text.decode() for node in found.get("name", []) if node.text is not None}


PARSER = tree_sitter.Parser(LANGUAGE)
LINES = oracle.snippets("lines.txt")
UNDERSTOOD = [text for text in LINES if not PARSER.parse(text.encode()).root_node.has_error]


def test_most_lines_can_be_compared() -> None:
    assert len(UNDERSTOOD) > 0.9 * len(LINES)


@pytest.mark.parametrize("text", [text for text in UNDERSTOOD if text not in MISREAD])
def test_no_command_name_is_missed(text: str) -> None:
    tree = PARSER.parse(text.encode())
    script = parse(text)
    listed = {word.text for command in script.commands for word in command.words[:1]}

    missed = names(NAMES, tree) - names(DEFINED, tree) - listed - NOT_NAMES
    assert {name for name in missed if "\\" not in name and "{" not in name} == set()
