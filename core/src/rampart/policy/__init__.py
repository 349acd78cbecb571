"""The policy language: text → document → compiled engine → decision.

Pure: no files, clock, environment or logging.
"""

from rampart.policy.document import (
    Comparison,
    Condition,
    DepthRange,
    Example,
    Examples,
    Policy,
    PolicyDocument,
    Rule,
    Scope,
)
from rampart.policy.engine import Engine, Hearing, compile_policies
from rampart.policy.schema import parse_policy

__all__ = [
    "Comparison",
    "Condition",
    "DepthRange",
    "Engine",
    "Example",
    "Examples",
    "Hearing",
    "Policy",
    "PolicyDocument",
    "Rule",
    "Scope",
    "compile_policies",
    "parse_policy",
]
