"""What a call is about, in one line that a person recognises."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping


def subject(params: object) -> str:
    """Return what a call is about in one line: its command, path or address, else all it says."""
    if not isinstance(params, Mapping):
        return str(params)
    argv = params.get("argv", params.get("command"))
    if isinstance(argv, list) and argv and all(isinstance(word, str) for word in argv):
        return shlex.join(argv)
    for name in ("command", "path", "file_path", "url", "code"):
        if isinstance(params.get(name), str):
            return str(params[name])
    return json.dumps(params)
