"""Findings: what a source text was seen to do, collected as actions of origin ``code``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rampart.errors import InputError, InputTooLarge
from rampart.intercept.paths import path_action
from rampart.intercept.shell.model import Command, Script, Word
from rampart.intercept.urls import fetch_action
from rampart.limits import ACTIONS_MAX, SHELL_DEPTH_MAX
from rampart.model import Action, Host

# LIMIT: what one source may do, by the work it makes: a path 1, an address 4, a line 10.
_WEIGHT_MAX: Final = 2000
_URL_WEIGHT: Final = 4
_LINE_WEIGHT: Final = 10

NONE: Final[frozenset[str]] = frozenset()


class LineReader(Protocol):
    """Reads the command lines that a source starts: ``rampart.intercept.commands``."""

    def shell_actions(
        self, text: str, host: Host, *, cwd: str | None, depth: int
    ) -> Sequence[Action]:
        """Return what shell text would do."""
        ...

    def command_actions(
        self, script: Script, host: Host, *, cwd: str | None, depth: int
    ) -> Sequence[Action]:
        """Return what parsed commands would do."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A value of the source: its text, with ``$unknown`` for each part that only the run knows."""

    text: str
    known: bool = True


UNKNOWN: Final = Text("$unknown", known=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a source text would run, and who reads the command lines that it starts.

    ``cwd`` is empty for the call's own directory and None if it cannot be known.
    """

    host: Host
    cwd: str | None
    depth: int
    lines: LineReader


class Findings:
    """Collects actions; every method takes values as far as the source shows them."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.actions: list[Action] = []
        self._weight = 0

    def path(self, tool: str, value: Text, effects: frozenset[str] = NONE) -> None:
        """Add the use of a file."""
        setting = self.setting
        try:
            action = path_action(
                tool,
                "code",
                value.text,
                setting.host,
                cwd=setting.cwd,
                known=value.known,
                effects=effects,
            )
        except InputError as error:
            self.opaque(f"{tool} {value.text[:80]}", error.message)
            return
        self._add(action)

    def url(self, value: Text, effects: frozenset[str] = NONE) -> None:
        """Add a request; what was read before in the same source may be in it."""
        self._weigh(_URL_WEIGHT)
        try:
            action = fetch_action(
                "code", value.text, effects=effects, known=value.known, host=self.setting.host
            )
        except InputError as error:
            self.opaque(f"fetch {value.text[:80]}", error.message)
            return
        self._add(action)

    def shell(self, value: Text, cwd: str | None = "") -> None:
        """Add a command line that a shell runs."""
        if not value.known and value.text.strip() == UNKNOWN.text:
            self.program_unknown(value.text)
            return
        if self._too_deep():
            return
        setting = self.setting
        self._add_lines(
            setting.lines.shell_actions(
                value.text, setting.host, cwd=self._place(cwd), depth=setting.depth + 1
            )
        )

    def argv(self, words: Sequence[Text], cwd: str | None = "") -> None:
        """Add a program that is started with exactly these words."""
        if not words or (not words[0].known and words[0].text == UNKNOWN.text):
            self.program_unknown(" ".join(word.text for word in words))
            return
        if self._too_deep():
            return
        command = Command(
            words=tuple(Word(word.text, known=word.known, source=word.text) for word in words),
            source=" ".join(word.text for word in words),
        )
        setting = self.setting
        self._add_lines(
            setting.lines.command_actions(
                Script((command,)), setting.host, cwd=self._place(cwd), depth=setting.depth + 1
            )
        )

    def directory(self, value: Text) -> str | None:
        """Return the directory that a program is started in, None if it cannot be known."""
        setting = self.setting
        try:
            found = path_action("read", "code", value.text, setting.host, cwd=setting.cwd)
        except InputError:
            return None
        return found.path if value.known and found.grantable else None

    def program_unknown(self, text: str) -> None:
        """Add a program start of which nothing is known."""
        reason = "source starts a program that is only known at run time"
        self._add(Action("exec", "code", command=text, opaque=reason, grantable=False))

    def note(self, what: str, effects: frozenset[str], *, grantable: bool = True) -> None:
        """Add something that has effects and no path, host or program."""
        self._add(Action("code", "code", command=what, effects=effects, grantable=grantable))

    def count_source(self) -> None:
        """Count one source text inside another. Raises: InputTooLarge if there are too many."""
        self._weigh(_LINE_WEIGHT)

    def opaque(self, what: str, reason: str, effects: frozenset[str] = NONE) -> None:
        """Add something of which it cannot be known what it does."""
        action = Action("code", "code", command=what, effects=effects, opaque=reason)
        action.grantable = False
        self._add(action)

    def extend(self, actions: Sequence[Action]) -> None:
        """Add actions found by another reader."""
        for action in actions:
            self._add(action)

    def result(self) -> list[Action]:
        """Return the actions; requests know what the same source reads."""
        reads = tuple(action for action in self.actions if action.tool == "read")
        if reads:
            for action in self.actions:
                if action.tool == "fetch" and not action.upstream:
                    action.upstream = reads
        return self.actions

    def _place(self, cwd: str | None) -> str | None:
        return self.setting.cwd if cwd == "" else cwd

    def _add_lines(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if action.origin != "argument":
                action.origin = "code"
        if len(self.actions) + len(actions) > ACTIONS_MAX:
            raise InputTooLarge(f"source that does more than {ACTIONS_MAX} things")
        self.actions += actions

    def _too_deep(self) -> bool:
        self._weigh(_LINE_WEIGHT)
        if self.setting.depth < SHELL_DEPTH_MAX:
            return False
        self.opaque("", "source nested too deeply")
        return True

    def _weigh(self, weight: int) -> None:
        self._weight += weight
        if self._weight > _WEIGHT_MAX:
            raise InputTooLarge("source that does more than can be looked at")

    def _add(self, action: Action) -> None:
        self._weigh(1)
        if len(self.actions) >= ACTIONS_MAX:
            raise InputTooLarge(f"source that does more than {ACTIONS_MAX} things")
        self.actions.append(action)
