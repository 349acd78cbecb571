"""One command's words, read with its program's entry, and with what was added to that.

INVARIANT: an addition never hides what the entry without it finds. Where an entry has several
readings, the command does what any of them says (decisions/0030).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from rampart.intercept.catalog.model import Entry
from rampart.intercept.invocation import Invocation, Target
from rampart.intercept.operands import read_invocation
from rampart.intercept.readers import READERS
from rampart.intercept.setting import Setting
from rampart.intercept.shell.model import Word

_Item = TypeVar("_Item")


def read_entry(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """Return what the program of ``entry`` does with ``words`` (the ones after its name)."""
    found = _read(entry, words, setting)
    for reading in entry.readings:
        found = _joined(found, _read(reading, words, setting))
    return found


def _read(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    reader = READERS.get(entry.reader) if entry.reader else None
    found = (reader or read_invocation)(entry, words, setting)
    if reader is None and found.entry.reader:
        found = READERS[found.entry.reader](entry, words, setting)
    return found


def _joined(first: Invocation, second: Invocation) -> Invocation:
    """Return ``first`` with all that only ``second`` found."""
    if second.inert == "help" or (second.inert and not first.inert):
        return first
    if first.inert == "help" or (first.inert and not second.inert):
        return second
    first.effects |= second.effects
    first.loads = first.loads or second.loads
    first.reads_program = first.reads_program or second.reads_program
    _add_new(first.targets, second.targets, _target_key)
    _add_new(first.programs, second.programs, lambda given: (given.language, given.text.text))
    _add_new(first.scripts, second.scripts, _word_key)
    _add_new(first.commands, second.commands, lambda words: tuple(map(_word_key, words)))
    _add_new(first.assignments, second.assignments, _word_key)
    _join_entries(first, second)
    # WHY: inner commands run in one directory, and the last reading is the one without additions
    first.setting = second.setting
    return first


def _join_entries(first: Invocation, second: Invocation) -> None:
    ours, theirs = first.entry, second.entry
    first.entry = replace(
        ours,
        inner=ours.inner | theirs.inner,
        fresh=ours.fresh and theirs.fresh,
        launches=ours.launches or theirs.launches,
        language=ours.language or theirs.language,
    )
    unknown = first.arguments.unknown if ours.launches else ""
    first.arguments.unknown = unknown or (second.arguments.unknown if theirs.launches else "")


def _add_new(items: list[_Item], others: list[_Item], key: Callable[[_Item], object]) -> None:
    seen = {key(item) for item in items}
    items.extend([item for item in others if key(item) not in seen])


def _word_key(word: Word) -> tuple[str, bool]:
    return word.text, word.known


def _target_key(target: Target) -> object:
    return target.tool, _word_key(target.word), target.cwd, target.effects, target.also
