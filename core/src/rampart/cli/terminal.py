"""What a person sees: text that cannot move the cursor, colours only where they are wanted."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import IO, Final

import click

from rampart.model import Verdict

_COLOURS: Final[Mapping[str, str]] = {
    "allow": "green",
    "watch": "cyan",
    "ask": "yellow",
    "deny": "red",
}


def visible(text: str, *, limit: int = 0) -> str:
    r"""Return ``text`` with everything escaped that a terminal would act upon or hide.

    Control characters, bidirectional marks, zero-width and unassigned characters become ``\xNN`` or
    ``\uNNNN``. With ``limit`` a longer text ends in an ellipsis.
    """
    if not text.isprintable():
        text = "".join(
            character
            if character.isprintable()
            else character.encode("ascii", "backslashreplace").decode()
            if ord(character) > 0x7F  # ASCII ends there
            else repr(character)[1:-1]
            for character in text
        )
    return f"{text[: limit - 1]}…" if limit and len(text) > limit else text


def complain(message: str, help: str = "") -> None:  # noqa: A002 - the word users see
    """Tell an error on standard error."""
    click.echo(f"rampart: {visible(message)}", err=True)
    if help:
        click.echo(f"  help: {visible(help)}", err=True)


def wants_colour(stream: IO[str]) -> bool:
    """True for a terminal whose user did not say otherwise (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def verdict_word(verdict: Verdict | str, *, width: int = 0) -> str:
    """Return a verdict for standard output, in its colour on a terminal."""
    word = visible(verdict).ljust(width)
    if verdict in _COLOURS and wants_colour(sys.stdout):
        return click.style(word, fg=_COLOURS[verdict], bold=True)
    return word


def print_json(value: object) -> None:
    """Print one JSON document; ASCII, so that nothing in it reaches the terminal as it is."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def print_fields(rows: Mapping[str, str]) -> None:
    """Print names and values, one a line, leaving out empty ones."""
    width = max((len(name) for name in rows), default=0)
    for name, value in rows.items():
        if value:
            click.echo(f"  {name.ljust(width)}  {visible(value)}")
