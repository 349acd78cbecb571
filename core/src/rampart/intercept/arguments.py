"""What the arguments of a tool that nobody knows name: files, addresses, commands, source.

Everything found here has the origin ``argument``: it tightens, and takes no default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rampart.errors import InputTooLarge
from rampart.intercept import hints, params
from rampart.intercept.code import source_actions
from rampart.intercept.code.languages import canonical_language
from rampart.intercept.commands import shell_actions
from rampart.intercept.paths import path_action
from rampart.intercept.urls import fetch_action, looks_like_url
from rampart.limits import ACTIONS_MAX, CODE_BYTES_MAX, COMMAND_BYTES_MAX
from rampart.model import Action, Host


def argument_actions(tool: str, arguments: Mapping[str, object], host: Host) -> list[Action]:
    """Return what the arguments of ``tool`` name.

    Raises: InputError, InputTooLarge.
    """
    found: list[Action] = []
    language = canonical_language(_named_text(arguments, params.LANGUAGE_NAMES))
    command = _named_text(arguments, frozenset({"command", "action", "operation"}))
    cwd = _argument_cwd(arguments, host)
    for key, text in params.strings(arguments):
        if not text:
            continue
        found += _derive(_Argument(tool, key, text, language, command, cwd), host)
        if len(found) > ACTIONS_MAX:
            raise InputTooLarge(f"{tool}: more than {ACTIONS_MAX} actions")
    for action in found:
        if action.origin in ("call", "command", "redirect"):
            action.origin = "argument"
        action.whole = False
    return found


@dataclass(frozen=True, slots=True)
class _Argument:
    """One string argument of an unknown tool, and what stands around it."""

    tool: str
    key: str
    text: str
    language: str
    command: str
    cwd: str


def _derive(given: _Argument, host: Host) -> list[Action]:
    tool, key, text = given.tool, given.key, given.text
    if hints.is_command(tool, key, text):
        return _derived_command(given, host)
    language = hints.language_of(tool, key, text, given.language)
    if language:
        if len(text) > CODE_BYTES_MAX:
            raise InputTooLarge(f"{tool}: `{key}` is source of over {CODE_BYTES_MAX} bytes")
        if language == "shell":
            return _derived_command(given, host)
        return source_actions(language, text, host, cwd=given.cwd, depth=0)
    if looks_like_url(text) and "\n" not in text.strip():
        return [fetch_action("argument", text, host=host)]
    if hints.is_url_key(key) and hints.is_address(text):
        return [fetch_action("argument", text, host=host)]
    if (hints.is_path_key(key) and "\n" not in text) or hints.is_plain_path(text):
        kind = hints.file_tool(tool, key, given.command)
        effects = hints.effects_of(tool)
        return [path_action(kind, "argument", text, host, cwd=given.cwd, effects=effects)]
    return []


def _derived_command(given: _Argument, host: Host) -> list[Action]:
    if len(given.text) > COMMAND_BYTES_MAX:
        raise InputTooLarge(f"{given.tool}: `{given.key}` is over {COMMAND_BYTES_MAX} bytes")
    whole = Action("exec", "argument", command=given.text, grantable=False)
    actions = shell_actions(given.text, host, cwd=given.cwd)
    runs = [action for action in actions if action.origin == "command"]
    return actions if len(runs) == 1 and runs[0].command == given.text else [whole, *actions]


def _named_text(arguments: Mapping[str, object], names: frozenset[str]) -> str:
    for key, value in arguments.items():
        if params.plain_name(key) in names and isinstance(value, str):
            return value
    return ""


def _argument_cwd(arguments: Mapping[str, object], host: Host) -> str:
    text = _named_text(arguments, frozenset({"cwd", "workdir", "workingdir", "workingdirectory"}))
    return path_action("read", "argument", text, host, cwd="").path if text else ""
