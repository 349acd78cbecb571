"""The JSON Schema of policy files as a text, always the same for the same schema."""

from __future__ import annotations

import json

from rampart.authoring.json_schema import policy_schema


def schema_text() -> str:
    """Return the schema as it stands in ``core/docs/policy.schema.json``."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=True) + "\n"
