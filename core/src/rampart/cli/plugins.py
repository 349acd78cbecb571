"""``rampart plugins``: what is installed, and what is broken."""

from __future__ import annotations

import click

from rampart.cli.options import CONTEXT, examples, json_option
from rampart.cli.terminal import print_json, visible
from rampart.errors import PluginError


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart plugins",
        "rampart plugins --json",
    ),
)
@json_option
def plugins(*, as_json: bool) -> None:
    """List the installed plugins.

    A plugin that cannot be used is named with its error, and the exit code is 70: decisions are
    denied until it is repaired or removed.
    """
    from rampart.plugins import installed_plugins

    found = installed_plugins().installed
    if as_json:
        print_json(
            [
                {
                    "name": plugin.name,
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "error": plugin.error,
                }
                for plugin in found
            ]
        )
    elif not found:
        click.echo("no plugins are installed")
    else:
        for plugin in found:
            state = f"cannot be used: {visible(plugin.error)}" if plugin.error else "ok"
            source = visible(f"{plugin.distribution} {plugin.version}".strip())
            click.echo(f"{visible(plugin.name):20}  {source:30}  {state}")
    if any(plugin.error for plugin in found):
        click.get_current_context().exit(PluginError.exit_code)
