"""Records of the log for a person: which ones are meant, one line for each, how far the work is."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from rampart.cli.terminal import complain, verdict_word, visible
from rampart.errors import AuditUnavailable
from rampart.subject import subject

if TYPE_CHECKING:
    from rampart.audit.query import Hit, Query

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN_CHARACTERS: Final = 120
_PROGRESS_S: Final = 0.2  # between two figures; the first one comes after this, too
_COMPLAINTS_MAX: Final = 5  # a broken segment may hold thousands of broken lines
_NUMBER_ONLY: Final = re.compile(r"[0-9]+")

_FILTERS: Final[Mapping[str, str]] = {
    "tool": "Of this tool.",
    "agent": "Of this agent.",
    "session": "Of this session.",
    "run": "Of this run.",
    "decision": "allow, watch, ask or deny.",
    "rule": "Decided by this rule.",
    "type": "decision, response, approval, …",
}


def filter_options(*names: str) -> Callable[[F], F]:
    """Add the options that choose records; each may be given several times."""

    def add(function: F) -> F:
        for option in (
            click.option("--until", metavar="TIME", help="Before: as --since."),
            click.option(
                "--since", metavar="TIME", help="From: 2h, 7d, 2026-01-31 or 2026-01-31T08:00Z."
            ),
        ):
            function = option(function)
        for name in reversed(names):
            function = click.option(
                f"--{name}", name, metavar="TEXT", multiple=True, help=_FILTERS[name]
            )(function)
        return function

    return add


def query_of(given: Mapping[str, Any], *, policy: tuple[str, ...] = (), text: str = "") -> Query:
    """Return what the options of ``filter_options`` ask for. Raises: click.UsageError."""
    from rampart.audit.query import Query

    for word in given.get("decision", ()):
        if word not in ("allow", "watch", "ask", "deny"):
            raise click.UsageError(f"--decision {word!r}: expected allow, watch, ask or deny")
    names = ("type", "tool", "agent", "session", "decision", "rule")
    return Query(
        **{name: tuple(given.get(name, ())) for name in names},
        run_id=tuple(given.get("run", ())),
        policy=policy,
        text=text,
        since=moment_of("--since", given.get("since")),
        until=moment_of("--until", given.get("until")),
    )


def moment_of(option: str, text: str | None) -> float | None:
    """Return seconds since the epoch for ``2h`` (ago) or a date. Raises: click.UsageError."""
    from rampart.policy.times import read_duration

    if not text:
        return None
    try:
        return time.time() - read_duration(text)
    except ValueError:
        pass
    try:
        if _NUMBER_ONLY.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text).timestamp()  # without a zone: this machine's
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(
            f"{option} {text!r}: how long ago (30m, 7d), or a time (2026-01-31T08:00Z) is needed"
        ) from None


def require_log(directory: Path) -> None:
    """Raise AuditUnavailable where no log is."""
    if not directory.exists():
        raise AuditUnavailable(
            f"{directory}: there is no audit log here yet", help="is it the right --data-dir?"
        )


def summary(record: Mapping[str, object]) -> str:
    """Return a record as one line."""
    stamp = visible(str(record.get("time", ""))[:19].replace("T", " "))
    decision = record.get("decision")
    if not isinstance(decision, dict):
        rest = [record.get(name) for name in ("approval_id", "status", "by", "reason")]
        text = " ".join(str(part) for part in rest if part)
        kind = visible(str(record.get("type", "")))
        return f"{stamp}  {kind:<12}  {visible(text)}".rstrip()
    who = "/".join(str(record.get(name)) for name in ("agent", "session") if record.get(name))
    tool = visible(str(record.get("tool", "")))
    shown = visible(subject(record.get("params")), limit=_SHOWN_CHARACTERS)
    if record.get("type") == "response":
        shown = f"output of {shown}" if shown else "output"
    line = f"{stamp}  {verdict_word(str(decision.get('action', '')), width=5)} {tool:<6}  {shown}"
    if who:
        line += f"  [{visible(who)}]"
    if decision.get("action") != "allow":
        rule = "/".join(str(decision[key]) for key in ("policy", "rule") if decision.get(key))
        line += f"  — {visible(str(decision.get('message', '')))} ({visible(rule)})"
    return line


class Unreadable:
    """Tells of lines that cannot be read, the first few by their place."""

    def __init__(self) -> None:
        self.count = 0

    def records(self, hits: Iterator[Hit]) -> Iterator[tuple[Hit, dict[str, object]]]:
        """Yield what can be read, and tell about the rest at the end at the latest."""
        for hit in hits:
            if hit.record is not None:
                yield hit, hit.record
                continue
            self.count += 1
            if self.count <= _COMPLAINTS_MAX:
                complain(f"{hit.segment}: byte {hit.offset}: {hit.problem}")
        if self.count:
            lines = "line" if self.count == 1 else "lines"
            complain(f"{self.count} {lines} cannot be read", "`rampart audit verify` says more")


@contextmanager
def progress(what: str, *, prints: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function that shows how far long work is; None if nobody would see it.

    On standard error, only on a terminal, and gone when the work is done. ``prints`` says that the
    work itself writes to standard output: lines on the same terminal would be torn apart.
    """
    if not sys.stderr.isatty() or (prints and sys.stdout.isatty()):
        yield None
        return
    shown = [time.monotonic(), 0.0]

    def show(done: int, total: int) -> None:
        now = time.monotonic()
        if total and now - shown[0] >= _PROGRESS_S:
            shown[:] = [now, 1.0]
            click.echo(f"\r{what}: {done * 100 // total} %", nl=False, err=True)

    try:
        yield show
    finally:
        if shown[1]:
            click.echo("\r\x1b[K", nl=False, err=True)
