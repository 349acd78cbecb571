"""Findings about the conditions of one rule: what can never hold, and what means something else."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rampart.authoring.covering import restricts, text_covers
from rampart.authoring.findings import Finding
from rampart.authoring.tree import Tree
from rampart.intercept.catalog import builtin_catalog
from rampart.policy.document import Comparison, Condition, Policy, Rule
from rampart.policy.texts import compile_text_globs

At = tuple[str | int, ...]

_FAMILIES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "a command": (
        ("command_matches", "command_not_matches", "command_contains"),
        ("exec", "code"),
    ),
    "a program": (("program", "command_env_assignments"), ("exec",)),
    "a path": (("path_matches", "path_not_matches"), ("read", "write", "edit", "delete")),
    "an address": (("url_matches", "domain_matches", "domain_not_matches"), ("fetch",)),
}
"""What an action has: the conditions on it, and the tools whose actions have it."""

_BUILTIN_TOOLS: Final = ("exec", "read", "write", "edit", "delete", "fetch", "code", "mcp")
_OTHER_NAMES: Final = {
    "bash": "exec", "shell": "exec", "command": "exec", "terminal": "exec", "http": "fetch",
    "web": "fetch", "file": "read", "python": "code", "remove": "delete", "rm": "delete",
}  # fmt: skip
_COMMANDS: Final = ("command_matches", "command_not_matches")
_TEXT_LISTS: Final = (*_COMMANDS, "program", "url_matches", "session_matches")
_LISTS: Final = (*_TEXT_LISTS, "path_matches", "path_not_matches", "domain_matches", "effect")

_HOME: Final = re.compile(r"(?:^|[\s=:\"'])(?:~(?=/|$|\s)|\$HOME\b|\$\{HOME\}|\$\{workspace\})")
_OPERATOR: Final = re.compile(r"\s\|\s|\s\|\||&&|;(?:\s|$)|\s[12]?>{1,2}\s?|\s<\s")
_REGEX: Final = re.compile(r"^\^|\\[bswdS.]|\.\*\$|\)\?|\.\+|\(\?|\$$|\[[^\]]*\]\+")
_BRACES: Final = re.compile(r"\{[^{}\s]*,[^{}\s]*\}")
_NO_SCHEME: Final = re.compile(r"[^*?:/.]*(?:[/.]|:[0-9])")
_EXACT_WORDS_MAX: Final = 2  # a longer line is meant as it stands
_SPACES: Final = re.compile(r"^\s|\s$|\s\s|\t")


def scope_findings(policy: Policy, tree: Tree, at: At) -> Iterator[Finding]:
    """Yield what looks wrong with the tools that a policy is about."""
    for index, pattern in enumerate(policy.match.tool):
        if "*" in pattern or "?" in pattern or pattern in _BUILTIN_TOOLS:
            continue
        close = difflib.get_close_matches(pattern, _BUILTIN_TOOLS, n=1, cutoff=0.75)
        meant = _OTHER_NAMES.get(pattern, close[0] if close else "")
        if meant:
            yield Finding(
                "unknown-tool",
                tree.entry((*at, "match"), "tool", index),
                f"`{pattern}` is no built-in tool: only calls of a tool with exactly this name "
                "are meant",
                f"did you mean `{meant}`?",
                policy.name,
            )


def condition_findings(
    policy: Policy, rule: Rule, tree: Tree, at: At, *, now: float
) -> Iterator[Finding]:
    """Yield what one rule's own text gives away; ``at`` is the rule's place in its file."""
    given = _Given(policy, rule, tree, (*at, "when"))
    for check in _CHECKS:
        yield from check(given)
    if rule.expires_at is not None and rule.expires_at <= now:
        where = tree.where(*at, "expires_at")
        yield Finding("expired", where, "the rule's time is over: it does not exist any more",
                      "remove it, or give it another time")  # fmt: skip


class _Given:
    """A rule, and where the parts of its ``when`` stand."""

    def __init__(self, policy: Policy, rule: Rule, tree: Tree, at: At) -> None:
        self.policy, self.rule, self._tree, self._at = policy, rule, tree, at
        self.when: Condition = rule.when
        self.grants = not restricts(rule)

    def place(self, name: str, index: int | None = None) -> str:
        """Return where a condition, or one entry of its list, stands."""
        if index is None:
            return self._tree.where(*self._at, name)
        return self._tree.entry(self._at, name, index)

    def patterns(self, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Yield name, pattern and position of all entries of some lists."""
        for name in names:
            for index, pattern in enumerate(getattr(self.when, name)):
                yield name, pattern, self.place(name, index)


