"""What the doctor finds, and that it leaves nothing behind."""

import fcntl
import os
from pathlib import Path

import pytest
from rampart.audit import doctor
from rampart.audit.doctor import examine, file_system_of
from rampart.audit.fs import AuditFile


@pytest.fixture
def place(tmp_path):
    (tmp_path / "audit").mkdir(mode=0o700)
    return tmp_path / "audit"


def states(place):
    return {found.name: found.state for found in examine(place)}


def test_a_sound_directory_passes_and_nothing_is_left_in_it(place):
    found = states(place)
    assert {"appending", "locking", "renaming", "links", "syncing"} <= set(found)
    assert "fail" not in found.values()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("mode", "state"), [(0o755, "warn"), (0o777, "fail")])
def test_a_directory_that_others_may_use_is_told(place, mode, state):
    place.chmod(mode)
    assert states(place)["directory"] == state


def test_a_symbolic_link_is_told(place, tmp_path):
    (tmp_path / "link").symlink_to(place)
    assert states(tmp_path / "link")["directory"] == "fail"


def overwrite(file, data):
    """Write as a file system without O_APPEND would."""
    with (file._directory.path / file.name).open("r+b") as opened:
        return opened.write(data)


@pytest.mark.parametrize(
    ("method", "wrong", "name"),
    [
        ("append", overwrite, "appending"),
        ("append", lambda file, data: 1, "appending"),
        ("cut", lambda file, size: None, "appending"),
        ("lock", lambda file, deadline: None, "locking"),
        ("sync", lambda file: (_ for _ in ()).throw(OSError(22, "not here")), "syncing"),
    ],
)
def test_a_file_system_that_does_not_do_what_the_log_needs_is_told(
    place, monkeypatch, method, wrong, name
):
    """Each trial has its negative control: with the call broken it must fail."""
    monkeypatch.setattr(AuditFile, method, wrong)
    assert states(place)[name] == "fail"
    assert list(place.iterdir()) == []


def test_a_lock_that_outlives_its_holder_is_told(place, monkeypatch):
    kept = []

    def hold(file, deadline):
        fcntl.flock(file._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kept.append(os.dup(file._fd))

    monkeypatch.setattr(AuditFile, "lock", hold)
    assert states(place)["locking"] == "fail"
    for fd in kept:
        os.close(fd)


MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
server:/x /mnt/far nfs4 rw 0 0
//server/y /mnt/my\\040files cifs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/u", "ext4"),
        ("/run/rampart", "tmpfs"),
        ("/running", "ext4"),
        ("/mnt/far/audit", "nfs4"),
        ("/mnt/my files/audit", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_the_nearest_mount(path, kind):
    assert file_system_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize(("kind", "state"), [("nfs4", "fail"), ("tmpfs", "warn"), ("ext4", "ok")])
def test_a_network_file_system_is_refused(place, tmp_path, monkeypatch, kind, state):
    table = tmp_path / "mounts"
    table.write_text(f"x / {kind} rw 0 0\n")
    monkeypatch.setattr(doctor, "_MOUNTS", table)
    assert states(place)["file system"] == state


@pytest.mark.parametrize(("blocks", "state"), [(1, "fail"), (100_000, "warn"), (10_000_000, "ok")])
def test_little_room_is_told(place, monkeypatch, blocks, state):
    real = os.statvfs(place)
    fields = list(real)
    fields[1], fields[4], fields[8] = 4096, blocks, 1000
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(fields))
    assert states(place)["free space"] == state
