"""The examples of a catalog entry: command lines, and what each of them does.

An example is a line and a list of what it must do: an effect (``irreversible``), an effect that it
must not have (``-irreversible``), an action (``read src``, ``exec rm x``, ``fetch URL``),
``exec`` for a further program, ``opaque``, or ``nothing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rampart.intercept.catalog.load import Catalog
from rampart.intercept.catalog.vocabulary import EFFECTS
from rampart.intercept.commands import shell_actions
from rampart.model import Action, Host

HOST: Final = Host(home="/home/user", cwd="/workspace", workspace="/workspace", user="user")
"""Where examples run: ``~`` is this home, and relative paths are of this workspace."""

_TOOLS: Final = frozenset({"read", "write", "delete", "fetch", "exec"})


def example_problem(line: str, expected: Sequence[str], catalog: Catalog) -> str:
    """Return what is wrong with an example, or nothing. Raises: InputError, InputTooLarge."""
    actions = shell_actions(line, HOST, catalog=catalog)
    for item in expected:
        problem = _problem(item, actions)
        if problem:
            return problem
    return "" if expected else "it says nothing about what the line does"


def _problem(item: str, actions: Sequence[Action]) -> str:
    effects = frozenset[str]().union(*(action.effects for action in actions))
    opaque = [action.opaque for action in actions if action.opaque]
    things = [_shown(action) for action in actions]
    did = f"expected `{item}`; it does: {', '.join([*things, *sorted(effects), *opaque])}"
    if item == "nothing":
        changes = [
            action
            for action in actions
            if action.origin in ("argument", "code") and action.tool in ("write", "delete")
        ]
        return did if effects or changes or opaque else ""
    if item == "opaque":
        return "" if opaque else did
    if item == "exec":
        return "" if len([action for action in actions if action.tool == "exec"]) > 1 else did
    if " " in item and item.partition(" ")[0] in _TOOLS:
        return "" if item.rstrip("/") in {thing.rstrip("/") for thing in things} else did
    if item.removeprefix("-") not in EFFECTS:
        return f"`{item}` is neither an effect nor an action"
    if item.startswith("-"):
        return did if item[1:] in effects else ""
    return "" if item in effects else did


def _shown(action: Action) -> str:
    """Return an action in the words of the examples."""
    if action.tool == "exec":
        return f"exec {action.command}"
    if action.tool == "fetch":
        return f"fetch {action.url.rstrip('/')}"
    path = action.path.removeprefix("/workspace/").replace("/home/user", "~")
    return f"{action.tool} {path}"
