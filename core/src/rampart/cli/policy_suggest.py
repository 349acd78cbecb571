"""``rampart policy suggest``: a policy from what was recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, settings_of
from rampart.cli.records import Unreadable, filter_options, progress, query_of, require_log
from rampart.cli.terminal import complain
from rampart.errors import InputError
from rampart.model import Decision, ToolCall

if TYPE_CHECKING:
    from rampart.audit.query import Query
    from rampart.authoring.suggest import Made


@click.command(
    "suggest",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy suggest --session s1 > policy.yaml",
        "rampart policy suggest --agent release-bot --since 7d",
    ),
)
@filter_options("tool", "agent", "session", "run")
@data_dir_option
def suggest(**given: Any) -> None:
    """Propose a policy that allows what was recorded as allowed, and nothing wider.

    Commands, addresses and paths are proposed as they were seen; five files of one kind that were
    read in one directory stand for all of that kind there. What was asked stays a question. The
    policy is loaded and tried on all these calls before it is printed; a call that no grant can
    cover is named in it.
    """
    from rampart.authoring.suggest import suggest as proposed
    from rampart.embedded import preview_gate
    from rampart.hosts import HostFacts
    from rampart.policy import parse_policy
    from rampart.sources import PolicyInForce

    directory = settings_of(given["data_dir"]).audit_dir
    require_log(directory)
    recorded = _recorded(directory, query_of(given))
    if not recorded:
        raise InputError("there is no recorded call to learn from", help="`rampart audit search`")
    hosts = HostFacts()
    gate = preview_gate(PolicyInForce(()), hosts)

    def actions_of(call: ToolCall) -> Any:
        try:
            return gate.actions(call)
        except InputError:
            return ()

    def decide(text: str) -> Callable[[ToolCall], Decision]:
        document = parse_policy(text, filename="the suggestion")
        return preview_gate(PolicyInForce((document,)), hosts).check

    found = proposed(recorded, actions_of=actions_of, decide=decide, source=_source(given))
    click.echo(found.text, nl=False)
    if found.missing:
        complain(
            f"{len(found.missing)} of the recorded calls cannot be allowed by a rule",
            "they are named at the top of the policy",
        )


def _recorded(directory: Path, query: Query) -> list[Made]:
    """Return the distinct calls of the log with their newest record."""
    from rampart.audit.query import scan
    from rampart.audit.replay import Unrepeatable, recorded_call
    from rampart.authoring.suggest import Made

    found: dict[str, Made] = {}
    with progress("reading") as told:
        for _, record in Unreadable().records(scan(directory, query, progress=told)):
            if record.get("type") != "decision":
                continue
            try:
                each = recorded_call(record)
            except Unrepeatable:
                continue
            if each.altered:
                continue  # WHY: a rule about a text that is not the call's own would match nothing
            call = each.call
            key = json.dumps([call.tool, dict(call.params), call.cwd, each.verdict])
            count = found[key].count + 1 if key in found else 1
            found[key] = Made(call, each.verdict, count, each.id)
    return list(found.values())


def _source(given: dict[str, Any]) -> str:
    names = ("tool", "agent", "session", "run", "since", "until")
    parts = [
        f"{name} {given[name] if isinstance(given[name], str) else ', '.join(given[name])}"
        for name in names
        if given[name]
    ]
    return f"calls of {'; '.join(parts)}" if parts else "all recorded calls"
