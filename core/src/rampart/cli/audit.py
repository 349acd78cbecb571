"""``rampart audit``: read the log, and prove that it is the one that was written."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rampart.cli import audit_prove, audit_read, audit_replay, audit_report
from rampart.cli.options import (
    CONTEXT,
    data_dir_option,
    examples,
    help_if_alone,
    json_option,
    settings_of,
)
from rampart.cli.records import require_log, summary
from rampart.cli.terminal import complain, print_fields, print_json, visible
from rampart.errors import AuditError, AuditUnavailable

if TYPE_CHECKING:
    from rampart.audit.read import ReadLine

_FOLLOW_S: Final = 0.2  # feels immediate; costs one listing of a directory
_FIRST_LOOK_BYTES: Final = 64 * 1024  # about a hundred records; doubled until enough are found


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@click.pass_context
def audit(ctx: click.Context) -> None:
    """Read and verify the audit log."""
    help_if_alone(ctx)


for _command in (
    *audit_prove.COMMANDS,
    *audit_read.COMMANDS,
    *audit_replay.COMMANDS,
    *audit_report.COMMANDS,
):
    audit.add_command(_command)


@audit.command(
    "tail",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit tail", "rampart audit tail -f", "rampart audit tail -n 100 --json"
    ),
)
@click.option(
    "-n", "count", type=click.IntRange(0, 1_000_000), default=20, show_default=True, help="Records."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new ones, until Ctrl-C.")
@json_option
@data_dir_option
def tail(*, count: int, follow: bool, as_json: bool, data_dir: str | None) -> None:
    """Show the newest records, oldest first. With --json, one a line, as they stand in the log."""
    directory = settings_of(data_dir).audit_dir
    if not follow:
        require_log(directory)
    at = ("", 0)
    for found in _newest(directory, count, waits=follow):
        at = _end(found)
        _show_line(found, as_json=as_json)
    if not follow:
        return
    if at == ("", 0):
        at = _end_of_log(directory)
    while True:
        at = _show_new(directory, at, as_json=as_json)
        time.sleep(_FOLLOW_S)


@audit.command(
    "show",
    context_settings=CONTEXT,
    epilog=examples("rampart audit show 01JD5T3Z6V9K2M4N8P0QRSTVWX"),
)
@click.argument("record_id", metavar="ID")
@json_option
@data_dir_option
def show(*, record_id: str, as_json: bool, data_dir: str | None) -> None:
    """Show one record: every field of it. ID is the `audit_id` of a decision."""
    from rampart.audit.query import find_record

    directory = settings_of(data_dir).audit_dir
    require_log(directory)
    hit = find_record(directory, record_id.upper())
    if hit is None or hit.record is None:
        raise AuditError(f"there is no record {record_id!r}", help="`rampart audit tail` shows ids")
    if as_json:
        print_json(hit.record)
    else:
        print_fields({name: _value(value) for name, value in hit.record.items()})


def _newest(directory: Path, count: int, *, waits: bool) -> list[ReadLine]:
    from rampart.audit.read import segment_names

    try:
        names = segment_names(directory)
    except AuditUnavailable:
        if waits:
            return []  # the first record is still to come
        raise
    found: deque[ReadLine] = deque(maxlen=count)
    for name in reversed(names):
        part = _newest_of(directory, name, count - len(found))
        found.extendleft(reversed(part))
        if len(found) >= count:
            break
    return list(found)


def _newest_of(directory: Path, name: str, count: int) -> list[ReadLine]:
    size = (directory / name).stat().st_size
    look = _FIRST_LOOK_BYTES
    while True:
        start = max(0, size - look)
        # WHY: from the middle of a file the first line is the end of one that begins before
        lines = list(_segment_lines(directory, name, start))[1 if start else 0 :]
        if len(lines) >= count or start == 0:
            return lines[-count:] if count else []
        look *= 2


def _segment_lines(directory: Path, name: str, offset: int) -> Iterator[ReadLine]:
    from rampart.audit.read import read_lines

    for line in read_lines(directory, after=(name, offset)):
        if line.segment != name:
            return
        if not _is_incomplete(line):
            yield line


def _show_new(directory: Path, at: tuple[str, int], *, as_json: bool) -> tuple[str, int]:
    from rampart.audit.read import read_lines, segment_names

    try:
        segment_names(directory)
    except AuditUnavailable:
        return at
    for found in read_lines(directory, after=at):
        if not _is_incomplete(found):
            _show_line(found, as_json=as_json)
            at = _end(found)
    return at


def _end_of_log(directory: Path) -> tuple[str, int]:
    newest = _newest(directory, 1, waits=True)
    return _end(newest[0]) if newest else ("", 0)


def _end(line: ReadLine) -> tuple[str, int]:
    return line.segment, line.offset + len(line.raw) + 1


def _is_incomplete(line: ReadLine) -> bool:
    from rampart.audit.read import INCOMPLETE

    return line.record is None and line.problem == INCOMPLETE


def _show_line(line: ReadLine, *, as_json: bool) -> None:
    if line.record is None:
        complain(f"{line.segment}: byte {line.offset}: {line.problem}", "`rampart audit verify`")
    elif as_json:
        click.echo(visible(line.raw.decode("utf-8", "backslashreplace")))
    else:
        click.echo(summary(line.record))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
