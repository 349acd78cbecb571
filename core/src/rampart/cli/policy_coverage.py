"""``rampart policy coverage``: which rules nothing ever reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option, settings_of
from rampart.cli.terminal import print_json, visible

if TYPE_CHECKING:
    from rampart.authoring.coverage import Covered
    from rampart.cli.policy_files import Target


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy coverage",
        "rampart policy coverage policy.yaml --no-log --require-all",
        "rampart policy coverage --profile standard --json",
    ),
)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--profile", metavar="NAME", help="A built-in policy.")
@click.option("--log", "log", metavar="DIR", help="The audit log; else the data directory's.")
@click.option("--no-log", is_flag=True, help="Leave out the recorded calls.")
@click.option("--require-all", is_flag=True, help="Exit with 1 if a rule was not reached.")
@json_option
@data_dir_option
def coverage(
    *,
    files: tuple[str, ...],
    profile: str | None,
    log: str | None,
    no_log: bool,
    require_all: bool,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Say which rules no example, no test and no recorded call ever reached.

    A rule that nothing reaches is either not needed, or not tested. Recorded calls are decided once
    more, by the policy as it is now. Exit codes: 0, and with --require-all 1 if there is one.
    """
    from rampart.cli.policy_files import load_target, named

    directory = None if no_log else Path(log) if log else settings_of(data_dir).audit_dir
    found = [
        each
        for name in named(files, profile, data_dir)
        for each in _covered(load_target(name), directory)
    ]
    missed = [each for each in found if not each.reached]
    if as_json:
        data = [_as_data(each) for each in found]
        print_json({"rules": len(found), "reached": len(found) - len(missed), "coverage": data})
    else:
        for each in missed:
            name = f"{each.policy}/{each.rule}"
            click.echo(f"{visible(each.where)}: {visible(name)} was never reached")
        click.echo(f"{len(found) - len(missed)} of {len(found)} rules reached")
    click.get_current_context().exit(1 if require_all and missed else 0)


def _covered(target: Target, directory: Path | None) -> tuple[Covered, ...]:
    import time

    from rampart.authoring.coverage import coverage_of
    from rampart.authoring.replay import replay
    from rampart.authoring.trial import play
    from rampart.cli.policy_log import recorded_calls
    from rampart.cli.policy_test import cases_of
    from rampart.hosts import HostFacts
    from rampart.plugins import installed_plugins

    plugins, now = installed_plugins(), time.time()
    calls = recorded_calls(directory) if directory else []
    replayed = replay(
        calls,
        target.policies,
        hosts=HostFacts(follow_links=False),
        plugins=plugins,
        listens=True,
    )
    return coverage_of(
        target.document,
        target.stage(),
        tests=[
            play(case, target.policies, now=now, plugins=plugins).reached
            for case in cases_of(target)
        ],
        recorded=(each.reached for each in replayed),
    )


def _as_data(covered: Covered) -> dict[str, object]:
    return {
        "policy": covered.policy,
        "rule": covered.rule,
        "where": covered.where,
        "examples": covered.examples,
        "tests": covered.tests,
        "recorded": covered.recorded,
        "reached": covered.reached,
    }
