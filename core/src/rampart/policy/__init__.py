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
from rampart.policy.engine import Engine, Hearing, Judgement, compile_policies
from rampart.policy.past import Counter, Footprint, Mark, Past
from rampart.policy.responses import Reviewed, Taken
from rampart.policy.schema import parse_commands, parse_policy

__all__ = [
    "Comparison",
    "Condition",
    "Counter",
    "DepthRange",
    "Engine",
    "Example",
    "Examples",
    "Footprint",
    "Hearing",
    "Judgement",
    "Mark",
    "Past",
    "Policy",
    "PolicyDocument",
    "Reviewed",
    "Rule",
    "Scope",
    "Taken",
    "compile_policies",
    "parse_commands",
    "parse_policy",
]
