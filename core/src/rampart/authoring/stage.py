"""Stage: policies on a made-up machine, where calls are decided that nobody makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from rampart.errors import InputError, InputTooLarge
from rampart.intercept import intercept
from rampart.intercept.examples import HOST
from rampart.model import (
    RULE_INPUT_TOO_LARGE,
    RULE_INVALID_INPUT,
    Action,
    Decision,
    Host,
    ToolCall,
)
from rampart.policy import Engine, Hearing, compile_policies
from rampart.policy.document import Policy, PolicyDocument, Rule
from rampart.sources import PolicyInForce

_UNSET: Final = object()


@dataclass(frozen=True, slots=True)
class Sample:
    """One call, and what it returned if it is about that. ``origin`` says where it comes from."""

    call: ToolCall
    response: object = _UNSET
    origin: str = ""

    @property
    def answered(self) -> bool:
        """True if it is about what the call returned."""
        return self.response is not _UNSET


def sample_of(example: str | Mapping[str, object], *, origin: str = "", cwd: str = "") -> Sample:
    """Return the call of an example: a command line, or a mapping with ``tool``."""
    if isinstance(example, str):
        return Sample(ToolCall("exec", {"command": example}, cwd=cwd), origin=origin)
    params = {name: value for name, value in example.items() if name not in ("tool", "response")}
    call = ToolCall(str(example["tool"]), params, cwd=cwd)
    return Sample(call, example.get("response", _UNSET), origin)


class Stage:
    """Decides calls as the engine does, on ``host``. The past is empty."""

    def __init__(self, policies: PolicyInForce, *, now: float, host: Host = HOST) -> None:
        self.policies = policies
        self.now = now
        self.engine = policies.engine(host)
        self.host = host

    def actions(self, call: ToolCall) -> tuple[Action, ...]:
        """Return what a call would do. Raises: InputError, InputTooLarge."""
        return intercept(call, self.host_of(call), self.policies.catalog)

    def decide(self, sample: Sample) -> Decision:
        """Return the answer to a call, or about its response."""
        return _decide(self.engine, sample, self.host_of(sample.call), self)

    def hear(self, sample: Sample) -> tuple[tuple[Action, tuple[Hearing, ...]], ...]:
        """Return what the call would do, and the rules that speak about each part."""
        try:
            return tuple(
                (action, self.engine.hear(sample.call, action, now=self.now))
                for action in self.actions(sample.call)
            )
        except InputError:  # the decision says so
            return ()

    def speaks(self, policy: Policy, rule: Rule, sample: Sample) -> bool:
        """True if a rule speaks where it and the exceptions before it are all there is."""
        return self.alone(policy, rule)(sample)

    def alone(self, policy: Policy, rule: Rule) -> _Alone:
        """Return the test whether a rule speaks about a call; see ``speaks``."""
        return _Alone(self, policy, rule)

    def host_of(self, call: ToolCall) -> Host:
        """Return the machine as one call sees it."""
        return replace(self.host, cwd=call.cwd) if call.cwd else self.host


class _Alone:
    def __init__(self, stage: Stage, policy: Policy, rule: Rule) -> None:
        before = policy.rules[: policy.rules.index(rule)]
        exceptions = tuple(other for other in before if other.action in ("watch", "allow"))
        here = Policy(policy.name, (*exceptions, rule), match=policy.match)
        document = PolicyDocument("alone", b"", (here,), default_action="allow")
        self._stage = stage
        self._rule = rule
        self._engine = compile_policies(
            [document], home=stage.host.home, workspace=stage.host.workspace
        )

    def __call__(self, sample: Sample) -> bool:
        stage = self._stage
        found = _decide(self._engine, sample, stage.host_of(sample.call), stage)
        return found.rule == self._rule.id


def _decide(engine: Engine, sample: Sample, host: Host, stage: Stage) -> Decision:
    call = sample.call
    try:
        actions = intercept(call, host, stage.policies.catalog)
        if sample.answered:
            reviewed = engine.review(
                call, actions, sample.response, now=stage.now, late=lambda: False
            )
            return reviewed.decision
        return engine.decide(call, actions, now=stage.now)
    except InputTooLarge as error:
        return Decision("deny", error.message, rule=RULE_INPUT_TOO_LARGE)
    except InputError as error:
        return Decision("deny", error.message, rule=RULE_INVALID_INPUT)
