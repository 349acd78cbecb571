"""What one command does: paths, addresses, programs and effects, collected word by word.

Effects depend on all words, so the collection becomes actions only at the end: each argument action
carries the effects of the whole command.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rampart.errors import InputTooLarge
from rampart.intercept.catalog.model import NONE, Entry
from rampart.intercept.options import Arguments
from rampart.intercept.paths import path_action
from rampart.intercept.setting import Setting
from rampart.intercept.shell.model import Word
from rampart.intercept.urls import fetch_action
from rampart.limits import ACTIONS_MAX, PATH_BYTES_MAX
from rampart.model import Action

_READS: Final = frozenset({"read", "fetch"})
_READ_IN_PARTS: Final = frozenset({"", "sql", "shell", "crontab", "awk", "sed"})
"""Languages of which text from elsewhere is ordinary, or is read with its parts unknown."""


@dataclass(frozen=True, slots=True)
class Program:
    """Source text that the command runs: shell text or another language's."""

    language: str  # "shell" or another
    text: Word
    shares: bool = False  # it runs in the shell that holds the command, with all its variables
    positional: tuple[Word, ...] | None = None  # what `$1`, `$2`, … are, if that is known

    @property
    def is_output(self) -> bool:
        """True for source that is all output of another command: ``perl -e "$(curl …)"``."""
        word = self.text
        return (
            self.language not in _READ_IN_PARTS
            and not word.known
            and len(word.substitutions) == 1
            and word.text.startswith(("$(", "`"))
            and word.text.endswith((")", "`"))
        )


@dataclass(slots=True)
class Target:
    """A path or an address, before the effects of the whole command are known."""

    tool: str
    word: Word
    cwd: str | None
    effects: frozenset[str] = NONE
    also: str = ""  # another path that could be meant


@dataclass(slots=True)
class Invocation:
    """What one command does."""

    entry: Entry
    arguments: Arguments
    setting: Setting
    effects: set[str] = field(default_factory=set)
    targets: list[Target] = field(default_factory=list)
    copied: list[Word] = field(
        default_factory=list
    )  # sources, for the names they get in a destination
    programs: list[Program] = field(default_factory=list)
    scripts: list[Word] = field(default_factory=list)
    commands: list[list[Word]] = field(default_factory=list)  # the words of commands that it runs
    assignments: list[Word] = field(default_factory=list)
    loads: bool = False  # an option changes which code the program runs
    reads_program: bool = False  # it takes its program from standard input

    def add(self, tool: str, word: Word, effects: frozenset[str] = NONE) -> None:
        """Note the use of a path or an address."""
        self.targets.append(Target(tool, word, self.setting.cwd, effects))

    @property
    def inert(self) -> str:
        """``help`` or ``dry-run`` when nothing is changed."""
        return self.arguments.inert

    def actions(self) -> list[Action]:
        """Return the argument actions; ``effects`` must be complete.

        Raises: InputTooLarge for more than ACTIONS_MAX.
        """
        if not self.targets or self.inert == "help":
            return []
        if len(self.targets) > ACTIONS_MAX:
            raise InputTooLarge(f"a command with more than {ACTIONS_MAX} operands")
        effects = frozenset(self.effects) | self.setting.inherited
        found: list[Action] = []
        for target in self.targets:
            if self.inert and target.tool not in _READS:
                continue
            action = self._action(target, effects | target.effects)
            if action is not None:
                found.append(action)
        return found

    def _action(self, target: Target, effects: frozenset[str]) -> Action | None:
        word, setting = target.word, self.setting
        if target.tool == "fetch":
            action = fetch_action(
                "argument", word.text, effects=effects, known=word.known, host=setting.host
            )
        elif not setting.paths or len(word.text) > PATH_BYTES_MAX:
            return None  # WHY: the kernel refuses a longer name, so nothing happens to a file
        else:
            action = _path(target, word.text, setting, effects)
            if target.also:
                other = _path(target, target.also, setting, effects)
                action.spellings += (other.path, *other.spellings)
        action.grantable = action.grantable and setting.grantable
        return action


def _path(target: Target, text: str, setting: Setting, effects: frozenset[str]) -> Action:
    known = target.word.known
    return path_action(
        target.tool, "argument", text, setting.host, cwd=target.cwd, known=known, effects=effects
    )
