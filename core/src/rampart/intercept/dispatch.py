"""A tool call → the actions it would perform.

Each built-in tool has one reader; every other tool is an action of its own name, and what its
arguments name (files, addresses, commands, source) is derived from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rampart.budget import Budget
from rampart.errors import InputError, InputTooLarge
from rampart.intercept import params
from rampart.intercept.arguments import argument_actions, deletes_unnamed_files, sending_effects
from rampart.intercept.catalog.load import Catalog, builtin_catalog
from rampart.intercept.code import is_windows_line, source_actions
from rampart.intercept.code.languages import canonical_language
from rampart.intercept.commands import argv_actions, shell_actions
from rampart.intercept.paths import path_action
from rampart.intercept.setting import Setting
from rampart.intercept.tool_kinds import kind_effects
from rampart.intercept.tool_names import name_effects, switch_effects
from rampart.intercept.urls import fetch_action, looks_like_url, require_url
from rampart.limits import (
    ACTIONS_MAX,
    CALL_WORK_US_MAX,
    CODE_BYTES_MAX,
    COMMAND_BYTES_MAX,
    NAME_CHARS_MAX,
)
from rampart.model import Action, Host, ToolCall
from rampart.strict_json import loads

_NONE: Final[frozenset[str]] = frozenset()
_UPLOADS: Final = frozenset({"uploads"})
_BODY_NAMES: Final = frozenset({"body", "data", "json", "files", "formdata", "payload", "content"})
_ENVIRONMENT_NAMES: Final = frozenset({"env", "environment", "environ", "envvars"})
_FILE_CWD_NAMES: Final = frozenset({"cwd", "workdir", "workingdirectory"})
_INPUT_NAMES: Final = frozenset({"stdin", "input", "inputtext"})
_UNSTATED: Final = "source in an unstated language"


def intercept(call: ToolCall, host: Host, catalog: Catalog | None = None) -> tuple[Action, ...]:
    """Return what ``call`` would do, the call itself first.

    ``catalog`` knows the programs that it runs, None for the built-in one.

    Raises: InputError for a parameter that is missing, of the wrong type or ambiguous, and
    InputTooLarge for one over its limit; nothing else.
    """
    params.require_bounded(call.params, call.tool)
    budget = Budget(CALL_WORK_US_MAX, f"{call.tool}: too much to analyse: make it several calls")
    host = Host(
        host.home, host.cwd, host.workspace, host.user, host.variables, host.resolve, budget
    )
    reader = _READERS.get(call.tool, _read_custom)
    try:
        actions = reader(call, host, catalog)
    except RecursionError:
        raise InputTooLarge(f"{call.tool}: nested too deeply to be analysed") from None
    if len(actions) > ACTIONS_MAX:
        raise InputTooLarge(f"{call.tool}: more than {ACTIONS_MAX} actions")
    return tuple(actions)


# exec


def _read_exec(call: ToolCall, host: Host, catalog: Catalog | None) -> list[Action]:
    alone = len(call.params) == 1  # WHY: as in most calls; there is nothing else to look for
    cwd = "" if alone else _cwd(call, host)
    command, words = _command(call)
    if words is not None:
        text = " ".join(words)
        _require_command_size(call, text)
        actions = argv_actions(words, host, catalog=catalog, cwd=cwd)
    else:
        text = command
        _require_command_size(call, text)
        actions = shell_actions(text, host, catalog=catalog, cwd=cwd)
    if "\\" in text and is_windows_line(text):
        # WHY: a shell of Windows keeps the backslashes that this one takes away
        actions += source_actions("powershell", text, host, cwd=cwd, depth=0, catalog=catalog)
    if not alone:
        actions += _fed(call, text, host, cwd, catalog)
        _apply_environment(actions, _environment(call))
    runs = [action for action in actions if action.origin in ("command", "redirect", "call")]
    if len(runs) == 1 and runs[0].command == text:
        return actions
    return [Action("exec", "call", command=text, whole=True, grantable=False), *actions]


def _command(call: ToolCall) -> tuple[str, list[str] | None]:
    """Return the command as shell text, or as exact words."""
    if len(call.params) == 1 and "command" in call.params:
        text = call.params["command"]
        if isinstance(text, str):  # WHY: as of most calls
            return _command_text(call, "command", text), None
    found = params.one_value(call, params.COMMAND_NAMES)
    listed = params.one_value(call, params.ARGV_NAMES)
    if found is None and listed is None:
        raise InputError(f"{call.tool}: parameter `command` is missing")
    rest = _words(call, *listed) if listed is not None else []
    if found is None:
        return "", _some(call, "argv", rest)
    name, value = found
    complete = listed is not None and params.plain_name(listed[0]) == "argv"
    if isinstance(value, list | tuple):
        words = _words(call, name, value)
        if complete and rest != words:
            raise InputError(f"{call.tool}: `{name}` and `argv` say different things")
        return "", _some(call, name, words if complete else words + rest)
    text = _command_text(call, name, value)
    if complete:
        raise InputError(f"{call.tool}: `{name}` and `argv` say different things")
    return (text, None) if not rest else ("", [*text.split(), *rest])


def _command_text(call: ToolCall, name: str, value: object) -> str:
    if not isinstance(value, str):
        raise params.mistyped(call, name, value, "text or a list of texts")
    if "\0" in value:
        raise InputError(f"{call.tool}: parameter `{name}` holds a NUL")
    if not value.strip():
        # WHY: nothing to run is a mistake of the caller; a tool may run something else instead
        raise InputError(f"{call.tool}: parameter `{name}` is empty")
    return value


def _some(call: ToolCall, name: str, words: list[str]) -> list[str]:
    if not words or not words[0]:
        raise InputError(f"{call.tool}: parameter `{name}` is empty")
    return words


def _words(call: ToolCall, name: str, value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        raise params.mistyped(call, name, value, "a list of texts")
    for word in value:
        if not isinstance(word, str):
            raise params.mistyped(call, name, word, "a list of texts")
        if "\0" in word:
            raise InputError(f"{call.tool}: parameter `{name}` holds a NUL")
    return list(value)


def _require_command_size(call: ToolCall, text: str) -> None:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > COMMAND_BYTES_MAX:
        raise InputTooLarge(
            f"{call.tool}: a command of {size} bytes; the limit is {COMMAND_BYTES_MAX}"
        )


def _cwd(call: ToolCall, host: Host) -> str:
    """Return the directory in which the call runs, empty for the host's."""
    text = params.optional_text(call, params.CWD_NAMES)
    if not text:
        return ""
    return path_action("read", "argument", text, host, cwd="").path


