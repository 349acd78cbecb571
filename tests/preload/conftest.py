"""A service that answers as a test says, and the library and probes, compiled once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rampart.wire import HEADER, ExecQuery, decode_query, encode_answer, frame_size

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
Answer = Callable[[ExecQuery], bytes]

if shutil.which("gcc") is None:
    pytest.skip("no C compiler", allow_module_level=True)


@dataclass
class Responder:
    """Speaks the local socket's format. ``answer`` returns what is sent, whole."""

    path: Path
    answer: Answer
    reads: bool = True
    hangs: bool = False
    one_byte: bool = False
    queries: list[ExecQuery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(512)
        self._kept: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._work) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for connection in self._kept:
            connection.close()

    def programs(self) -> list[str]:
        """The paths asked about, in order."""
        return [os.fsdecode(query.path) for query in self.queries]

    def _work(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.hangs:
                self._kept.append(connection)
                continue
            with connection:
                try:
                    self._serve(connection)
                except OSError:
                    continue  # the asker is gone

    def _serve(self, connection: socket.socket) -> None:
        frame = b""
        while self.reads and (
            len(frame) < HEADER.size or len(frame) < frame_size(frame[: HEADER.size])
        ):
            data = connection.recv(65536)
            if not data:
                return
            frame += data
        query = decode_query(frame) if frame else ExecQuery(b"", ())
        self.queries.append(query)
        reply = self.answer(query)
        if self.one_byte:
            for byte in reply:
                connection.send(bytes([byte]))
        else:
            connection.sendall(reply)


def allow_all(_query: ExecQuery) -> bytes:
    return encode_answer("allow", "")


def deny_all(_query: ExecQuery) -> bytes:
    return encode_answer("deny", "Destructive command blocked")


@pytest.fixture
def respond(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Responder]]:
    """Start a service that answers as told."""
    started: list[Responder] = []

    def start(answer: Answer = allow_all, path: Path | None = None, **how: bool) -> Responder:
        path = path or tmp_path_factory.mktemp("s") / "socket"
        started.append(Responder(path, answer, **how))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def allowing(respond: Callable[..., Responder]) -> Responder:
    return respond(allow_all)


@pytest.fixture
def denying(respond: Callable[..., Responder]) -> Responder:
    return respond(deny_all)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built as the README says, with warnings as errors."""
    output = tmp_path_factory.mktemp("library") / "librampart.so"
    command = ["make", "-s", "-C", ROOT / "preload", f"OUT={output}"]
    if shutil.which("make") is None:
        pytest.skip("make is missing")
    subprocess.run(command, check=True)
    return output


@dataclass(frozen=True)
class Probe:
    """The test program: ``run`` calls one entry point in it."""

    program: Path
    marker: Path

    @property
    def folder(self) -> str:
        return str(self.marker.parent)


@pytest.fixture(scope="session", params=["glibc", "musl"])
def probe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Probe:
    compiler = {"glibc": "gcc", "musl": "musl-gcc"}[request.param]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    return build_probe(compiler, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def glibc_probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build_probe("gcc", tmp_path_factory.mktemp("probe"))


def build_probe(compiler: str, folder: Path) -> Probe:
    program, marker = folder / "probe", folder / "marker"
    command = [compiler, "-O1", "-pthread", "-o", program, HERE / "probe.c"]
    subprocess.run([*command, "-rdynamic"], check=True)
    marker.hardlink_to(program)
    return Probe(program, marker)


@pytest.fixture
def guarded(library: Path) -> Callable[..., dict[str, str]]:
    """Return the environment of a guarded program."""

    def environment(responder: Responder | None, **more: str) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAMPART_", "LD_"))}
        plain |= {
            "LD_PRELOAD": str(library),
            "RAMPART_MODE": "enforce",
            "RAMPART_FAIL_OPEN": "0",
            "RAMPART_AGENT": "tester",
            "RAMPART_SESSION": "s1",
        }
        if responder is not None:
            plain["RAMPART_SOCKET"] = str(responder.path)
        return plain | more

    return environment
