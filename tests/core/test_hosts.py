"""Where links lead, as ``os.path.realpath`` says, and never as it was before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rampart import hosts
from rampart.hosts import HostFacts, LinkWalk, real_path
from rampart.model import ToolCall

NAMES = ("a", "b", "c d", "é", "x (deleted)")
PARTS = st.sampled_from((*NAMES, ".", "..", "nothing"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories, files and links in each other, to nowhere and in circles."""
    root = tmp_path_factory.mktemp("tree")
    for folder in (root, root / "a", root / "a" / "b"):
        folder.mkdir(exist_ok=True)
        (folder / "b").mkdir(exist_ok=True)
        (folder / "c d").symlink_to(root / "a" / "b")
        (folder / "é").symlink_to("../x (deleted)")
        (folder / "x (deleted)").symlink_to("x (deleted)" if folder == root else "b/c d")
        (folder / "file").touch()
    return root


@pytest.mark.parametrize("through_the_kernel", [True, False])
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(paths=st.lists(st.lists(PARTS, min_size=1, max_size=6), min_size=1, max_size=4))
def test_links_are_followed_as_the_standard_library_does(
    tree: Path, through_the_kernel: bool, paths: list[list[str]]
) -> None:
    walk = LinkWalk()
    with pytest.MonkeyPatch.context() as patch:
        if not through_the_kernel:
            patch.setattr(hosts, "_O_PATH", 0)
        for parts in paths:
            path = "/".join((str(tree), *parts))
            assert walk(path) == os.path.realpath(path)


@pytest.mark.parametrize(
    "path", ["/", "/etc/..", "/proc/self/root/etc", "/proc/self/cwd/x", "/x/y"]
)
def test_roots_and_the_kernels_own_links(path: str) -> None:
    assert real_path(path) == os.path.realpath(path)


@pytest.mark.parametrize(
    "path", ["link/new/x", "new/x", "new/more/x", "nowhere/x", "file/x", "file/new/x", "circle/x"]
)
def test_a_directory_that_does_not_exist_is_where_the_standard_library_says(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "nowhere").symlink_to("real/gone")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").touch()
    walk = LinkWalk()
    for text in (f"{tmp_path}/{path}", f"{tmp_path}/{path}2", f"{tmp_path}/real/y"):
        assert walk(text) == os.path.realpath(text)


def test_a_link_that_changes_between_two_calls_is_seen(tmp_path: Path) -> None:
    facts = HostFacts(workspace=tmp_path)
    call = ToolCall("read", {"path": "x"}, cwd=str(tmp_path))
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    folder = tmp_path / "folder"
    folder.symlink_to("first")
    first = facts.host(call).resolve
    assert first is not None
    assert first(f"{folder}/x") == f"{tmp_path}/first/x"
    folder.unlink()
    folder.symlink_to("second")
    second = facts.host(call).resolve
    assert second is not None
    assert second(f"{folder}/x") == f"{tmp_path}/second/x"
    assert facts.resolve is not None
    assert facts.resolve(f"{folder}/x") == f"{tmp_path}/second/x"


def test_a_link_is_followed_where_no_descriptor_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")

    def exhausted(*_arguments: object) -> int:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(os, "open", exhausted)
    assert real_path(f"{tmp_path}/link/x") == f"{tmp_path}/target/x"


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208 - counted as they are
    for number in range(50):
        real_path(f"{tmp_path}/{number}/x")
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208 - counted as they are
    assert before == after
