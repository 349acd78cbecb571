"""Globs agree with a naive reading of what they mean, and stay linear on hostile text."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from rampart.limits import COMMAND_BYTES_MAX, PATH_BYTES_MAX
from rampart.policy.glob import compile_text_glob
from rampart.policy.literals import END, START, LiteralIndex
from rampart.policy.path_glob import PathAutomaton
from rampart.policy.paths import Budget, PathGlob, Places, ShellGlob, compile_path_globs, expand
from rampart.policy.texts import compile_text_globs, glob_literals


def naive_text(pattern: str, text: str) -> bool:
    parts = {"*": ".*", "?": "."}
    return (
        re.fullmatch("".join(parts.get(c, re.escape(c)) for c in pattern), text, re.DOTALL)
        is not None
    )


def naive_path(pattern: str, path: str) -> bool:
    """Written from the definition: segments by recursion, classes as in a shell."""

    def character(p: str, c: str) -> bool:
        if c == "/":
            return p == "/"
        if p.startswith("[") and len(p) > 1:
            negated = p[1] in "!^"
            body = p[2:-1] if negated else p[1:-1]
            members = set()
            index = 0
            while index < len(body):
                if body[index + 1 : index + 2] == "-" and index + 2 < len(body):
                    members |= {chr(o) for o in range(ord(body[index]), ord(body[index + 2]) + 1)}
                    index += 3
                else:
                    members.add(body[index])
                    index += 1
            return (c in members) != negated
        return p in ("?", c)

    tokens = re.findall(r"\*+|\[[!^]?[^/][^]/]*\]|.", pattern, re.DOTALL)

    def match(i: int, j: int) -> bool:
        if i == len(tokens):
            return j == len(path)
        token = tokens[i]
        if token.startswith("**"):
            alone = (i == 0 or tokens[i - 1] == "/") and tokens[i + 1 : i + 2] == ["/"]
            if alone and match(i + 2, j):  # no segment at all
                return True
            return any(match(i + 1, k) for k in range(j, len(path) + 1))
        if token == "*":
            return match(i + 1, j) or (j < len(path) and path[j] != "/" and match(i, j + 1))
        return j < len(path) and character(token, path[j]) and match(i + 1, j + 1)

    return match(0, 0)


TEXTS = st.text("ab *?", max_size=12)
PATTERNS = st.text("ab *?", min_size=1, max_size=8)
PATHS = st.text("ab./", max_size=12).map(lambda text: "/" + text)
PIECES = ["a", "b", "**", "*", "/", ".", "?", "[ab]", "[!a]", "a*", "[", "]"]
SEGMENTS = ["a", "ab", "**", "*", ".a", "a*", "*b", "a?"]
PATH_PATTERNS = st.one_of(
    st.text("ab./*?", min_size=1, max_size=9),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join),
    st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map("/".join),
)


@settings(max_examples=500)
@given(PATTERNS, TEXTS)
@example("a*a", "a")
@example("*ab*ab*", "abab")
@example("?*?", "a")
@example("a*?b*b", "aab")
def test_text_globs_agree_with_the_definition(pattern: str, text: str) -> None:
    assert compile_text_glob(pattern)(text) == naive_text(pattern, text)


@given(st.lists(PATTERNS, min_size=1, max_size=20), TEXTS)
def test_a_list_of_globs_matches_if_one_does(patterns: list[str], text: str) -> None:
    assert compile_text_globs(patterns)(text) == any(naive_text(p, text) for p in patterns)


@settings(max_examples=500)
@given(PATTERNS, TEXTS)
def test_the_index_never_loses_a_match(pattern: str, text: str) -> None:
    index: LiteralIndex[str] = LiteralIndex()
    for other in ("ab ab", "bbbb*", "a a a"):
        index.add(glob_literals(other), other)
    indexed = index.add(glob_literals(pattern), pattern)
    index.build()

    if indexed and naive_text(pattern, text):
        assert pattern in index.find(START + text + END)


@settings(max_examples=1000)
@given(PATH_PATTERNS, PATHS)
@example("**/a", "/a")
@example("/a/**/b", "/a/b")
@example("/a/**/b", "/a/c/b")
@example("/a/**", "/a")
@example("**a/b", "/xa/b")
@example("/*", "/a")
def test_path_globs_agree_with_the_definition(pattern: str, path: str) -> None:
    expected = naive_path(pattern, path)
    assert PathAutomaton(pattern).matches(path) == expected
    assert PathGlob(pattern).matches(path) == expected


@settings(max_examples=500)
@given(PATH_PATTERNS, PATHS)
def test_the_path_index_never_loses_a_match(pattern: str, path: str) -> None:
    assume("//" not in pattern)  # `expand` leaves none
    glob = PathGlob(pattern)
    index: LiteralIndex[str] = LiteralIndex(["/a/b"])
    if index.add(glob.literals, pattern):
        index.build()
        if naive_path(pattern, path):
            assert pattern in index.find(path + END)


def shell_denotes(glob: str, path: str) -> bool:
    """A shell's pathname expansion: segment by segment, no leading dot for a wildcard."""
    glob_segments, segments = glob.split("/"), path.split("/")
    return len(glob_segments) == len(segments) and all(
        naive_path(g, s) and not (s.startswith(".") and g[:1] in ("*", "?", "["))
        for g, s in zip(glob_segments, segments, strict=True)
    )


WILD_SEGMENTS = {
    "*": ["a", "ab", "b.a"],
    "a*": ["a", "ab", "a.b"],
    "*b": ["b", "ab"],
    "?": ["a", "b"],
    "[ab]": ["a", "b"],
    "[!a]": ["b"],
    ".*": [".a", ".ab"],
    "a": ["a"],
    ".a": [".a"],
}


