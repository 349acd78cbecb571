"""``rampart preload``: run a program whose commands are checked."""

from __future__ import annotations

import os
from typing import Any, Final

import click
from rampart.config import PORT_DEFAULT, load_settings

from rampart_preload.launcher import Launch, launch

_CONTEXT: Final = {
    "help_option_names": ["-h", "--help"],
    "allow_interspersed_args": False,  # WHY: what follows the program's name is the program's
}


@click.command(context_settings=_CONTEXT)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help=f"Port for rampart serve (must match rampart serve --port)  [default: {PORT_DEFAULT}]",
)
@click.option("--token", help="Auth token (or set RAMPART_TOKEN)")
@click.option(
    "--mode",
    type=click.Choice(["enforce", "monitor", "disabled"]),
    default="enforce",
    show_default=True,
    envvar="RAMPART_MODE",
    help="Mode: enforce, monitor, or disabled",
)
@click.option(
    "--fail-open",
    type=click.BOOL,
    is_flag=False,
    flag_value=True,
    default=True,
    show_default=True,
    envvar="RAMPART_FAIL_OPEN",
    help="Allow commands if Rampart is unreachable (fail-safe mode)",
)
@click.option(
    "--agent",
    default="preload",
    show_default=True,
    envvar="RAMPART_AGENT",
    help="Agent name for audit events",
)
@click.option("--session", envvar="RAMPART_SESSION", help="Session ID  [default: preload-{pid}]")
@click.option(
    "--debug", is_flag=True, envvar="RAMPART_DEBUG", help="Enable debug logging in the library"
)
@click.option("--socket", metavar="PATH", help="Local socket of a running service")
@click.option("--policy", metavar="FILE", help="A policy file, in a service for this run only")
@click.option("--profile", metavar="NAME", help="A built-in policy, in a service for this run only")
@click.option("--data-dir", metavar="DIR", help="Where Rampart keeps its things (RAMPART_HOME).")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def preload(
    *,
    command: tuple[str, ...],
    session: str | None,
    data_dir: str | None,
    policy: str | None,
    profile: str | None,
    **given: Any,
) -> int:
    """Run a command with librampart.so preloaded.

    Every program that it starts, directly or through others, is asked about first. It uses the
    service that runs (`rampart serve`); if none does, one is started and ends with the command.

    \b
    Exit codes:
      126    the command was blocked by policy, or cannot be executed
      127    the command was not found
      128+N  it was ended by signal N
      other  the command's own

    \b
    Examples:
      rampart preload -- python my_agent.py
      rampart preload --mode monitor -- node agent.js
      rampart preload --fail-open=false --profile strict -- bash
    """  # noqa: D301 - click's mark for a paragraph that is not wrapped
    if policy and profile:
        raise click.UsageError("--profile and --policy exclude each other")
    before = click.get_current_context().find_root().obj
    directory = data_dir or (before if isinstance(before, str) else None)
    settings = load_settings(data_dir=directory, policy=policy, profile=profile)
    wanted = Launch(
        command=command,
        settings=settings,
        own_policy=bool(policy or profile),
        session=session or f"preload-{os.getpid()}",
        **given,
    )
    return launch(wanted)
