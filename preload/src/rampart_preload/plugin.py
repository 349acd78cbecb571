"""What this package adds to the ``rampart`` program: the command ``preload``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rampart import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def rampart_commands() -> Iterable[click.Command]:
    """Return the command ``preload``."""
    from rampart_preload.command import preload

    return [preload]
