"""Many decisions in one process: JSON lines in, JSON lines out, in the same order."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import BinaryIO, Final

from rampart import strict_json
from rampart.cli.terminal import complain
from rampart.embedded import preview_gate
from rampart.errors import InputError
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.limits import BATCH_LINE_BYTES_MAX
from rampart.model import RULE_INVALID_INPUT, Decision, ToolCall
from rampart.sources import PolicyInForce

_GATES_MAX: Final = 64  # one for each home and directory that calls name; some MB each


@dataclass(frozen=True, slots=True)
class _Row:
    id: object
    call: ToolCall
    home: str


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
        return _encoded(row.id, self._gate(row).check(row.call))

    def _refused(self, identifier: object, message: str) -> bytes:
        self.malformed += 1
        return _encoded(identifier, Decision("deny", message, rule=RULE_INVALID_INPUT))

    def _row(self, value: dict[str, object]) -> _Row:
        if ("params" in value) == ("input" in value):
            raise InputError("either `params` or `input` is needed")
        if not value.get("tool"):
            raise InputError("`tool` is needed")
        params = value["params"] if "params" in value else value["input"]
        if not isinstance(params, dict):
            raise InputError("`params` must be an object")
        context = value.get("context", {})
        if not isinstance(context, dict):
            raise InputError("`context` must be an object")
        cwd = _text(value, "cwd") or _text(context, "cwd")
        home = _text(value, "home") or _text(context, "home")
        call = ToolCall(
            _text(value, "tool"),
            params,
            agent=_text(value, "agent"),
            session=_text(value, "session"),
            cwd=cwd if os.path.isabs(cwd) else self._cwd,  # noqa: PTH117 - text in, text out
        )
        return _Row(value.get("id"), call, home or self._home)

    def _gate(self, row: _Row) -> Gate:
        # WHY: a policy is compiled for a home and a workspace, which takes longer than a decision
        key = (row.home, row.call.cwd)
        gate = self._gates.get(key)
        if gate is None:
            policies = PolicyInForce(self._policies.documents)
            gate = preview_gate(policies, HostFacts(home=row.home, follow_links=False))
            self._gates[key] = gate
            if len(self._gates) > _GATES_MAX:
                self._gates.popitem(last=False)
        return gate


def _text(value: dict[str, object], name: str) -> str:
    text = value.get(name, "")
    if not isinstance(text, str):
        raise InputError(f"`{name}` must be text")
    return text


def _encoded(identifier: object, decision: Decision) -> bytes:
    answer = {
        "id": identifier,
        "decision": decision.action,
        "message": decision.message,
        "policy": decision.policy,
        "us": round(decision.duration_us, 1),
    }
    return json.dumps(answer).encode() + b"\n"


def _skip_rest(source: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = source.readline(65536)
