"""The index of path patterns leaves out no rule that trying every pattern would find."""

from __future__ import annotations

from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.policy.compiled import CompiledRule
from rampart.policy.path_glob import GLOB_CHARACTERS, PathAutomaton
from rampart.policy.path_index import PathFile
from rampart.policy.paths import (
    Budget,
    Places,
    compile_path_globs,
    path_pattern_problem,
)

PLACES = Places("/home/u", "/home/u/work")
NAMES = """
home u etc .ssh .s* id_rsa id_* *.pem .env* src work ** * a? [ab]c w*k p**d passwd *.py
"""
SEGMENTS = st.sampled_from(NAMES.split())
PATTERNS = st.builds(
    "{}{}".format,
    st.sampled_from(("/", "**/", "", "~/", "${workspace}/")),
    st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join),
).filter(lambda pattern: not path_pattern_problem(pattern))
PATHS = st.builds(
    "{}{}".format,
    st.sampled_from(("/", "", "/home/u/work/")),
    st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join),
)


@settings(max_examples=400, deadline=None)
@given(patterns=st.lists(PATTERNS, min_size=1, max_size=12), paths=st.lists(PATHS, min_size=1))
def test_the_index_finds_what_trying_every_pattern_finds(
    patterns: list[str], paths: list[str]
) -> None:
    file = PathFile(PLACES)
    rules = [cast("CompiledRule", _Rule()) for _ in patterns]
    globs = [compile_path_globs([pattern], PLACES, wide=True) for pattern in patterns]
    for each, rule in zip(globs, rules, strict=True):
        file.add(each, rule)
    file.build()
    found: set[CompiledRule] = set()
    file.find(paths, Budget(10**9), found)
    for each, rule in zip(globs, rules, strict=True):
        automata = [PathAutomaton(glob.pattern) for glob in each]
        wanted = any(
            automaton.matches(path)
            or (not GLOB_CHARACTERS.isdisjoint(path) and automaton.overlaps(path, evidence=True))
            for automaton in automata
            for path in paths
        )
        assert rule in found or not wanted


class _Rule:
    """Stands for a rule: the index only keeps it."""
