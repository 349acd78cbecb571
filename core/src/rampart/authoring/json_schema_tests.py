"""The JSON Schema of the tests of a policy; see ``cases``."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final[dict[str, Any]] = {"type": ["string", "number", "boolean"], "minLength": 1}
_WORD: Final[dict[str, Any]] = {
    "enum": ["allow", "watch", "ask", "deny", "log", "require_approval"]
}
_DURATION: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^(\d{1,9}(\.\d{1,6})?(ms|s|m|h|d|w))+$",
}

_CALL: Final[dict[str, Any]] = {
    "call": {
        "description": "A command line, or a mapping with `tool` and its parameters.",
        "anyOf": [_TEXT, {"type": "object", "required": ["tool"]}],
    },
    "expect": {
        "description": "The answer; of a list, one.",
        "anyOf": [_WORD, {"type": "array", "items": _WORD, "minItems": 1}],
    },
    "rule": {"description": "Who decides: RULE or POLICY/RULE.", **_TEXT},
    "message": {"description": "A text glob on the message.", **_TEXT},
    "response": {"description": "What the call returned: the test is about that."},
    "shows": {"description": "What is left of the response."},
    "cwd": _TEXT,
    "agent": _TEXT,
    "session": _TEXT,
    "depth": {"type": "integer"},
    "run_id": _TEXT,
}

_STEP: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        **_CALL,
        "later": {"description": "How much time passes before it.", **_DURATION},
        "approve": {"description": "A person says yes to the question.", "type": "boolean"},
    },
    "required": ["call", "expect"],
    "additionalProperties": False,
}

TESTS: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            **_CALL,
            "name": _TEXT,
            "home": {"type": "string", "pattern": "^/"},
            "workspace": {"type": "string", "pattern": "^/"},
            "at": {"description": "The moment, with its zone.", "type": "string"},
            "steps": {"type": "array", "items": _STEP, "minItems": 1},
        },
        "anyOf": [{"required": ["steps"]}, {"required": ["call", "expect"]}],
        "additionalProperties": False,
    },
}
