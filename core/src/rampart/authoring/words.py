"""A rule in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rampart.policy.document import (
    After,
    CallCount,
    Comparison,
    Condition,
    DepthRange,
    Policy,
    Rule,
    Scope,
    TimeWindow,
)
from rampart.policy.times import DAYS

_ANSWERS: Final = {
    "allow": "Lets the call run",
    "watch": "Lets the call run, and marks it in the log",
    "ask": "Asks a person",
    "deny": "Denies the call",
    "webhook": "Leaves it to an endpoint",
    "redact": "Takes what is found out of the response",
}


def rule_words(policy: Policy, rule: Rule) -> tuple[str, ...]:
    """Return sentences that say what a rule is about, and what it answers."""
    parts = list(condition_words(rule.when))
    found = [f"{_ANSWERS[rule.action]}{_scope(policy.match)}{'' if parts else ', always.'}"]
    if parts:
        found[0] += " if"
        joined = [f"{part}, and" for part in parts[:-1]]
        found += [f"  {part}" for part in (*joined, f"{parts[-1]}.")]
    if rule.once:
        found.append("It applies to one call, and is gone then.")
    if rule.expires_at is not None:
        moment = datetime.fromtimestamp(rule.expires_at, UTC)
        found.append(f"From {moment:%Y-%m-%d %H:%M} UTC on it does not exist.")
    if rule.webhook is not None:
        down = "the call is decided as if it had allowed" if rule.webhook.fail_open else "denied"
        found.append(f"{rule.webhook.url} decides; while it is down: {down}.")
    found.append(_reading(rule))
    return tuple(found)


def _reading(rule: Rule) -> str:
    if rule.when.of_response:
        return "It is about what a call returned, and says nothing before the call."
    if rule.action in ("allow", "watch"):
        return "As a grant it is read narrowly: the normal form must match, and nothing be unknown."
    return "As a restriction it is read widely: one spelling that matches is enough."


def _scope(scope: Scope) -> str:
    parts = [f" ({_or(scope.tool)})" if scope.tool else ""]
    parts += [f" of agent {_or(scope.agent)}"] if scope.agent else []
    parts += [f" in session {_or(scope.session)}"] if scope.session else []
    return "".join(parts)


def condition_words(when: Condition) -> Iterator[str]:
    """Yield one clause for each thing that must hold."""
    for name, say in _CLAUSES:
        value = getattr(when, name)
        if value not in ((), None, {}):
            yield say(value)


def _or(texts: Sequence[str]) -> str:
    shown = [f"`{text}`" for text in texts[:_SHOWN]]
    more = len(texts) - _SHOWN
    return " or ".join(shown) + (f" or one of {more} more" if more > 0 else "")


_SHOWN: Final = 6


def _clause(head: str) -> Callable[[Any], str]:
    return lambda texts: f"{head} {_or(texts)}"


def _opaque(opaque: bool) -> str:
    return "it can" + ("not" if opaque else "") + " be known what would happen"


def _earlier(after: tuple[After, ...]) -> str:
    blocks = []
    for each in after:
        bounds = [f"within {each.within_s:g} seconds"] if each.within_s is not None else []
        bounds += [f"in the last {each.calls} calls"] if each.calls is not None else []
        whose = "of the agent" if each.by == "agent" else "of the session"
        what = " and ".join(condition_words(each.what))
        blocks.append(f"an earlier action {whose} was such that {what} {' '.join(bounds)}".rstrip())
    return ", or ".join(blocks)


def _count(count: CallCount) -> str:
    tools = f"of {_or(count.tool)} " if count.tool else ""
    window = "30 days" if count.window_s is None else f"{count.window_s:g} seconds"
    whose = {"session": "the session", "agent": "the agent", "global": "everybody"}[count.by]
    return f"this is call number {count.gte} or later {tools}by {whose} in {window}"


def _time(window: TimeWindow) -> str:
    hours = [f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in window.hours]
    days = [DAYS[day] for day in window.days]
    parts = [f"it is {' or '.join(hours)}"] if hours else []
    parts += [f"the day is {', '.join(days)}"] if days else []
    return f"{' and '.join(parts)} ({window.zone})"


def _depth(depth: DepthRange) -> str:
    parts = [f"at least {depth.least}"]
    parts += [f"at most {depth.most}"] if depth.most is not None else []
    parts += [f"not {depth.unequal}"] if depth.unequal is not None else []
    return f"the number of agents above the one that calls is {' and '.join(parts)}"


def _params(params: Any) -> str:
    return " and ".join(f"parameter `{name}` {_compared(each)}" for name, each in params.items())


def _compared(wanted: Comparison) -> str:
    parts = []
    for name, word in _OPERATORS:
        value = getattr(wanted, name)
        if value is not None and value != ():
            shown = ", ".join(map(repr, value)) if isinstance(value, tuple) else str(value)
            parts.append(f"{word} {shown}")
    if wanted.exists is not None:
        parts.append("is there" if wanted.exists else "is not there")
    return " and ".join(parts)


_OPERATORS: Final = (
    ("eq", "is"), ("ne", "is not"), ("is_in", "is one of"), ("not_in", "is none of"),
    ("gt", "is over"), ("gte", "is at least"), ("lt", "is under"), ("lte", "is at most"),
    ("matches", "matches"),
)  # fmt: skip


def _param_globs(params: Any) -> str:
    return " and ".join(f"parameter `{name}` is like {_or(each)}" for name, each in params.items())


_CLAUSES: Final[tuple[tuple[str, Callable[[Any], str]], ...]] = (
    ("tool", _clause("the tool is")),
    ("program", _clause("the program is")),
    ("command_matches", _clause("the command is like")),
    ("command_not_matches", _clause("the command is not like")),
    ("command_contains", _clause("the command contains")),
    ("command_env_assignments", _clause("the environment is set:")),
    ("path_matches", _clause("the path is in")),
    ("path_not_matches", _clause("the path is not in")),
    ("url_matches", _clause("the address is like")),
    ("domain_matches", _clause("the host is")),
    ("domain_not_matches", _clause("the host is not")),
    ("tool_param_matches", _param_globs),
    ("params", _params),
    ("origin", _clause("the action comes from")),
    ("effect", _clause("it has the effect")),
    ("effect_not", _clause("it does not have the effect")),
    ("opaque", _opaque),
    ("upstream", lambda when: f"it reads the output of what {' and '.join(condition_words(when))}"),
    ("session_matches", _clause("the session is like")),
    ("session_not_matches", _clause("the session is not like")),
    ("agent_depth", _depth),
    ("after", _earlier),
    ("call_count", _count),
    ("time", _time),
    ("response_matches", _clause("the response holds")),
    ("response_not_matches", _clause("the response does not hold")),
    ("response_credentials", _clause("the response holds a credential:")),
)
