"""``rampart audit report``: a page that says what agents did."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rampart.cli.audit_read import new_file, statistics_of
from rampart.cli.options import CONTEXT, data_dir_option, examples, settings_of
from rampart.cli.records import filter_options
from rampart.cli.terminal import visible

if TYPE_CHECKING:
    from rampart.audit.report import Integrity

_NAMES: Final = ("tool", "agent", "session", "run", "since", "until")


@click.command(
    "report",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit report",
        "rampart audit report --since 7d --output week.html --title 'Last week'",
    ),
)
@click.option(
    "--output", metavar="FILE", default="rampart-report.html", show_default=True, help="A new file."
)
@click.option("--title", default="What the agents did", show_default=True, help="Of the page.")
@click.option("--no-verify", is_flag=True, help="Do not check the log first.")
@filter_options("tool", "agent", "session", "run")
@data_dir_option
def report(**given: Any) -> None:
    """Write one HTML page with charts: decisions, rules, agents, tools, latency, integrity.

    The page loads nothing and runs nothing, and may be mailed. It holds what agents did: commands
    and paths, as the log has them. The log as a whole is verified, whichever records are shown.
    """
    from importlib import metadata

    from rampart.audit.report import render

    found = statistics_of(given)
    directory = settings_of(given["data_dir"]).audit_dir
    integrity = _integrity(directory, asked=not given["no_verify"])
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    page = render(
        found,
        integrity,
        title=given["title"],
        made=f"Rampart {metadata.version('rampart-core')}, {now}, from {directory}",
        which=_which(given),
    )
    with new_file(given["output"]) as target:
        target.write(page.encode("utf-8", "backslashreplace"))
    click.echo(f"{visible(str(Path(given['output']).absolute()))}  {found.records} records")


COMMANDS: Final = (report,)


def _integrity(directory: Path, *, asked: bool) -> Integrity:
    from rampart.audit.report import Integrity
    from rampart.audit.verify import verify_log

    if not asked:
        return Integrity()
    found = verify_log(directory)
    where = str(found.where) if found.where else ""
    return Integrity(found.verdict, found.records, found.reason, where, found.head)


def _which(given: dict[str, Any]) -> str:
    parts = []
    for name in _NAMES:
        value = given[name]
        if value:
            parts.append(f"{name} {value if isinstance(value, str) else ', '.join(value)}")
    return f"only {'; '.join(parts)}" if parts else ""
