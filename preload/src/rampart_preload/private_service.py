"""The process of a private service: ``rampart serve``, ended when its starter is gone.

Run as ``python -m rampart_preload.private_service serve ...`` with a pipe as standard input.
"""

from __future__ import annotations

import os
import signal
import threading
from importlib import metadata


def watch_starter() -> None:
    """End this process as a person would when the other end of standard input is closed."""
    try:
        os.read(0, 1)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the ``rampart`` program."""
    threading.Thread(target=watch_starter, name="starter", daemon=True).start()
    (program,) = metadata.entry_points(group="console_scripts", name="rampart")
    program.load()()


if __name__ == "__main__":
    main()
