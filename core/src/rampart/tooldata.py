"""What users and plugins say about tools, besides what the adapters know.

MUST NOT read a file that others may write: it says what a tool's calls are judged as.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Final

from rampart.config import load_settings
from rampart.errors import ConfigError
from rampart.limits import POLICY_BYTES_MAX
from rampart.plugins import installed_plugins
from rampart.toolmap import ToolMap

_ENVIRONMENT: Final = "RAMPART_TOOLS"
_OTHERS_MAY_WRITE: Final = 0o022


def added_maps() -> tuple[ToolMap, ...]:
    """Return the user's map and those of plugins, what counts more first.

    Raises: ConfigError, PolicyError and PluginError; a call that needs them is then denied.
    """
    own = _own_map()
    return (*(() if own is None else (own,)), *_plugin_maps())


def tools_path() -> Path:
    """Return the user's file: ``RAMPART_TOOLS``, else ``tools.yaml`` in the data directory."""
    named = os.environ.get(_ENVIRONMENT)
    return Path(named).expanduser().absolute() if named else load_settings().data_dir / "tools.yaml"


def _own_map() -> ToolMap | None:
    path = tools_path()
    try:
        status = path.stat()
    except FileNotFoundError:
        if os.environ.get(_ENVIRONMENT):
            raise ConfigError(f"{path}: does not exist", help=f"{_ENVIRONMENT} names it") from None
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & _OTHERS_MAY_WRITE:
        raise ConfigError(
            f"{path}: belongs to another user, or others may write to it", help=f"chmod go-w {path}"
        )
    if status.st_size > POLICY_BYTES_MAX:
        raise ConfigError(f"{path}: {status.st_size} bytes; the limit is {POLICY_BYTES_MAX}")
    return _read(path, status.st_mtime_ns, status.st_size, status.st_ino)


@functools.lru_cache(maxsize=4)
def _read(path: Path, *_version: int) -> ToolMap:
    try:
        return ToolMap.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


@functools.cache
def _plugin_maps() -> tuple[ToolMap, ...]:
    return tuple(installed_plugins().tool_maps())
