"""The local socket: framing, who may ask, what is recorded, and how it starts and stops."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rampart.audit.read import read_records
from rampart.errors import AuthError, ConfigError
from rampart.limits import SOCKET_FRAME_BYTES_MAX, SOCKET_WORKERS
from rampart.server import peer as peers
from rampart.server import socket as sockets
from rampart.server.peer import Peer, peer_of, program_path, working_directory
from rampart.server.socket import bind, exec_call, text_of
from rampart.wire import (
    FLAG_MONITOR,
    FLAG_PREVIEW,
    HEADER,
    ExecQuery,
    decode_answer,
    encode_query,
)

OURSELVES = Peer(os.getpid(), os.geteuid())


def exchange(running, data, *, half_close=False):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(running.socket))
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def ask(running, *argv, **more):
    query = ExecQuery(argv[0].encode(), tuple(word.encode() for word in argv), **more)
    return decode_answer(exchange(running, encode_query(query)))


def records(running):
    return [r for r in read_records(running.data_dir / "audit") if r["type"] == "decision"]


@pytest.mark.parametrize(
    ("argv", "verdict", "reason"),
    [
        (("echo", "hi"), "allow", ""),
        (("date",), "watch", "watched"),
        (("rm", "-rf", "/"), "deny", "Destructive command blocked"),
    ],
)
def test_a_query_is_answered_with_the_policys_verdict(shared_service, argv, verdict, reason):
    assert ask(shared_service, *argv) == (verdict, reason)


def test_a_query_is_recorded_with_what_the_kernel_knows_about_its_sender(service):
    ask(service, "echo", "hi", agent=b"preload", session=b"preload-1")
    (record,) = records(service)
    assert record["params"] == {"argv": ["echo", "hi"], "path": "echo"}
    assert (record["agent"], record["session"]) == ("preload", "preload-1")
    assert record["cwd"] == str(Path.cwd())


def test_a_directory_that_was_sent_wins(service):
    ask(service, "echo", "hi", cwd=b"/tmp")
    assert records(service)[0]["cwd"] == "/tmp"


def test_an_ask_is_denied_for_now_and_names_the_command_that_approves(shared_service):
    verdict, reason = ask(shared_service, "git", "push")
    assert verdict == "ask"
    assert reason.startswith("approval pending: rampart approve apr_")


def test_a_preview_leaves_nothing_and_a_monitored_query_asks_nobody(service):
    assert ask(service, "rm", "-rf", "/", flags=FLAG_PREVIEW)[0] == "deny"
    assert records(service) == []
    verdict, reason = ask(service, "git", "push", flags=FLAG_MONITOR)
    assert (verdict, reason) == ("ask", "pushing needs a person")
    assert records(service)[0]["monitor"] is True


def frame(**changes):
    fields = {"magic": b"RMP1", "size": None, "version": 1, "flags": 0, "argc": 1, "pid": 0}
    fields |= changes
    body = changes.get("body", b"\0\0/\0true\0true\0")
    size = HEADER.size + len(body) if fields["size"] is None else fields["size"]
    head = HEADER.pack(
        fields["magic"], size, fields["version"], fields["flags"], fields["argc"], fields["pid"]
    )
    return head + body


def test_the_frame_that_the_next_test_breaks_is_sound(shared_service):
    assert decode_answer(exchange(shared_service, frame()))[0] == "allow"


@pytest.mark.parametrize(
    "data",
    [
        frame(magic=b"RMP2"),
        frame(version=2),
        frame(flags=4),
        frame(argc=2),
        frame(argc=0),
        frame(size=HEADER.size),
        frame(size=SOCKET_FRAME_BYTES_MAX + 1),
        frame(size=2**32 - 1),
        frame(body=b"\0\0relative\0true\0true\0"),
        frame(body=b"no end"),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_malformed_query_is_answered_deny_and_records_nothing(service, data):
    verdict, reason = decode_answer(exchange(service, data))
    assert verdict == "deny"
    assert reason.isprintable()
    assert records(service) == []


@pytest.mark.parametrize("data", [b"", b"RMP1", frame()[:-3]])
def test_a_query_that_ends_too_early_is_answered_deny(shared_service, data):
    answer = decode_answer(exchange(shared_service, data, half_close=True))
    assert answer == ("deny", "query ends too early")


def test_peers_that_dawdle_are_denied_in_time_and_keep_nobody_else_waiting(service, monkeypatch):
    monkeypatch.setattr(sockets, "SOCKET_TIMEOUT_S", 0.3)
    slow = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(SOCKET_WORKERS + 4)]
    for connection in slow:
        connection.connect(str(service.socket))
        connection.sendall(frame()[:10])
    started = time.monotonic()
    assert ask(service, "echo", "hi")[0] == "allow"
    assert time.monotonic() - started < 5
    for connection in slow:
        with connection:
            connection.settimeout(10)
            answer = connection.recv(1000)
            assert decode_answer(answer) == ("deny", "query did not arrive in time")


def test_a_peer_that_leaves_without_reading_harms_nobody(shared_service):
    for _ in range(SOCKET_WORKERS * 2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(shared_service.socket))
            connection.sendall(frame())
    assert ask(shared_service, "echo", "hi")[0] == "allow"


def test_a_surprise_while_deciding_answers_nothing_and_the_service_goes_on(service, monkeypatch):
    calls = []

    def fail(self, call, **_more):
        calls.append(call)
        raise RuntimeError("surprise")

    with monkeypatch.context() as patch:
        patch.setattr("rampart.gate.Gate.enforce", fail)
        for _ in range(SOCKET_WORKERS + 1):
            assert exchange(service, frame()) == b""
    assert len(calls) == SOCKET_WORKERS + 1
    assert ask(service, "echo", "hi")[0] == "allow"


def test_many_processes_at_once_are_each_answered(service):
    verdicts = []

    def work():
        verdicts.extend(ask(service, "echo", str(n))[0] for n in range(10))

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["allow"] * 240
    assert len(records(service)) == 240


# Who asks


def test_a_peer_of_another_user_is_refused():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with left, right:
        assert peer_of(left, uid=os.geteuid()) == OURSELVES
        with pytest.raises(AuthError):
            peer_of(left, uid=os.geteuid() + 1)


def test_a_peer_of_another_user_is_closed_without_an_answer(service, monkeypatch):
    own = peers.peer_of
    monkeypatch.setattr(sockets, "peer_of", lambda connection, *, uid: own(connection, uid=uid + 1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(service.socket))
        assert connection.recv(1) == b""
    assert records(service) == []


@pytest.fixture
def sleeper(tmp_path):
    """A process of ours in another directory."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, **pipes) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_a_query_about_another_process_is_decided_in_its_directory(service, sleeper, tmp_path):
    ask(service, "echo", "hi", pid=sleeper.pid)
    ask(service, "echo", "hi", pid=2**31 - 1)
    assert [r["cwd"] for r in records(service)] == [str(tmp_path), "/proc/2147483647/cwd"]


