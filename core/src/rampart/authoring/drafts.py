"""Drafts: policies and rules as YAML text for a person to go on with, each with its proof."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rampart.authoring.stage import Stage, sample_of
from rampart.errors import InputError, PolicyError
from rampart.intercept import intercept
from rampart.model import Action, Host, ToolCall
from rampart.policy import parse_policy
from rampart.sources import PolicyInForce

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants of a new policy; empty lists and words leave a section out."""

    profile: str = "standard"
    push: str = ""
    hosts: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()


def new_policy(wishes: Wishes) -> str:
    """Return a commented policy file."""
    sections = [_HEAD.format(profile=scalar(wishes.profile))]
    if not (wishes.push or wishes.hosts or wishes.protect):
        sections.append(_EMPTY)
    else:
        sections.append("policies:\n")
    if wishes.push:
        sections.append(_PUSH.format(word=wishes.push))
    if wishes.protect:
        path = scalar(_below(wishes.protect[0]))
        sections.append(_PROTECT.format(paths=flow(wishes.protect), path=path))
    if wishes.hosts:
        sections.append(_HOSTS.format(hosts=flow(wishes.hosts), host=_host_below(wishes.hosts[0])))
    text = "\n".join(sections)
    parse_policy(text, filename="policy.yaml")
    return text


def new_tests(wishes: Wishes, stage: Stage) -> str:
    """Return the file of tests that goes with ``new_policy``: what ``stage`` decides today."""
    calls: list[str | dict[str, object]] = [
        "git status",
        "rm -rf /",
        {"tool": "write", "path": "~/.rampart/policy.yaml"},
    ]
    calls += ["git push origin main"] if wishes.push else []
    calls += [{"tool": "read", "path": _below(path)} for path in wishes.protect[:1]]
    calls += [{"tool": "fetch", "url": "https://not-in-the-list.example/"}] if wishes.hosts else []
    tests = [
        f"  - {{call: {_value(call)}, expect: {stage.decide(sample_of(call)).action}}}"
        for call in calls
    ]
    return "\n".join([_TESTS_HEAD, *tests]) + "\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a record tells about one call: what it was, and what part of it decided."""

    id: str
    tool: str
    params: Mapping[str, object]
    because: Mapping[str, object]
    decided: str
    by: str


def new_rule(seen: Seen, action: str, host: Host) -> str:
    """Return a policy with one rule about a recorded call, narrow, with the call as its example.

    ``host`` is the machine on which it was made. Raises: InputError for a record that says too
    little, or a call that no rule of its own can match.
    """
    call = ToolCall(seen.tool, seen.params, cwd=host.cwd)
    commands = [part for part in intercept(call, host) if part.origin == "command"]
    tool, when = _about(seen, commands)
    examples = [_example(seen)]
    if len(commands) == 1 and commands[0].argv:
        # WHY: `~` and variables stand for something else on the machine that tests run on
        examples.insert(0, scalar(shlex.join(commands[0].argv)))
    for example in examples:
        text = _RULE.format(
            decided=seen.decided,
            by=_comment(seen.by),
            what=_comment(_told(seen)),
            name=scalar(f"from-{seen.id.lower()}"),
            tool=scalar(tool),
            action=action,
            when=when,
            example=example,
            note=_note(action, seen),
        )
        if _holds(text):
            return text
    raise InputError(
        "a rule of its own cannot match this call",
        help="`rampart explain` shows why: no grant covers what cannot be known",
    )


def _holds(text: str) -> bool:
    policies = f'version: "1"\ndefault_action: ask\npolicies:\n{text}'
    try:
        document = parse_policy(policies, filename="the new rule")
    except PolicyError:  # what patterns cannot hold, such as control characters
        return False
    stage = Stage(PolicyInForce((document,)), now=0.0)
    policy = document.policies[0]
    rule = policy.rules[0]
    return stage.speaks(policy, rule, sample_of(rule.examples.match[0].call))


def _about(seen: Seen, commands: Sequence[Action]) -> tuple[str, str]:
    """Return the tool and the condition: of the part that decided, else of the call itself."""
    source = seen.because or _own_action(seen)
    tool = str(source.get("tool") or seen.tool)
    if source.get("command"):
        texts = [str(source["command"])]
        if tool == "exec" and commands and source.get("origin", "call") == "call":
            texts = [part.command for part in commands]  # a grant is about parts, not lines
        return tool, f"command_matches: {flow([_text_pattern(text) for text in texts])}"
    if source.get("path"):
        return tool, f"path_matches: {flow([_path_pattern(str(source['path']))])}"
    if source.get("url"):
        return tool, f"url_matches: {flow([_text_pattern(str(source['url']))])}"
    values = {name: each for name, each in seen.params.items() if isinstance(each, str) and each}
    if values:
        wanted = ", ".join(
            f"{scalar(name)}: {flow([_text_pattern(each)])}" for name, each in values.items()
        )
        return seen.tool, f"tool_param_matches: {{{wanted}}}"
    return seen.tool, "default: true"


