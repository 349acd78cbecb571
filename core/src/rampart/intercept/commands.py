"""A parsed command line → the actions it would perform.

Every simple command becomes an ``exec`` action; what its program does with files, hosts and other
programs becomes argument actions, as far as the catalog knows; commands that it runs are read in
turn. A reading is never a guess that loosens: what is not understood makes the action opaque.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rampart.errors import InputTooLarge
from rampart.intercept.catalog.load import Catalog, builtin_catalog
from rampart.intercept.flow import Line, add_source, stands_alone
from rampart.intercept.invocation import Invocation, Program
from rampart.intercept.paths import path_action
from rampart.intercept.programs import (
    changes_loading,
    exec_action,
    guessed_effects,
    guessed_reads,
    is_integration,
    note_sources,
    resolve_program,
    unknown_program,
)
from rampart.intercept.readers import FROM_INPUT
from rampart.intercept.readings import read_entry
from rampart.intercept.setting import NO_INPUT, Input, Setting
from rampart.intercept.shell import parse
from rampart.intercept.shell.model import Command, Script, Word
from rampart.limits import (
    ACTIONS_MAX,
    COMMAND_BYTES_MAX,
    PATH_BYTES_MAX,
    SHELL_DEPTH_MAX,
    SHELL_NESTED_CHARS_MAX,
)
from rampart.model import Action, Host

Positional = tuple[Word, ...] | None

SHEBANGS: Final = (
    ("python", "python"),
    ("node", "node"),
    ("perl", "perl"),
    ("ruby", "ruby"),
    ("php", "php"),
)
DATA_LANGUAGES: Final = frozenset({"sql", ""})
"""Languages whose programs are data for a service: unknown input to them is ordinary."""

_COMMAND_US: Final = 20  # what reading a command costs, beside its words and what it does
_CHARS_PER_US: Final = 4  # what parsing costs
_INNER_TEXT_US: Final = 15  # what a text inside the text costs, however short
_INNER_CHARS_PER_US: Final = 3  # of a text inside the text, which is read and followed

_DEFINITION: Final = re.compile(r"\(\)\s{0,8}\{")
_NAME_BEFORE: Final = re.compile(r"([\w:.-]{1,64})\s{0,8}\Z")

RUN_TIME_TEXT: Final = "runs text that is only known at run time"
PIPED_PROGRAM: Final = "reads its program from a pipe"
DOWNLOADED: Final = "runs a file that this line downloads"
UNKNOWN_OPTION: Final = "a launcher's option is not understood"


def command_actions(
    script: Script,
    host: Host,
    *,
    catalog: Catalog | None = None,
    cwd: str | None = "",
    depth: int = 0,
) -> list[Action]:
    """Return what a parsed command line would do, in the order of its commands.

    ``cwd`` is the directory in which it starts: empty for the host's, None if it cannot be known.
    ``depth`` counts the texts around this one. Raises: InputTooLarge beyond SHELL_DEPTH_MAX or
    ACTIONS_MAX.
    """
    return script_actions(script, Setting(host, catalog or builtin_catalog(), cwd=cwd, depth=depth))


def shell_actions(
    text: str, host: Host, *, catalog: Catalog | None = None, cwd: str | None = "", depth: int = 0
) -> list[Action]:
    """Return what shell text would do. Raises as ``command_actions``."""
    return _text_actions(text, Setting(host, catalog or builtin_catalog(), cwd=cwd, depth=depth))


def argv_actions(
    argv: Sequence[str],
    host: Host,
    *,
    catalog: Catalog | None = None,
    cwd: str | None = "",
    depth: int = 0,
) -> list[Action]:
    """Return what starting a program with exactly these words would do. Raises likewise."""
    setting = Setting(host, catalog or builtin_catalog(), cwd=cwd, depth=depth)
    return read_command([Word(text) for text in argv], setting) if argv else []


@dataclass(frozen=True, slots=True)
class Lines:
    """Reads the command lines that a source starts, with the catalog in force."""

    catalog: Catalog

    def shell_actions(self, text: str, host: Host, *, cwd: str | None, depth: int) -> list[Action]:
        """Return what shell text would do."""
        return shell_actions(text, host, catalog=self.catalog, cwd=cwd, depth=depth)

    def command_actions(
        self, script: Script, host: Host, *, cwd: str | None, depth: int
    ) -> list[Action]:
        """Return what parsed commands would do."""
        return command_actions(script, host, catalog=self.catalog, cwd=cwd, depth=depth)


def script_actions(script: Script, setting: Setting) -> list[Action]:
    """Return what a parsed text does in ``setting``."""
    if setting.depth > SHELL_DEPTH_MAX:
        raise InputTooLarge(f"commands nested deeper than {SHELL_DEPTH_MAX}")
    commands = script.commands
    if len(commands) == 1 and not script.opaque and stands_alone(commands[0]):
        command = commands[0]
        if command.variables:
            setting = setting.changed(variables=command.variables)
        found = read_command(list(command.words), setting)
        if len(found) > ACTIONS_MAX:
            raise InputTooLarge(f"a command that does more than {ACTIONS_MAX} things")
        add_source(found, command)
        return found
    return Line(script, setting, read_command, _assignment_actions).actions()


def read_command(words: list[Word], setting: Setting) -> list[Action]:
    """Return the ``exec`` action of one command and what its program does with its words."""
    if setting.host.budget is not None:
        setting.host.budget.spend(_COMMAND_US + len(words))
    first = words[0]
    if not first.known or (first.glob and first.text not in ("[", "[[")):
        if len(words) == 1 and setting.depth and first.substitutions and is_integration(setting):
            return []
        return [unknown_program(words, setting)]
    name, normal, real = resolve_program(first.text)
    action = exec_action(words, name, normal, setting)
    action.grantable = action.grantable and real
    entry = setting.catalog.find(name)
    found = [action]
    if entry is None:
        action.effects = setting.inherited
        if len(words) > 1:
            action.effects |= guessed_effects(words[1:])
        if setting.paths:
            found += guessed_reads(words[1:], setting)
    else:
        _finish(read_entry(entry, words[1:], setting), action, found)
    if not real and setting.paths:
        _run_file(first, action, setting, found)
    return found


def _finish(invocation: Invocation, action: Action, found: list[Action]) -> None:
    """Add what the invocation does to ``found``; ``action`` is the command's own."""
    setting, entry = invocation.setting, invocation.entry
    if invocation.inert == "help":
        action.effects = setting.inherited
        return
    if invocation.reads_program:
        _read_program(invocation, action)
    for word in invocation.assignments:
        name, _, value = word.text.partition("=")
        found += variable_actions(
            name, Word(value, word.known, word.source), setting, listed_only=False
        )
        action.assignments += (word.text,)
    action.effects = frozenset(invocation.effects) | setting.inherited
    # WHY: a grant for `git *` is none for the code that `git -c core.fsmonitor=…` loads
    action.grantable = action.grantable and not invocation.loads
    arguments = invocation.actions()
    found += arguments
    note_sources(invocation, action, arguments)
    for word in invocation.scripts:
        found += _script_actions(invocation, word, action)
    if not (invocation.commands or invocation.programs):
        return
    if entry.launches and invocation.arguments.unknown:
        action.opaque = f"{UNKNOWN_OPTION}: {invocation.arguments.unknown}"
    inner = _inner_setting(invocation, action)
    for words in invocation.commands:
        found += read_command(words, inner)
    for program in invocation.programs:
        if program.is_output:
            action.opaque = RUN_TIME_TEXT
        found += _program_actions(program, inner)
    if len(found) > ACTIONS_MAX:  # WHY: here, as commands that run several others may be nested
        raise InputTooLarge(f"a command that does more than {ACTIONS_MAX} things")