def _fed(call: ToolCall, text: str, host: Host, cwd: str, catalog: Catalog | None) -> list[Action]:
    """Return what the command would do with a text that it is given as standard input."""
    given = params.one_value(call, _INPUT_NAMES)
    if given is None or not isinstance(given[1], str) or not given[1].strip():
        return []
    mark = "RAMPART_INPUT"
    while mark in given[1]:
        mark += "_"
    fed = f"{text} <<'{mark}'\n{given[1]}\n{mark}\n"
    _require_command_size(call, fed)
    found = shell_actions(fed, host, catalog=catalog, cwd=cwd)
    for action in found:
        action.origin = "argument"
    return found


def _environment(call: ToolCall) -> list[str]:
    given = params.one_value(call, _ENVIRONMENT_NAMES)
    if given is None:
        return []
    if isinstance(given[1], Mapping):
        pairs = [f"{key}={value}" for key, value in given[1].items()]
    elif isinstance(given[1], list | tuple) and all(isinstance(each, str) for each in given[1]):
        pairs = [each for each in given[1] if "=" in each]
    else:
        raise params.mistyped(call, given[0], given[1], "a mapping of names to values")
    return pairs


def _apply_environment(actions: list[Action], environment: list[str]) -> None:
    """Give every program of the call its environment; one that changes loading takes the grant."""
    if not environment:
        return
    changes = any(
        pair.partition("=")[0] in _LOADERS or pair.startswith(_LOADER_PREFIXES)
        for pair in environment
    )
    for action in actions:
        if action.tool == "exec":
            action.assignments = (*environment, *action.assignments)
            if changes:
                action.grantable = False
                action.effects |= {"loader-change"}


_LOADERS: Final = frozenset(
    {
        "PATH",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONHOME",
        "NODE_OPTIONS",
        "NODE_PATH",
        "PERL5LIB",
        "PERL5OPT",
    }
    | {
        "RUBYOPT",
        "RUBYLIB",
        "BASH_ENV",
        "ENV",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_EXTERNAL_DIFF",
        "PAGER",
    }
    | {
        "EDITOR",
        "VISUAL",
        "CLASSPATH",
        "JAVA_TOOL_OPTIONS",
        "SHELLOPTS",
        "IFS",
        "PS4",
        "PROMPT_COMMAND",
    }
)
_LOADER_PREFIXES: Final = ("LD_", "DYLD_", "BASH_FUNC_", "GIT_CONFIG")


# files and requests


def _read_file_call(call: ToolCall, host: Host, _catalog: Catalog | None) -> list[Action]:
    alone = len(call.params) == 1 and "path" in call.params
    cwd = "" if alone else params.optional_text(call, _FILE_CWD_NAMES)
    place = path_action("read", "argument", cwd, host, cwd="").path if cwd else ""
    actions = []
    for text in params.require_texts(call, params.PATH_NAMES, "path"):
        if looks_like_url(text) and not text.lower().startswith("file:"):
            action = fetch_action("call", text, host=host)
        else:
            action = path_action(call.tool, "call", text, host, cwd=place)
        action.params = call.params
        actions.append(action)
    return actions


def _read_fetch(call: ToolCall, host: Host, _catalog: Catalog | None) -> list[Action]:
    method = params.optional_text(call, params.METHOD_NAMES)
    body = params.one_value(call, _BODY_NAMES)
    effects = sending_effects(method) | (_UPLOADS if body is not None else _NONE)
    actions = []
    for text in params.require_texts(call, params.URL_NAMES, "url"):
        if text.strip()[:5].lower() != "file:":
            require_url(text, f"{call.tool}: parameter `url`")
        action = fetch_action("call", text, effects=effects, host=host)
        if action.tool == "read":
            action.effects |= {"local-file"}
        action.params = call.params
        actions.append(action)
    return actions


