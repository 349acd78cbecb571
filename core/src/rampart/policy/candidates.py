"""Which rules could match an action? All that do, in order, and few that do not.

Each rule is filed once, under the one of its conditions that is cheapest to look up: literal text
of a glob, a program, a host, an effect. A rule whose condition is on a field that an action lacks
is never looked at. What cannot be looked up is tried on every action.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from rampart.model import Action
from rampart.policy.compiled import CompiledRule
from rampart.policy.document import Condition
from rampart.policy.domains import canonical_host, hosts_of
from rampart.policy.glob import TextTest, compile_text_glob
from rampart.policy.literals import END, START, LiteralIndex
from rampart.policy.path_index import PathFile
from rampart.policy.paths import Budget, Places, compile_path_globs
from rampart.policy.texts import compile_substrings, glob_literals

_ACTION_US: Final = 4  # what looking up an action costs
_CHARS_PER_US: Final = 8
_FOREIGN_CHAR_US: Final = 10  # a label of a host that is not ascii takes some twenty

_by_order = attrgetter("order")


class RuleTable:
    """The rules that are about one tool."""

    def __init__(self, rules: Iterable[CompiledRule], places: Places) -> None:
        self._places = places
        self._always: set[CompiledRule] = set()
        self._commands = _TextFile()
        self._urls = _TextFile()
        self._paths = PathFile(places)
        self._hosts = _HostFile()
        self._programs: dict[str, list[CompiledRule]] = {}
        self._programs_with: dict[tuple[str, str], list[CompiledRule]] = {}
        self._effects: dict[str, list[CompiledRule]] = {}
        self._opaque: list[CompiledRule] = []
        self._upstream: list[CompiledRule] = []
        self._assignments: list[CompiledRule] = []
        for rule in rules:
            self._file(rule)
        self._commands.build()
        self._urls.build()
        self._paths.build()

    def candidates(self, action: Action, budget: Budget) -> Sequence[CompiledRule]:
        """Return the rules to try on ``action``, in the order in which they speak.

        Raises: InputTooLarge if that takes more than ``budget``.
        """
        found = self._always.copy()
        budget.spend(_cost_us(action))
        if action.command:
            self._commands.find(action.command, action.spellings, found)
        if action.path:
            self._paths.find((action.path, *action.spellings), budget, found)
        if action.url:
            self._urls.find(action.url, action.spellings, found)
        if action.host:
            self._find_hosts(action, budget, found)
        if action.program in self._programs:
            found.update(self._programs[action.program])
        for effect in action.effects:
            if effect in self._effects:
                found.update(self._effects[effect])
            if action.program:
                found.update(self._programs_with.get((action.program, effect), ()))
        if action.opaque:
            found.update(self._opaque)
        if action.upstream:
            found.update(self._upstream)
        if action.assignments:
            found.update(self._assignments)
        return sorted(found, key=_by_order) if found else ()

    def _find_hosts(self, action: Action, budget: Budget, found: set[CompiledRule]) -> None:
        for host in hosts_of(action):
            if not host.isascii():
                budget.spend(len(host) * _FOREIGN_CHAR_US)
            self._hosts.find(host, found)

    def _file(self, rule: CompiledRule) -> None:
        when = rule.when
        if when.path_matches and _is_any_path(when) and _is_selective(when):
            self._file_by_fact(rule)
        elif when.path_matches:
            self._paths.add(compile_path_globs(when.path_matches, self._places, wide=True), rule)
        elif when.command_matches and _is_selective(when):
            self._file_by_fact(rule)  # WHY: a look-up costs less than more literals to search for
        elif when.command_matches:
            self._commands.add_globs(when.command_matches, rule)
        elif when.command_contains:
            self._commands.add_substrings(when.command_contains, rule)
        elif when.domain_matches:
            self._hosts.add(when.domain_matches, rule)
        elif when.url_matches:
            self._urls.add_globs(when.url_matches, rule)
        else:
            self._file_by_fact(rule)

    def _file_by_fact(self, rule: CompiledRule) -> None:
        when = rule.when
        if when.program and _are_names(when.program):
            for name in when.program:
                self._file_program(name, rule)
        elif when.effect:
            for effect in when.effect:
                self._effects.setdefault(effect, []).append(rule)
        elif when.opaque:
            self._opaque.append(rule)
        elif when.upstream is not None:
            self._upstream.append(rule)
        elif when.command_env_assignments:
            self._assignments.append(rule)
        else:
            self._always.add(rule)

    def _file_program(self, name: str, rule: CompiledRule) -> None:
        for effect in rule.when.effect:
            self._programs_with.setdefault((name, effect), []).append(rule)
        if not rule.when.effect:
            self._programs.setdefault(name, []).append(rule)


def _cost_us(action: Action) -> int:
    """Return an estimate of what looking up an action costs."""
    chars = len(action.command) + len(action.path) + len(action.url)
    if action.spellings:
        chars += sum(map(len, action.spellings))
    return _ACTION_US + chars // _CHARS_PER_US


def _is_selective(when: Condition) -> bool:
    return bool(when.effect) or (bool(when.program) and _are_names(when.program))


def _is_any_path(when: Condition) -> bool:
    return "**" in when.path_matches or "/**" in when.path_matches


def _are_names(programs: Sequence[str]) -> bool:
    return not any("*" in name or "?" in name for name in programs)


class _TextFile:
    """Rules by the literal text in their globs."""

    def __init__(self) -> None:
        self._index: LiteralIndex[tuple[TextTest, CompiledRule]] = LiteralIndex()
        self._others: list[CompiledRule] = []

    def add_globs(self, patterns: Sequence[str], rule: CompiledRule) -> None:
        for pattern in patterns:
            if not self._index.add(glob_literals(pattern), (compile_text_glob(pattern), rule)):
                self._others.append(rule)

    def add_substrings(self, needles: Sequence[str], rule: CompiledRule) -> None:
        for needle in needles:
            test, _ = compile_substrings([needle])
            if not self._index.add([needle], (test, rule)):
                self._others.append(rule)

    def build(self) -> None:
        self._index.build()

    def find(self, text: str, spellings: Sequence[str], found: set[CompiledRule]) -> None:
        if self._others:
            found.update(self._others)
        # WHY: one look-up for all spellings; what two of them hold together is sorted out below
        joined = (END + START).join((text, *spellings)) if spellings else text
        for test, rule in self._index.find(START + joined + END):
            if rule in found:
                continue
            if test(text) or (spellings and any(map(test, spellings))):
                found.add(rule)


class _HostFile:
    """Rules by host, by parent domain, or by neither."""

    def __init__(self) -> None:
        self._exact: dict[str, list[CompiledRule]] = {}
        self._below: dict[str, list[CompiledRule]] = {}
        self._others: list[CompiledRule] = []

    def add(self, patterns: Sequence[str], rule: CompiledRule) -> None:
        for pattern in patterns:
            if "*" not in pattern and "?" not in pattern:
                self._exact.setdefault(pattern, []).append(rule)
            elif pattern.startswith("*.") and "*" not in pattern[1:] and "?" not in pattern:
                self._below.setdefault(pattern[2:], []).append(rule)
            else:
                self._others.append(rule)

    def find(self, host: str, found: set[CompiledRule]) -> None:
        host = canonical_host(host)
        found.update(self._others)
        found.update(self._exact.get(host, ()))
        while host:
            host = host.partition(".")[2]
            found.update(self._below.get(host, ()))
