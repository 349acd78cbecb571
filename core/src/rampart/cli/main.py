"""The ``rampart`` program: which commands there are, and how errors end it."""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from rampart.cli.options import CONTEXT, examples, help_if_alone
from rampart.cli.terminal import complain, visible
from rampart.errors import EXIT_USAGE, PluginError, RampartError

EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141

# name: module, the function in it. WHY: a module is imported when its command is, so that
# `rampart --version` does not pay for a web server.
_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "allow": ("rampart.cli.overrides", "allow"),
    "approve": ("rampart.cli.approvals", "approve"),
    "audit": ("rampart.cli.audit", "audit"),
    "block": ("rampart.cli.overrides", "block"),
    "check": ("rampart.cli.check", "check"),
    "deny": ("rampart.cli.approvals", "deny"),
    "explain": ("rampart.cli.explain", "explain"),
    "pending": ("rampart.cli.approvals", "pending"),
    "plugins": ("rampart.cli.plugins", "plugins"),
    "policy": ("rampart.cli.policy", "policy"),
    "rules": ("rampart.cli.overrides", "rules"),
    "serve": ("rampart.cli.serve", "serve"),
    "token": ("rampart.cli.token", "token"),
    "tools": ("rampart.cli.tools", "tools"),
}


class Program(click.Group):
    """The built-in commands, and those that plugins bring."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every command's name."""
        return sorted({*_COMMANDS, *_plugin_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, imported now."""
        if cmd_name in _COMMANDS:
            module, function = _COMMANDS[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), function)
            return command
        return _plugin_commands().get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends it without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(EXIT_INTERRUPTED) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            raise click.UsageError(f"there is no command {args[0]!r}", ctx) from None


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        click.echo(f"rampart {visible(metadata.version('rampart-core'))}")
        ctx.exit()


@click.group(
    cls=Program,
    invoke_without_command=True,
    context_settings=CONTEXT,
    epilog=examples(
        "rampart serve                          run the decision service",
        "rampart check -- rm -rf /              what would be decided?",
        "rampart explain -- rm -rf /            and why?",
        "rampart pending; rampart approve ID    answer an agent's question",
        "rampart audit tail -f                  watch decisions as they are made",
    ),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version and exit.",
)
@click.option(
    "--data-dir",
    metavar="DIR",
    help="Where Rampart keeps its things (RAMPART_HOME, else ~/.rampart).",
)
@click.pass_context
def program(ctx: click.Context, data_dir: str | None) -> None:
    """Decide what AI agents may do, and keep a record of it."""
    ctx.obj = data_dir
    help_if_alone(ctx)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit."""
    logging.getLogger("rampart").addHandler(_Complaints(logging.WARNING))
    code = run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _abandon_output()
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code. Errors are told on standard error, in one line."""
    try:
        result: Any = program.main(
            None if arguments is None else list(arguments),
            prog_name="rampart",
            standalone_mode=False,
        )
    except RampartError as error:
        complain(error.message, error.help)
        return error.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "rampart"
        complain(error.format_message(), f"`{path} --help` says more")
        return EXIT_USAGE
    except click.ClickException as error:
        complain(error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _abandon_output()
    return result if isinstance(result, int) else 0


class _Complaints(logging.Handler):
    _last = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        detail = f": {type(error).__name__}: {error}" if error else ""
        message = record.getMessage() + detail
        if message != self._last:  # a batch may meet the same trouble in every line
            self._last = message
            complain(message)


@functools.cache
def _plugin_commands() -> dict[str, click.Command]:
    from rampart.plugins import installed_plugins

    found: dict[str, click.Command] = {}
    try:
        for plugin, command in installed_plugins().commands():
            name = getattr(command, "name", None)
            if not isinstance(command, click.Command) or not name:
                complain(f"plugin {plugin}: {command!r} is not a command")
            elif name in _COMMANDS or name in found:
                complain(f"plugin {plugin}: there is a command `{name}` already")
            else:
                found[name] = command
    except PluginError as error:
        complain(error.message, error.help)
    return found


def _abandon_output() -> int:
    # WHY: the interpreter flushes once more when it ends, and would complain about the closed pipe
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