# source


def _read_code(call: ToolCall, host: Host, catalog: Catalog | None) -> list[Action]:
    place = Setting(host, catalog or builtin_catalog(), cwd=_cwd(call, host))
    stated = canonical_language(params.optional_text(call, params.LANGUAGE_NAMES))
    actions: list[Action] = []
    for language, text in _blocks(call, stated):
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if size > CODE_BYTES_MAX:
            raise InputTooLarge(
                f"{call.tool}: source of {size} bytes; the limit is {CODE_BYTES_MAX}"
            )
        actions += _source(call, language or "python", text, place, stated=bool(language))
    return actions


def _source(
    call: ToolCall, language: str, text: str, place: Setting, *, stated: bool
) -> list[Action]:
    host, catalog, cwd = place.host, place.catalog, place.cwd
    whole = Action("code", "call", command=text, params=call.params)
    if language == "shell":
        _require_command_size(call, text)
        parts = shell_actions(text, host, catalog=catalog, cwd=cwd)
        if any(part.origin in ("command", "redirect") for part in parts):
            whole.whole, whole.grantable = True, False
        return [whole, *parts]
    parts = source_actions(language, text, host, cwd=cwd, depth=0, catalog=catalog)
    opaque = next((part.opaque for part in parts if part.opaque), "")
    if opaque and not stated:
        opaque = _UNSTATED
    whole.opaque, whole.grantable = opaque, not opaque
    return [whole, *parts]


def _blocks(call: ToolCall, stated: str) -> list[tuple[str, str]]:
    """Return the source texts with their languages; a list may hold texts or code blocks."""
    found = params.one_value(call, params.CODE_NAMES)
    if found is None:
        raise InputError(f"{call.tool}: parameter `code` is missing")
    name, value = found
    items = value if isinstance(value, list | tuple) else [value]
    blocks: list[tuple[str, str]] = []
    for item in items:
        if isinstance(item, Mapping):
            inner = ToolCall(call.tool, item)
            language = canonical_language(params.optional_text(inner, params.LANGUAGE_NAMES))
            blocks.append(
                (language or stated, params.require_text(inner, params.CODE_NAMES, "code"))
            )
        elif isinstance(item, str):
            blocks.append((stated, item))
        else:
            raise params.mistyped(call, name, item, "text or a list of code blocks")
    if not any(text.strip() for _, text in blocks):
        raise InputError(f"{call.tool}: parameter `{name}` is empty")
    return blocks


# tools of other people


def _read_mcp(call: ToolCall, host: Host, catalog: Catalog | None) -> list[Action]:
    found = params.one_value(call, frozenset({"name", "toolname", "tool"}))
    if found is None or not isinstance(found[1], str) or not found[1]:
        raise InputError(f"{call.tool}: parameter `name` is missing or no text")
    name = found[1]
    if len(name) > NAME_CHARS_MAX:
        raise InputTooLarge(f"{call.tool}: a tool name of {len(name)} characters")
    return _named(call, name, _mcp_arguments(call), host, catalog)


def _mcp_arguments(call: ToolCall) -> Mapping[str, object]:
    found = params.one_value(call, frozenset({"arguments", "args", "params", "input"}))
    if found is None:
        return {}
    value = found[1]
    if isinstance(value, str):
        # WHY: models send arguments as JSON text, and servers parse it
        value = (
            loads(value.encode("utf-8", "surrogatepass"), size_bytes_max=len(value) * 4)
            if value.strip()
            else {}
        )
    if not isinstance(value, Mapping):
        raise params.mistyped(call, found[0], value, "a mapping")
    params.require_bounded(value, call.tool)
    return value


def _read_custom(call: ToolCall, host: Host, catalog: Catalog | None) -> list[Action]:
    return _named(call, call.tool, call.params, host, catalog)


def _named(
    call: ToolCall,
    name: str,
    arguments: Mapping[str, object],
    host: Host,
    catalog: Catalog | None,
) -> list[Action]:
    """Return the call itself, with what its tool's name says, and what its arguments name."""
    found = argument_actions(name, arguments, host, catalog)
    effects = name_effects(name) | kind_effects(name)
    if not any(each.tool == "delete" for each in found):  # WHY: a path is judged as a path
        effects |= switch_effects(name, arguments)
    if deletes_unnamed_files(name, found):
        effects |= {"irreversible", "guessed"}
    return [Action(call.tool, "call", params=call.params, effects=effects), *found]


_READERS: Final[dict[str, Callable[[ToolCall, Host, Catalog | None], list[Action]]]] = {
    "exec": _read_exec,
    "read": _read_file_call,
    "write": _read_file_call,
    "edit": _read_file_call,
    "delete": _read_file_call,
    "fetch": _read_fetch,
    "code": _read_code,
    "mcp": _read_mcp,
}
