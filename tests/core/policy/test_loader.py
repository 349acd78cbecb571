"""Policy texts: what loads, and what the error says about what does not."""

from __future__ import annotations

import contextlib
import textwrap

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rampart.errors import PolicyError
from rampart.limits import PATTERN_CHARS_MAX, POLICY_BYTES_MAX, POLICY_DEPTH_MAX, POLICY_RULES_MAX
from rampart.policy import DepthRange, Example, parse_policy
from rampart.policy.composer import compose
from rampart.policy.fields import plain

FULL = textwrap.dedent(
    """\
    version: "1"
    default_action: ask
    extends: [standard, ./team.yaml]
    notify: {url: "https://example.com/hook", on: [deny]}
    tests:
      - {tool: exec, command: "ls", expect: allow}
    policies:
      - name: first
        description: what it is for
        priority: 7
        enabled: true
        match: {tool: [exec, "mcp__*"], agent: "bot-*", session: ["a", "b"]}
        rules:
          - name: named
            action: require_approval
            message: think again
            suggest: [one, two]
            expires_at: 2030-01-31T12:00:00Z
            when:
              command_matches: "git push*"
              agent_depth: {gt: 0, lte: 3}
            examples:
              match: ["git push", {tool: read, path: /etc/shadow}]
              not_match: ["git pull"]
          - action: log
      - name: second
        enabled: false
        rules: [{action: deny, when: {default: true}}]
      - name: third
        rules:
          - action: allow
            once: true
            when:
              after:
                - {tool: read, path_matches: "/x", within: 1h30m, calls: 3}
                - {effect: acts, by: agent}
              call_count: {tool: fetch, gte: 3, window: 1h, by: session}
              time: {hours: ["9-17", "22:00-06:00"], days: [mon-fri], zone: Europe/Berlin}
    """
)


def rule(body: str) -> str:
    return f'version: "1"\npolicies:\n- name: p\n  rules:\n  - {body}\n'


def when(body: str) -> str:
    return rule(f"action: deny\n    when: {body}")


def test_everything_that_a_file_says_is_kept() -> None:
    document = parse_policy(FULL, filename="p.yaml")

    assert document.default_action == "ask"
    assert document.extends == ("standard", "./team.yaml")
    assert document.notify == {"url": "https://example.com/hook", "on": ["deny"]}
    assert document.tests == ({"tool": "exec", "command": "ls", "expect": "allow"},)
    assert document.source == FULL.encode()
    first, second, third = document.policies
    assert (first.name, first.priority, first.description) == ("first", 7, "what it is for")
    assert first.match.tool == ("exec", "mcp__*")
    assert first.where == "p.yaml:8:5"
    named, unnamed = first.rules
    assert (named.id, named.action, named.message) == ("named", "ask", "think again")
    assert named.suggest == ("one", "two")
    assert named.expires_at == 1896091200.0
    assert named.when.command_matches == ("git push*",)
    assert named.when.agent_depth == DepthRange(1, 3)
    assert named.where == "p.yaml:14:9"
    assert named.examples.match == (
        Example("git push", "p.yaml:23:19"),
        Example({"tool": "read", "path": "/etc/shadow"}, "p.yaml:23:31"),
    )
    assert (unnamed.id, unnamed.action) == ("rule-2", "watch")
    assert second.enabled is False
    assert third.rules[0].once is True
    assert len(third.rules[0].when.after) == 2


def test_text_and_bytes_are_the_same_policy() -> None:
    assert parse_policy(FULL, filename="p") == parse_policy(FULL.encode(), filename="p")


def test_a_byte_order_mark_is_no_content() -> None:
    assert parse_policy(b"\xef\xbb\xbf" + FULL.encode(), filename="p").policies


