"""``rampart serve``: the decision service."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, policy_options, settings_of
from rampart.cli.terminal import complain, print_fields, visible
from rampart.config import PORT_DEFAULT, Settings
from rampart.errors import ConfigError
from rampart.tokens import TOKEN_ENVIRONMENT, token_in_environment, token_path

if TYPE_CHECKING:
    from rampart.server.run import Ready

_SHORT_TOKEN_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class _Asked:
    host: str
    port: int
    token: str | None
    socket: str | None
    no_socket: bool
    allow_host: tuple[str, ...]
    ready_fd: int | None
    ready_file: str | None
    quiet: bool
    profile: str | None
    policy: str | None
    data_dir: str | None


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart serve",
        "rampart serve --profile strict --port 9191",
        "rampart serve --port 0 --ready-fd 3 3>ready.json",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT_DEFAULT,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--token", help=f"Admin token for this run ({TOKEN_ENVIRONMENT}).")
@click.option("--socket", metavar="PATH", help="File of the local socket.")
@click.option("--no-socket", is_flag=True, help="Do without the local socket.")
@click.option(
    "--allow-host", metavar="NAME", multiple=True, help="Another name that requests may use."
)
@click.option("--ready-fd", type=int, metavar="N", help="Write where it listens to descriptor N.")
@click.option("--ready-file", metavar="PATH", help="Write where it listens to a file.")
@click.option("--quiet", is_flag=True, help="No banner.")
@policy_options
@data_dir_option
def serve(**given: Any) -> None:
    """Run the decision service in the foreground, until Ctrl-C or SIGTERM.

    It answers the HTTP API on 127.0.0.1, for whoever shows a token, and the preload library on a
    socket in the data directory. Once it can be reached it writes one line of JSON with `url`,
    `port`, `socket` and `pid` to --ready-fd or --ready-file.
    """
    from rampart.server.run import ServeOptions, is_loopback
    from rampart.server.run import serve as run_service

    asked = _Asked(**given)
    settings = settings_of(asked.data_dir, profile=asked.profile, policy=asked.policy)
    token = asked.token or token_in_environment(os.environ)
    if not is_loopback(asked.host):
        complain(
            f"{asked.host}: other machines can reach the service, without encryption",
            "let them come through a tunnel or a proxy with TLS",
        )
    if token and len(token) < _SHORT_TOKEN_CHARACTERS:
        complain("the token is short enough to be guessed", "leave it out: one is made for you")
    options = ServeOptions(
        host=asked.host,
        port=asked.port,
        token=token,
        socket=Path(asked.socket) if asked.socket else None,
        local_socket=not asked.no_socket,
        allow_hosts=asked.allow_host,
    )

    def announce(ready: Ready) -> None:
        if not asked.quiet:
            _banner(ready, settings, own_token=token is None)
        line = json.dumps(asdict(ready)) + "\n"
        if asked.ready_file is not None:
            _write_file(Path(asked.ready_file), line)
        if asked.ready_fd is not None:
            _write_descriptor(asked.ready_fd, line)

    run_service(settings, options, announce)


def _banner(ready: Ready, settings: Settings, *, own_token: bool) -> None:
    from importlib import metadata

    click.echo(f"rampart {metadata.version('rampart-core')} listens on {visible(ready.url)}")
    print_fields(
        {
            "policy": str(settings.policy) if settings.policy else f"profile {settings.profile}",
            "audit log": str(settings.audit_dir),
            "token": str(settings.token_path) if own_token else "as given for this run",
            "agents' token": str(token_path(settings, "eval")),
            "local socket": ready.socket or "none",
            "questions": "rampart pending",
        }
    )


def _write_descriptor(descriptor: int, line: str) -> None:
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(line)
    except OSError as error:
        raise ConfigError(f"--ready-fd {descriptor}: {error.strerror}") from None


def _write_file(path: Path, line: str) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        fresh.touch(mode=0o600, exist_ok=False)
        fresh.write_text(line)
        fresh.replace(path)  # INVARIANT: a reader sees the whole line or no file
    except OSError as error:
        raise ConfigError(f"--ready-file {path}: {error.strerror}") from None