def _inner_setting(invocation: Invocation, action: Action) -> Setting:
    setting, entry = invocation.setting, invocation.entry
    if setting.depth >= SHELL_DEPTH_MAX:
        raise InputTooLarge(f"commands nested deeper than {SHELL_DEPTH_MAX}")
    assignments = tuple(word.text for word in invocation.assignments) if entry.assignments else ()
    return setting.changed(
        depth=setting.depth + 1,
        inherited=setting.inherited | entry.inner,
        paths=setting.paths and not entry.fresh,
        grantable=setting.grantable and not action.opaque and not changes_loading(setting),
        assignments=assignments,
        input=_inner_input(invocation),
    )


def _inner_input(invocation: Invocation) -> Input:
    if "raw-socket" in invocation.effects:
        return Input(fed=True)  # WHY: the other side of a connection types into what it is given
    return NO_INPUT if invocation.reads_program else invocation.setting.input


def _program_actions(program: Program, setting: Setting) -> list[Action]:
    text = program.text
    if not text.known:
        setting = setting.changed(grantable=False)
    if program.language == "crontab":
        text = replace(text, text=_crontab_commands(text.text))
    if program.language in ("shell", "crontab"):
        if "$" in text.text and setting.variables and not program.shares:
            # WHY: a variable that is not exported is empty in another shell, so both readings count
            return _both_readings(text.text, setting, program.positional)
        return _text_actions(text.text, setting, program.positional)
    from rampart.intercept.code import source_actions  # WHY: source code holds commands in turn

    found = source_actions(
        program.language,
        text.text,
        setting.host,
        catalog=setting.catalog,
        cwd=setting.cwd,
        depth=setting.depth,
    )
    for action in found:
        action.effects |= setting.inherited
        action.grantable = action.grantable and setting.grantable
    return found


