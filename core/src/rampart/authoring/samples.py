"""Calls that a rule is about: its own examples, and some that are made from its patterns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Final

from rampart.authoring.stage import Sample, sample_of
from rampart.intercept.catalog import builtin_catalog
from rampart.intercept.examples import HOST
from rampart.model import ToolCall
from rampart.policy.document import Comparison, Policy, PolicyDocument, Rule
from rampart.policy.path_glob import ANY, GLOBSTAR, STAR, CharacterClass, tokenize
from rampart.policy.paths import Places, expand

PATH_TOOLS: Final = ("read", "write", "edit", "delete")
_SAMPLES_MAX: Final = 24  # of one rule: more show nothing new
_PLACES: Final = Places(HOST.home, HOST.workspace)


def examples_of(policy: Policy, rule: Rule) -> Iterator[tuple[bool, Sample, str]]:
    """Yield a rule's own examples: whether it must match, the call, and where it stands."""
    label = f"example of {policy.name}/{rule.id}"
    for wanted, kind in ((True, rule.examples.match), (False, rule.examples.not_match)):
        for example in kind:
            yield wanted, sample_of(example.call, origin=label), example.where


def samples_of(policy: Policy, rule: Rule) -> tuple[Sample, ...]:
    """Return calls that a rule is probably about. Whether it is, only the engine knows."""
    own = (sample for wanted, sample, _ in examples_of(policy, rule) if wanted)
    label = f"made from {policy.name}/{rule.id}"
    made = (Sample(call, origin=label) for call in _made(policy, rule))
    found = list(itertools.islice(itertools.chain(own, made), _SAMPLES_MAX))
    if rule.when.of_response:
        found = [sample for sample in found if sample.answered]
    return tuple(found)


def corpus_of(documents: tuple[PolicyDocument, ...]) -> Iterator[Sample]:
    """Yield the examples and made-up calls of all rules."""
    for document in documents:
        for policy in document.policies:
            for rule in policy.rules:
                for _, sample, _ in examples_of(policy, rule):
                    yield sample
                yield from samples_of(policy, rule)


def catalog_samples() -> Iterator[Sample]:
    """Yield the command lines with which the catalog of programs proves itself."""
    catalog = builtin_catalog()
    for name in catalog.names():
        entry = catalog.find(name)
        for line in entry.examples if entry else ():
            yield sample_of(str(line), origin=f"catalog: {name}")


def _made(policy: Policy, rule: Rule) -> Iterator[ToolCall]:
    when = rule.when
    for pattern in when.command_matches:
        yield ToolCall("exec", {"command": _of_text(pattern)})
    for pattern in when.program:
        name = pattern.replace("*", "").replace("?", "a")
        if name:
            yield ToolCall("exec", {"command": f"{name} x"})
            yield ToolCall("exec", {"command": name})
    for pattern in when.path_matches:
        for glob in expand(pattern, _PLACES, wide=False):
            for tool in _tools(policy, PATH_TOOLS):
                yield ToolCall(tool, _path_params(tool, _of_path(glob)))
    for pattern in when.url_matches:
        yield ToolCall("fetch", {"url": _of_text(pattern)})
    for domain in when.domain_matches:
        yield ToolCall("fetch", {"url": f"https://{_of_text(domain)}/"})
    if when.params or when.tool_param_matches:
        yield from _made_of_params(policy, rule)
    elif not any(True for _ in _conditions(rule)):
        for tool in (each for each in policy.match.tool if each not in _BUILTIN):
            yield ToolCall(_of_text(tool), {})


_BUILTIN: Final = frozenset({*PATH_TOOLS, "exec", "fetch", "code"})


def _conditions(rule: Rule) -> Iterator[str]:
    when = rule.when
    for name in ("command_matches", "program", "path_matches", "url_matches", "domain_matches"):
        if getattr(when, name):
            yield name


def _tools(policy: Policy, known: tuple[str, ...]) -> tuple[str, ...]:
    if not policy.match.tool:
        return known[:1]
    return tuple(tool for tool in known if tool in policy.match.tool)


def _path_params(tool: str, path: str) -> dict[str, object]:
    content = {"write": {"content": "x"}, "edit": {"old": "x", "new": "y"}}
    return {"path": path, **content.get(tool, {})}


def _made_of_params(policy: Policy, rule: Rule) -> Iterator[ToolCall]:
    params: dict[str, object] = {}
    for name, patterns in rule.when.tool_param_matches.items():
        params[name] = _of_text(patterns[0])
    for name, comparison in rule.when.params.items():
        value = _of_comparison(comparison)
        if value is not _ABSENT:
            params["x" if name == "*" else name] = value
    for tool in policy.match.tool or ("mcp__x__y",):
        if tool not in _BUILTIN:
            yield ToolCall(_of_text(tool), params)


_ABSENT: Final = object()


def _of_comparison(wanted: Comparison) -> object:
    if wanted.exists is False:
        return _ABSENT
    for values in (wanted.eq, wanted.is_in):
        if values:
            return values[0]
    for bound, step in ((wanted.gte, 0), (wanted.gt, 1), (wanted.lte, 0), (wanted.lt, -1)):
        if bound is not None:
            return bound + step
    return "x"


def _of_text(pattern: str) -> str:
    """Return a short text that a text glob matches."""
    return pattern.replace("*", "x").replace("?", "a")


def _of_path(glob: str) -> str:
    found: list[str] = []
    for token in tokenize(glob):
        if token is STAR or token is GLOBSTAR:
            found.append("x")
        elif token is ANY:
            found.append("a")
        elif isinstance(token, CharacterClass):
            found.append(_member(token))
        else:
            found.append(str(token))
    text = "".join(found)
    return text if text.startswith("/") else f"/{text}"


def _member(token: CharacterClass) -> str:
    return next((each for each in "abcxyzABC0123-_." if token.holds(each)), "a")


def described(sample: Sample) -> str:
    """Return a call as one line that a person recognises."""
    params: Mapping[str, object] = sample.call.params
    command = params.get("command")
    if sample.call.tool == "exec" and isinstance(command, str):
        return command
    for name in ("path", "url", "code"):
        if isinstance(params.get(name), str):
            return f"{sample.call.tool} {params[name]}"
    return f"{sample.call.tool} {dict(params)}" if params else sample.call.tool
