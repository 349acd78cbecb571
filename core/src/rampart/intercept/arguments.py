"""What the arguments of a tool that nobody knows name: files, addresses, commands, source.

Everything found here has the origin ``argument``: it tightens, and takes no default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rampart.errors import InputTooLarge
from rampart.intercept import hints, params
from rampart.intercept.catalog.load import Catalog
from rampart.intercept.code import source_actions
from rampart.intercept.code.languages import canonical_language
from rampart.intercept.commands import shell_actions
from rampart.intercept.paths import path_action
from rampart.intercept.urls import fetch_action, looks_like_url
from rampart.limits import ACTIONS_MAX, CODE_BYTES_MAX, COMMAND_BYTES_MAX
from rampart.model import Action, Host

_NONE: Final[frozenset[str]] = frozenset()
_SAYS: Final = {
    **dict.fromkeys(params.LANGUAGE_NAMES, "language"),
    **dict.fromkeys(params.METHOD_NAMES, "method"),
    **dict.fromkeys(("command", "action", "operation"), "command"),
    **dict.fromkeys(("cwd", "workdir", "workingdir", "workingdirectory"), "cwd"),
    **dict.fromkeys(("recursive", "recurse", "rf", "tree"), "recursive"),
}
"""Parameters that say something about the others, and what."""
_METHODS: Final[Mapping[str, frozenset[str]]] = {
    "POST": frozenset({"uploads"}),
    "PUT": frozenset({"uploads"}),
    "PATCH": frozenset({"uploads"}),
    "DELETE": frozenset({"irreversible", "remote"}),
}


def sending_effects(method: str) -> frozenset[str]:
    """Return the effects of a request by its method."""
    return _METHODS.get(method.strip().upper(), _NONE)


def deletes_unnamed_files(tool: str, found: list[Action]) -> bool:
    """True if ``tool`` deletes files that no path here names: by an identifier, or elsewhere."""
    if not hints.deletes_files(tool):
        return False
    return hints.is_elsewhere(tool) or not any(each.tool == "delete" for each in found)


_TEXT_US: Final = 8  # what finding out what a text is costs
_CHARS_PER_US: Final = 100


def argument_actions(
    tool: str, arguments: Mapping[str, object], host: Host, catalog: Catalog | None = None
) -> list[Action]:
    """Return what the arguments of ``tool`` name; ``catalog`` is None for the built-in one.

    Raises: InputError, InputTooLarge.
    """
    found: list[Action] = []
    around = _around(tool, arguments, host)
    for key, text in params.strings(arguments):
        if host.budget is not None:
            host.budget.spend(_TEXT_US + len(text) // _CHARS_PER_US)
        if not text:
            continue
        found += _derive(around, key, text, host, catalog)
        if len(found) > ACTIONS_MAX:
            raise InputTooLarge(f"{tool}: more than {ACTIONS_MAX} actions")
    for action in found:
        if action.origin in ("call", "command", "redirect"):
            action.origin = "argument"
        action.whole = False
    return found


@dataclass(slots=True)
class _Around:
    """What stands around one string argument of an unknown tool."""

    tool: str
    language: str = ""
    command: str = ""
    cwd: str = ""
    effects: frozenset[str] = _NONE  # of what other arguments say: a method, a whole tree


def _around(tool: str, arguments: Mapping[str, object], host: Host) -> _Around:
    said: dict[str, str] = {}
    for key, value in arguments.items():
        about = _SAYS.get(params.plain_name(key))
        if about == "recursive":
            if value:
                said[about] = "yes"
        elif about and isinstance(value, str):
            said.setdefault(about, value)
    if not said:  # WHY: of most calls
        return _Around(tool)
    cwd = said.get("cwd")
    effects = sending_effects(said.get("method", ""))
    return _Around(
        tool,
        canonical_language(said.get("language", "")),
        said.get("command", ""),
        path_action("read", "argument", cwd, host, cwd="").path if cwd else "",
        effects | {"recursive"} if "recursive" in said else effects,
    )


def _derive(
    given: _Around, key: str, text: str, host: Host, catalog: Catalog | None
) -> list[Action]:
    tool = given.tool
    if hints.is_command(tool, key, text):
        return _derived_command(given, key, text, host, catalog)
    language = hints.language_of(tool, key, text, given.language)
    if language:
        if len(text) > CODE_BYTES_MAX:
            raise InputTooLarge(f"{tool}: `{key}` is source of over {CODE_BYTES_MAX} bytes")
        if language == "shell":
            return _derived_command(given, key, text, host, catalog)
        return source_actions(language, text, host, cwd=given.cwd, depth=0, catalog=catalog)
    if looks_like_url(text) and "\n" not in text.strip():
        return [fetch_action("argument", text, effects=given.effects, host=host)]
    if hints.is_url_key(key) and hints.is_address(text):
        return [fetch_action("argument", text, effects=given.effects, host=host)]
    if (hints.is_path_key(key) and "\n" not in text) or hints.is_plain_path(text):
        kind = hints.file_tool(tool, key, given.command)
        effects = hints.effects_of(tool) | given.effects
        return [path_action(kind, "argument", text, host, cwd=given.cwd, effects=effects)]
    return []


def _derived_command(
    given: _Around, key: str, text: str, host: Host, catalog: Catalog | None
) -> list[Action]:
    if len(text) > COMMAND_BYTES_MAX:
        raise InputTooLarge(f"{given.tool}: `{key}` is over {COMMAND_BYTES_MAX} bytes")
    whole = Action("exec", "argument", command=text, grantable=False)
    actions = shell_actions(text, host, catalog=catalog, cwd=given.cwd)
    program = hints.program_of(given.tool)
    if program and text.split(maxsplit=1)[:1] != [program]:
        # WHY: `kubectl` with `delete ns prod` gets the words after the program's name
        full = f"{program} {text}"
        actions += shell_actions(full, host, catalog=catalog, cwd=given.cwd)
    runs = [action for action in actions if action.origin == "command"]
    return actions if len(runs) == 1 and runs[0].command == text else [whole, *actions]
