"""The guard of components that were loaded from a configuration.

WHY not in the configuration: whoever may write that file must not choose the policy as well.
"""

from __future__ import annotations

import threading

from rampart import Guard

_lock = threading.Lock()
_default: list[Guard] = []


def set_default_guard(guard: Guard | None) -> None:
    """Choose the guard of components that are loaded from now on; None goes back to ``Guard()``."""
    with _lock:
        _default[:] = [] if guard is None else [guard]


def default_guard() -> Guard:
    """Return the chosen guard, or one on this machine's own policy. Raises: as ``Guard()``."""
    with _lock:
        if not _default:
            _default.append(Guard())
        return _default[0]
