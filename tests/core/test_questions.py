"""Questions that a framework asks in its own way: one id, one record, one answer, one use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rampart import Answer, AskedCall, Decision, EnforcementPoint, Guard, ToolMapping
from rampart.audit.read import read_records

from tests.core.conftest import POLICY

PUSH = {"command": "git push"}  # the policy asks about it


def records(tmp_path: Path, kind: str) -> list[Any]:
    found: list[Any] = list(read_records(tmp_path / "data" / "audit"))
    return [record for record in found if record["type"] == kind]


def test_same_question_has_the_same_id_and_is_recorded_once(guard: Guard, tmp_path: Path) -> None:
    call = guard.call("exec", PUSH)
    first, known = guard.questions.ask(call, "step 1")
    assert (first.action, known) == ("ask", False)
    again, known = guard.questions.ask(call, "step 1")
    assert (again.approval_id, known) == (first.approval_id, True)
    assert len(records(tmp_path, "decision")) == 1


def test_other_key_or_call_is_another_question(guard: Guard) -> None:
    asked = [
        guard.questions.ask(guard.call("exec", PUSH), "step 1"),
        guard.questions.ask(guard.call("exec", PUSH), "step 2"),
        guard.questions.ask(guard.call("exec", {"command": "git push origin"}), "step 1"),
        guard.questions.ask(guard.call("exec", PUSH, session="another"), "step 1"),
    ]
    assert len({decision.approval_id for decision, _known in asked}) == len(asked)
    assert not any(known for _decision, known in asked)


def test_what_needs_no_question_is_decided_and_recorded(guard: Guard, tmp_path: Path) -> None:
    for command, action in (("ls", "allow"), ("rm x", "deny")):
        decision, known = guard.questions.ask(guard.call("exec", {"command": command}), "k")
        assert (decision.action, known) == (action, False)
    assert len(records(tmp_path, "decision")) == 2


def test_answer_is_recorded_and_serves_once(guard: Guard, tmp_path: Path) -> None:
    decision, _known = guard.questions.ask(guard.call("exec", PUSH), "k")
    assert guard.questions.answer(decision, True, by="ann").action == "allow"
    assert guard.questions.answer(decision, True, by="ann").action == "deny"
    (answer,) = records(tmp_path, "approval")
    assert (answer["status"], answer["by"]) == ("approved", "ann")
    again, known = guard.questions.ask(guard.call("exec", PUSH), "k")
    assert (known, guard.questions.answer(again, True, by="ann").action) == (True, "deny")


def test_refusal_stands_whatever_was_answered_elsewhere(guard: Guard) -> None:
    decision, _known = guard.questions.ask(guard.call("exec", PUSH), "k")
    guard._point.resolve(decision.approval_id, True, by="ann")  # type: ignore[attr-defined]  # an embedded gate
    assert guard.questions.answer(decision, False, by="bob", reason="no").action == "deny"


def test_question_whose_wait_is_over_cannot_be_answered_any_more(tmp_path: Path) -> None:
    with Guard(POLICY, data_dir=tmp_path / "data", ask_timeout_s=0.05) as guard:
        decision, _known = guard.questions.ask(guard.call("exec", PUSH), "k")
        assert guard.questions.wait(decision).action == "deny"
        assert guard.questions.answer(decision, True, by="ann").action == "deny"


class Asks:
    """An asker whose person says what the test says."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.asked: list[AskedCall] = []

    def key(self, name: str, arguments: Any) -> str:
        return "here"

    def ask(self, asked: AskedCall) -> Answer | None:
        self.asked.append(asked)
        return self.answer


def point(guard: Guard, asker: Asks) -> EnforcementPoint:
    return EnforcementPoint(guard, "exec", ToolMapping(), asker=asker)


def test_asker_is_asked_and_its_answer_counts(guard: Guard) -> None:
    asker = Asks(Answer(True, "ann"))
    assert point(guard, asker).decide(PUSH).decision.action == "allow"
    (asked,) = asker.asked
    assert (asked.name, asked.arguments, asked.known) == ("exec", PUSH, False)
    assert point(guard, Asks(Answer(False, "ann", "no"))).decide(PUSH).decision.message


def test_edited_arguments_are_decided_anew(guard: Guard) -> None:
    edited = Answer(True, "ann", arguments={"command": "ls"})
    outcome = point(guard, Asks(edited)).decide(PUSH)
    assert (outcome.decision.action, outcome.edited) == ("allow", {"command": "ls"})
    worse = Answer(True, "ann", arguments={"command": "rm x"})
    with guard.context(session="s2"):
        assert point(guard, Asks(worse)).decide(PUSH).decision.action == "deny"


def test_edit_is_a_denial_for_who_cannot_take_it(guard: Guard) -> None:
    edited = Answer(True, "ann", arguments={"command": "ls"})
    assert point(guard, Asks(edited)).enforce(PUSH).action == "deny"


def test_what_the_asker_raises_stops_the_run(guard: Guard) -> None:
    class Stops(Asks):
        def ask(self, asked: AskedCall) -> Answer | None:
            raise KeyError("the graph stops here")

    with pytest.raises(KeyError, match="the graph stops here"):
        point(guard, Stops(None)).decide(PUSH)


def test_asker_is_not_asked_where_a_service_decides() -> None:
    class Remote:
        def check(self, call: Any) -> Any:
            return Decision("deny", "no")

        enforce = check

        def finish(self, decision: Any, timeout_s: float) -> Any:
            return decision

        def poll(self, decision: Any) -> Any:
            return decision

    asker = Asks(Answer(True, "ann"))
    assert point(Guard.of(Remote()), asker).decide(PUSH).decision.action == "deny"
    assert asker.asked == []