TWICE = "{name: a, rules: [{action: deny}]}"
ERRORS = {
    # what is wrong: (text, message, part of the help)
    "empty": ("", "p.yaml:1:1: the policy is empty", ""),
    "only a comment": ("# x\n", "p.yaml:1:1: the policy is empty", ""),
    "not a mapping": ("- a", "p.yaml:1:1: a policy file must be a mapping, not a list", ""),
    "no version": ("policies: []", "p.yaml:1:1: version is missing", 'version: "1"'),
    "another version": ("version: 2", 'p.yaml:1:10: unknown version `2`: expected "1"', ""),
    "unknown top key": (
        'version: "1"\npolices: []',
        "p.yaml:2:1: unknown key `polices` in a policy file",
        "did you mean `policies`?",
    ),
    "unknown action": (
        rule("action: permit"),
        "p.yaml:5:13: unknown action `permit`: expected allow, watch, ask or deny",
        "",
    ),
    "unknown default": (
        'version: "1"\ndefault_action: block',
        "p.yaml:2:17: unknown action `block`: expected allow, watch, ask or deny",
        "",
    ),
    "unknown rule key": (
        rule("{action: deny, mesage: x}"),
        "p.yaml:5:20: unknown key `mesage` in a rule",
        "did you mean `message`?",
    ),
    "unknown condition": (
        when("{path_match: [a]}"),
        "p.yaml:6:12: unknown key `path_match` in when",
        "did you mean `path_matches`?",
    ),
    "duplicate key": (
        rule("action: deny\n    action: allow"),
        "p.yaml:6:5: duplicate key `action`",
        "keep one",
    ),
    "duplicate policy": (
        f'version: "1"\npolicies: [{TWICE}, {TWICE}]',
        "p.yaml:2:48: duplicate policy `a`",
        "p.yaml:2:12",
    ),
    "duplicate rule": (
        'version: "1"\npolicies: [{name: a, rules: [{name: rule-2, action: ask}, {action: ask}]}]',
        "p.yaml:2:59: duplicate rule `rule-2`",
        "p.yaml:2:30",
    ),
    "no rules": (
        'version: "1"\npolicies: [{name: a, rules: []}]',
        "p.yaml:2:29: rules is an empty list",
        "",
    ),
    "rules missing": (
        'version: "1"\npolicies: [{name: a}]',
        "p.yaml:2:12: policy `a` has no rules",
        "",
    ),
    "name missing": (
        'version: "1"\npolicies: [{rules: []}]',
        "p.yaml:2:12: a policy has no name",
        "",
    ),
    "action missing": (rule("message: x"), "p.yaml:5:5: a rule has no action", ""),
    "alias": (
        when("{command_matches: *x}"),
        "p.yaml:6:29: aliases are not allowed: `*x`",
        "quotes",
    ),
    "anchor": (when("{command_matches: &a x}"), "p.yaml:6:29: anchors are not allowed: `&a`", ""),
    "tag": (
        when("{command_matches: !!str x}"),
        "p.yaml:6:29: tags are not allowed: `tag:yaml.org,2002:str`",
        "quotes",
    ),
    "anchor on a mapping": (
        when("&a {program: x}"),
        "p.yaml:6:11: anchors are not allowed: `&a`",
        "",
    ),
    "tag on a key": (when("{!x program: x}"), "p.yaml:6:12: tags are not allowed: `!x`", ""),
    "merge key": (rule("{action: deny, <<: {}}"), "p.yaml:5:20: merge keys are not allowed", ""),
    "a key that is a list": (rule("? [a]\n    : b"), "p.yaml:5:7: a key must be text", ""),
    "a second document": (
        'version: "1"\n---\nversion: "1"\n',
        "p.yaml:2:1: a second document: a policy file holds one",
        "",
    ),
    "a tag directive": (
        '%TAG ! tag:x,1:\n---\nversion: "1"\n',
        "p.yaml:1:1: tag directives are not allowed",
        "",
    ),
    "not yaml": ("version: [", "p.yaml:2:1: not yaml: ", ""),
    "a control character": ("version: \x01", "p.yaml:1:10: not yaml: ", ""),
    "null when": (
        rule("action: deny\n    when:"),
        "p.yaml:6:10: when must be a mapping",
        "default: true",
    ),
    "empty list": (when("{path_matches: []}"), "p.yaml:6:26: path_matches is an empty list", ""),
    "empty pattern": (when('{path_matches: [""]}'), "p.yaml:6:27: path_matches is empty", ""),
    "a mapping for a pattern": (
        when("{path_matches: {a: b}}"),
        "p.yaml:6:26: path_matches must be a list, not a mapping",
        "",
    ),
    "default false": (when("{default: false}"), "p.yaml:6:21: `default: false` says nothing", ""),
    "default with others": (
        when("{default: true, program: x}"),
        "p.yaml:6:21: `default: true` stands alone: it matches every call",
        "",
    ),
    "not a boolean": (when('{opaque: "true"}'), "p.yaml:6:20: opaque must be true or false", ""),
    "yaml 1.1 boolean": (when("{opaque: yes}"), "p.yaml:6:20: opaque must be true or false", ""),
    "not a number": (
        when("{agent_depth: {gte: two}}"),
        "p.yaml:6:31: gte must be a whole number",
        "",
    ),
    "unknown operator": (
        when("{params: {a: {gth: 1}}}"),
        "p.yaml:6:25: unknown operator `gth` in params.a",
        "did you mean `gt`?",
    ),
    "no operator": (
        when("{params: {a: 1}}"),
        "p.yaml:6:24: params.a must be a mapping of operators",
        "eq",
    ),
    "absent and compared": (
        when("{params: {a: {exists: false, eq: 1}}}"),
        "p.yaml:6:24: params.a: a parameter that does not exist has no value to compare",
        "",
    ),
    "bad regex": (
        when('{params: {a: {matches: "("}}}'),
        "p.yaml:6:34: `(`: not a regular expression that re2 knows: ",
        "",
    ),
    "backreference": (
        when(r"{params: {a: {matches: '(a)\1'}}}"),
        "p.yaml:6:34: `(a)\\1`: not a regular expression that re2 knows: ",
        "",
    ),
    "unknown origin": (
        when("{origin: shell}"),
        "p.yaml:6:20: `shell`: not an origin: expected call",
        "",
    ),
    "bad effect": (
        when("{effect: Rm}"),
        "p.yaml:6:20: `Rm`: no such effect; the effects are: accounts, ",
        "",
    ),
    "misspelt effect": (
        when("{effect: [remote, irreversibel]}"),
        "p.yaml:6:29: `irreversibel`: no such effect; did you mean `irreversible`?",
        "",
    ),
    "path upwards": (
        when("{path_matches: a/../b}"),
        "p.yaml:6:26: `a/../b`: a path with `..` is never matched",
        "",
    ),
    "another user's home": (
        when('{path_matches: "~bob/x"}'),
        "p.yaml:6:26: `~bob/x`: `~name` is not supported",
        "",
    ),
    "unknown variable": (
        when('{path_matches: "${cwd}/x"}'),
        "p.yaml:6:26: `${cwd}/x`: unknown variable `${cwd}`",
        "",
    ),
    "variable in the middle": (
        when('{path_matches: "/x/$HOME/y"}'),
        "p.yaml:6:26: `/x/$HOME/y`: unknown variable `$HOME`",
        "",
    ),
    "a URL for a domain": (
        when('{domain_matches: "https://x.test"}'),
        "p.yaml:6:28: `https://x.test`: a domain has no scheme, path or user",
        "",
    ),
    "nested upstream": (
        when("{upstream: {upstream: {tool: fetch}}}"),
        "p.yaml:6:23: `upstream` cannot stand inside upstream",
        "",
    ),
    "session upstream": (
        when("{upstream: {session_matches: [a]}}"),
        "p.yaml:6:23: `session_matches` cannot stand inside upstream",
        "",
    ),
    "empty upstream": (when("{upstream: {}}"), "p.yaml:6:22: upstream is empty", ""),
    "tool outside upstream": (when("{tool: exec}"), "p.yaml:6:12: unknown key `tool` in when", ""),
    "a time without a zone": (
        rule("{action: allow, expires_at: 2030-01-01T00:00:00}"),
        "p.yaml:5:33: expires_at must be a time with a zone",
        "2030",
    ),
    "an example without a tool": (
        rule("{action: deny, examples: {match: [{path: /x}]}}"),
        "p.yaml:5:39: an example for another tool names it",
        "",
    ),
    "a long pattern": (
        when(f"{{program: {'x' * (PATTERN_CHARS_MAX + 1)}}}"),
        f"p.yaml:6:21: a pattern of {PATTERN_CHARS_MAX + 1} characters: the limit is",
        "",
    ),
    "too large": (
        "#" * (POLICY_BYTES_MAX + 1),
        f"p.yaml:1:1: a policy of {POLICY_BYTES_MAX + 1} bytes: the limit is {POLICY_BYTES_MAX}",
        "",
    ),
    "too deep": (
        "[" * 100_000,
        f"p.yaml:1:{POLICY_DEPTH_MAX + 1}: nested deeper than {POLICY_DEPTH_MAX}",
        "",
    ),
    "too many rules": (
        'version: "1"\npolicies: [{name: a, rules: ['
        + "{action: deny}," * (POLICY_RULES_MAX + 1)
        + "]}]",
        f"p.yaml:2:12: more than {POLICY_RULES_MAX} rules in one file",
        "",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_says_where_and_what(name: str) -> None:
    text, message, hint = ERRORS[name]

    with pytest.raises(PolicyError) as caught:
        parse_policy(text, filename="p.yaml")

    assert str(caught.value).startswith(message)
    assert hint in caught.value.help


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"p:1:1: the text is not utf-8"):
        parse_policy('version: "1" # é'.encode("latin-1"), filename="p")


def test_utf_16_is_not_guessed() -> None:
    with pytest.raises(PolicyError):
        parse_policy('version: "1"'.encode("utf-16"), filename="p")


def loads_or_refuses(text: str | bytes) -> None:
    with contextlib.suppress(PolicyError):
        parse_policy(text, filename="p")


@given(st.binary(max_size=200))
def test_only_policy_errors_escape_for_any_bytes(data: bytes) -> None:
    loads_or_refuses(data)


@given(st.text(max_size=200))
@example("\ud800")
@example("%YAML 99999999999999999999.1\n---\na")
@example('"\\UFFFFFFFF"')
@example("a: |99999999999\n b")
def test_only_policy_errors_escape_for_any_text(text: str) -> None:
    loads_or_refuses(text)


PIECES = st.sampled_from(
    ["&a ", "*a", "!x ", "? ", ": ", "- ", "[", "]", "{", "}", "\n", "  ", "'", '"', "|\n", "<<: ",
     "#", ",", "null", "true", "-1", "1e999", "~", "\t", "%", "---\n", "...\n", "\\", "*", "**/",
     "[!a", "é", "\x85", "\ufeff", "..", "$HOME"]
)  # fmt: skip


@st.composite
def damaged_policies(draw: st.DrawFn) -> str:
    text = FULL
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(PIECES) + text[end:]
    return text


@settings(max_examples=300)
@given(damaged_policies())
def test_only_policy_errors_escape_for_damaged_policies(text: str) -> None:
    loads_or_refuses(text)


@settings(max_examples=150, deadline=None)
@given(damaged_policies())
def test_what_both_parsers_read_they_read_alike(text: str) -> None:
    """Where PyYAML was built without its C part, a policy means the same."""
    # Columns may differ after a byte order mark inside a line, which one of them does not count.
    read = []
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        with contextlib.suppress(PolicyError):
            read.append(plain(compose(text, "p", loader)))
    assert read[1:] in ([], read[:1])
