"""Builders: a policy text and what a call would do in, a decision out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from rampart.model import Action, Decision, ToolCall
from rampart.policy import Engine, Reviewed, compile_policies, parse_policy

HOME = "/home/me"
WORKSPACE = "/work/app"
NOW = 1893456000.0  # 2030-01-01T00:00:00Z
_CALL_KEYS = {"agent", "session", "depth", "params"}


def compile_text(*texts: str) -> Engine:
    documents = [parse_policy(text, filename=f"p{i}.yaml") for i, text in enumerate(texts)]
    return compile_policies(documents, home=HOME, workspace=WORKSPACE)


def action(fields: Mapping[str, Any]) -> Action:
    values = {"origin": "command", **fields}
    for name in ("spellings", "assignments", "argv"):
        if name in values:
            values[name] = tuple(values[name])
    values["effects"] = frozenset(values.get("effects", ()))
    values["upstream"] = tuple(action(each) for each in values.get("upstream", ()))
    if "url" in values:
        values.setdefault("host", urlsplit(values["url"]).hostname or "")
    return Action(**values)


def actions_of(case: Mapping[str, Any]) -> tuple[ToolCall, tuple[Action, ...]]:
    about = {key: value for key, value in case.items() if key in _CALL_KEYS}
    if "actions" in case:
        actions = tuple(action(fields) for fields in case["actions"])
        return ToolCall(actions[0].tool if actions else "exec", **about), actions
    if "call" in case:
        return ToolCall(case["call"], **about), (Action(case["call"], "call"),)
    if "exec" in case:
        text = case["exec"]
        program = text.split(" ")[0]
        return ToolCall("exec", **about), (
            Action("exec", "call", command=text, whole=True),
            Action("exec", "command", command=text, program=program),
        )
    if "fetch" in case:
        return ToolCall("fetch", **about), (
            action({"tool": "fetch", "origin": "call", "url": case["fetch"]}),
        )
    tool = next(name for name in ("read", "write", "edit", "delete") if name in case)
    return ToolCall(tool, **about), (Action(tool, "call", path=case[tool]),)


def decide(engine: Engine, case: Mapping[str, Any], now: float = NOW) -> Decision:
    call, actions = actions_of(case)
    return engine.decide(call, actions, now=now)


@pytest.fixture(name="compile_text")
def compile_text_fixture() -> Callable[..., Engine]:
    return compile_text


@pytest.fixture(name="decide")
def decide_fixture() -> Callable[..., Decision]:
    return decide


@pytest.fixture(name="review")
def review_fixture() -> Callable[..., Reviewed]:
    def review(engine: Engine, case: Mapping[str, Any]) -> Reviewed:
        call, actions = actions_of(case)
        return engine.review(call, actions, case["response"], now=NOW, late=lambda: False)

    return review
