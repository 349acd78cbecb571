"""What the engine answers beyond allow and deny: names, messages, generations, bounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

import pytest
from rampart.model import Action, Decision, ToolCall
from rampart.policy import Engine, compile_policies, parse_policy

Compile = Callable[..., Engine]
Decide = Callable[..., Decision]

GIT = """\
version: "1"
policies:
  - name: git
    rules:
      - {action: allow, when: {command_matches: ["git *"]}}
      - name: forced
        action: deny
        when: {command_contains: ["--force"]}
        suggest: push without force
"""


def test_a_decision_says_who_why_and_what_instead(compile_text: Compile, decide: Decide) -> None:
    engine = compile_text(GIT)
    decision = decide(engine, {"exec": "hg push --force"})

    assert (decision.action, decision.policy, decision.rule) == ("deny", "git", "forced")
    assert decision.message == "policy git denies exec `hg push --force`"
    assert decision.suggestions == ("push without force",)
    assert decision.matched == ("git",)
    assert decision.generation == engine.generation
    assert decision.duration_us == 0.0
    assert decision.because is not None
    assert decision.because.command == "hg push --force"


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ("deny", "no policy allows exec `ls`"),
        ("ask", "no policy decides about exec `ls`: a person has to"),
        ("watch", ""),
        ("allow", ""),
    ],
)
def test_the_default_says_so(
    compile_text: Compile, decide: Decide, default: str, message: str
) -> None:
    decision = decide(compile_text(f'version: "1"\ndefault_action: {default}'), {"exec": "ls"})
    assert (decision.action, decision.policy, decision.rule) == (default, "", "default_action")
    assert decision.message == message
    assert decision.matched == ()


def test_a_message_is_one_short_line(compile_text: Compile, decide: Decide) -> None:
    decision = decide(compile_text('version: "1"'), {"exec": "echo\n" + "x" * 500})
    assert "\n" not in decision.message
    assert len(decision.message) < 120


def test_at_equal_strictness_a_rule_is_named_before_the_default(
    compile_text: Compile, decide: Decide
) -> None:
    actions = [{"tool": "exec", "command": "ls"}, {"tool": "exec", "command": "hg --force"}]
    for order in (actions, actions[::-1]):
        decision = decide(compile_text(GIT), {"actions": order})
        assert (decision.action, decision.policy) == ("deny", "git")


def test_the_first_document_that_states_a_default_decides_it(
    compile_text: Compile, decide: Decide
) -> None:
    silent, allows, denies = (
        'version: "1"',
        'version: "1"\ndefault_action: allow',
        'version: "1"\ndefault_action: deny',
    )
    assert decide(compile_text(silent, allows, denies), {"exec": "ls"}).action == "allow"
    assert decide(compile_text(denies, allows), {"exec": "ls"}).action == "deny"
    assert decide(compile_text(silent), {"exec": "ls"}).action == "deny"
    assert decide(compile_policies([], home="", workspace=""), {"exec": "ls"}).action == "deny"


def test_documents_may_use_the_same_policy_name(compile_text: Compile, decide: Decide) -> None:
    more = 'version: "1"\npolicies: [{name: git, rules: [{action: deny, when: {program: git}}]}]'
    assert decide(compile_text(GIT, more), {"exec": "git push"}).action == "deny"


def test_a_generation_changes_with_every_byte_and_every_document() -> None:
    def generation(*texts: str) -> str:
        documents = [parse_policy(text, filename="p") for text in texts]
        return compile_policies(documents, home="/a", workspace="/b").generation

    one, two = 'version: "1"', 'version: "1" '
    assert len(generation(one)) == 16
    assert generation(one) == generation(one)
    assert len({generation(one), generation(two), generation(one, two), generation(two, one)}) == 4


def test_policies_are_shown_in_the_order_in_which_they_are_named(compile_text: Compile) -> None:
    engine = compile_text(
        'version: "1"\npolicies:\n'
        "  - {name: a, rules: [{action: deny}]}\n"
        "  - {name: b, priority: 5, rules: [{action: deny}]}\n"
        "  - {name: c, enabled: false, rules: [{action: deny}]}\n"
    )
    assert [policy.name for policy in engine.policies] == ["b", "a"]


def test_an_engine_is_safe_between_threads(compile_text: Compile, decide: Decide) -> None:
    engine = compile_text(GIT)
    answers: list[str] = []

    def ask(number: int) -> None:
        for index in range(100):
            answers.append(decide(engine, {"call": f"tool-{number}-{index}"}).action)
            answers.append(decide(engine, {"exec": "hg --force"}).action)

    threads = [Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["deny"] * 800


def test_tool_names_of_agents_do_not_fill_the_memory(compile_text: Compile, decide: Decide) -> None:
    engine = compile_text(GIT)
    for index in range(2000):
        decide(engine, {"call": f"tool-{index}"})
    assert len(engine._tables) <= 512


DOWNLOADS = """\
version: "1"
default_action: allow
policies:
  - {name: p, rules: [{action: deny, when: {program: sh, upstream: {tool: fetch}}}]}
