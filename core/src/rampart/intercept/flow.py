"""One line's commands in relation: pipes, substitutions, redirections, files between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from rampart.errors import InputTooLarge
from rampart.intercept.output import Outputs, find_targets, listed_names
from rampart.intercept.paths import path_action
from rampart.intercept.setting import NO_INPUT, Input, Setting, Written
from rampart.intercept.shell.model import Command, Redirect, Script, Word
from rampart.intercept.urls import fetch_action
from rampart.limits import ACTIONS_MAX, PATH_BYTES_MAX
from rampart.model import Action

Reader = Callable[[list[Word], Setting], list[Action]]
Assigner = Callable[[Command, Setting], list[Action]]

_SILENT: Final = frozenset(
    {
        "/dev/null",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
        "/dev/tty",
        "/dev/fd/0",
        "/dev/fd/1",
        "/dev/fd/2",
        "-",
    }
)
_LISTING_FILTERS: Final = frozenset(
    ["grep", "egrep", "fgrep", "head", "tail", "sort", "uniq", "cat", "sed", "tee", "shuf"]
)


class Line:
    """The commands of one parsed text. ``read`` and ``assign`` read words and assignments."""

    def __init__(self, script: Script, setting: Setting, read: Reader, assign: Assigner) -> None:
        self.script = script
        self.setting = setting
        self.read = read
        self.assign = assign
        self.outputs = Outputs(script)
        self.files: dict[str, Written] = dict(setting.files)
        self.done: dict[int, list[Action]] = {}

    def actions(self) -> list[Action]:
        """Return the actions of all commands in order. Raises: InputTooLarge over ACTIONS_MAX."""
        found: list[Action] = []
        for index in range(len(self.script.commands)):
            found += self._of(index)
            if len(found) > ACTIONS_MAX:
                raise InputTooLarge(f"a command line that does more than {ACTIONS_MAX} things")
        if self.script.opaque:
            text = "; ".join(command.source for command in self.script.commands)
            found.append(
                Action("exec", "command", command=text, opaque=self.script.opaque, grantable=False)
            )
        return found

    def _of(self, index: int) -> list[Action]:
        known = self.done.get(index)
        if known is not None:
            return known
        command = self.script.commands[index]
        upstream = self._upstream(index)
        setting = self._setting(index, upstream)
        found: list[Action] = []
        if command.assignments:
            found += self.assign(command, setting)
        if command.redirects:
            found += self._redirects(command, setting)
        if command.words:
            found += self.read(list(command.words), setting)
            add_source(found, command)
        if upstream:
            for action in found:
                action.upstream = (*action.upstream, *upstream) if action.upstream else upstream
        self.done[index] = found
        if len(self.script.commands) > 1:
            self._note_files(index, found, upstream)
        return found

    def _upstream(self, index: int) -> tuple[Action, ...]:
        """Return the actions that command ``index`` reads from, one step up."""
        command = self.script.commands[index]
        sources = list(command.upstream)
        for word in command.words:
            if word.substitutions:
                sources += word.substitutions
        for _, word in command.assignments:
            sources += word.substitutions
        for redirect in command.redirects:
            sources += redirect.target.substitutions
        found: list[Action] = []
        for source in dict.fromkeys(sources):
            # INVARIANT: a parsed command reads only from earlier ones, so this ends
            if source < index:
                found += self._of(source) or self._upstream(source)
        return tuple(found)

    def _setting(self, index: int, upstream: tuple[Action, ...]) -> Setting:
        command = self.script.commands[index]
        base = self.setting
        feeds = command.upstream or command.redirects
        if not (
            upstream
            or feeds
            or command.assignments
            or command.cwd != ""
            or command.variables
            or self.files
        ):
            return base
        assignments: tuple[str, ...] = ()
        if command.assignments and command.words:
            assignments = tuple([f"{name}={word.text}" for name, word in command.assignments])
        return Setting(  # WHY: `replace` takes five times as long
            base.host,
            base.catalog,
            _directory(base.cwd, command.cwd),
            base.depth,
            base.inherited,
            base.paths,
            base.grantable,
            self._input(index) if feeds else base.input,
            upstream,
            command.variables,
            assignments,
            self._with_substitutions(command),
        )

    def _with_substitutions(self, command: Command) -> dict[str, Written]:
        """Return the files written so far; process substitutions count as files."""
        files = self.files
        for word in command.words:
            if len(word.substitutions) == 1 and word.text.startswith("<("):
                files = {
                    **files,
                    word.text: Written((), self.outputs.of(word.substitutions[0])),
                }
        return files

    def _input(self, index: int) -> Input:
        command = self.script.commands[index]
        for redirect in reversed(command.redirects):
            if redirect.op in ("<", "<>") and redirect.fd in (None, 0):
                if redirect.target.text in ("/dev/null", "/dev/stdin", "/dev/tty"):
                    return NO_INPUT
                return Input(fed=True, file=redirect.target)
        text = self.outputs.given(index)
        if text is not None:
            return Input(text=text, fed=True)
        here = any(redirect.op in ("<<", "<<-", "<<<") for redirect in command.redirects)
        if command.upstream or here:
            return Input(fed=True, words=self._listed(command.upstream))
        return self.setting.input

    def _listed(self, upstream: tuple[int, ...], depth: int = 8) -> tuple[Word, ...]:
        """Return patterns for the names that a listing upstream prints."""
        if len(upstream) != 1 or depth == 0:
            return ()
        command = self.script.commands[upstream[0]]
        name = command.words[0].text.rpartition("/")[2] if command.words else ""
        if name in ("find", "gfind"):
            return find_targets(command.words[1:])
        if name in ("ls", "gls", "dir"):
            return listed_names(command.words[1:])
        return self._listed(command.upstream, depth - 1) if name in _LISTING_FILTERS else ()

    def _redirects(self, command: Command, setting: Setting) -> list[Action]:
        found: list[Action] = []
        for redirect in command.redirects:
            found += redirect_actions(redirect, redirect.target, setting)
        return found

    def _note_files(self, index: int, found: list[Action], upstream: tuple[Action, ...]) -> None:
        """Remember the files this command writes, where they come from, and known text."""
        writes = [
            action
            for action in found
            if action.tool == "write" and action.origin in ("redirect", "argument")
        ]
        if not writes:
            return
        fetches, text = self._origin(found, upstream)
        if (
            any(">" in redirect.op for redirect in self.script.commands[index].redirects)
            or text is None
        ):
            shown = self.outputs.printed(index)
            text = shown if shown is not None else text
        if fetches or text is not None:
            for action in writes:
                written = Written(fetches, text)
                for path in (action.path, *action.spellings):
                    self.files[path] = written

    def _origin(
        self, found: list[Action], upstream: tuple[Action, ...]
    ) -> tuple[tuple[Action, ...], str | None]:
        """Return the fetches that what is written comes from, and its text if a copy is known."""
        fetches: list[Action] = []
        text: str | None = None
        budget = self.setting.host.budget
        for action in everything_behind((*found, *upstream)):
            if budget is not None:
                budget.spend(1)  # WHY: each of a thousand `tee` in a row looks at all before it
            if action.tool == "fetch":
                fetches.append(action)
            elif action.tool == "read" and (earlier := self.files.get(action.path)) is not None:
                fetches += earlier.fetches
                text = earlier.text
        return tuple(fetches), text


def everything_behind(actions: Iterable[Action]) -> Iterator[Action]:
    """Yield the actions and all that stand upstream of them, each once."""
    pending, seen = list(actions), set[int]()
    while pending:
        action = pending.pop()
        if id(action) not in seen:
            seen.add(id(action))
            yield action
            pending += action.upstream


def _directory(base: str | None, changed: str | None) -> str | None:
    """Return the directory after earlier ``cd``; a relative one is that of an unknown start."""
    if changed == "":
        return base
    return changed if changed is not None and changed.startswith("/") else None


def stands_alone(command: Command) -> bool:
    """True for words alone: no pipe, redirection, assignment, substitution, or `cd` before."""
    if (
        command.redirects
        or command.assignments
        or command.upstream
        or command.cwd != ""
        or not command.words
    ):
        return False
    for word in command.words:  # noqa: SIM110 - a generator costs three times as much here
        if word.substitutions:
            return False
    return True


def add_source(found: list[Action], command: Command) -> None:
    """Add the command as it was written to the spellings of its action."""
    for action in found:
        if action.tool == "exec" and action.origin == "command":
            if command.source and command.source != action.command:
                action.spellings = (*action.spellings, command.source)
            return


def redirect_actions(redirect: Redirect, target: Word, setting: Setting) -> list[Action]:
    """Return what one redirection does: nothing for descriptors, streams and here-documents."""
    op, text = redirect.op, target.text
    if op.startswith("<<") or text in _SILENT or text[:2] in ("<(", ">("):
        return []
    if op in (">&", "<&") and (text.rstrip("-").isdigit() or not target.known):
        return []
    if text.startswith(("/dev/tcp/", "/dev/udp/")):
        protocol, _, rest = text[5:].partition("/")
        address = f"{protocol}://{rest.replace('/', ':', 1)}"
        effects = setting.inherited | {"raw-socket", "network-file"}
        return [
            fetch_action(
                "redirect", address, effects=effects, known=target.known, host=setting.host
            )
        ]
    if not setting.paths or len(text) > PATH_BYTES_MAX:
        return []
    tools = ("read",) if op in ("<", "<&") else ("read", "write") if op == "<>" else ("write",)
    return [
        path_action(
            tool,
            "redirect",
            text,
            setting.host,
            cwd=setting.cwd,
            known=target.known,
            effects=setting.inherited,
        )
        for tool in tools
    ]
