"""The tables of the adapters' page are true: each cell names a test that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "core" / "docs" / "adapters.md").read_text()
WITHOUT_A_TEST = (  # cells that say that there is nothing to test on this path
    "by LangChain's adapter",
    "no: it sees no output",
    "not asked",
    "see the reviewed output",
    "what both let through",
)


def sections() -> Iterator[tuple[str, str]]:
    """Yield (title, text) of each table."""
    page = PAGE.split("## Which way is covered by what")[1].split("\n## ")[0]
    for part in page.split("\n### ")[1:]:
        title, _, text = part.partition("\n")
        yield title, text


def cells(text: str) -> Iterator[tuple[str, str]]:
    """Yield (path, cell) for what a table says about deny, ask and redact."""
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    for row in rows:
        path, *others = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(others) == 3, row
        for cell in others:
            yield path, cell


def named(cell: str) -> list[tuple[str, str]]:
    """Return (letter, part of a name) for the tests that a cell names."""
    found, letter = [], ""
    for group in re.findall(r"\(([A-Z] `[^)]*`)\)", cell):
        for each in group.split(", "):
            said = re.fullmatch(r"(?:([A-Z]) )?`(\w+)`", each)
            assert said, f"{cell}: {each}"
            letter = said[1] or letter
            found.append((letter, said[2]))
    return found


@pytest.mark.parametrize(("title", "text"), list(sections()))
def test_each_cell_names_a_test_that_exists(title: str, text: str) -> None:
    (folder,) = re.findall(r"^In `(tests/\w+)`", text, re.MULTILINE)
    files = {letter: name for name, letter in re.findall(r"`(\w+\.py)` \(([A-Z])\)", text)}
    tests = {
        letter: re.findall(r"^def (test_\w+)", (ROOT / folder / name).read_text(), re.MULTILINE)
        for letter, name in files.items()
    }
    missing = []
    for path, cell in cells(text):
        if not named(cell) and cell not in WITHOUT_A_TEST:
            missing.append(f"{path}: {cell!r} names no test")
        for letter, part in named(cell):
            if not any(part in test for test in tests[letter]):
                missing.append(f"{path}: {files[letter]} has no test *{part}*")
    assert missing == []
    assert set(files) == {letter for _, cell in cells(text) for letter, _ in named(cell)}


def test_every_framework_has_a_table() -> None:
    assert [title for title, _ in sections()] == ["LangChain", "CrewAI", "AutoGen", "Plain Python"]
