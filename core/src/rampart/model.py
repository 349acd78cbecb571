"""The value types: what an agent wants to do, what that would really do, and what was decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from rampart.budget import Budget

from rampart.limits import WEBHOOK_TIMEOUT_S

Verdict = Literal["allow", "watch", "ask", "deny"]
"""The four words. Policy files may also say ``log`` (watch) and ``require_approval`` (ask)."""

Origin = Literal["call", "command", "redirect", "assignment", "argument", "code"]
"""Where an action comes from: the call itself, a program it would run, a redirection, an
environment assignment, what a program does to its arguments, or inline source code.
"""

STRICTNESS: Final[Mapping[Verdict, int]] = MappingProxyType(
    {"allow": 0, "watch": 1, "ask": 2, "deny": 3}
)

EMPTY: Final[Mapping[str, object]] = MappingProxyType({})

# Rule ids of decisions that no rule made. They are part of the contract: logs and clients compare
# them.
RULE_DEFAULT: Final = "default_action"
RULE_INTERNAL_ERROR: Final = "internal_error"
RULE_INPUT_TOO_LARGE: Final = "input_too_large"
RULE_INVALID_INPUT: Final = "invalid_input"
RULE_POLICY_MISSING: Final = "policy_missing"
RULE_AUDIT_UNAVAILABLE: Final = "audit_unavailable"
RULE_STATE_UNAVAILABLE: Final = "state_unavailable"
RULE_APPROVAL_UNAVAILABLE: Final = "approval_unavailable"
RULE_APPROVAL_DENIED: Final = "approval_denied"
RULE_APPROVAL_EXPIRED: Final = "approval_expired"
RULE_APPROVED: Final = "approved"
RULE_PLUGIN_ERROR: Final = "plugin_error"
RULE_SERVICE_UNAVAILABLE: Final = "service_unavailable"
RULE_WEBHOOK_UNAVAILABLE: Final = "webhook_unavailable"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What an agent wants to do, and who asks.

    ``tool`` is ``exec read write edit delete fetch code mcp`` or any custom name; ``params`` are
    the tool's own parameters. ``cwd`` is an absolute directory or empty when unknown; ``depth``
    counts sub-agents, 0 for the first.
    """

    tool: str
    params: Mapping[str, object] = field(default_factory=dict)
    agent: str = ""
    session: str = ""
    run_id: str = ""
    call_id: str = ""
    cwd: str = ""
    depth: int = 0


@dataclass(slots=True)  # WHY: not frozen, as that costs three times as much for each call
class Host:
    """Facts about the machine a call would run on, handed to the pure core by its caller.

    ``resolve`` follows symbolic links of an absolute path and returns an absolute path; ``None``
    compares paths as text only. ``workspace`` is the project directory that an agent is expected to
    work in.
    """

    home: str
    cwd: str
    workspace: str
    user: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    resolve: Callable[[str], str] | None = None
    budget: Budget | None = None
    """What the analysis of this one call may still cost; None does not count."""


@dataclass(slots=True)
class Action:
    """One thing a call would really do. Which fields are set depends on ``tool``.

    * ``exec``: ``command`` is the normal form of one simple command (its words after expansion and
      removal of quotes, joined by single spaces, the program as a bare name when it is the real
      one); ``program`` its bare name, ``argv`` the words, ``assignments`` the ``NAME=value`` pairs
      in front of it.
    * ``read write edit delete``: ``path`` is absolute and without ``.`` or ``..`` (globs stay as
      written).
    * ``fetch``: ``url`` in canonical form and its ``host``.
    * ``code``: ``command`` is the source text.
    * anything else: ``params`` only.

    ``spellings`` are other texts for the same thing (as written, with its directory, through
    links). A restriction counts if any spelling matches; a grant only on the normal form, and only
    if ``grantable``.
    """

    tool: str
    origin: Origin
    command: str = ""
    program: str = ""
    argv: tuple[str, ...] = ()
    assignments: tuple[str, ...] = ()
    path: str = ""
    url: str = ""
    host: str = ""
    spellings: tuple[str, ...] = ()
    params: Mapping[str, object] = field(default_factory=lambda: EMPTY)
    effects: frozenset[str] = frozenset()
    """What the catalog knows beyond paths and hosts: ``recursive``, ``irreversible``,
    ``privileged``, …
    """
    opaque: str = ""
    """Why it cannot be known what would happen; empty when it is known. No grant applies to an
    opaque action.
    """
    grantable: bool = True
    """False when a word is only known at run time, the program may not be the real one, or its
    loading is changed.
    """
    whole: bool = False
    """The call as a whole, as written (``exec`` and ``code``): seen by restrictions only, never by
    the default.
    """
    upstream: tuple[Action, ...] = ()
    """Actions whose output this one reads, inside the same command line."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint that decides. ``secret_env`` names the variable that holds the signing key.

    ``fail_open``: while it cannot be reached the call is decided as if it had said allow.
    """

    url: str
    timeout_s: float = WEBHOOK_TIMEOUT_S
    secret_env: str = ""
    fail_open: bool = False


