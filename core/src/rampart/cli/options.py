"""Options that several commands share, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from rampart.config import Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])
CONTEXT: Final = {"help_option_names": ["-h", "--help"]}


def examples(*lines: str) -> str:
    """Return an epilogue that shows how a command is used."""
    # WHY: \\b alone on a line keeps click from joining the lines of a paragraph
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def help_if_alone(ctx: click.Context) -> None:
    """Show a family's help where none of its commands is named."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def data_dir_option(function: F) -> F:
    """Add ``--data-dir``."""
    return click.option(
        "--data-dir",
        metavar="DIR",
        help="Where Rampart keeps its things (RAMPART_HOME, else ~/.rampart).",
    )(function)


def policy_options(function: F) -> F:
    """Add ``--profile`` and ``--policy``."""
    function = click.option("--policy", metavar="FILE", help="A policy file (RAMPART_POLICY).")(
        function
    )
    return click.option(
        "--profile", metavar="NAME", help="A built-in policy (RAMPART_PROFILE, else standard)."
    )(function)


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def settings_of(
    data_dir: str | None, *, profile: str | None = None, policy: str | None = None
) -> Settings:
    """Return the settings in force; ``--data-dir`` may stand before or after the command."""
    if profile and policy:
        raise click.UsageError("--profile and --policy exclude each other")
    before = click.get_current_context().find_root().obj
    return load_settings(
        data_dir=data_dir or (before if isinstance(before, str) else None),
        policy=policy,
        profile=profile,
    )
