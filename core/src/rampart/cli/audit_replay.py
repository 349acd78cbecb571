"""``rampart audit replay``: what another policy would have said about what happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rampart.cli.options import (
    CONTEXT,
    data_dir_option,
    examples,
    json_option,
    policy_options,
    settings_of,
)
from rampart.cli.records import Unreadable, filter_options, progress, query_of, require_log
from rampart.cli.terminal import print_fields, print_json, verdict_word, visible
from rampart.errors import AuditError
from rampart.model import Decision, ToolCall

if TYPE_CHECKING:
    from rampart.audit.query import Query
    from rampart.audit.replay import Change, Recorded, Replay
    from rampart.gate import Gate
    from rampart.sources import PolicySource

_CALL_CHARACTERS: Final = 100
_GROUPS_SHOWN: Final = 20
_ENDS: Final = {"any": ("looser", "stricter"), "looser": ("looser",), "stricter": ("stricter",)}


@click.command(
    "replay",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit replay --policy new.yaml --since 7d",
        "rampart audit replay --profile strict --agent coder --json",
        "rampart audit replay --policy new.yaml --fail-on looser",
        "rampart audit replay 01JD5T3Z6V9K2M4N8P0QRSTVWX",
    ),
)
@click.argument("record_id", metavar="[ID]", required=False)
@policy_options
@filter_options("tool", "agent", "session", "run", "decision")
@click.option(
    "--fail-on",
    type=click.Choice(["any", "looser", "stricter"]),
    default="any",
    show_default=True,
    help="Which changes end with exit code 1.",
)
@click.option("--home", metavar="DIR", help="Whose files `~` means; else yours.")
@json_option
@data_dir_option
def replay(**given: Any) -> None:
    """Decide recorded calls again, by the policy in force or another one, and show what changes.

    Nothing is recorded and nobody is asked. Calls are decided in the order of the log, at the time
    they were made; what came before in their session counts where a rule asks about it, as it would
    have happened under this policy. Exit codes: 0 nothing changed, 1 something did.

    Left out, and counted: calls of which the log holds only a digest, decisions that an error or a
    webhook made. Credentials are not in the log; where one was taken out, the call is decided with
    another text in its place. A question counts as not approved. Links are followed as they are
    now.
    """
    from rampart.audit.replay import Replay
    from rampart.embedded import live_policies

    settings = settings_of(given["data_dir"], profile=given["profile"], policy=given["policy"])
    require_log(settings.audit_dir)
    judge = Judge(live_policies(settings), home=given["home"])
    found = Replay(judge.decide)
    one = (given["record_id"] or "").upper()
    last: Decision | None = None
    with progress("replaying") as told:
        for record, counts in _records(
            settings.audit_dir, query_of(given), one, looks_back=judge.looks_back, told=told
        ):
            last = found.take(record, counts=counts)
    if one and given["as_json"]:
        print_json({**_as_data(found), "record": one, "now": _decision_data(last)})
    elif given["as_json"]:
        print_json(_as_data(found))
    elif one:
        _print_one(one, found, last)
    else:
        _print(found)
    changed = any(found.directions[way] for way in _ENDS[given["fail_on"]])  # type: ignore[index]  # the words of the table
    click.get_current_context().exit(1 if changed else 0)


COMMANDS: Final = (replay,)


class Judge:
    """Decides recorded calls, at their own time, by policies that are not in force."""

    def __init__(self, policies: PolicySource, *, home: str | None = None) -> None:
        from rampart.embedded import rehearsal_gate
        from rampart.hosts import HostFacts

        hosts = HostFacts(home=home)
        # a policy that does not compile is an error, not a verdict
        self.looks_back = policies.current().engine(hosts.host(ToolCall("exec"))).looks_back
        self._clock = RecordClock()
        self.gate: Gate = rehearsal_gate(policies, hosts, clock=self._clock)

    def decide(self, recorded: Recorded) -> Decision:
        """Decide a call as if it were made when it was recorded, and remember it if it may run."""
        self._clock.at = recorded.at
        return self.gate.rehearse(recorded.call)


class RecordClock:
    """Says that it is the time at which a record was written."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return self.at

    def monotonic(self) -> float:
        """The same: what is decided again takes no time."""
        return self.at


