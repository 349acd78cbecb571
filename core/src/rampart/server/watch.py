"""Watching the files of a service's policy; telling a reload from a terminal that closed."""

from __future__ import annotations

import logging
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rampart.generations import LivePolicies
from rampart.limits import POLICY_WATCH_S

_log = logging.getLogger("rampart.policy")


@contextmanager
def watching(policies: LivePolicies) -> Iterator[None]:
    """Look at the files of ``policies`` in a thread, inside the ``with`` block.

    WHY not the kernel's events: they miss network file systems, mounts that are swapped, and what a
    container sees of its host's files. A look costs some microseconds.
    """
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(POLICY_WATCH_S):
            if policies.look():
                generation = policies.current().generation
                _log.info("the policy changed: generation %s is in force", generation)

    thread = threading.Thread(target=watch, name="rampart-policy-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def terminal_is_gone(terminals: Sequence[int]) -> bool:
    """True if one of these descriptors was a terminal that is not there any more."""
    for descriptor in terminals:
        try:
            termios.tcgetattr(descriptor)
        except termios.error:
            return True
    return False
