"""``rampart token``: the tokens of the service."""

from __future__ import annotations

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, settings_of
from rampart.tokens import ensure_token


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        'export RAMPART_TOKEN="$(rampart token --eval)"',
        'curl -H "Authorization: Bearer $(rampart token)" http://127.0.0.1:9090/v1/approvals',
    ),
)
@click.option(
    "--eval", "evaluate", is_flag=True, help="The token for agents: it can ask, never approve."
)
@data_dir_option
def token(*, evaluate: bool, data_dir: str | None) -> None:
    """Print the service's token; it is made at first use.

    The token of people may do everything. Agents get the one of --eval.
    """
    click.echo(ensure_token(settings_of(data_dir), "eval" if evaluate else "admin"))