@dataclass(frozen=True, slots=True)
class Consultation:
    """That a rule leaves an action to a webhook; ``message`` and ``suggestions`` are the rule's."""

    webhook: Webhook
    policy: str
    rule: str
    message: str
    suggestions: tuple[str, ...]
    because: Action


@dataclass(frozen=True, slots=True)
class Pending:
    """What a decision waits for: these webhooks agree. Then ``otherwise`` holds."""

    consultations: tuple[Consultation, ...]
    otherwise: Decision


@dataclass(frozen=True, slots=True)
class Consulted:
    """What a webhook answered, or why it did not."""

    policy: str
    rule: str
    action: Verdict
    message: str
    failure: str = ""


@dataclass(slots=True)
class Decision:
    """The answer to one call.

    ``policy`` is empty and ``rule`` a reserved id when no rule decided. ``matched`` names every
    policy that spoke, the deciding one first. ``duration_us`` is the time from call to decision,
    the log's sync aside.
    """

    action: Verdict
    message: str = ""
    policy: str = ""
    rule: str = ""
    matched: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    generation: str = ""
    duration_us: float = 0.0
    because: Action | None = None
    audit_id: str = ""
    approval_id: str = ""
    expires_at: float = 0.0
    pending: Pending | None = None
    """Webhooks that have yet to agree: then ``action`` is ask, and nobody was asked so far."""
    consulted: tuple[Consulted, ...] = ()
    """The webhooks that were asked."""

    @property
    def allowed(self) -> bool:
        """True when the call may run now."""
        return self.action in ("allow", "watch")


@dataclass(frozen=True, slots=True)
class Review:
    """What may be done with what a tool returned, and what the model may see of it.

    ``decision.action`` is allow, watch or deny. ``response`` has the structure that the tool's own
    output had, with what a rule takes out replaced by marks; when it is withheld, it is the text
    that the model reads instead.
    """

    decision: Decision
    response: object

    @property
    def allowed(self) -> bool:
        """True when the model may see ``response`` as what the tool returned."""
        return self.decision.allowed


def withheld(tool: str, decision: Decision) -> Review:
    """Return the review of an output that the model must not see."""
    return Review(decision, withheld_text(tool, decision))


def stricter(first: Verdict, second: Verdict) -> Verdict:
    """Return the stricter of two verdicts: deny > ask > watch > allow."""
    return first if STRICTNESS[first] >= STRICTNESS[second] else second


def denial_text(tool: str, decision: Decision) -> str:
    """Return the sentence that a model sees instead of the tool's output.

    WHY: without its last sentence models repeat the same call until they run out of steps.
    """
    reason = decision.message or "not permitted"
    if decision.action == "ask":
        head = f"Waiting for approval {decision.approval_id}: {tool}: {reason}"
    else:
        head = f"Denied by policy: {tool}: {reason}"
    hints = "".join(f" Instead: {hint.rstrip('.')}." for hint in decision.suggestions[:3])
    rule = f"{decision.policy}/{decision.rule}" if decision.policy else decision.rule
    tail = "Do not repeat this call; use another approach or ask the user."
    return f"{head} [rule={rule}].{hints} {tail}"


def withheld_text(tool: str, decision: Decision) -> str:
    """Return the sentence that a model sees instead of an output that is withheld."""
    reason = decision.message or "not permitted"
    hints = "".join(f" Instead: {hint.rstrip('.')}." for hint in decision.suggestions[:3])
    rule = f"{decision.policy}/{decision.rule}" if decision.policy else decision.rule
    # WHY: the call did run; a model that takes this for a failure runs it again
    tail = "The call was made. Do not repeat it to see the output; ask the user."
    return f"Output withheld by policy: {tool}: {reason} [rule={rule}].{hints} {tail}"
