"""A tool call from a command line, for the commands that say what would be decided about it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from rampart.model import ToolCall

F = TypeVar("F", bound=Callable[..., Any])

EXIT_CODES: Final = {"allow": 0, "watch": 0, "deny": 1, "ask": 3}
_NAMES: Final = ("command", "tool", "params", "cwd", "agent", "session")


def call_options(function: F) -> F:
    """Add the options that describe one call, and the argument ``COMMAND…``."""
    for option in (
        click.argument("command", nargs=-1, type=click.UNPROCESSED),
        click.option("--session", default="", help="In which session."),
        click.option("--agent", default="", help="Who asks."),
        click.option("--home", metavar="DIR", help="Whose files `~` means; else yours."),
        click.option("--cwd", metavar="DIR", help="Where the call is made; else here."),
        click.option(
            "--param",
            "params",
            metavar="NAME=VALUE",
            multiple=True,
            help="A parameter of the tool; NAME:=JSON for what is not text.",
        ),
        click.option("--tool", default="exec", show_default=True, help="The tool that is called."),
    ):
        function = option(function)
    return function


def call_of(given: Mapping[str, Any]) -> ToolCall:
    """Return the call that the options describe. Raises: click.UsageError."""
    command, tool, texts, cwd, agent, session = (given[name] for name in _NAMES)
    params = dict(_param(text) for text in texts)
    if len(params) != len(texts):
        raise click.UsageError("a parameter is given twice")
    if command:
        if tool != "exec" or "command" in params:
            raise click.UsageError("a COMMAND goes with the tool exec, and only once")
        params["command"] = command[0] if len(command) == 1 else shlex.join(command)
    elif not params:
        raise click.UsageError("nothing to check: give a COMMAND, or --param")
    return ToolCall(
        tool,
        params,
        agent=agent,
        session=session,
        cwd=os.path.abspath(cwd or "."),  # noqa: PTH100 - text; `..` is not followed
    )


def call_text(call: ToolCall) -> str:
    """Return the call as one line that a person recognises."""
    text = call.params.get("command") if call.tool == "exec" else None
    return text if isinstance(text, str) else f"{call.tool} {json.dumps(dict(call.params))}"


def _param(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name.rstrip(":"):
        raise click.UsageError(f"--param {text!r}: NAME=VALUE is needed")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError as error:
        raise click.UsageError(f"--param {text!r}: not JSON: {error}") from None