def _own_action(seen: Seen) -> Mapping[str, object]:
    for name in ("command", "path", "url"):
        if isinstance(seen.params.get(name), str):
            return {"tool": seen.tool, name: seen.params[name]}
    return {}


def _text_pattern(text: str) -> str:
    """Return the narrowest glob for a text: ``?`` stands for a star that is meant literally."""
    return text.replace("*", "?")


def _path_pattern(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


def _example(seen: Seen) -> str:
    command = seen.params.get("command")
    if seen.tool == "exec" and isinstance(command, str) and len(seen.params) == 1:
        return scalar(command)
    return _value({"tool": seen.tool, **seen.params})


def _told(seen: Seen) -> str:
    about = seen.because or _own_action(seen)
    text = about.get("command") or about.get("path") or about.get("url") or ""
    return f"{about.get('tool') or seen.tool} {text}".strip()


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:120]


def _note(action: str, seen: Seen) -> str:
    if action in ("allow", "watch") and "/" in seen.by and seen.decided in ("deny", "ask"):
        return (
            f"# `{_comment(seen.by)}` says {seen.decided}, and the strictest policy wins: this "
            "grant alone changes nothing.\n# Put it in front of that rule, in the same policy.\n"
        )
    return ""


# YAML


def scalar(text: str) -> str:
    """Return a text as a YAML scalar that stays a text; ASCII, on one line, whatever is in it."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= _BMP_MAX else f"\\U{code:08x}"


_BMP_MAX: Final = 0xFFFF


def _value(value: object) -> str:
    """Return plain data in flow style."""
    match value:
        case str():
            return scalar(value)
        case dict():
            items = (f"{scalar(str(name))}: {_value(each)}" for name, each in value.items())
            return f"{{{', '.join(items)}}}"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return json.dumps(value)


def flow(texts: Sequence[str]) -> str:
    """Return texts as a list in flow style."""
    return f"[{', '.join(map(scalar, texts))}]"


def _below(pattern: str) -> str:
    """Return a path that a pattern of ``--protect`` matches."""
    text = pattern.replace("**", "x").replace("*", "x").replace("?", "a")
    return f"{text}x" if text.endswith("/") else text


def _host_below(domain: str) -> str:
    return domain.replace("*", "www")


_HEAD: Final = """\
# What agents on this machine may do. `rampart explain -- COMMAND` shows what is decided and why;
# `rampart policy test` runs the tests beside this file, `rampart policy lint` looks for mistakes.

version: "1"

# All rules of this profile apply too: `rampart policy show` lists them. Across policies the
# strictest answer wins, so what stands here can only add to them.
extends: [{profile}]
"""

_EMPTY: Final = """\
# Your own rules go here, for example:
#
# policies:
#   - name: secrets
#     match: {tool: [read, write, edit, delete]}
#     rules:
#       - action: deny
#         when: {path_matches: ["~/private/**"]}
#         message: private files are not for agents
"""

_PUSH: Final = """\
  - name: publishing
    description: What leaves this machine for a repository.
    match: {{tool: exec}}
    rules:
      - name: push
        action: {word}
        when: {{command_matches: ["git push", "git push *"]}}
        message: pushing is a person's decision
        examples:
          match: [git push origin main]
          not_match: [git pull, "echo git push"]
"""

_PROTECT: Final = """\
  - name: protected-files
    description: Files that are not for agents, whatever tool or command reaches for them.
    match: {{tool: [read, write, edit, delete]}}
    rules:
      - name: protected
        action: deny
        when: {{path_matches: {paths}}}
        message: this file is protected
        suggest: [ask the person who runs you]
        examples:
          match: [{{tool: read, path: {path}}}]
"""

_HOSTS: Final = """\
  - name: other-hosts
    description: Hosts that are not in the list are asked for.
    match: {{tool: fetch}}
    rules:
      - name: unlisted
        action: ask
        when: {{domain_not_matches: {hosts}}}
        message: this host is not in the list
        examples:
          match: [{{tool: fetch, url: "https://not-in-the-list.example/"}}]
          not_match: [{{tool: fetch, url: "https://{host}/"}}]
"""

_TESTS_HEAD: Final = """\
# The tests of policy.yaml: `rampart policy test` runs them. Nothing is executed.

tests:"""

_RULE: Final = """\
# {what}
# was decided `{decided}` by {by}
{note}- name: {name}
  match: {{tool: {tool}}}
  rules:
    - action: {action}
      # exactly this; widen it with care: `*` is any text
      when: {{{when}}}
      examples:
        match: [{example}]
"""
