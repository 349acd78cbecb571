"""The JSON Schema of policy files, for editors: what they complete, and underline.

INVARIANT: a key, a word or a type that the parser refuses is refused here too, and what the parser
takes is taken. What needs more than types (a pattern that does not compile, two rules of one name)
only the parser refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from rampart.authoring.json_schema_tests import TESTS
from rampart.credentials import KINDS
from rampart.intercept.catalog.vocabulary import ALL_EFFECTS
from rampart.limits import CALL_COUNT_MAX, PATTERN_CHARS_MAX
from rampart.model import Origin

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": ["string", "number", "boolean"], "minLength": 1}
_PATTERN: Final[Schema] = {**_TEXT, "maxLength": PATTERN_CHARS_MAX}
_NUMBER: Final[Schema] = {"type": "number"}
_BOOLEAN: Final[Schema] = {"type": "boolean"}
_INTEGER: Final[Schema] = {"type": "integer"}
_VALUE: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": CALL_COUNT_MAX}
_DURATION: Final[Schema] = {
    "type": "string",
    "pattern": r"^(\d{1,9}(\.\d{1,6})?(ms|s|m|h|d|w))+$",
}

_VERDICTS: Final = ("allow", "watch", "ask", "deny", "log", "require_approval")
_RULE_ACTIONS: Final = (*_VERDICTS, "webhook", "redact")


def _one_or_list(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _object(properties: Mapping[str, Schema], **more: Any) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        **more,
    }


def _defined(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_TEXTS: Final = _defined("texts")
_PATTERNS: Final = _defined("patterns")
_EFFECTS: Final = _defined("effects")


def _about(text: str, schema: Schema) -> Schema:
    return {"description": text, **schema}


def _word(words: object) -> Schema:
    return {"enum": sorted(words)}  # type: ignore[call-overload]  # any iterable of texts


_COMPARISON: Final = _object(
    {
        "eq": _VALUE,
        "ne": _VALUE,
        "gt": _NUMBER,
        "gte": _NUMBER,
        "lt": _NUMBER,
        "lte": _NUMBER,
        "in": {"type": "array", "items": _VALUE, "minItems": 1},
        "not_in": {"type": "array", "items": _VALUE, "minItems": 1},
        "matches": _PATTERNS,
        "exists": _BOOLEAN,
    },
    minProperties=1,
    **{
        "if": {"properties": {"exists": {"const": False}}, "required": ["exists"]},
        "then": {"maxProperties": 1},
    },
)

_ACTION: Final[dict[str, Schema]] = {
    "command_matches": _about("Text globs: one matches the command.", _PATTERNS),
    "command_not_matches": _about("Text globs: none matches the command.", _PATTERNS),
    "command_contains": _about("Texts: one stands in the command.", _PATTERNS),
    "command_env_assignments": _about("NAME or NAME=value in front of a command.", _PATTERNS),
    "program": _about("Text globs on the program's bare name.", _PATTERNS),
    "path_matches": _about("Path globs: `*` stays in a segment, `**` crosses.", _PATTERNS),
    "path_not_matches": _about("Path globs: none matches.", _PATTERNS),
    "url_matches": _about("Text globs on the canonical address.", _PATTERNS),
    "domain_matches": _about("example.com, *.example.com", _PATTERNS),
    "domain_not_matches": _about("The host is none of these.", _PATTERNS),
    "tool_param_matches": _about(
        "Text globs on parameters, by name.",
        {"type": "object", "additionalProperties": _PATTERNS, "minProperties": 1},
    ),
    "params": _about(
        "Comparisons of parameters, by name.",
        {"type": "object", "additionalProperties": _defined("comparison"), "minProperties": 1},
    ),
    "origin": _about("Where the action comes from.", _one_or_list(_word(get_args(Origin)))),
    "opaque": _about("It cannot be known what would happen.", _BOOLEAN),
    "effect": _about("It has one of these effects.", _EFFECTS),
    "effect_not": _about("It has none of these effects.", _EFFECTS),
}

_EARLIER: Final[dict[str, Schema]] = {
    "tool": _about("Text globs on the earlier action's tool.", _PATTERNS),
    **_ACTION,
}

_AFTER: Final = _object(
    {
        **_EARLIER,
        "within": _DURATION,
        "calls": _COUNT,
        "by": {"enum": ["session", "agent"]},
        "until_approved": _TEXT,
    },
    anyOf=[{"required": [name]} for name in _EARLIER],
)

_DEPTH: Final[Schema] = {
    "anyOf": [
        _INTEGER,
        _object(dict.fromkeys(("eq", "ne", "gt", "gte", "lt", "lte"), _INTEGER), minProperties=1),
    ]
}

_WHEN_KEYS: Final[dict[str, Schema]] = {
    **_ACTION,
    "session_matches": _about("Text globs on the session.", _PATTERNS),
    "session_not_matches": _about("The session is none of these.", _PATTERNS),
    "agent_depth": _about("How many agents stand above the one that calls.", _DEPTH),
    "upstream": _about(
        "Something that this reads from matches.", _object(_EARLIER, minProperties=1)
    ),
    "after": _about("An earlier action of the session matched.", _one_or_list(_defined("after"))),
    "call_count": _about(
        "At least so many calls in the window.",
        _object(
            {
                "tool": _PATTERNS,
                "gte": _COUNT,
                "window": _DURATION,
                "by": {"enum": ["session", "agent", "global"]},
            },
            required=["gte"],
        ),
    ),
    "time": _about(
        "The moment lies in these hours of these days.",
        _object(
            {"hours": _TEXTS, "days": _TEXTS, "zone": _TEXT},
            anyOf=[{"required": ["hours"]}, {"required": ["days"]}],
        ),
    ),
    "response_matches": _about("RE2 expressions: one is found.", _PATTERNS),
    "response_not_matches": _about("RE2 expressions: none is found.", _PATTERNS),
    "response_credentials": _about(
        "Kinds of credentials; true means all of well-known shape.",
        {"anyOf": [{"const": True}, _one_or_list(_word(KINDS))]},
    ),
}

_WHEN: Final[Schema] = {
    "if": {"type": "object", "required": ["default"]},
    "then": _object({"default": _about("Every call.", {"const": True})}, maxProperties=1),
    "else": _object(_WHEN_KEYS),
}

_EXAMPLE: Final[Schema] = {
    "anyOf": [_TEXT, {"type": "object", "required": ["tool"], "properties": {"tool": _TEXT}}]
}
_EXAMPLES: Final[Schema] = {"type": "array", "items": _EXAMPLE, "minItems": 1}

_WEBHOOK: Final = _object(
    {
        "url": {"type": "string", "pattern": "^https?://"},
        "timeout": {**_DURATION, "maxLength": 16},
        "secret_env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"},
        "fail_open": _BOOLEAN,
    },
    required=["url"],
)

_RESPONSE: Final[Schema] = {
    "properties": {
        "when": {
            "anyOf": [{"required": ["response_matches"]}, {"required": ["response_credentials"]}]
        }
    },
    "required": ["when"],
}

_RULE: Final = _object(
    {
        "name": _about("Unique in its policy; absent: rule-1, rule-2, …", _TEXT),
        "action": _about("What this rule says.", {"enum": list(_RULE_ACTIONS)}),
        "when": _about("All conditions must hold; in a list one is enough.", _WHEN),
        "message": _about("Why, for the agent and its person.", _TEXT),
        "suggest": _about("What to do instead.", _TEXTS),
        "expires_at": _about(
            "From then on the rule does not exist; with a zone.",
            {
                "type": "string",
                "pattern": r"^\d{4}-?\d{2}-?\d{2}.+([zZ]|[+-]\d{2}:?(\d{2})?(:?\d{2})?)$",
            },
        ),
        "once": _about("It applies to one call.", _BOOLEAN),
        "webhook": _about("The endpoint that decides.", _WEBHOOK),
        "examples": _about(
            "Calls that the rule must, and must not, match.",
            _object({"match": _EXAMPLES, "not_match": _EXAMPLES}),
        ),
    },
    required=["action"],
    allOf=[
        {
            "if": {"properties": {"action": {"const": "webhook"}}, "required": ["action"]},
            "then": {"required": ["webhook"], "properties": {"once": {"const": False}}},
            "else": {"properties": {"webhook": False}},
        },
        {
            "if": {"properties": {"action": {"const": "redact"}}, "required": ["action"]},
            "then": _RESPONSE,
        },
    ],
)

_POLICY: Final = _object(
    {
        "name": _about("Unique in its file.", _TEXT),
        "description": _TEXT,
        "priority": _about("Who is named among equally strict policies.", _INTEGER),
        "enabled": _BOOLEAN,
        "match": _about(
            "The calls that this policy is about.",
            _object({"tool": _PATTERNS, "agent": _PATTERNS, "session": _PATTERNS}),
        ),
        "rules": _about(
            "The first one that matches speaks.",
            {"type": "array", "items": _RULE, "minItems": 1},
        ),
    },
    required=["name", "rules"],
)


def policy_schema() -> Schema:
    """Return the schema (draft 2020-12) of a policy file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rampart policy",
        "description": "What an agent's tool calls may do: core/docs/policy.md",
        **_object(
            {
                "version": {"enum": ["1", 1]},
                "default_action": _about(
                    "Where no policy speaks; absent means deny.", {"enum": list(_VERDICTS)}
                ),
                "extends": _about("Profiles or files that also apply.", _TEXTS),
                "rules": _about(
                    "Rules of those, by POLICY/RULE, that are off or get another word.",
                    {
                        "type": "object",
                        "additionalProperties": {"enum": ["off", *_VERDICTS]},
                    },
                ),
                "policies": {"type": "array", "items": _POLICY, "minItems": 1},
                "commands": _about(
                    "What programs do that the catalog does not know.", {"type": "object"}
                ),
                "notify": {"type": "object"},
                "tests": _about("Calls and what is decided about them.", TESTS),
            },
            required=["version"],
        ),
        "$defs": {
            "texts": _one_or_list(_TEXT),
            "patterns": _one_or_list(_PATTERN),
            "effects": _one_or_list(_word(ALL_EFFECTS)),
            "comparison": _COMPARISON,
            "after": _AFTER,
        },
    }
