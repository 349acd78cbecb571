"""``rampart audit search``, ``stats`` and ``export``: find, count and hand over records."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option, settings_of
from rampart.cli.records import (
    Unreadable,
    filter_options,
    progress,
    query_of,
    require_log,
    summary,
)
from rampart.cli.terminal import print_json, verdict_word, visible

if TYPE_CHECKING:
    from rampart.audit.statistics import Slot, Spoken, Statistics

_BAR_CELLS: Final = 30
_TIMELINE_CELLS: Final = 60
_ROWS: Final = 8
_NAME_CHARACTERS: Final = 28
_CALL_CHARACTERS: Final = 60
_STEPS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_STEPS: Final = " .:-=+*#@"


@click.command(
    "search",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit search id_rsa",
        "rampart audit search --decision deny --agent 'release-*' --since 7d",
        "rampart audit search --type approval --json --limit 0",
    ),
)
@click.argument("text", required=False, default="")
@filter_options("tool", "agent", "session", "run", "decision", "rule", "type")
@click.option("--policy", metavar="TEXT", multiple=True, help="Decided by this policy.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Records; 0 for all."
)
@json_option
@data_dir_option
def search(**given: Any) -> None:
    """Show the records that are about something, the newest first.

    TEXT is looked for in every value, without regard to case. All options must hold; of one that is
    given several times one is enough. `*` and `?` stand for other text. With --json records are
    printed one a line, as they stand in the log. Nothing found ends with exit code 1.
    """
    from rampart.audit.query import scan

    directory = settings_of(given["data_dir"]).audit_dir
    require_log(directory)
    query = query_of(given, policy=given["policy"], text=given["text"])
    unreadable, found = Unreadable(), 0
    with progress("searching", prints=True) as told:
        hits = unreadable.records(scan(directory, query, newest_first=True, progress=told))
        for hit, record in islice(hits, given["limit"] or None):
            found += 1
            if given["as_json"]:
                click.echo(visible(hit.raw.decode("utf-8", "backslashreplace")))
            else:
                click.echo(f"{visible(str(record.get('id', '')))}  {summary(record)}")
    click.get_current_context().exit(0 if found else 1)


@click.command(
    "stats",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit stats",
        "rampart audit stats --since 24h --agent coder",
        "rampart audit stats --json",
    ),
)
@filter_options("tool", "agent", "session", "run")
@json_option
@data_dir_option
def stats(**given: Any) -> None:
    """Count what was decided: over time, by tool, agent and rule, and how long it took."""
    found = statistics_of(given)
    if given["as_json"]:
        print_json(_as_data(found))
        return
    _print_head(found)
    _print_timeline(found.timeline(_TIMELINE_CELLS))
    _print_bars("tools", {name: sum(each.values()) for name, each in found.tools.items()})
    _print_bars("agents", {name or "-": sum(each.values()) for name, each in found.agents.items()})
    for verdict, title in (("deny", "denied by"), ("ask", "asked by")):
        _print_restrictions(title, found.top_restrictions(_ROWS, verdict))


@click.command(
    "export",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit export > records.jsonl",
        "rampart audit export --format csv --since 30d --output records.csv",
        "rampart audit export --format cef --decision deny | logger",
    ),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "cef", "ocsf"]),
    default="jsonl",
    show_default=True,
    help="jsonl: the lines of the log.",
)
@click.option("--output", metavar="FILE", help="Write to a new file instead of standard output.")
@filter_options("tool", "agent", "session", "run", "decision", "rule", "type")
@data_dir_option
def export(**given: Any) -> None:
    """Write records for other programs, the oldest first.

    jsonl is the log's own lines, which can be verified only as a whole. csv is safe to open in a
    spreadsheet: what would be run as a formula gets a quote in front. cef and ocsf are what
    collectors of security events read.
    """
    from importlib import metadata

    from rampart.audit.export import csv_header, formatter
    from rampart.audit.query import scan

    directory = settings_of(given["data_dir"]).audit_dir
    require_log(directory)
    query, form = query_of(given), given["form"]
    write = None
    if form != "jsonl":
        write = formatter(form, version=metadata.version("rampart-core"))
    with new_file(given["output"]) as target, progress("exporting", prints=True) as told:
        if form == "csv":
            target.write(csv_header().encode())
        records = Unreadable().records(scan(directory, query, progress=told))
        for hit, record in records:
            target.write(hit.raw + b"\n" if write is None else write(record).encode())


COMMANDS: Final = (search, stats, export)


def statistics_of(given: Mapping[str, Any]) -> Statistics:
    """Return the figures of the records that the options choose."""
    from rampart.audit.query import scan
    from rampart.audit.statistics import Statistics

    directory = settings_of(given["data_dir"]).audit_dir
    require_log(directory)
    found, unreadable = Statistics(), Unreadable()
    with progress("counting") as told:
        hits = scan(directory, query_of(given), progress=told)
        for _hit, record in unreadable.records(hits):
            found.add(record)
    found.unreadable = unreadable.count
    return found


def new_file(path: str | None) -> AbstractContextManager[BinaryIO]:
    """Return a file that did not exist, or standard output. Raises: click.UsageError.

    WHY new, and private: no other file is overwritten, and what agents did is nobody else's
    business.
    """
    if path is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return open(path, "xb", opener=_private)
    except OSError as error:
        raise click.UsageError(f"--output {path}: {error.strerror}") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _as_data(found: Statistics) -> dict[str, object]:
    latency = found.latency()
    return {
        "records": found.records,
        "unreadable": found.unreadable,
        "first": found.first,
        "last": found.last,
        "types": dict(found.types),
        "decisions": dict(found.verdicts),
        "tools": {name: dict(counts) for name, counts in found.tools.items()},
        "agents": {name: dict(counts) for name, counts in found.agents.items()},
        "sessions": len(found.sessions),
        "approvals": dict(found.approvals),
        "outputs_withheld": found.withheld,
        "latency_us": None if latency is None else latency._asdict(),
        "denied": [_rule_data(each) for each in found.top_restrictions(_ROWS)],
        "asked": [_rule_data(each) for each in found.top_restrictions(_ROWS, "ask")],
    }


def _rule_data(spoken: Spoken) -> dict[str, object]:
    return {
        "policy": spoken.policy,
        "rule": spoken.rule,
        "count": spoken.count,
        "message": spoken.message,
        "example": spoken.example,
        "record": spoken.record_id,
    }


def _print_head(found: Statistics) -> None:
    first, last = (text[:19].replace("T", " ") for text in (found.first, found.last))
    span = f"{first} to {last} UTC"
    click.echo(f"{found.records} records, {visible(span) if found.first else 'no time'}")
    click.echo(f"{found.decisions} decisions in {len(found.sessions)} sessions")
    if found.unreadable:
        click.echo(f"{found.unreadable} lines that cannot be read")
    latency = found.latency()
    if latency is not None:
        parts = zip(("half", "90 %", "99 %", "all"), latency, strict=True)
        click.echo("decided within: " + ", ".join(f"{what} {us:.0f} µs" for what, us in parts))
    if found.approvals:
        answers = ", ".join(f"{visible(word)} {n}" for word, n in found.approvals.most_common())
        click.echo(f"questions answered: {answers}")
    if found.withheld:
        click.echo(f"outputs withheld: {found.withheld}")
    click.echo()
    most = max(found.verdicts.values(), default=0)
    for word in ("allow", "watch", "ask", "deny"):
        count = found.verdicts[word]
        share = count * 100 / found.decisions if found.decisions else 0.0
        bar = _bar(count, most)
        click.echo(
            f"  {verdict_word(word, width=6)} {bar:<{_BAR_CELLS}} {count:>9}  {share:5.1f} %"
        )


def _print_timeline(slots: list[Slot]) -> None:
    if len(slots) < 2:
        return
    steps = _STEPS if _draws() else _PLAIN_STEPS
    click.echo("\n  over time")
    rows = (("all", [sum(slot.counts) for slot in slots]), ("deny", [s.counts[-1] for s in slots]))
    for name, counts in rows:
        most = max(counts)
        cells = "".join(
            steps[0 if not n else max(1, round(n * (len(steps) - 1) / most))] for n in counts
        )
        click.echo(f"  {name:<6} {cells}  most {most}")
    width = len(slots)
    first, last = (f"{slot.start:%m-%d %H:%M}" for slot in (slots[0], slots[-1]))
    click.echo("         " + (first + last.rjust(width - len(first)) if width > 24 else first))


def _print_bars(title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    click.echo(f"\n  {title}")
    ranked = Counter(counts).most_common()
    for name, count in ranked[:_ROWS]:
        shown = visible(name, limit=_NAME_CHARACTERS)
        click.echo(f"  {shown:<{_NAME_CHARACTERS}} {_bar(count, ranked[0][1])} {count}")
    if len(ranked) > _ROWS:
        click.echo(f"  … and {len(ranked) - _ROWS} more")


def _print_restrictions(title: str, rules: Iterable[Spoken]) -> None:
    rows = list(rules)
    if not rows:
        return
    click.echo(f"\n  {title}")
    for each in rows:
        name = "/".join(part for part in (each.policy, each.rule) if part)
        click.echo(f"  {each.count:>8}  {visible(name)}: {visible(each.message)}")
        click.echo(f"            {visible(each.example, limit=_CALL_CHARACTERS)}")


def _bar(count: int, most: int) -> str:
    cells = round(count * _BAR_CELLS / most) if most else 0
    return ("█" if _draws() else "#") * (max(1, cells) if count else 0)


def _draws() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