def _both_readings(text: str, setting: Setting, positional: Positional) -> list[Action]:
    plain = {name: word for name, word in setting.variables.items() if name.isidentifier()}
    found = _text_actions(text, setting.changed(variables={}), positional)
    if plain:
        unsure = setting.changed(variables=plain, grantable=False)
        found += _text_actions(text, unsure, positional)
    return found


def _is_fork_bomb(text: str) -> bool:
    """True for a function that does nothing but start itself twice."""
    if "()" not in text:
        return False
    for found in _DEFINITION.finditer(text):
        name = _NAME_BEFORE.search(text[max(0, found.start() - 72) : found.start()])
        body = "".join(text[found.end() : found.end() + 200].split())
        if name is not None and body.startswith((f"{name[1]}|{name[1]}&", f"{name[1]}&{name[1]}&")):
            return True
    return False


def _crontab_commands(table: str) -> str:
    """Return the shell text of a crontab's lines, without their five fields of time."""
    lines: list[str] = []
    for line in table.splitlines():
        fields = line.split(None, 5 if not line.lstrip().startswith("@") else 1)
        if fields and not fields[0].startswith("#"):
            lines.append(fields[-1] if "=" not in fields[0] else line)
    return "\n".join(lines)


def _text_actions(text: str, setting: Setting, positional: Positional = None) -> list[Action]:
    if len(text) > COMMAND_BYTES_MAX:
        raise InputTooLarge(
            f"shell text of {len(text)} characters; the limit is {COMMAND_BYTES_MAX} bytes"
        )
    if len(text) * (setting.depth + 1) > SHELL_NESTED_CHARS_MAX:
        raise InputTooLarge(f"shell text of {len(text)} characters at depth {setting.depth}")
    host = setting.host
    if host.budget is not None:
        host.budget.spend(len(text) // _CHARS_PER_US + (_INNER_TEXT_US if setting.depth else 0))
    cwd = setting.cwd or ("" if setting.cwd is None else host.cwd)
    script = parse(
        text,
        variables=setting.variables,
        positional=positional,
        home=host.home,
        cwd=cwd,
        depth=setting.depth,
    )
    if host.budget is not None:
        host.budget.spend(script.inner_chars // _INNER_CHARS_PER_US)
    found = script_actions(script, setting)
    if _is_fork_bomb(text):
        effects = setting.inherited | {"exhausts"}
        found.append(Action("exec", "command", command=text, effects=effects, grantable=False))
    return found


def _read_program(invocation: Invocation, action: Action) -> None:
    """An interpreter without a program of its own runs what it reads."""
    given, language = invocation.setting.input, invocation.entry.language
    if given.text is not None:
        invocation.programs.append(Program(language, Word(given.text)))
        invocation.effects.add("runs-code")
    elif given.file is not None:
        invocation.scripts.append(given.file)
        invocation.effects.add("runs-code")
    elif given.fed:
        invocation.effects.add("reads-input-as-code")
        if language not in DATA_LANGUAGES:
            action.opaque = PIPED_PROGRAM


def _script_actions(invocation: Invocation, word: Word, action: Action) -> list[Action]:
    """Return the read of a script; one that this line fetched makes the command opaque."""
    setting, text = invocation.setting, word.text
    written = setting.files.get(text)
    if text.startswith("<("):
        if is_integration(setting):
            return []
        if written is None or written.text is None:
            action.opaque = PIPED_PROGRAM
            action.effects |= {"reads-input-as-code"}
        else:
            invocation.programs.append(Program(invocation.entry.language, Word(written.text)))
        return []
    if not word.known and (word.substitutions or text == FROM_INPUT.text):
        action.opaque = RUN_TIME_TEXT
    elif text.startswith(("/dev/fd/", "/proc/self/fd/")):
        action.opaque = PIPED_PROGRAM
    if not setting.paths:
        return []
    return _executed(word, action, setting, invocation)


def _executed(
    word: Word, action: Action, setting: Setting, invocation: Invocation | None
) -> list[Action]:
    if len(word.text) > PATH_BYTES_MAX:
        return []
    effects = setting.inherited | {"executes"}
    read = path_action(
        "read",
        "argument",
        word.text,
        setting.host,
        cwd=setting.cwd,
        known=word.known,
        effects=effects,
    )
    written = setting.written(read.path)
    if written is not None and written.fetches:
        action.opaque = DOWNLOADED
        action.effects |= {"runs-downloaded"}
        action.upstream = (*action.upstream, *written.fetches)
    elif written is not None and written.text is not None and invocation is not None:
        invocation.programs.append(Program(invocation.entry.language, Word(written.text)))
    return [read]


def _run_file(word: Word, action: Action, setting: Setting, found: list[Action]) -> None:
    """Add what a program named by its path does: its file may be one that this line wrote."""
    found += _executed(word, action, setting, None)
    written = setting.files.get(found[-1].path)
    if written is not None and written.text is not None and not written.fetches:
        head = written.text.partition("\n")[0]
        language = (
            next((name for mark, name in SHEBANGS if mark in head), "shell")
            if head[:2] == "#!"
            else "shell"
        )
        found += _program_actions(
            Program(language, Word(written.text)), setting.changed(depth=setting.depth + 1)
        )


def _assignment_actions(command: Command, setting: Setting) -> list[Action]:
    found: list[Action] = []
    for name, word in command.assignments:
        # WHY: a variable of the shell alone is no business of a policy, unless programs look at it
        found += variable_actions(name, word, setting, listed_only=not command.words)
    return found


def variable_actions(name: str, word: Word, setting: Setting, *, listed_only: bool) -> list[Action]:
    """Return the action of setting one variable, and what its value makes programs run."""
    option = setting.catalog.variables.get(name)
    if option is None and listed_only:
        return []
    text = f"{name}={word.text}"
    action = Action("exec", "assignment", command=text, assignments=(text,), grantable=word.known)
    action.effects = setting.inherited
    if option is None:
        return [action]
    action.effects |= option.effects
    for matches, effects in option.values:
        if matches(word.text):
            action.effects |= effects
    found = [action]
    if option.role == "shell" and word.text:
        inner = setting.inside(depth=setting.depth + 1, input=NO_INPUT)
        found += _program_actions(Program("shell", word), inner)
    return found
