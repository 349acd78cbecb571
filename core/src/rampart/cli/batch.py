"""Many decisions in one process: JSON lines in, JSON lines out, in the same order."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import BinaryIO, Final

from rampart import strict_json
from rampart.cli.terminal import complain
from rampart.embedded import preview_gate, rehearsal_gate
from rampart.errors import InputError
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.limits import BATCH_LINE_BYTES_MAX, TRACE_STEPS_MAX
from rampart.model import RULE_INVALID_INPUT, Decision, ToolCall
from rampart.sources import PolicyInForce

_GATES_MAX: Final = 64  # one for each home and directory that calls name; some MB each


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: the calls of one session, in order. ``plays`` says that it is about a session."""

    id: object
    calls: tuple[ToolCall, ...]
    home: str
    plays: bool


class Batch:
    """Decides one line after the other. Touches no file: links are not followed.

    ``home`` and ``cwd`` stand in where a line names none.
    """

    def __init__(self, policies: PolicyInForce, *, home: str, cwd: str) -> None:
        self._policies = policies
        self._home = home
        self._cwd = cwd
        self._gates: OrderedDict[tuple[str, str], Gate] = OrderedDict()
        self.malformed = 0

    def run(self, source: BinaryIO, target: BinaryIO) -> None:
        """Decide every line of ``source``. Each answer is written before the next line is read.

        Raises: PolicyError before the first line if the policy does not compile.
        """
        self._policies.engine(HostFacts(home=self._home).host(ToolCall("exec", {}, cwd=self._cwd)))
        while line := source.readline(BATCH_LINE_BYTES_MAX + 1):
            if len(line) > BATCH_LINE_BYTES_MAX:
                _skip_rest(source, line)
                answer = self._refused(None, f"a line of more than {BATCH_LINE_BYTES_MAX} bytes")
            elif not line.strip():
                continue
            else:
                answer = self._answer(line)
            target.write(answer)
            target.flush()
        if self.malformed:
            lines = "line was" if self.malformed == 1 else "lines were"
            complain(f"{self.malformed} malformed {lines} decided deny")

    def _answer(self, line: bytes) -> bytes:
        identifier: object = None
        try:
            value = strict_json.loads_object(line, size_bytes_max=BATCH_LINE_BYTES_MAX)
            identifier = value.get("id")
            row = self._row(value)
        except InputError as error:
            return self._refused(identifier, error.message)
        gate = self._gate(row)
        if not row.plays:
            return _encoded(row.id, gate.check(row.calls[0]))
        stage = rehearsal_gate(gate.policies, self._hosts(row.home))
        return _encoded_steps(row.id, [stage.rehearse(call) for call in row.calls])

    def _refused(self, identifier: object, message: str) -> bytes:
        self.malformed += 1
        return _encoded(identifier, Decision("deny", message, rule=RULE_INVALID_INPUT))

    def _row(self, value: dict[str, object]) -> _Row:
        context = _object(value, "context")
        cwd = _text(value, "cwd") or _text(context, "cwd")
        home = _text(value, "home") or _text(context, "home") or self._home
        place = cwd if os.path.isabs(cwd) else self._cwd  # noqa: PTH117 - text in, text out
        steps = _steps(value)
        if steps is None:
            return _Row(value.get("id"), (self._call(value, value, place),), home, plays=False)
        calls = tuple(self._call(step, value, place) for step in steps)
        return _Row(value.get("id"), calls, home, plays=True)

    def _call(self, value: dict[str, object], row: dict[str, object], cwd: str) -> ToolCall:
        """Return the call of a line, or of one step of it; the line says who asks."""
        given = [name for name in ("params", "input", "arguments") if name in value]
        if len(given) != 1:
            raise InputError("either `params` or `input` is needed")
        if not value.get("tool"):
            raise InputError("`tool` is needed")
        params = value[given[0]]
        if isinstance(params, str) and given[0] == "arguments":
            params = _written_arguments(params)
        if not isinstance(params, dict):
            raise InputError(f"`{given[0]}` must be an object")
        return ToolCall(
            _text(value, "tool"),
            params,
            agent=_text(value, "agent") or _text(row, "agent"),
            session=_text(row, "session"),
            cwd=cwd,
        )

    def _gate(self, row: _Row) -> Gate:
        # WHY: a policy is compiled for a home and a workspace, which takes longer than a decision
        key = (row.home, row.calls[0].cwd)
        gate = self._gates.get(key)
        if gate is None:
            policies = PolicyInForce(self._policies.documents)
            gate = preview_gate(policies, self._hosts(row.home))
            self._gates[key] = gate
            if len(self._gates) > _GATES_MAX:
                self._gates.popitem(last=False)
        return gate

    @staticmethod
    def _hosts(home: str) -> HostFacts:
        return HostFacts(home=home, follow_links=False)


def _steps(value: dict[str, object]) -> list[dict[str, object]] | None:
    """Return the steps of a line about a whole session, or None if it is about one call."""
    holder = _object(value, "input") if value.get("tool") == "trace" else value
    if "steps" not in holder:
        return None
    steps = holder["steps"]
    if not isinstance(steps, list) or not steps:
        raise InputError("`steps` must be a list of calls")
    if len(steps) > TRACE_STEPS_MAX:
        raise InputError(f"{len(steps)} steps: the limit is {TRACE_STEPS_MAX}")
    if not all(isinstance(step, dict) for step in steps):
        raise InputError("a step must be an object")
    return steps


def _written_arguments(text: str) -> dict[str, object]:
    """Return arguments that a model wrote as text; what is no JSON object stays one text."""
    try:
        return strict_json.loads_object(
            text.encode("utf-8", "surrogatepass"), size_bytes_max=BATCH_LINE_BYTES_MAX
        )
    except InputError:
        return {"arguments": text}


def _object(value: dict[str, object], name: str) -> dict[str, object]:
    found = value.get(name, {})
    if not isinstance(found, dict):
        raise InputError(f"`{name}` must be an object")
    return found


def _text(value: dict[str, object], name: str) -> str:
    text = value.get(name, "")
    if not isinstance(text, str):
        raise InputError(f"`{name}` must be text")
    return text


def _encoded(identifier: object, decision: Decision) -> bytes:
    return json.dumps({"id": identifier, **_described(decision)}).encode() + b"\n"


def _encoded_steps(identifier: object, decisions: list[Decision]) -> bytes:
    """Return the answer about a session: the last decision, each step's, and the first stopped."""
    stopped = next((n for n, each in enumerate(decisions) if not each.allowed), None)
    steps = [_described(decision) for decision in decisions]
    answer = {"id": identifier, **steps[-1], "stopped_at": stopped, "steps": steps}
    return json.dumps(answer).encode() + b"\n"


def _described(decision: Decision) -> dict[str, object]:
    return {
        "decision": decision.action,
        "message": decision.message,
        "policy": decision.policy,
        "us": round(decision.duration_us, 1),
    }


def _skip_rest(source: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = source.readline(65536)