@st.composite
def denoted(draw: st.DrawFn) -> tuple[str, str, str]:
    """A shell glob, a path that it denotes, and a pattern made from that path."""
    globs = draw(st.lists(st.sampled_from(sorted(WILD_SEGMENTS)), min_size=1, max_size=4))
    names = [draw(st.sampled_from(WILD_SEGMENTS[glob])) for glob in globs]
    parts = []
    for name in names:
        loose = [name, "*", name[:-1] + "*", "*" + name[1:], "?" * len(name), "**"]
        parts.append(draw(st.sampled_from(loose)))
    head = draw(st.sampled_from(["/", "**/", "/**/"]))
    return "/" + "/".join(globs), "/" + "/".join(names), head + "/".join(parts)


@settings(max_examples=1000)
@given(denoted())
@example(("/a/.*", "/a/.a", "**/.a"))
def test_what_a_shell_glob_could_denote_is_never_missed(triple: tuple[str, str, str]) -> None:
    """Completeness of the overlap: the fast checks in front of it included."""
    glob, path, pattern = triple
    assert shell_denotes(glob, path)
    if naive_path(pattern, path):
        assert PathAutomaton(pattern).overlaps(glob, evidence=False)
        assert PathGlob(pattern).overlaps(ShellGlob(glob, Budget()), evidence=False)


@settings(max_examples=500)
@given(denoted(), denoted())
def test_fast_checks_never_hide_an_overlap_with_evidence(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    glob, pattern = first[0], second[2]
    if PathAutomaton(pattern).overlaps(glob, evidence=True):
        assert PathGlob(pattern).overlaps(ShellGlob(glob, Budget()), evidence=True)


HERE = Places("/home/me", "/work/app")


@pytest.mark.parametrize(
    ("pattern", "wide", "narrow"),
    [
        ("/etc/x", ["/etc/x"], ["/etc/x"]),
        ("~/x", ["/root/x", "/home/*/x", "/Users/*/x", "~*/x"], ["/home/me/x"]),
        ("~", ["/root", "/home/*", "/Users/*", "~*"], ["/home/me"]),
        ("$HOME/x", ["/root/x", "/home/*/x", "/Users/*/x", "~*/x"], ["/home/me/x"]),
        ("${workspace}/x", ["/work/app/x"], ["/work/app/x"]),
        ("x/y", ["**/x/y"], ["/work/app/x/y"]),
        ("./x", ["**/x"], ["/work/app/x"]),
        ("x/", ["**/x/**"], ["/work/app/x/**"]),
        ("**/x", ["**/x"], ["**/x"]),
        ("/a//b/./c", ["/a/b/c"], ["/a/b/c"]),
        ("/a/**/**/b", ["/a/**/b"], ["/a/**/b"]),
    ],
)
def test_a_path_pattern_has_a_wide_and_a_narrow_reading(
    pattern: str, wide: list[str], narrow: list[str]
) -> None:
    assert list(expand(pattern, HERE, wide=True)) == wide
    assert list(expand(pattern, HERE, wide=False)) == narrow


def test_an_unusual_home_is_a_home_too() -> None:
    places = Places("/srv/u[1]", "")
    globs = compile_path_globs(["~/.ssh"], places, wide=True)
    assert any(glob.matches("/srv/u[1]/.ssh") for glob in globs)
    assert not any(glob.matches("/srv/u1/.ssh") for glob in globs)
    assert any(glob.matches("/home/x/.ssh") for glob in globs)


def test_without_a_workspace_a_grant_on_it_grants_nothing() -> None:
    nowhere = Places("", "")
    assert expand("${workspace}/**", nowhere, wide=False) == ()
    assert expand("src/**", nowhere, wide=False) == ()
    assert expand("~/x", nowhere, wide=False) == ()
    assert expand("${workspace}/x", nowhere, wide=True) == ("**/x",)


HOSTILE_S_MAX = 0.5  # a backtracking matcher needs minutes; the linear ones need milliseconds


@pytest.mark.parametrize(
    ("pattern", "unit"),
    [
        ("*a*a*a*a*a*a*a*a*b", "a"),
        ("*python* -c *import socket*connect*", "python -c import socket "),
        ("*a?a?a?a?a?a?a?a?b*c", "a"),
        ("*" + "?" * 500 + "*b", "a"),
        ("*a" + "?a" * 400 + "*", "a"),
    ],
)
def test_text_globs_are_linear_on_hostile_text(pattern: str, unit: str) -> None:
    text = unit * (COMMAND_BYTES_MAX // len(unit))
    started = time.perf_counter()
    compile_text_glob(pattern)(text)
    assert time.perf_counter() - started < HOSTILE_S_MAX


@pytest.mark.parametrize(
    ("pattern", "unit"),
    [
        ("**/a" * 40 + "/b", "/a"),
        ("**/*a*a*a*a*a*b/**/c", "a"),
        ("/**/a*/**/a*/**/a*/**/b", "/a"),
    ],
)
def test_path_globs_are_linear_on_hostile_paths(pattern: str, unit: str) -> None:
    path = unit * (PATH_BYTES_MAX // len(unit))
    started = time.perf_counter()
    PathGlob(pattern).matches(path)
    PathGlob(pattern).overlaps(ShellGlob(path[:-1] + "*", Budget()), evidence=True)
    assert time.perf_counter() - started < HOSTILE_S_MAX