def _records(
    directory: Path, query: Query, one: str, *, looks_back: bool, told: Any
) -> Iterator[tuple[dict[str, object], bool]]:
    """Yield records and whether they are asked about; others only where the past has a say."""
    from rampart.audit.query import EVERYTHING, find_record, scan

    if one:
        hit = find_record(directory, one)
        if hit is None or hit.record is None:
            raise AuditError(f"there is no record {one!r}", help="`rampart audit search` shows ids")
        if hit.record.get("type") != "decision":
            raise AuditError(f"{one} is no decision about a call: there is nothing to replay")
        if not looks_back:
            yield hit.record, True
            return
    hits = scan(directory, EVERYTHING if looks_back else query, progress=told)
    for _, record in Unreadable().records(hits):
        wanted = record.get("id") == one if one else query.matches(record)
        if wanted or looks_back:
            yield record, wanted
        if one and wanted:
            return


def _as_data(found: Replay) -> dict[str, object]:
    return {
        "decided": found.decided,
        "same": found.directions["same"],
        "looser": found.directions["looser"],
        "stricter": found.directions["stricter"],
        "without_credentials": found.altered,
        "skipped": dict(found.skipped),
        "changes": [_change_data(change) for change in found.changes],
    }


def _change_data(change: Change) -> dict[str, object]:
    return {
        "direction": change.direction,
        "was": change.was,
        "now": change.now,
        "rule": change.rule,
        "count": change.count,
        "examples": [
            {name: getattr(each, name) for name in ("id", "time", "call", "who", "was", "message")}
            for each in change.examples
        ],
    }


def _decision_data(decision: Decision | None) -> dict[str, object] | None:
    if decision is None:
        return None
    return {
        "decision": decision.action,
        "policy": decision.policy,
        "rule": decision.rule,
        "message": decision.message,
    }


def _print(found: Replay) -> None:
    counts = found.directions
    click.echo(
        f"{found.decided} calls decided again: {counts['same']} as before, "
        f"{counts['looser']} looser, {counts['stricter']} stricter"
    )
    changes = found.changes
    for change in changes[:_GROUPS_SHOWN]:
        click.echo(
            f"\n{change.direction:<8}  {change.count} × "
            f"{verdict_word(change.was)} → {verdict_word(change.now)}  {visible(change.rule)}"
        )
        for each in change.examples:
            who = f"  [{visible(each.who)}]" if each.who else ""
            click.echo(f"    {each.id}  {visible(each.call, limit=_CALL_CHARACTERS)}{who}")
    if len(changes) > _GROUPS_SHOWN:
        click.echo(f"\n… and {len(changes) - _GROUPS_SHOWN} more kinds of changes: see --json")
    _print_remarks(found)


def _print_remarks(found: Replay) -> None:
    if found.altered or found.skipped:
        click.echo()
    if found.altered:
        click.echo(f"{found.altered} calls were decided without the credentials they had")
    for reason, count in found.skipped.most_common():
        click.echo(f"{count} left out: {visible(reason)}")


def _print_one(record_id: str, found: Replay, decision: Decision | None) -> None:
    if decision is None:
        click.echo(f"{visible(record_id)} cannot be decided again")
        _print_remarks(found)
        return
    change = next(iter(found.changes), None)
    was = change.was if change else decision.action
    way = change.direction if change else "as before"
    click.echo(f"{verdict_word(was)} → {verdict_word(decision.action)}  {way}")
    print_fields(
        {
            "why": decision.message,
            "rule": "/".join(part for part in (decision.policy, decision.rule) if part),
            "was": change.examples[0].was if change else "",
        }
    )
    _print_remarks(found)