def test_a_process_that_is_gone_or_not_ours_has_a_directory_that_no_project_is(sleeper):
    uid = os.geteuid()
    assert working_directory(sleeper.pid, uid=uid + 1) == f"/proc/{sleeper.pid}/cwd"
    assert working_directory(0, uid=uid) == "/proc/0/cwd"
    assert working_directory(2**31 - 1, uid=uid) == "/proc/2147483647/cwd"


@pytest.mark.parametrize("path", ["/proc/self/exe", "/proc/thread-self/exe", "/proc/PID/exe"])
def test_the_askers_own_program_is_named_as_the_file_it_is(sleeper, path):
    own = path.replace("PID", str(sleeper.pid))
    expected = os.path.realpath(sys.executable)
    found = program_path(own, sleeper.pid, uid=os.geteuid())
    assert found == (own if "PID" in path else expected)
    assert os.path.realpath(found) == expected


def test_a_descriptor_of_the_asker_is_not_the_services(sleeper):
    found = program_path("/dev/fd/0", sleeper.pid, uid=os.geteuid())
    assert found == f"/proc/{sleeper.pid}/fd/0"
    assert program_path("/dev/stdin", sleeper.pid, uid=os.geteuid()) == found


@pytest.mark.parametrize("path", ["/usr/bin/ls", "ls", "", "/proc/selfish/exe", "/dev/fdx"])
def test_other_paths_stay_as_they_are(path):
    assert program_path(path, os.getpid(), uid=os.geteuid()) == path


# Bytes that are no text


def test_bytes_that_are_not_utf8_become_escapes_and_stay_distinguishable():
    assert text_of(b"a\xffb") == r"a\xffb"
    assert text_of("ä".encode()) == "ä"
    odd = exec_call(ExecQuery(b"ls", (b"ls", b"\xff")), OURSELVES)
    literal = exec_call(ExecQuery(b"ls", (b"ls", rb"\xff")), OURSELVES)
    assert odd.params["argv"] == literal.params["argv"] == ["ls", r"\xff"]
    assert odd.params != literal.params
    assert set(literal.params) == {"argv", "path"}


# Start and end


def test_only_we_can_reach_the_socket(shared_service):
    status = shared_service.socket.lstat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE(shared_service.socket.parent.stat().st_mode) == 0o700


def test_the_socket_is_gone_after_the_service(service):
    service.stop()
    assert not service.socket.exists()


def test_a_service_on_a_free_port_leaves_the_known_socket_alone(service, data_dir):
    assert service.socket != data_dir / "rampart.sock"
    assert service.socket.parent == data_dir


def test_a_stale_socket_is_replaced_and_one_with_a_listener_never(tmp_path):
    path = tmp_path / "rampart.sock"
    tmp_path.chmod(0o700)
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(path))
    stale.close()
    with bind(path):
        with pytest.raises(ConfigError, match="another service listens there"):
            bind(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(path))


def test_of_many_services_that_find_a_stale_socket_one_gets_it(tmp_path):
    path = tmp_path / "rampart.sock"
    tmp_path.chmod(0o700)
    for _ in range(20):
        listeners = []

        def start(found):
            with contextlib.suppress(ConfigError):
                found.append(bind(path))

        threads = [threading.Thread(target=start, args=(listeners,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(listeners) == 1
        listeners[0].close()


def test_a_file_in_the_way_is_kept(tmp_path):
    path = tmp_path / "rampart.sock"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="in the way"):
        bind(path)
    assert path.read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_a_clear_error(tmp_path):
    path = tmp_path / ("x" * 120)
    with pytest.raises(ConfigError, match="too long for a socket"):
        bind(path)


def test_a_socket_that_others_may_reach_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        bind(folder / "rampart.sock")


def test_stopping_does_not_remove_the_socket_of_a_successor(service):
    service.socket.unlink()
    with bind(service.socket):
        service.stop()
        assert service.socket.exists()


def test_an_answer_is_one_packet_of_the_documented_form(shared_service):
    answer = exchange(shared_service, frame())
    assert struct.unpack_from("<4sBB", answer) == (b"RMP1", 0, len(answer) - 6)
