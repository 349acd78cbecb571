"""What a policy file says, as values: checked and typed, not yet compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from rampart.intercept.catalog.extend import Addition
from rampart.model import Origin, Verdict, Webhook
from rampart.policy.past import By

ParamValue = str | int | float | bool | None
RuleAction = Verdict | Literal["redact", "webhook"]
"""What a rule may say: one of the four words, ``redact`` of a response, or ask a ``webhook``."""
Layer = Literal["overrides", "policy", "tightens"]
"""How a document counts (decisions/0063).

``policy``: as it says. ``tightens``: only its restrictions do. ``overrides``: it also lifts what
others ask for.
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one parameter must be. Absent operators are None; ``eq`` and ``ne`` hold one value."""

    eq: tuple[ParamValue, ...] | None = None
    ne: tuple[ParamValue, ...] | None = None
    is_in: tuple[ParamValue, ...] | None = None
    not_in: tuple[ParamValue, ...] | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    matches: tuple[str, ...] = ()
    exists: bool | None = None


@dataclass(frozen=True, slots=True)
class DepthRange:
    """Bounds for the number of agents above the one that calls."""

    least: int = 0
    most: int | None = None
    unequal: int | None = None


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Hours of the day and days of the week, in a zone. Empty means all."""

    hours: tuple[tuple[int, int], ...] = ()
    """From and to in minutes of the day; over midnight if the second is the smaller one."""
    days: tuple[int, ...] = ()
    """Monday is 0."""
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class CallCount:
    """At least ``gte`` calls of ``tool``, the one under decision included."""

    gte: int
    tool: tuple[str, ...] = ()
    window_s: float | None = None
    by: By = "global"


@dataclass(frozen=True, slots=True)
class After:
    """An earlier action that matches ``what``: no longer ago than each bound that is given.

    ``until_approved`` is the name under which a person's approval forgets it.
    """

    what: Condition
    within_s: float | None = None
    calls: int | None = None
    by: By = "session"
    until_approved: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule applies: every given field must hold; inside a list one entry is enough."""

    command_matches: tuple[str, ...] = ()
    command_not_matches: tuple[str, ...] = ()
    command_contains: tuple[str, ...] = ()
    command_env_assignments: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    path_matches: tuple[str, ...] = ()
    path_not_matches: tuple[str, ...] = ()
    url_matches: tuple[str, ...] = ()
    domain_matches: tuple[str, ...] = ()
    domain_not_matches: tuple[str, ...] = ()
    tool_param_matches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    params: Mapping[str, Comparison] = field(default_factory=dict)
    origin: tuple[Origin, ...] = ()
    effect: tuple[str, ...] = ()
    effect_not: tuple[str, ...] = ()
    session_matches: tuple[str, ...] = ()
    session_not_matches: tuple[str, ...] = ()
    opaque: bool | None = None
    agent_depth: DepthRange | None = None
    tool: tuple[str, ...] = ()
    """Only inside ``upstream`` and ``after``: the tools of the earlier action."""
    upstream: Condition | None = None
    after: tuple[After, ...] = ()
    call_count: CallCount | None = None
    time: TimeWindow | None = None
    response_matches: tuple[str, ...] = ()
    response_not_matches: tuple[str, ...] = ()
    response_credentials: tuple[str, ...] = ()

    @property
    def of_response(self) -> bool:
        """True if it is about what a call returned: it says nothing before the call."""
        return bool(self.response_matches or self.response_not_matches or self.response_credentials)

    @property
    def finds(self) -> bool:
        """True if it is about places in a response, and not about all of it."""
        return bool(self.response_matches or self.response_credentials)


ALWAYS: Final = Condition()


@dataclass(frozen=True, slots=True)
class Example:
    """A call that a rule must, or must not, match: a command line, or a mapping with ``tool``."""

    call: str | Mapping[str, object]
    where: str


@dataclass(frozen=True, slots=True)
class Examples:
    """The proof that a rule carries with it."""

    match: tuple[Example, ...] = ()
    not_match: tuple[Example, ...] = ()


NO_EXAMPLES: Final = Examples()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    ``id`` is its name, or ``rule-N`` counted from 1; ``expires_at`` is in epoch seconds; a rule
    that applies ``once`` is gone after the first call that it speaks for.
    """

    id: str
    action: RuleAction
    when: Condition = ALWAYS
    message: str = ""
    suggest: tuple[str, ...] = ()
    expires_at: float | None = None
    examples: Examples = NO_EXAMPLES
    where: str = ""
    once: bool = False
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The calls that a policy is about. Empty lists mean all."""

    tool: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    session: tuple[str, ...] = ()


EVERYTHING: Final = Scope()


@dataclass(frozen=True, slots=True)
class Policy:
    """A named list of rules with a scope."""

    name: str
    rules: tuple[Rule, ...]
    description: str = ""
    priority: int = 0
    enabled: bool = True
    match: Scope = EVERYTHING
    where: str = ""


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule of another document, ``POLICY/RULE`` or all of a ``POLICY``, and its new word.

    None switches it off.
    """

    name: str
    action: Verdict | None
    where: str


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """One policy file. ``default_action`` is None when the file does not say.

    ``layer`` is not in the file: it follows from where the file was found.
    """

    filename: str
    source: bytes
    policies: tuple[Policy, ...] = ()
    default_action: Verdict | None = None
    extends: tuple[str, ...] = ()
    commands: tuple[Addition, ...] = ()
    notify: Mapping[str, object] = field(default_factory=dict)
    tests: tuple[object, ...] = ()
    layer: Layer = "policy"
    changes: tuple[RuleChange, ...] = ()
