"""``rampart policy schema``: the JSON Schema of policy files, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from rampart.cli.options import CONTEXT, examples
from rampart.cli.terminal import visible
from rampart.errors import ConfigError


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy schema > policy.schema.json",
        "rampart policy schema --output .vscode/policy.schema.json",
    ),
)
@click.option("--output", metavar="FILE", help="Write it to a file instead.")
def schema(*, output: str | None) -> None:
    """Print the JSON Schema of policy files, for editors that complete and check YAML by one.

    With the YAML language server, the first line of a policy names it:
    `# yaml-language-server: $schema=policy.schema.json`.
    """
    from rampart.authoring.json_schema_text import schema_text

    if output is None:
        click.echo(schema_text(), nl=False)
        return
    try:
        Path(output).write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(visible(output))
