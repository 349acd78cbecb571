"""The engine agrees with a naive model of core/docs/policy.md, on random policies and calls.

The model knows no index, no compiled pattern and no shortcut: it tries every rule on every action.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.model import STRICTNESS, Action, Decision, ToolCall
from rampart.policy import Engine, compile_policies, parse_policy

Fields = dict[str, Any]


def glob_regex(pattern: str, *, path: bool) -> str:
    if not path:
        return "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    tokens = re.findall(r"\*\*/|/\*\*$|\*\*|\*|.", pattern)
    parts = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*"}
    return "".join(parts.get(token, re.escape(token)) for token in tokens)


def matches(pattern: str, text: str, *, path: bool = False) -> bool:
    return re.fullmatch(glob_regex(pattern, path=path), text, re.DOTALL) is not None


def any_glob(patterns: Sequence[str], text: str, *, path: bool = False) -> bool:
    return any(matches(pattern, text, path=path) for pattern in patterns)


def wide_paths(patterns: Sequence[str]) -> list[str]:
    found = []
    for pattern in patterns:
        found += [pattern, pattern[:-3]] if pattern.endswith("/**") else [pattern]
    return found


def restricts(when: Fields, action: Action) -> bool:
    if not facts_hold(when, action):
        return False
    if "command_matches" in when or "command_not_matches" in when:
        excluded = when.get("command_not_matches", [])
        if not action.command or any_glob(excluded, action.command):
            return False
        texts = [t for t in (action.command, *action.spellings) if not any_glob(excluded, t)]
        if not any(any_glob(when.get("command_matches", ["*"]), text) for text in texts):
            return False
    if "path_matches" in when:
        excluded = when.get("path_not_matches", [])
        texts = [
            t for t in (action.path, *action.spellings) if not any_glob(excluded, t, path=True)
        ]
        if not action.path:
            return False
        return any(any_glob(wide_paths(when["path_matches"]), text, path=True) for text in texts)
    return True


def grants(when: Fields, action: Action) -> bool:
    if not action.grantable or action.opaque or not facts_hold(when, action):
        return False
    if "command_matches" in when or "command_not_matches" in when:
        if not action.command or not any_glob(when.get("command_matches", ["*"]), action.command):
            return False
        texts = (action.command, *action.spellings)
        if any(any_glob(when.get("command_not_matches", []), text) for text in texts):
            return False
    if "path_matches" in when:
        texts = (action.path, *action.spellings)
        if not action.path:
            return False
        excluded = wide_paths(when.get("path_not_matches", []))
        return all(
            any_glob(when["path_matches"], text, path=True)
            and not any_glob(excluded, text, path=True)
            for text in texts
        )
    return True


def facts_hold(when: Fields, action: Action) -> bool:
    return (
        ("program" not in when or action.program in when["program"])
        and ("effect" not in when or bool(set(when["effect"]) & action.effects))
        and ("effect_not" not in when or not set(when["effect_not"]) & action.effects)
        and ("origin" not in when or action.origin in when["origin"])
        and ("opaque" not in when or bool(action.opaque) is when["opaque"])
    )


def narrows(when: Fields) -> bool:
    about = [key for key in ("program", "effect", "origin") if key in when]
    about += [
        key
        for key in ("command_matches", "path_matches")
        if key in when and not set(when[key]) & {"*", "**", "/**", "**/*"}
    ]
    return bool(about) or when.get("opaque") is True


def policy_says(policy: Fields, action: Action) -> tuple[str | None, bool]:
    """Return the word of a policy about an action and whether it raises to watch."""
    raises = False
    if "tool" in policy.get("match", {}) and action.tool not in policy["match"]["tool"]:
        return None, False
    for rule in policy["rules"]:
        when, word = rule.get("when", {}), rule["action"]
        if action.whole and not narrows(when):
            if restricts(when, action):
                return None, raises
        elif word in ("deny", "ask"):
            if restricts(when, action):
                return word, raises
        elif grants(when, action):
            if not action.whole:
                return word, raises
            return None, raises or word == "watch"
        elif word == "watch" and restricts(when, action):
            raises = True
    return None, raises


def model(default: str, policies: Sequence[Fields], actions: Sequence[Action]) -> str:
    answers = []
    rests = False
    for action in actions:
        said = [policy_says(policy, action) for policy in policies]
        words = [word for word, _ in said if word is not None]
        answers += words
        rests = rests or bool(words)
        if not words and not action.whole and action.origin in ("call", "command", "redirect"):
            answers.append(default)
            rests = True
        if any(raises for _, raises in said):
            answers.append("watch")
    if not rests:
        answers.append(default)
    return max(answers, key=lambda word: STRICTNESS[word])  # type: ignore[index] # words of the model are verdicts


COMMANDS = ["git a", "git b", "rm a", "a", "rm -rf a b", "/bin/rm a"]
PATHS = ["/w/a", "/w/b.pub", "/w", "/e/a", "/e/s/b.pub", "/w/s/a"]
COMMAND_GLOBS = st.sampled_from(
    ["git *", "rm *", "*a*", "*", "a", "*rm*b", "? a", "/bin/*", "git ?"]
)
PATH_GLOBS = st.sampled_from(
    ["/w/**", "/w/*", "**/a", "**", "/e/**/a", "**/*.pub", "/w/s/**", "**/s/**"]
)
WORDS = st.sampled_from(["allow", "watch", "ask", "deny"])


def some(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(strategy, min_size=1, max_size=2, unique=True)


CONDITIONS = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {},
        optional={
            "command_matches": some(COMMAND_GLOBS),
            "command_not_matches": some(COMMAND_GLOBS),
            "program": some(st.sampled_from(["git", "rm"])),
            "effect": some(st.sampled_from(["force", "remote"])),
            "origin": some(st.sampled_from(["command", "argument", "redirect"])),
            "opaque": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {"path_matches": some(PATH_GLOBS)},
        optional={
            "path_not_matches": some(PATH_GLOBS),
            "effect": some(st.sampled_from(["force", "remote"])),
            "effect_not": some(st.just("force")),
        },
    ),
)
RULES = st.fixed_dictionaries({"action": WORDS, "when": CONDITIONS})
POLICIES = st.lists(
    st.fixed_dictionaries(
        {"rules": st.lists(RULES, min_size=1, max_size=3)},
        optional={
            "match": st.fixed_dictionaries({"tool": some(st.sampled_from(["exec", "read"]))}),
            "priority": st.integers(-2, 2),
        },
    ),
    max_size=4,
).map(lambda found: [{"name": f"p{i}", **each} for i, each in enumerate(found)])


@st.composite
def some_action(draw: st.DrawFn) -> Action:
    common = {
        "effects": frozenset(draw(st.sets(st.sampled_from(["force", "remote"])))),
        "opaque": draw(st.sampled_from(["", "", "why"])),
        "grantable": draw(st.sampled_from([True, True, False])),
    }
    if draw(st.booleans()):
        paths = draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=2))
        origin = draw(st.sampled_from(["call", "redirect", "argument"]))
        return Action("read", origin, path=paths[0], spellings=tuple(paths[1:]), **common)
    texts = draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=2))
    whole = draw(st.booleans())
    return Action(
        "exec",
        "call" if whole else "command",
        command=texts[0],
        spellings=tuple(texts[1:]),
        program="" if whole else texts[0].split()[0],
        whole=whole,
        **common,
    )


ACTIONS = st.lists(some_action(), max_size=3)


def compiled(default: str, policies: Sequence[Fields]) -> Engine:
    # JSON is YAML: the model and the engine read the very same text.
    text = json.dumps({"version": "1", "default_action": default, "policies": list(policies)})
    if not policies:
        text = json.dumps({"version": "1", "default_action": default})
    document = parse_policy(text, filename="random.yaml")
    return compile_policies([document], home="/home/me", workspace="/w")


def answer(engine: Engine, actions: Sequence[Action]) -> Decision:
    return engine.decide(ToolCall("exec"), actions, now=0.0)


@settings(max_examples=600, deadline=None)
@given(WORDS, POLICIES, ACTIONS)
def test_the_engine_agrees_with_the_model(
    default: str, policies: list[Fields], actions: list[Action]
) -> None:
    assert answer(compiled(default, policies), actions).action == model(default, policies, actions)


@settings(max_examples=200, deadline=None)
@given(WORDS, POLICIES, ACTIONS, st.randoms(use_true_random=False))
def test_the_order_of_policies_never_changes_the_answer(
    default: str, policies: list[Fields], actions: list[Action], random: Any
) -> None:
    before = answer(compiled(default, policies), actions).action
    random.shuffle(policies)
    assert answer(compiled(default, policies), actions).action == before


@settings(max_examples=200, deadline=None)
@given(WORDS, POLICIES, ACTIONS, RULES)
def test_an_unrelated_policy_changes_nothing(
    default: str, policies: list[Fields], actions: list[Action], rule: Fields
) -> None:
    before = answer(compiled(default, policies), actions)
    other = {"name": "other", "match": {"tool": ["calendar"]}, "rules": [rule]}
    after = answer(compiled(default, [other, *policies]), actions)
    assert (after.action, after.policy, after.rule) == (before.action, before.policy, before.rule)


@settings(max_examples=200, deadline=None)
@given(POLICIES, ACTIONS, RULES)
def test_one_more_policy_never_lifts_a_denial_that_a_rule_made(
    policies: list[Fields], actions: list[Action], rule: Fields
) -> None:
    before = answer(compiled("allow", policies), actions)
    after = answer(compiled("allow", [*policies, {"name": "more", "rules": [rule]}]), actions)
    assert STRICTNESS[after.action] >= STRICTNESS[before.action]


@settings(max_examples=200, deadline=None)
@given(WORDS, POLICIES, ACTIONS, some_action())
def test_one_more_action_never_loosens_an_answer(
    default: str, policies: list[Fields], actions: list[Action], more: Action
) -> None:
    engine = compiled(default, policies)
    if actions and engine_rests(engine, actions):
        before, after = answer(engine, actions), answer(engine, [*actions, more])
        assert STRICTNESS[after.action] >= STRICTNESS[before.action]


def engine_rests(engine: Engine, actions: Sequence[Action]) -> bool:
    """False where the answer was the default only because nothing at all was said."""
    decision = answer(engine, actions)
    return bool(decision.policy) or any(
        action.origin in ("call", "command", "redirect") and not action.whole for action in actions
    )


def test_the_model_can_disagree() -> None:
    """Negative control: a model that forgets the spellings is caught."""
    forgetful: Callable[[Action], Action] = lambda each: Action(  # noqa: E731 - a one-line mutant
        each.tool, each.origin, command=each.command
    )
    policies = [{"name": "p", "rules": [{"action": "deny", "when": {"command_matches": ["rm *"]}}]}]
    spelled = Action("exec", "command", command="xrm a", spellings=("rm a",))
    assert answer(compiled("allow", policies), [spelled]).action == "deny"
    assert model("allow", policies, [forgetful(spelled)]) == "allow"