def _mixed(given: _Given) -> Iterator[Finding]:
    found: dict[str, str] = {}
    for thing, (names, _) in _FAMILIES.items():
        for name in names:
            if getattr(given.when, name):
                found.setdefault(thing.replace("program", "command"), name)
    if len(found) > 1:
        things = [f"{thing} (`{name}`)" for thing, name in found.items()]
        yield Finding(
            "mixed-conditions",
            given.place(list(found.values())[-1]),
            f"all conditions must hold for one action, and none has {' and '.join(things)}",
            "make it a rule for each; what a command does to files is seen by rules about paths",
        )


def _wrong_tool(given: _Given) -> Iterator[Finding]:
    if not given.policy.match.tool:
        return
    fits = compile_text_globs(given.policy.match.tool)
    for thing, (names, tools) in _FAMILIES.items():
        for name in names:
            if getattr(given.when, name) and not any(map(fits, tools)):
                yield Finding(
                    "wrong-tool",
                    given.place(name),
                    f"no tool of this policy has {thing}: `{name}` never holds",
                    f"add one of these to the policy's match: {', '.join(tools)}",
                )
                break


def _contradictions(given: _Given) -> Iterator[Finding]:
    when = given.when
    if when.effect and set(when.effect) <= set(when.effect_not):
        yield Finding("contradiction", given.place("effect_not"),
                      "every effect that is asked for is excluded too",
                      "remove one of them")  # fmt: skip
    depth = when.agent_depth
    if depth is not None and depth.most is not None and depth.least > depth.most:
        yield Finding("contradiction", given.place("agent_depth"), "no number is in this range")
    for name, wanted in when.params.items():
        if _is_empty(wanted):
            yield Finding(
                "contradiction", given.place("params"), f"`{name}`: no number is in this range"
            )
    if when.opaque and given.rule.action == "allow":
        yield Finding("grant-of-opaque", given.place("opaque"),
                      "no grant applies to what cannot be known: this rule never speaks",
                      "say ask instead: a person can look at it")  # fmt: skip


def _is_empty(wanted: Comparison) -> bool:
    low = max((each for each in (wanted.gt, wanted.gte) if each is not None), default=None)
    high = min((each for each in (wanted.lt, wanted.lte) if each is not None), default=None)
    if low is None or high is None:
        return False
    return low > high or (low == high and (wanted.gt == low or wanted.lt == high))


def _excluded(given: _Given) -> Iterator[Finding]:
    when = given.when
    wanted, excluded = when.command_matches, when.command_not_matches
    if wanted and all(any(text_covers(no, yes) for no in excluded) for yes in wanted):
        yield _all_excluded(given, "command_not_matches")
    paths = when.path_matches
    if given.grants and paths and set(paths) <= set(when.path_not_matches):
        yield _all_excluded(given, "path_not_matches")
    domains = when.domain_matches
    if domains and all(any(text_covers(no, d) for no in when.domain_not_matches) for d in domains):
        yield _all_excluded(given, "domain_not_matches")


def _all_excluded(given: _Given, name: str) -> Finding:
    return Finding("excluded-entirely", given.place(name),
                   "all that this rule names is excluded again: it never speaks",
                   "an exclusion takes a part out of what is matched")  # fmt: skip


def _exclusion_only(given: _Given) -> Iterator[Finding]:
    when = given.when
    names = [name for name in ("command_not_matches", "path_not_matches", "domain_not_matches")
             if getattr(when, name)]  # fmt: skip
    positive = any(
        getattr(when, name)
        for names_, _ in _FAMILIES.values()
        for name in names_
        if "_not_" not in name
    )
    if names and not positive and not when.effect and given.rule.action == "allow":
        yield Finding("exclusion-only", given.place(names[0]),
                      "this allows everything but what is listed, and no list is complete",
                      "name what is allowed, and leave the rest to the default")  # fmt: skip


def _commands(given: _Given) -> Iterator[Finding]:
    for name, pattern, where in given.patterns(_COMMANDS):
        if _HOME.search(pattern):
            yield _home(given, where)
        if _SPACES.search(pattern):
            yield Finding("spaces-in-command", where,
                          "the words of a command are joined by single spaces",
                          "write one space, and none at the ends")  # fmt: skip
        if given.grants and _OPERATOR.search(pattern):
            yield Finding("operator-in-grant", where,
                          "this never grants anything: the parts of a line are decided each on "
                          "its own, and each needs a grant",
                          "grant the single commands; a redirection is a write of its path",
                          )  # fmt: skip
        if ('"' in pattern or "'" in pattern) and given.grants:
            yield Finding("quotes-in-command", where,
                          "quotes are removed before a grant is compared, so this never grants",
                          "write the words without them")  # fmt: skip
        if _REGEX.search(pattern):
            yield Finding("regex-in-glob", where,
                          "this looks like a regular expression: here `*` is any text and "
                          "everything else is itself",
                          "write it as a glob, such as `rm -rf *`")  # fmt: skip
        if name == "command_matches" and not given.grants:
            yield from _exact(given, pattern, where)


