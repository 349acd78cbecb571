"""Where a log may live: ours alone, and nothing but plain files."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

import pytest
from rampart.audit import AuditLog
from rampart.audit.fs import AuditDirectory
from rampart.errors import AuditUnavailable

SEGMENT = "audit-00000000000000000000.jsonl"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def refused(files, match):
    with pytest.raises(AuditUnavailable, match=match):
        AuditLog.open(files.path)
    return True


def test_a_directory_that_is_a_symbolic_link_is_refused(files, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    files.path.symlink_to(tmp_path / "elsewhere")
    assert refused(files, "symbolic link")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_place_of_the_directory_is_refused(files):
    files.path.touch()
    assert refused(files, "not a directory")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_may_write_to_is_refused(files, mode):
    files.path.mkdir()
    files.path.chmod(mode)
    assert refused(files, "others may write")


@as_root
def test_a_directory_of_another_user_is_refused(files):
    files.path.mkdir(mode=0o700)
    os.chown(files.path, 12345, 12345)
    assert refused(files, "another user")


@pytest.mark.parametrize("name", [SEGMENT, "audit.lock"])
def test_a_planted_symbolic_link_is_not_followed(files, tmp_path, name):
    files.path.mkdir(mode=0o700)
    target = tmp_path / "target"
    target.touch(mode=0o600)
    (files.path / name).symlink_to(target)
    assert refused(files, "symbolic link")
    assert target.read_bytes() == b""


@pytest.mark.parametrize("name", [SEGMENT, "audit.lock"])
def test_a_file_with_a_second_name_is_refused(files, tmp_path, name):
    files.path.mkdir(mode=0o700)
    (files.path / name).touch(mode=0o600)
    (tmp_path / "second").hardlink_to(files.path / name)
    assert refused(files, "single name")


@pytest.mark.parametrize("name", [SEGMENT, "audit.lock"])
def test_a_pipe_is_refused_without_waiting_for_a_reader(files, name):
    files.path.mkdir(mode=0o700)
    os.mkfifo(files.path / name, 0o600)
    assert refused(files, "not a regular file")


@pytest.mark.parametrize("name", [SEGMENT, "audit.lock"])
def test_a_file_that_others_may_write_to_is_refused(files, name):
    files.path.mkdir(mode=0o700)
    (files.path / name).touch()
    (files.path / name).chmod(0o620)
    assert refused(files, "others may write")


@as_root
@pytest.mark.parametrize("name", [SEGMENT, "audit.lock"])
def test_a_file_of_another_user_is_refused(files, name):
    files.path.mkdir(mode=0o700)
    (files.path / name).touch(mode=0o600)
    os.chown(files.path / name, 12345, 12345)
    assert refused(files, "another user")


@as_user
def test_a_read_only_directory_is_an_error_not_a_silence(files):
    files.path.mkdir(mode=0o500)
    assert refused(files, "Permission denied")


@as_root
def test_a_read_only_directory_is_an_error_for_an_ordinary_user():
    """Root may write everywhere, so a child gives its rights up first."""
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        parent.chmod(0o755)
        path = parent / "audit"
        path.mkdir(mode=0o500)
        os.chown(path, 12345, 12345)
        child = os.fork()
        if child == 0:
            os._exit(open_as_user(path))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def open_as_user(path):
    os.setgid(12345)
    os.setuid(12345)
    try:
        AuditLog.open(path)
    except AuditUnavailable as error:
        return 0 if "Permission denied" in error.message else 2
    except OSError:
        return 3
    return 1


def descriptors():
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found[int(link.name)] = str(link.readlink())
    return found


def test_descriptors_are_closed_with_the_log(files):
    before = descriptors()
    log = AuditLog.open(files.path)
    log.append({"type": "start"})
    log.close()
    assert descriptors() == before


def test_descriptors_do_not_reach_a_started_program(files):
    log = AuditLog.open(files.path)
    fds = [fd for fd, name in descriptors().items() if name.startswith(str(files.path))]
    assert len(fds) == 3  # directory, lock, segment
    assert not any(os.get_inheritable(fd) for fd in fds)
    log.close()


def test_a_lock_is_exclusive_and_goes_with_its_descriptor(files):
    directory = AuditDirectory.open(files.path)
    first, second = directory.open_lock(), directory.open_lock()
    first.lock(time.monotonic())
    with pytest.raises(AuditUnavailable):
        second.lock(time.monotonic())
    first.close()
    second.lock(time.monotonic())
    second.close()
    directory.close()
