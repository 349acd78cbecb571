"""What is said to cover another pattern matches everything that the other one matches."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.authoring.covering import path_covers, text_covers
from rampart.policy.glob import compile_text_glob
from rampart.policy.path_glob import PathAutomaton

GLOBS = st.text("ab*?", min_size=1, max_size=6)
TEXTS = st.text("abc", max_size=7)
PATHS = st.text("ab/", max_size=8).map(lambda text: f"/{text}")
PATH_GLOBS = st.lists(
    st.sampled_from(["a", "b", "/", "*", "**/", "/**", "?", "[ab]", "[!a]"]), min_size=1, max_size=5
).map(lambda parts: "/" + "".join(parts))


@given(GLOBS, GLOBS, TEXTS)
@settings(max_examples=400, deadline=None)
def test_covered_text_glob_matches_no_more(wide: str, narrow: str, text: str) -> None:
    if text_covers(wide, narrow) and compile_text_glob(narrow)(text):
        assert compile_text_glob(wide)(text)


@given(PATH_GLOBS, PATH_GLOBS, PATHS)
@settings(max_examples=400, deadline=None)
def test_covered_path_glob_matches_no_more(wide: str, narrow: str, path: str) -> None:
    if path_covers(wide, narrow) and PathAutomaton(narrow).matches(path):
        assert PathAutomaton(wide).matches(path)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [("git *", "git push *"), ("*", "x"), ("a?c", "abc"), ("*b*", "abc*"), ("a*", "a?*")],
)
def test_text_glob_covers(wide: str, narrow: str) -> None:
    assert text_covers(wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [("git push *", "git *"), ("a?c", "a*c"), ("a", "A"), ("git *", "git"), ("?", "")],
)
def test_text_glob_does_not_cover(wide: str, narrow: str) -> None:
    assert not text_covers(wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [("/a/**", "/a/b/*.txt"), ("**/x", "/x"), ("/a/**/b", "/a/b"), ("/*/c", "/[ab]/c")],
)
def test_path_glob_covers(wide: str, narrow: str) -> None:
    assert path_covers(wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"), [("/a/*", "/a/**"), ("/a/*", "/a/b/c"), ("/?", "/*"), ("/[ab]", "/[abc]")]
)
def test_path_glob_does_not_cover(wide: str, narrow: str) -> None:
    assert not path_covers(wide, narrow)
