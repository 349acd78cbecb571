"""The words of one command, with its catalog entry → an ``Invocation``."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from rampart.intercept.catalog.model import TAIL_ROLES, Entry
from rampart.intercept.invocation import Invocation, Program, Target
from rampart.intercept.options import Given, is_assignment, read_arguments
from rampart.intercept.roles import part, take, work_in
from rampart.intercept.setting import Setting
from rampart.intercept.shell.model import Word
from rampart.intercept.verbs import named_files, option_effects, verb_effects

_GUESSED: Final = frozenset({"guessed"})
_WITH_WORDS: Final = 2  # a script, and at least one word for it
_RUNS: Final = frozenset({"runs-code"})
_LOADS: Final = frozenset({"loader-change", "runs-code"})


def read_invocation(entry: Entry, words: list[Word], setting: Setting) -> Invocation:
    """Return what the program of ``entry`` does with ``words`` (the ones after its name)."""
    arguments = read_arguments(entry, words)
    entry = arguments.entry
    found = Invocation(entry, arguments, setting)
    if arguments.inert == "help":
        return found
    found.effects.update(entry.effects)
    for given in arguments.options:
        _take_option(found, given)
    for given in arguments.options:
        if given.option.role == "chdir" and given.value is not None:
            work_in(found, given.value)
    if arguments.operands:
        _take_operands(found)
    elif entry.alone and not (found.programs or found.commands):
        found.effects.update(entry.alone)
    if entry.stdin == "code" and not (found.programs or found.scripts or found.commands):
        found.reads_program = True
    _settle_destination(found)
    if arguments.inert:
        found.effects.clear()
    return found


def _take_option(found: Invocation, given: Given) -> None:
    option = given.option
    found.effects.update(option.effects)
    found.loads = found.loads or "loader-change" in option.effects
    if given.value is None:
        return
    for matches, effects in option.values:
        if matches(given.value.text):
            found.effects.update(effects)
            found.loads = found.loads or bool(effects & _LOADS)
    if option.role not in ("text", "chdir"):
        take(found, option.role, given.value)


def _take_operands(found: Invocation) -> None:
    arguments, entry = found.arguments, found.entry
    operands = arguments.operands
    if arguments.tail >= 0:
        role = _tail_role(entry)
        tail = operands[arguments.tail :]
        operands = operands[: arguments.tail]
        if role == "command" and tail:
            found.commands.append(tail)
        elif tail:
            language = entry.language if role == "code-words" else "shell"
            found.programs.append(Program(language, join_words(tail), entry.shares))
            found.effects.update(_RUNS if role == "code-words" else ())
    if entry.assignments:
        found.assignments.extend(word for word in operands if is_assignment(word))
        operands = [word for word in operands if not is_assignment(word)]
    if entry.operands.first[:1] == ("module",) and operands:
        _take_module(found, operands)
        return
    for role, word in zip(_roles(found, len(operands)), operands, strict=True):
        if role != "text" and role not in TAIL_ROLES:
            take(found, role, word)
    _take_words_of_program(found, operands)
    for matches, effects in entry.words:
        if any(matches(word.text) for word in operands):
            found.effects.update(effects)
    if entry.verbs:
        found.effects.update(verb_effects(operands, listed=True, kind=entry.verbs))


def _take_words_of_program(found: Invocation, operands: list[Word]) -> None:
    """The words after a script, or after a shell's text, are those of the program itself."""
    first = found.arguments.entry.operands.first[:1]
    if len(operands) < _WITH_WORDS:
        return
    if first == ("script",):
        found.effects.update(option_effects(operands[1:]))
    elif first == ("shell",) and found.programs:
        # `sh -c 'rm "$1"' name x`: the words after the text are the name and `$1`, `$2`, …
        found.programs[-1] = replace(found.programs[-1], positional=tuple(operands[2:]))


def _take_module(found: Invocation, operands: list[Word]) -> None:
    """``python -m pip install x`` does what ``pip install x`` does, without another program."""
    entry = found.setting.catalog.find(operands[0].text)
    if entry is None or entry is found.setting.catalog.find("python"):
        found.targets += [
            Target("read", word, found.setting.cwd, _GUESSED) for word in named_files(operands[1:])
        ]
        found.effects.update(option_effects(operands[1:]))
        return
    for reading in (entry, *entry.readings):
        other = read_invocation(reading, operands[1:], found.setting)
        found.effects.update(other.effects)
        found.targets += other.targets
        found.programs += other.programs
        found.scripts += other.scripts


def _tail_role(entry: Entry) -> str:
    roles = (*entry.operands.first, entry.operands.repeated)
    return next(role for role in roles if role in TAIL_ROLES)


def _roles(found: Invocation, count: int) -> list[str]:
    operands = found.entry.operands
    for given in found.arguments.options:
        if given.option.replaces:
            operands = operands.without(given.option.replaces)
    if not operands.first and not operands.last:
        return [operands.repeated] * count
    roles = list(operands.first[:count])
    rest = count - len(roles)
    last = operands.last if rest > len(operands.last) else ()
    return [*roles, *[operands.repeated] * (rest - len(last)), *last]


def join_words(words: list[Word]) -> Word:
    """Return the text that ``eval`` or ``ssh`` makes of several words."""
    subs = tuple(index for word in words for index in word.substitutions)
    return Word(
        " ".join(word.text for word in words), all(word.known for word in words), substitutions=subs
    )


def _settle_destination(found: Invocation) -> None:
    """Turn destinations into the files that copies would make there."""
    if not found.targets:
        return
    made: list[Target] = []
    for target in found.targets:
        if target.tool != "destination":
            made.append(target)
            continue
        text = target.word.text
        names = [_base(source.text) for source in found.copied]
        folder = text.endswith("/") or text in (".", "..", "~") or len(names) > 1
        if not names:
            made.append(replace(target, tool="write"))
        elif folder:
            words = [part(target.word, f"{text.rstrip('/')}/{name}") for name in names]
            made.extend(replace(target, tool="write", word=word) for word in words)
        else:
            made.append(replace(target, tool="write", also=f"{text}/{names[0]}"))
    found.targets[:] = made


def _base(text: str) -> str:
    return text.rstrip("/").rpartition("/")[2].rpartition(":")[2] or "*"
