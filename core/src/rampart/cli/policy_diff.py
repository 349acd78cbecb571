"""``rampart policy diff``: what changes between two policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option, settings_of
from rampart.cli.terminal import print_json, verdict_word, visible

if TYPE_CHECKING:
    from rampart.authoring.comparison import Change, Group
    from rampart.cli.policy_files import Target

_SHOWN: Final = 3
_LINE_CHARACTERS: Final = 100


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy diff policy.yaml policy.new.yaml",
        "rampart policy diff standard strict",
        "rampart policy diff --no-log --json old.yaml new.yaml",
    ),
)
@click.argument("before")
@click.argument("after")
@click.option("--log", "log", metavar="DIR", help="The audit log; else the data directory's.")
@click.option("--no-log", is_flag=True, help="Leave out the recorded calls.")
@json_option
@data_dir_option
def diff(
    *,
    before: str,
    after: str,
    log: str | None,
    no_log: bool,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Say which calls the policy AFTER answers otherwise than BEFORE: files, or profiles.

    Compared are the recorded calls of the audit log, the examples of both, calls made from the
    patterns of their rules, and the command lines of the catalog. No difference is no proof that
    there is none. Exit codes: 0 nothing became looser, 1 something did.
    """
    from rampart.authoring.comparison import grouped
    from rampart.cli.policy_files import load_target

    one, other = load_target(before), load_target(after)
    directory = None if no_log else Path(log) if log else settings_of(data_dir).audit_dir
    groups = grouped(_changes(one, other, directory))
    looser = sum(len(group.changes) for group in groups if group.looser)
    stricter = sum(len(group.changes) for group in groups if not group.looser)
    if as_json:
        data = [_as_data(group) for group in groups]
        print_json({"looser": looser, "stricter": stricter, "groups": data})
    else:
        for group in groups:
            _print(group)
        click.echo(f"{looser} calls looser, {stricter} stricter")
    click.get_current_context().exit(1 if looser else 0)


def _changes(one: Target, other: Target, directory: Path | None) -> list[Change]:
    from rampart.authoring.comparison import changes_of

    found = list(changes_of(one.stage(), other.stage()))
    return [*_recorded_changes(one, other, directory), *found] if directory else found


def _recorded_changes(one: Target, other: Target, directory: Path) -> list[Change]:
    from rampart.authoring.comparison import Change
    from rampart.authoring.replay import replay
    from rampart.authoring.samples import described
    from rampart.authoring.stage import Sample
    from rampart.cli.policy_log import recorded_calls
    from rampart.hosts import HostFacts
    from rampart.plugins import installed_plugins

    calls, plugins = recorded_calls(directory), installed_plugins()
    hosts = HostFacts(follow_links=False)
    pairs = zip(
        replay(calls, one.policies, hosts=hosts, plugins=plugins),
        replay(calls, other.policies, hosts=hosts, plugins=plugins),
        strict=True,
    )
    return [
        Change(
            described(Sample(first.recorded.call)),
            f"record {first.recorded.id}",
            first.decision,
            second.decision,
        )
        for first, second in pairs
        if first.decision.action != second.decision.action
    ]


def _as_data(group: Group) -> dict[str, object]:
    return {
        "looser": group.looser,
        "before": {"decision": group.before[0], "by": group.before[1]},
        "after": {"decision": group.after[0], "by": group.after[1]},
        "calls": [{"call": each.text, "origin": each.origin} for each in group.changes],
    }


def _print(group: Group) -> None:
    kind = "LOOSER" if group.looser else "stricter"
    was, now = verdict_word(group.before[0]), verdict_word(group.after[0])
    count = f"{len(group.changes)} call" + ("s" if len(group.changes) > 1 else "")
    names = f"({visible(group.before[1])} → {visible(group.after[1])})"
    click.echo(f"{kind}  {was} → {now}  {count}  {names}")
    for each in group.changes[:_SHOWN]:
        click.echo(f"    {visible(each.text, limit=_LINE_CHARACTERS)}  [{visible(each.origin)}]")
    if len(group.changes) > _SHOWN:
        click.echo(f"    … and {len(group.changes) - _SHOWN} more")
