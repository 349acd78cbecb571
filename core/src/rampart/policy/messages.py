"""The sentences of a decision whose rule brings none."""

from __future__ import annotations

from typing import Final

from rampart.model import Action, ToolCall, Verdict
from rampart.policy.compiled import CompiledRule

_SUBJECT_CHARS_MAX: Final = 80  # enough to recognise a command; a message is one line

_RULE_VERBS: Final = {"deny": "denies", "ask": "wants a person to decide about", "watch": "watches"}


def rule_message(
    rule: CompiledRule, verdict: Verdict, call: ToolCall, because: Action | None
) -> str:
    """Return the rule's own message, or one that names its policy and what the call would do."""
    if verdict == "allow":
        return rule.message
    verb = _RULE_VERBS[verdict]
    text = rule.message or f"policy {rule.policy.name} {verb} {_subject(call, because)}"
    names = sorted({after.until_approved for after in rule.when.after} - {""})
    if verdict != "ask" or not names:
        return text
    # WHY: whoever approves must know that it is more than this one call
    return f"{text} (an approval also clears this session of {' and '.join(names)})"


def webhook_message(rule: CompiledRule, call: ToolCall, because: Action) -> str:
    """Return that a webhook has to decide, for a rule that brings no message."""
    return f"policy {rule.policy.name} leaves {_subject(call, because)} to a webhook"


def default_message(verdict: Verdict, call: ToolCall, because: Action | None) -> str:
    """Return why the default decided."""
    match verdict:
        case "allow" | "watch":
            return ""
        case "ask":
            return f"no policy decides about {_subject(call, because)}: a person has to"
        case "deny":
            return f"no policy allows {_subject(call, because)}"


def _subject(call: ToolCall, because: Action | None) -> str:
    if because is None:
        return f"tool {call.tool}"
    text = because.command or because.path or because.url
    if not text:
        return f"tool {because.tool}"
    line = " ".join(text.split())
    if len(line) > _SUBJECT_CHARS_MAX:
        line = line[: _SUBJECT_CHARS_MAX - 1] + "…"
    return f"{because.tool} `{line}`"