"""


def test_a_long_pipeline_is_searched_once(compile_text: Compile) -> None:
    engine = compile_text(DOWNLOADS)
    actions: list[Action] = []
    for _ in range(2000):
        actions.append(
            Action("exec", "command", command="sh", program="sh", upstream=tuple(actions[-1:]))
        )
    started = time.perf_counter()
    decision = engine.decide(ToolCall("exec"), actions, now=0.0)

    assert decision.action == "allow"
    assert time.perf_counter() - started < 1.0  # quadratic: 2,000,000 tests, several seconds


def test_a_download_at_the_start_of_a_long_pipeline_is_seen_at_its_end(
    compile_text: Compile,
) -> None:
    engine = compile_text(DOWNLOADS)
    last = Action("fetch", "argument", url="https://x.test/", host="x.test")
    for _ in range(2000):
        last = Action("exec", "command", command="tee", program="tee", upstream=(last,))
    last = Action("exec", "command", command="sh", program="sh", upstream=(last,))
    assert engine.decide(ToolCall("exec"), [last], now=0.0).action == "deny"


def decision_us(engine: Engine, call: ToolCall, actions: tuple[Action, ...]) -> float:
    best = float("inf")
    for _ in range(7):
        started = time.perf_counter()
        for _ in range(200):
            engine.decide(call, actions, now=0.0)
        best = min(best, (time.perf_counter() - started) / 200 * 1e6)
    return best


def many_rules(count: int, first: int) -> str:
    kinds = [
        'command_matches: ["tool{i} *", "*secret{i}*"]',
        'command_contains: ["needle {i}"]',
        'path_matches: ["~/.config{i}/**", "**/vault{i}/*.key"]',
        'domain_matches: ["*.host{i}.test"]',
        "program: [prog{i}]",
    ]
    rules = [
        f"  - {{action: deny, when: {{{kinds[i % len(kinds)].format(i=i)}}}}}"
        for i in range(first, first + count)
    ]
    return (
        f'version: "1"\ndefault_action: allow\npolicies:\n- name: many{first}\n  rules:\n'
        + "\n".join(rules)
    )


@pytest.fixture(name="engines", scope="module")
def few_and_many_rules() -> tuple[Engine, Engine]:
    def engine(*texts: str) -> Engine:
        documents = [parse_policy(text, filename="many.yaml") for text in texts]
        return compile_policies(documents, home="/home/me", workspace="/work/app")

    return engine(many_rules(100, 0)), engine(many_rules(5000, 0), many_rules(5000, 5000))


GROWTH = {
    "exec": (
        Action("exec", "call", command="git commit -m 'fix the parser'", whole=True),
        Action("exec", "command", command="git commit -m 'fix the parser'", program="git"),
    ),
    "read": (Action("read", "call", path="/home/me/app/src/main.py"),),
    "fetch": (Action("fetch", "call", url="https://api.test/x", host="api.test"),),
}


@pytest.mark.parametrize("tool", GROWTH)
def test_the_cost_of_a_decision_does_not_grow_with_rules_that_cannot_match(
    engines: tuple[Engine, Engine], tool: str
) -> None:
    """10,000 rules against 100: 1.5 is the budget, the bound leaves room for a busy machine."""
    few, many = (decision_us(engine, ToolCall(tool), GROWTH[tool]) for engine in engines)
    assert many < 3 * few


def test_thousands_of_wildcards_are_denied_and_not_slow(engines: tuple[Engine, Engine]) -> None:
    """What a call makes the engine compare is bounded; over the bound the answer is deny."""
    actions = [
        Action("read", "argument", path=f"/home/me/.config{index}/*/.v*/k?y*.key")
        for index in range(4000)
    ]
    started = time.perf_counter()
    decision = engines[1].decide(ToolCall("exec"), actions, now=0.0)

    assert (decision.action, decision.rule) == ("deny", "input_too_large")
    assert decision.generation == engines[1].generation
    assert time.perf_counter() - started < 1.0


def test_a_few_wildcards_are_decided(engines: tuple[Engine, Engine]) -> None:
    actions = [Action("read", "argument", path=f"/work/app/{name}/*") for name in "abcdefgh"]
    assert engines[0].decide(ToolCall("exec"), actions, now=0.0).action == "allow"
    secret = Action("read", "argument", path="/home/me/.config2/*")
    assert engines[0].decide(ToolCall("exec"), [*actions, secret], now=0.0).action == "deny"
