"""Which program a command names, and its ``exec`` action in normal form."""

from __future__ import annotations

from typing import Final

from rampart.intercept.catalog.model import NONE
from rampart.intercept.invocation import Invocation
from rampart.intercept.options import HELP_OPTIONS
from rampart.intercept.paths import normalize, path_action
from rampart.intercept.roles import FORGES, address_of
from rampart.intercept.setting import Setting
from rampart.intercept.shell.model import Word
from rampart.intercept.urls import looks_like_url
from rampart.intercept.verbs import named_files, option_effects, verb_effects
from rampart.limits import PATH_BYTES_MAX
from rampart.model import EMPTY, Action

SYSTEM_DIRECTORIES: Final = frozenset(
    {
        "/bin",
        "/sbin",
        "/usr/bin",
        "/usr/sbin",
        "/usr/local/bin",
        "/usr/local/sbin",
        "/opt/homebrew/bin",
    }
)
_WORDS_MIN: Final = 2  # a verb says something only together with what it is about
RUN_TIME_PROGRAM: Final = "the program's name is only known at run time"


def resolve_program(text: str) -> tuple[str, str, bool]:
    """Return a program's bare name, its normal form, and whether it is the real program."""
    if "/" not in text:
        return text, text, True
    if text.startswith("@"):  # a scoped package, which a package runner starts
        head, _, name = text.partition("/")
        return f"{head}/{name.partition('@')[0]}", text, False
    path = normalize(text, cwd=None, home="/").path if "/." in text or "//" in text else text
    folder, _, name = path.rpartition("/")
    if folder in SYSTEM_DIRECTORIES:
        return name, name, True
    return name, text, False


def exec_action(words: list[Word], name: str, normal: str, setting: Setting) -> Action:
    """Return the action of running a program with these words."""
    argv = tuple([word.text for word in words])
    known = True
    for word in words:
        if not word.known:
            known = False
    written = " ".join(argv)
    command = written if normal == argv[0] else " ".join((normal, *argv[1:]))
    return Action(
        "exec",
        "command",
        command=command,
        program=name,
        argv=argv,
        assignments=setting.assignments,
        spellings=() if command is written else (written,),
        params=EMPTY,
        grantable=known and setting.grantable and not changes_loading(setting),
    )


_INTEGRATIONS: Final = frozenset(
    {"init", "hook", "shellenv", "activate", "completion", "completions", "env", "--alias", "-s"}
    | {"shell.bash", "shell.zsh", "shell.posix", "path", "-b", "--sh", "--eval", "docker-env"}
)


def is_integration(setting: Setting) -> bool:
    """True if the text to run is what an installed program prints to set up a shell.

    ``eval "$(pyenv init -)"`` runs nothing that running ``pyenv`` does not; the program itself is
    an action of its own.
    """
    if len(setting.upstream) != 1:
        return False
    source = setting.upstream[0]
    return (
        source.tool == "exec"
        and resolve_program(source.argv[0])[2]
        and not source.assignments
        and not any("$" in word or "`" in word for word in source.argv)
        and not source.opaque
        and not source.upstream
        and source.argv[1:2] != ()
        and source.argv[1] in _INTEGRATIONS
        and _is_listed(source.program, setting)
    )


def _is_listed(program: str, setting: Setting) -> bool:
    """True if the catalog itself lists the program: an addition does not make it trusted."""
    entry = setting.catalog.find(program)
    return entry is not None and not entry.added


def unknown_program(words: list[Word], setting: Setting) -> Action:
    """Return the action of running a program whose name only the run knows."""
    argv = tuple(word.text for word in words)
    return Action(
        "exec",
        "command",
        command=" ".join(argv),
        argv=argv,
        assignments=setting.assignments,
        effects=setting.inherited,
        opaque=RUN_TIME_PROGRAM,
        grantable=False,
    )


def changes_loading(setting: Setting) -> bool:
    """True if an assignment in front of the command changes what code it loads."""
    if not setting.assignments:
        return False
    variables = setting.catalog.variables
    for assignment in setting.assignments:
        option = variables.get(assignment.partition("=")[0])
        if option is not None and "loader-change" in option.effects:
            return True
    return False


def guessed_effects(words: list[Word]) -> frozenset[str]:
    """Return the effects that the words of a program outside of the catalog announce."""
    texts = {word.text for word in words}
    if texts & HELP_OPTIONS:
        return NONE
    found = option_effects(words)
    if len(words) < _WORDS_MIN:
        return found
    operands = [word for word in words if not word.text.startswith("-")]
    return found | verb_effects(operands, listed=False)


def note_sources(invocation: Invocation, action: Action, arguments: list[Action]) -> None:
    """Mark what is fetched to be run: ``npx https://…``, and a package that the line downloads."""
    for words in invocation.commands:
        if words and _is_address(words[0]):
            action.effects |= {"foreign-source"}
    if "installs" not in action.effects:
        return
    for each in arguments:
        written = invocation.setting.written(each.path) if each.tool == "read" else None
        if written is not None and written.fetches:
            action.effects |= {"runs-downloaded"}


def _is_address(word: Word) -> bool:
    text = address_of(word.text)
    return text.startswith(FORGES) or (looks_like_url(text) and not text.startswith("file:"))


def guessed_reads(words: list[Word], setting: Setting) -> list[Action]:
    """Return reads of the files that a program outside of the catalog is given by name."""
    effects = setting.inherited | {"guessed"}
    return [
        path_action(
            "read",
            "argument",
            word.text,
            setting.host,
            cwd=setting.cwd,
            known=word.known,
            effects=effects,
        )
        for word in named_files(words)
        if len(word.text) <= PATH_BYTES_MAX
    ]
