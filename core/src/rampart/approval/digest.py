"""The digest that binds an approval to exactly one call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from rampart import strict_json
from rampart.errors import InputError
from rampart.model import ToolCall

_DOMAIN: Final = b"rampart approval 1\n"


def call_digest(call: ToolCall, generation: str) -> str:
    """Return what an approval of ``call`` under policy ``generation`` is bound to: 64 hex digits.

    SHA-256 over tool, parameters, agent, session, working directory and generation. ``run_id`` and
    ``call_id`` are left out, because asking again for the same thing is a new call. Raises:
    InputError for parameters that JSON cannot hold without guessing.
    """
    value = {
        "tool": call.tool,
        "params": _plain(call.params),
        "agent": call.agent,
        "session": call.session,
        "cwd": call.cwd,
        "generation": generation,
    }
    return hashlib.sha256(_DOMAIN + strict_json.dumps(value)).hexdigest()


def _plain(value: object) -> object:
    # INVARIANT: two calls that differ never share a digest. JSON would write the keys 1 and "1"
    # alike.
    try:
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                raise InputError("a parameter has a name that is not text; it cannot be approved")
            return {key: _plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [_plain(item) for item in value]
    except RecursionError:
        raise InputError("the parameters are nested too deep to be approved") from None
    return value
