"""Settings.

Where things are and which policy is in force, from arguments, then environment, then defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rampart.errors import ConfigError

PORT_DEFAULT: Final = 9090
URL_DEFAULT: Final = f"http://127.0.0.1:{PORT_DEFAULT}"
PROFILE_DEFAULT: Final = "standard"

_OTHERS_MAY_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class Settings:
    """Where Rampart keeps its things, and the policy.

    ``policy`` is a file; it wins over ``profile``. ``own_policy`` is a file that takes the
    profile's place as soon as it exists.
    """

    data_dir: Path
    profile: str = PROFILE_DEFAULT
    policy: Path | None = None
    anchors: tuple[str, ...] = ()  # where checkpoints of the log are sent
    own_policy: Path | None = None
    projects: bool = True  # policies that come with projects are read
    self_protection: bool = True  # agents are kept from their guard whatever the policy says

    @property
    def audit_keys_dir(self) -> Path:
        """Where the keys are that checkpoints of the log are signed with."""
        return self.data_dir / "keys"

    @property
    def audit_dir(self) -> Path:
        """Where the log is."""
        return self.data_dir / "audit"

    @property
    def approvals_path(self) -> Path:
        """The approvals database."""
        return self.data_dir / "approvals.db"

    @property
    def sessions_path(self) -> Path:
        """The database of what happened before in each session."""
        return self.data_dir / "sessions.db"

    @property
    def overrides_path(self) -> Path:
        """The policy file of `rampart allow` and `rampart block`."""
        return self.data_dir / "overrides.yaml"

    @property
    def token_path(self) -> Path:
        """The file that holds the token of the person in charge."""
        return self.data_dir / "token"

    @property
    def socket_path(self) -> Path:
        """The local socket of the decision service."""
        return self.data_dir / "rampart.sock"

    @property
    def library_dir(self) -> Path:
        """Where a preload library may be installed by hand."""
        return self.data_dir / "lib"


def load_settings(
    *,
    data_dir: str | Path | None = None,
    policy: str | Path | None = None,
    profile: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings in force.

    Order: argument; ``RAMPART_HOME``, ``RAMPART_POLICY``, ``RAMPART_PROFILE``; ``policy.yaml`` in
    the data directory; the profile ``standard``. ``RAMPART_PROJECT_POLICIES`` and
    ``RAMPART_SELF_PROTECTION`` are switches. Reads nothing but the environment and whether that
    file exists. Raises: ConfigError.
    """
    env = os.environ if environment is None else environment
    directory = Path(data_dir or env.get("RAMPART_HOME") or "~/.rampart").expanduser().absolute()
    file = policy or (None if profile else env.get("RAMPART_POLICY"))
    own = None
    if not file and not profile and not env.get("RAMPART_PROFILE"):
        own = directory / "policy.yaml"
        file = own if own.exists() else None
    return Settings(
        data_dir=directory,
        profile=profile or env.get("RAMPART_PROFILE") or PROFILE_DEFAULT,
        policy=Path(file).expanduser().absolute() if file else None,
        anchors=tuple(env.get("RAMPART_AUDIT_ANCHORS", "").splitlines()),
        own_policy=own,
        projects=_switch(env, "RAMPART_PROJECT_POLICIES"),
        self_protection=_switch(env, "RAMPART_SELF_PROTECTION"),
    )


def _switch(environment: Mapping[str, str], name: str) -> bool:
    return parse_bool(environment.get(name) or "on", name=name)


def ensure_private_directory(path: Path) -> Path:
    """Create ``path`` with mode 0700 if it is missing, and return it.

    Raises: ConfigError if it cannot be made, is not ours, or others may write to it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be used as a directory: {error.strerror}",
            help="choose another one with --data-dir or RAMPART_HOME",
        ) from None
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        raise ConfigError(
            f"{path}: belongs to another user, or others may write to it",
            help=f"chmod go-w {path}, or choose another one with --data-dir",
        )
    return path


def parse_bool(text: str, *, name: str) -> bool:
    """Return a switch's value. Raises: ConfigError for anything but the usual words."""
    if re.fullmatch(r"1|true|yes|on", text, re.IGNORECASE):
        return True
    if re.fullmatch(r"0|false|no|off|", text, re.IGNORECASE):
        return False
    raise ConfigError(f"{name}: {text!r} is not a switch", help="say 1 or 0")
