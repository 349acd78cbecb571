"""Where librampart.so is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from rampart.config import load_settings
from rampart.errors import ConfigError

NAME: Final = "librampart.so"
PACKAGED: Final = Path(__file__).resolve().parent / "_native" / NAME
_SEPARATORS: Final = re.compile(r"[\s:]")  # of LD_PRELOAD; the loader knows no way to quote them


def library_path(data_dir: str | Path | None = None) -> Path:
    """Return the absolute path of the preload library.

    It is the one built into this package, else ``lib/librampart.so`` in the data directory.
    Raises: ConfigError if there is none, or its path cannot stand in ``LD_PRELOAD``.
    """
    if not sys.platform.startswith("linux"):
        raise ConfigError("rampart preload needs Linux", help="check calls with `rampart serve`")
    installed = load_settings(data_dir=data_dir).library_dir / NAME
    found = [path for path in (PACKAGED, installed) if path.is_file()]
    if not found:
        raise ConfigError(
            f"{NAME} not found: neither {PACKAGED} nor {installed}",
            help=f"build it: cd preload && make && cp {NAME} {installed.parent}/ "
            "(needs a C compiler: apt-get install gcc libc6-dev make)",
        )
    usable = [path for path in found if not _SEPARATORS.search(str(path))]
    if not usable:
        raise ConfigError(
            f"{found[0]}: a path with spaces or colons cannot stand in LD_PRELOAD",
            help=f"copy it to a data directory without them: RAMPART_HOME/lib/{NAME}",
        )
    return usable[0]
