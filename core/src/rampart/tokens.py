"""Tokens: what a client of the service must show.

Two files in the data directory, each one line of 64 hexadecimal digits (256 bits), mode 0600:
``token`` may do everything, ``token.eval`` may only ask for decisions and never approve.

MUST NOT use a file that others may read, that is a link, or that is empty.
MUST NOT compare tokens in a time that depends on them.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rampart.config import Settings, ensure_private_directory
from rampart.errors import ConfigError

Role = Literal["admin", "eval"]

TOKEN_ENVIRONMENT: Final = "RAMPART_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_BYTES_MAX: Final = 4096  # any real token fits; a file that is not one is not read to its end
_GROUP_AND_OTHERS: Final = 0o077
_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a service accepts."""

    admin: bytes
    evaluate: bytes

    def __post_init__(self) -> None:
        if hmac.compare_digest(self.admin, self.evaluate):
            raise ConfigError(
                "the admin token and the evaluation token are the same",
                help="an agent that may only ask could approve itself; choose another one",
            )

    def role(self, shown: bytes) -> Role | None:
        """Return what the holder of a token may do, or None if it is not one of ours."""
        # INVARIANT: both comparisons always run, so that the time says nothing about either
        is_admin = hmac.compare_digest(shown, self.admin)
        is_evaluate = hmac.compare_digest(shown, self.evaluate)
        if is_admin:
            return "admin"
        return "eval" if is_evaluate else None


def token_path(settings: Settings, role: Role) -> Path:
    """Return the file of one role's token."""
    return settings.token_path if role == "admin" else settings.token_path.with_name("token.eval")


def service_tokens(settings: Settings, *, override: str | None = None) -> Tokens:
    """Return the tokens for a run of the service; files that are missing are created.

    ``override`` takes the place of the admin token for this run. Raises: ConfigError.
    """
    admin = (
        check_token(override, source="the token given")
        if override is not None
        else ensure_token(settings, "admin")
    )
    return Tokens(admin.encode(), ensure_token(settings, "eval").encode())


def ensure_token(settings: Settings, role: Role) -> str:
    """Return the token of ``role``; a file that is missing is created first.

    Raises: ConfigError.
    """
    path = token_path(settings, role)
    if not path.is_symlink() and not path.exists():
        ensure_private_directory(settings.data_dir)
        _create(path)
    return read_token(path)


def read_token(path: Path) -> str:
    """Return the token in a file. Raises: ConfigError if the file must not be used."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(
            f"{path}: the token cannot be read: {error.strerror}",
            help="remove it and let `rampart token` make a new one",
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: the token is not a regular file")
        if status.st_uid != os.geteuid() or status.st_mode & _GROUP_AND_OTHERS:
            raise ConfigError(
                f"{path}: others may read the token",
                help=f"remove it, so that a new one is made; or, if nobody did: chmod 600 {path}",
            )
        data = file.read(_TOKEN_BYTES_MAX + 1)
    if len(data) > _TOKEN_BYTES_MAX:
        raise ConfigError(f"{path}: too long for a token")
    return check_token(data.decode("utf-8", "replace").strip(), source=str(path))


def check_token(text: str, *, source: str) -> str:
    """Return ``text`` if it can be sent as a token. Raises: ConfigError."""
    if not text:
        raise ConfigError(f"{source}: the token is empty")
    if not _VISIBLE_ASCII.fullmatch(text):
        raise ConfigError(f"{source}: a token is visible ASCII characters without spaces")
    return text


def token_in_environment(environment: Mapping[str, str]) -> str | None:
    """Return the token that ``RAMPART_TOKEN`` names, or None if it is unset or empty."""
    return environment.get(TOKEN_ENVIRONMENT) or None


def _create(path: Path) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{secrets.token_hex(32)}\n")
                file.flush()
                os.fsync(file.fileno())
            # INVARIANT: whoever comes first wins, and nobody ever sees half a token
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(fresh)
        finally:
            fresh.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: the token cannot be created: {error.strerror}") from None
