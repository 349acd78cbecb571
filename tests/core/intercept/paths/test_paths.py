"""Paths: everything that names the same file has one normal form, and no spelling is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rampart.errors import InputError, InputTooLarge
from rampart.intercept.paths import normalize, path_action
from rampart.limits import PATH_BYTES_MAX
from rampart.model import Host

HOME, CWD = "/home/user", "/workspace/app"


def _normal(text: str, cwd: str | None = CWD) -> str:
    return normalize(text, cwd=cwd, home=HOME).path


def _host(home: Path | str = HOME, cwd: Path | str = CWD, *, resolve: bool = False) -> Host:
    follow = (lambda text: str(Path(text).resolve())) if resolve else None
    return Host(home=str(home), cwd=str(cwd), workspace=str(cwd), resolve=follow)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/etc/passwd", "/etc/passwd"),
        ("/etc//passwd", "/etc/passwd"),
        ("/etc/./passwd", "/etc/passwd"),
        ("/etc/passwd/", "/etc/passwd"),
        ("/tmp/../etc/passwd", "/etc/passwd"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("//etc/passwd", "/etc/passwd"),
        ("/", "/"),
        ("/.", "/"),
        ("", CWD),
        (".", CWD),
        ("src/main.py", f"{CWD}/src/main.py"),
        ("./src/../main.py", f"{CWD}/main.py"),
        ("../../etc/passwd", "/etc/passwd"),
        ("...", f"{CWD}/..."),
        ("~", HOME),
        ("~/.ssh/id_rsa", f"{HOME}/.ssh/id_rsa"),
        ("~/../other", "/home/other"),
        ("~root/.ssh", "/root/.ssh"),
        ("~user/x", f"{HOME}/x"),
        ("~other/x", "/home/other/x"),
        ("~+/x", f"{CWD}/x"),
        ("$HOME/.aws", f"{HOME}/.aws"),
        ("${HOME}/.aws", f"{HOME}/.aws"),
        ("$PWD/x", f"{CWD}/x"),
        ("$env:USERPROFILE/x", f"{HOME}/x"),
        ("%USERPROFILE%/x", f"{HOME}/x"),
        ("a~b", f"{CWD}/a~b"),
        ("/x/~", "/x/~"),
        ("/proc/self/root/etc/shadow", "/etc/shadow"),
        ("/proc/1/root/etc/shadow", "/etc/shadow"),
        ("/proc/thread-self/root/proc/self/root/etc/shadow", "/etc/shadow"),
        ("/proc/self/task/7/root/etc/shadow", "/etc/shadow"),
        ("/proc/self/cwd/.env", f"{CWD}/.env"),
        ("/proc/self/cwd/../x", "/workspace/x"),
        ("/proc/self/fd/3", "/dev/fd/3"),
        ("/dev/fd/../root/etc/shadow", "/etc/shadow"),
        ("/proc/self/environ", "/proc/self/environ"),
        ("/proc/2/cwd/x", "/proc/2/cwd/x"),
        ("/procedure/self/root/x", "/procedure/self/root/x"),
        ("file:///etc/passwd", "/etc/passwd"),
        ("file://localhost/etc/passwd", "/etc/passwd"),
        ("file:/etc/passwd", "/etc/passwd"),
        ("FILE:///etc/%70asswd", "/etc/passwd"),
        ("file:///etc/passwd?x#y", "/etc/passwd"),
        ("file:name", f"{CWD}/file:name"),
        ("/srv/*.py", "/srv/*.py"),
        ("/srv/**/*.py", "/srv/**/*.py"),
        ("with space/x y", f"{CWD}/with space/x y"),
    ],
)
def test_every_text_for_a_file_has_the_same_normal_form(text: str, path: str) -> None:
    """The normal form is absolute, lexical and what the file is called."""
    assert _normal(text) == path


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("src/main.py", "src/main.py"),
        ("~/.ssh", "~/.ssh"),
        ("/w/%2e%2e/etc/passwd", "/etc/passwd"),
        ("/w/%252e%252e/etc/passwd", "/etc/passwd"),
        ("/w/x%00.png", "/w/x"),
        ("/etc/passwd ", "/etc/passwd"),
        ("C:\\Users\\x", "C:/Users/x"),
        ("..\\..\\etc", "/etc"),
        ("/run/docker.sock", "/var/run/docker.sock"),
        ("/var/run/docker.sock", "/run/docker.sock"),
        ("/private/etc/hosts", "/etc/hosts"),
        ("/bin/ls", "/usr/bin/ls"),
        ("/w/caf\u0065\u0301", "/w/caf\u00e9"),
        ("/w/\uff0e\uff0e/etc", "/etc"),
    ],
)
def test_other_readings_of_a_path_are_kept_as_spellings(text: str, spelling: str) -> None:
    """A restriction on any reading of the text sees it."""
    assert spelling in normalize(text, cwd=CWD, home=HOME).spellings


def test_encoded_step_upwards_takes_the_grant_and_is_named() -> None:
    """A traversal that hides behind escapes is not what it seems."""
    action = path_action("read", "call", "/workspace/%2e%2e%2fetc", _host(), cwd="")
    assert not action.grantable
    assert "encoded-traversal" in action.effects
    assert path_action("read", "call", "/workspace/100%25", _host(), cwd="").grantable


def test_nul_is_refused_because_programs_cut_there() -> None:
    """No path with a NUL gets an answer."""
    with pytest.raises(InputError, match="NUL"):
        _normal("/etc/passwd\0.png")


def test_path_over_its_limit_is_refused_and_at_it_is_read() -> None:
    """The limit counts bytes, and nothing is cut."""
    assert _normal("/" + "a" * (PATH_BYTES_MAX - 1))
    for text in ("/" + "a" * PATH_BYTES_MAX, "/" + "é" * (PATH_BYTES_MAX // 2)):
        with pytest.raises(InputTooLarge, match=str(PATH_BYTES_MAX)):
            _normal(text)


def test_relative_path_in_an_unknown_directory_stays_relative_and_takes_no_grant() -> None:
    """Nothing is invented about a directory that cannot be known."""
    action = path_action("read", "argument", "./../.env", _host(), cwd=None)
    assert (action.path, action.grantable) == ("../.env", False)
    assert path_action("read", "argument", "/etc/hosts", _host(), cwd=None).grantable


@pytest.mark.parametrize("text", ["$X/file", "${X}/../etc", "`pwd`/x", "~-/x"])
def test_path_that_begins_with_an_unknown_word_keeps_its_text(text: str) -> None:
    """Only the run knows where it leads, so nothing is collapsed and nothing granted."""
    action = path_action("read", "argument", text, _host(), cwd="")
    assert (action.path, action.grantable) == (text, False)


def test_unknown_word_takes_the_grant() -> None:
    """A caller that does not know all of the text says so."""
    assert not path_action("read", "argument", "/a/$X", _host(), cwd="", known=False).grantable


def test_link_out_of_the_workspace_takes_the_grant_and_shows_its_target(tmp_path: Path) -> None:
    """A grant on the workspace does not follow a link to somewhere else."""
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    (workspace / "inner").mkdir()
    (workspace / "away").symlink_to(outside)
    (workspace / "near").symlink_to(workspace / "inner")
    host = _host(tmp_path, workspace, resolve=True)

    away = path_action("read", "call", "away/secret", host, cwd="")
    assert away.path == f"{workspace}/away/secret"
    assert f"{outside}/secret" in away.spellings
    assert not away.grantable
    assert "link-escape" in away.effects

    near = path_action("read", "call", "near/file", host, cwd="")
    assert f"{workspace}/inner/file" in near.spellings
    assert near.grantable


def test_step_upwards_after_a_link_is_resolved_as_the_kernel_does(tmp_path: Path) -> None:
    """``link/../x`` is next to the link's target, whatever the text says."""
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    action = path_action("read", "call", "link/../x", _host(cwd=tmp_path, resolve=True), cwd="")
    assert action.path == f"{tmp_path}/x"
    assert f"{tmp_path}/far/x" in action.spellings


def test_links_that_cannot_be_followed_are_refused() -> None:
    """A path that could be any file gets no answer."""

    def broken(_text: str) -> str:
        raise OSError("too many links")

    with pytest.raises(InputError, match="too many links"):
        normalize("/a/b", cwd=CWD, home=HOME, resolve=broken)


@given(st.text(max_size=80), st.sampled_from([CWD, "/", None]))
def test_normal_form_is_absolute_idempotent_and_raises_only_input_errors(
    text: str, cwd: str | None
) -> None:
    """The normal form of a normal form is itself."""
    try:
        first = normalize(text, cwd=cwd, home=HOME)
    except InputError:
        return
    if not first.known:
        return
    assert first.path.startswith("/")
    again = normalize(first.path, cwd=cwd, home=HOME)
    assert again.path == first.path


@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "proc", "self", "root", "cwd", "dev", "fd", "~"]))
)
def test_normal_form_never_holds_a_dot_segment(parts: list[str]) -> None:
    """No step upwards survives, however it is mixed with the kernel's links."""
    path = _normal("/" + "/".join(parts))
    assert not {".", "..", ""} & set(path.split("/")[1:]) or path == "/"
