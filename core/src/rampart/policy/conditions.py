"""Conditions → tests, in two readings: does it restrict, and does it grant.

INVARIANT: what grants also restricts, and an action that lacks a field matches no condition on it.
A restriction counts if any spelling of the action matches and is not itself excluded; a grant needs
the normal form (for paths: every place it leads to), and excludes if any spelling is excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rampart.model import EMPTY, Action
from rampart.policy.document import Condition, DepthRange
from rampart.policy.domains import compile_domains, hosts_of
from rampart.policy.glob import TextTest
from rampart.policy.inquiry import ActionTest, Inquiry, Pair
from rampart.policy.occasions import occasion_tests
from rampart.policy.params import (
    ParamTest,
    compile_comparison,
    compile_param,
    text_of,
)
from rampart.policy.path_glob import GLOB_CHARACTERS
from rampart.policy.paths import (
    Budget,
    PathGlob,
    Places,
    ShellGlob,
    compile_path_globs,
    could_climb,
    same_place,
)
from rampart.policy.texts import compile_substrings, compile_text_globs
from rampart.policy.upstream import Reaches
from rampart.policy.urls import compile_url_globs


def compile_condition(when: Condition, places: Places) -> Pair:
    """Return the tests "does this restrict" and "does this grant" for all fields of a condition."""
    pairs = [
        *_tool_tests(when),
        *_fact_tests(when),
        *_call_tests(when),
        *_command_tests(when),
        *_path_tests(when, places),
        *_network_tests(when),
        *_param_tests(when),
        *_upstream_tests(when, places),
        # WHY last: what looks at the past or at the clock is only asked where all else holds
        *occasion_tests(when, lambda inner: compile_condition(inner, places)),
    ]
    return _all_of([pair[0] for pair in pairs]), _all_of([pair[1] for pair in pairs])


def _all_of(tests: Sequence[ActionTest]) -> ActionTest:
    if not tests:
        return _always
    if len(tests) == 1:
        return tests[0]
    fixed = tuple(tests)

    def test(action: Action, inquiry: Inquiry) -> bool:
        for each in fixed:  # noqa: SIM110 - a generator costs three times as much here
            if not each(action, inquiry):
                return False
        return True

    return test


def _always(_action: Action, _inquiry: Inquiry) -> bool:
    return True


def _tool_tests(when: Condition) -> list[Pair]:
    if not when.tool:
        return []
    fits = compile_text_globs(when.tool)

    def test(action: Action, _inquiry: Inquiry) -> bool:
        return fits(action.tool)

    return [(test, test)]


def _fact_tests(when: Condition) -> list[Pair]:
    """Facts about an action: the same for both readings."""
    tests: list[ActionTest] = []
    if when.origin:
        origins = frozenset(when.origin)
        tests.append(lambda action, _inquiry: action.origin in origins)
    if when.opaque is not None:
        opaque = when.opaque
        tests.append(lambda action, _inquiry: bool(action.opaque) is opaque)
    if when.effect:
        effects = frozenset(when.effect)
        tests.append(lambda action, _inquiry: not effects.isdisjoint(action.effects))
    if when.effect_not:
        others = frozenset(when.effect_not)
        tests.append(lambda action, _inquiry: others.isdisjoint(action.effects))
    if when.program:
        program = compile_text_globs(when.program)
        tests.append(lambda action, _inquiry: action.program != "" and program(action.program))
    if when.command_env_assignments:
        assigned = compile_text_globs([_assignment(p) for p in when.command_env_assignments])
        tests.append(lambda action, _inquiry: any(map(assigned, action.assignments)))
    return [(test, test) for test in tests]


def _assignment(pattern: str) -> str:
    return pattern if "=" in pattern else f"{pattern}=*"


def _call_tests(when: Condition) -> list[Pair]:
    pairs: list[Pair] = []
    if when.session_matches:
        inside = compile_text_globs(when.session_matches)

        def is_inside(_action: Action, inquiry: Inquiry) -> bool:
            return inside(inquiry.call.session)

        pairs.append((is_inside, is_inside))
    if when.session_not_matches:
        outside = compile_text_globs(when.session_not_matches)
        pairs.append(
            (
                lambda _action, inquiry: not outside(inquiry.call.session),
                # WHY: a call that does not say its session cannot earn a grant by not being in one
                lambda _action, inquiry: (
                    inquiry.call.session != "" and not outside(inquiry.call.session)
                ),
            )
        )
    if when.agent_depth is not None:
        depth = _depth_test(when.agent_depth)
        pairs.append((depth, depth))
    return pairs


def _depth_test(bounds: DepthRange) -> ActionTest:
    least, most, unequal = bounds.least, bounds.most, bounds.unequal

    def test(_action: Action, inquiry: Inquiry) -> bool:
        depth = inquiry.call.depth
        return depth >= least and (most is None or depth <= most) and depth != unequal

    return test


def _command_tests(when: Condition) -> list[Pair]:
    loose: list[TextTest] = []
    strict: list[TextTest] = []
    if when.command_matches:
        glob = compile_text_globs(when.command_matches)
        loose.append(glob)
        strict.append(glob)
    if when.command_contains:
        folded, exact = compile_substrings(when.command_contains)
        loose.append(folded)
        strict.append(exact)
    excluded = compile_text_globs(when.command_not_matches) if when.command_not_matches else None
    if not loose and excluded is None:
        return []

    def restricts(action: Action, _inquiry: Inquiry) -> bool:
        command = action.command
        if not command or (excluded is not None and excluded(command)):
            return False
        texts: Sequence[str] = (command, *action.spellings) if action.spellings else (command,)
        if excluded is not None:
            texts = [text for text in texts if not excluded(text)]
        return all(any(map(test, texts)) for test in loose)

    def grants(action: Action, _inquiry: Inquiry) -> bool:
        command = action.command
        if not command or not all(test(command) for test in strict):
            return False
        return excluded is None or not (excluded(command) or any(map(excluded, action.spellings)))

    return [(restricts, grants)]


class _Paths:
    """``path_matches`` and ``path_not_matches`` of one condition."""

    def __init__(self, when: Condition, places: Places) -> None:
        self._given = bool(when.path_matches)
        self._wide = compile_path_globs(when.path_matches, places, wide=True)
        self._narrow = compile_path_globs(when.path_matches, places, wide=False)
        self._wide_not = compile_path_globs(when.path_not_matches, places, wide=True)
        self._narrow_not = compile_path_globs(when.path_not_matches, places, wide=False)

    def restricts(self, action: Action, inquiry: Inquiry) -> bool:
        path = action.path
        if not path:
            return False
        texts: Sequence[str] = (path, *action.spellings)
        if _one_matches(self._narrow_not, path):
            # WHY: the normal form excludes its own spellings only if they name the same place
            place = same_place(path)
            texts = [t for t in texts if t.startswith("/") and same_place(t) != place]
        return any(self._restricts_text(text, inquiry.budget) for text in texts)

    def _restricts_text(self, text: str, budget: Budget) -> bool:
        if _one_matches(self._narrow_not, text):
            return False
        if not self._given or _one_matches(self._wide, text):
            return True
        return _one_overlaps(self._wide, text, budget, evidence=True)

    def grants(self, action: Action, inquiry: Inquiry) -> bool:
        path, budget = action.path, inquiry.budget
        if not path or could_climb(path) or not self._grants_text(path, budget):
            return False
        for text in action.spellings:
            if self._excludes(text, budget):
                return False
            # INVARIANT: a link's target needs the grant too, or a link would be a way in
            elsewhere = text.startswith("/") and same_place(text) != same_place(path)
            if elsewhere and not self._grants_text(text, budget):
                return False
        return True

    def _grants_text(self, text: str, budget: Budget) -> bool:
        if self._given and not _one_matches(self._narrow, text):
            return False
        return not self._excludes(text, budget)

    def _excludes(self, text: str, budget: Budget) -> bool:
        if not self._wide_not:
            return False
        return _one_matches(self._wide_not, text) or _one_overlaps(
            self._wide_not, text, budget, evidence=False
        )


def _one_matches(globs: Sequence[PathGlob], text: str) -> bool:
    for glob in globs:  # noqa: SIM110 - a generator costs three times as much here
        if glob.matches(text):
            return True
    return False


def _one_overlaps(globs: Sequence[PathGlob], text: str, budget: Budget, *, evidence: bool) -> bool:
    if GLOB_CHARACTERS.isdisjoint(text):
        return False
    path = ShellGlob(text, budget)
    budget.spend(len(globs) * path.try_us)
    return any(glob.overlaps(path, evidence=evidence) for glob in globs)


def _path_tests(when: Condition, places: Places) -> list[Pair]:
    if not when.path_matches and not when.path_not_matches:
        return []
    paths = _Paths(when, places)
    return [(paths.restricts, paths.grants)]


def _network_tests(when: Condition) -> list[Pair]:
    pairs: list[Pair] = []
    if when.url_matches:
        loose, strict = compile_url_globs(when.url_matches)
        pairs.append(
            (
                lambda action, _inquiry: (
                    action.url != "" and (loose(action.url) or any(map(loose, action.spellings)))
                ),
                lambda action, _inquiry: action.url != "" and strict(action.url),
            )
        )
    if when.domain_matches or when.domain_not_matches:
        inside = compile_domains(when.domain_matches or ("*",))
        outside = compile_domains(when.domain_not_matches) if when.domain_not_matches else None

        def allowed(host: str) -> bool:
            return inside(host) and (outside is None or not outside(host))

        pairs.append(
            (
                lambda action, _inquiry: any(map(allowed, hosts_of(action))),
                lambda action, _inquiry: action.host != "" and all(map(allowed, hosts_of(action))),
            )
        )
    return pairs


def params_of(action: Action, inquiry: Inquiry) -> Mapping[str, object]:
    """Return an action's parameters: its own, or the call's if the action is the call itself."""
    return action.params or (inquiry.call.params if action.origin == "call" else EMPTY)


def _param_tests(when: Condition) -> list[Pair]:
    tests: list[tuple[ParamTest, ParamTest]] = []
    for name, patterns in when.tool_param_matches.items():
        loose = compile_text_globs(patterns, fold=True)
        strict = compile_text_globs(patterns)
        tests.append(compile_param(name, [(_of_text(loose), _of_text(strict))]))
    for name, comparison in when.params.items():
        tests.append(compile_comparison(name, comparison))
    return [(_of_params(loose), _of_params(strict)) for loose, strict in tests]


def _of_text(test: TextTest) -> Callable[[object], bool]:
    return lambda value: test(text_of(value))


def _of_params(test: ParamTest) -> ActionTest:
    def of_params(action: Action, inquiry: Inquiry) -> bool:
        params = params_of(action, inquiry)
        # WHY: a call on 4,000 paths is 4,000 actions, all with the parameters of the call
        key = (id(test), id(params))
        known = inquiry.reached.get(key)
        if known is None:
            known = inquiry.reached[key] = test(params)
        return known

    return of_params


def _upstream_tests(when: Condition, places: Places) -> list[Pair]:
    if when.upstream is None:
        return []
    restricts, grants = compile_condition(when.upstream, places)
    return [(Reaches(restricts).test, Reaches(grants).test)]


_NARROWING: Final = (
    "command_matches", "command_contains", "command_env_assignments", "program", "path_matches",
    "url_matches", "domain_matches", "tool_param_matches", "params", "origin", "effect", "upstream",
)  # fmt: skip


def narrows(when: Condition) -> bool:
    """True if a condition says what it is about, beyond ``*``, exclusions, and who asks."""
    for name in _NARROWING:
        value = getattr(when, name)
        if value and not _takes_all(name, value):
            return True
    return when.opaque is True


def _takes_all(name: str, value: object) -> bool:
    if name in ("command_matches", "path_matches", "url_matches", "domain_matches", "program"):
        assert isinstance(value, tuple)
        return any(pattern.strip("/").strip("*") in ("", "/") for pattern in value)
    return False