def _home(given: _Given, where: str) -> Finding:
    how = "never grants" if given.grants else "only matches lines that are written so"
    return Finding("home-in-command", where,
                   f"`~` and variables are replaced before commands are compared: this {how}",
                   "say path_matches, in a policy about read, write or delete")  # fmt: skip


def _exact(given: _Given, pattern: str, where: str) -> Iterator[Finding]:
    words, listed = pattern.split(), given.when.command_matches
    if not 0 < len(words) <= _EXACT_WORDS_MAX or not words[0].isalnum():
        return
    if not any("*" in each or "?" in each for each in listed):  # else it is meant so
        yield Finding("exact-command", where,
                      f"this is about `{pattern}` with nothing behind it",
                      f'say "{pattern} *" as well, if any arguments are meant')  # fmt: skip


def _globs(given: _Given) -> Iterator[Finding]:
    for _, pattern, where in given.patterns(("command_matches", "path_matches", "url_matches")):
        if _BRACES.search(pattern):
            yield Finding("braces-in-glob", where,
                          f"`{pattern}`: braces are no alternatives here but themselves",
                          "write one entry for each")  # fmt: skip
    for _, pattern, where in given.patterns(("url_matches",)):
        if _NO_SCHEME.match(pattern):
            yield Finding("url-without-scheme", where,
                          f"`{pattern}`: addresses begin with their scheme, so this never matches",
                          f'say "https://{pattern}" or "*://{pattern}"')  # fmt: skip


def _duplicates(given: _Given) -> Iterator[Finding]:
    for name in _LISTS:
        seen: set[str] = set()
        for index, pattern in enumerate(getattr(given.when, name)):
            if pattern in seen:
                yield Finding("duplicate-pattern", given.place(name, index),
                              f"`{pattern}` stands in this list already", "remove one")  # fmt: skip
            seen.add(pattern)


def _programs(given: _Given) -> Iterator[Finding]:
    catalog = builtin_catalog()
    names = catalog.names()
    for field, pattern, where in given.patterns(("program", "command_matches")):
        word = pattern.partition(" ")[0]
        if not re.fullmatch(r"[a-z][a-z0-9_-]{2,}", word) or catalog.find(word) is not None:
            continue
        if given.policy.match.tool and "exec" not in given.policy.match.tool:
            continue
        near = [n for n in difflib.get_close_matches(word, names, n=5, cutoff=0.6)
                if _is_slip(word, n)]  # fmt: skip
        near.sort(key=lambda name: name[0] != word[0])  # first letters are seldom mistaken
        if near and (field == "program" or " " in pattern):
            yield Finding("unknown-program", where, f"`{word}` is no program that is known here",
                          f"did you mean `{near[0]}`?")  # fmt: skip


def _is_slip(word: str, known: str) -> bool:
    """True for two letters that changed places, or one that is missing, doubled or too many."""
    if sorted(word) == sorted(known) and word != known:
        return True
    short, long = sorted((word, known), key=len)
    if len(long) - len(short) != 1 or len(short) < 4:
        return False
    return any(
        long[:at] + long[at + 1 :] == short and at and long[at] in long[at - 1 : at + 2 : 2]
        for at in range(len(long))
    )


def _glued(given: _Given) -> Iterator[Finding]:
    if given.rule.action != "allow":
        return
    for _, pattern, where in given.patterns(("command_matches", "program")):
        head = pattern.removesuffix("*")
        if head == pattern or not re.fullmatch(r"[a-z][a-z0-9_-]*", head):
            continue
        others = [name for name in builtin_catalog().names() if name.startswith(head)]
        others = [name for name in others if name[len(head) :][:1].isalpha()]
        if others:
            yield Finding("glued-star", where,
                          f"`{pattern}` is also about {', '.join(f'`{o}`' for o in others[:3])}",
                          f'say "{head}" and "{head} *"')  # fmt: skip


_Check = Callable[[_Given], Iterator[Finding]]
_CHECKS: Final[tuple[_Check, ...]] = (
    _mixed, _wrong_tool, _contradictions, _excluded, _exclusion_only, _commands, _globs,
    _duplicates, _programs, _glued,
)  # fmt: skip
