"""``rampart policy fmt``: policy files in canonical order and style."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from rampart.cli.options import CONTEXT, examples
from rampart.cli.terminal import visible
from rampart.errors import ConfigError


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy fmt policy.yaml",
        "rampart policy fmt --check policies/*.yaml",
        "rampart policy fmt --diff policy.yaml",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a file would change.")
@click.option("--diff", "shows", is_flag=True, help="Change nothing; show what would change.")
def fmt(*, files: tuple[str, ...], check: bool, shows: bool) -> None:
    """Put the keys of policies and rules in their usual order, with their comments.

    Quotes become double ones, white space at the ends of lines goes, blank lines become one. What a
    file says is never changed: that is checked before it is written. Exit codes: 0, and with
    --check or --diff 1 if a file would change.
    """
    from rampart.authoring.layout import formatted
    from rampart.cli.policy_files import read_bytes
    from rampart.policy.composer import decode

    changed = 0
    for name in files:
        path = Path(name)
        old, _ = decode(read_bytes(path), name)
        new = formatted(old, filename=name)
        if new == old:
            continue
        changed += 1
        if shows:
            _show(name, old, new)
        elif check:
            click.echo(f"{visible(name)}: would change")
        else:
            _replace(path, new)
            click.echo(f"{visible(name)}: changed")
    click.get_current_context().exit(1 if changed and (check or shows) else 0)


def _show(name: str, old: str, new: str) -> None:
    from difflib import unified_diff

    for line in unified_diff(old.splitlines(), new.splitlines(), name, name, lineterm=""):
        click.echo(visible(line))


def _replace(path: Path, text: str) -> None:
    """Write a file anew, all or nothing, with the mode that it had."""
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        mode = target.stat().st_mode & 0o777
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(mode)
        fresh.replace(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
