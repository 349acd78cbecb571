"""The decision service of a run: one that is there already, or a private one.

A private service lives as long as the launcher: it watches the other end of its standard input,
which only the launcher holds and the kernel closes when it is gone, however it went.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from rampart.config import URL_DEFAULT, Settings
from rampart.errors import AuthError, ConfigError, ServiceUnavailable

ANSWER_TIMEOUT_S: Final = 2.0  # as in the library
_START_TIMEOUT_S: Final = 60.0  # a cold disk and a loaded machine; it is a second otherwise
_STOP_TIMEOUT_S: Final = 15.0  # it finishes what is under way, and syncs the log
_READY_BYTES_MAX: Final = 65536
_SOCKET_PATH_BYTES_MAX: Final = 107
_SOCKET_NAME_ROOM: Final = 32  # rampart-PID.sock and its slash
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")
_LIBRARY_VARIABLES: Final = (
    "RAMPART_URL", "RAMPART_TOKEN", "RAMPART_MODE", "RAMPART_FAIL_OPEN", "RAMPART_AGENT",
    "RAMPART_SESSION", "RAMPART_DEBUG", "RAMPART_SOCKET",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask. ``token`` is set only where the socket cannot be used."""

    url: str = URL_DEFAULT
    socket: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person said about the service."""

    settings: Settings
    url: str = ""  # empty: not said
    token: str = ""
    socket: str = ""


def find_service(wish: Wish) -> Endpoint | None:
    """Return the service that runs, or None.

    A socket or a URL that was named is the only one looked at. Otherwise the socket in the data
    directory comes first: it needs no token in the environment of an agent. Raises: AuthError for a
    named URL without a token, ConfigError for a socket of another user.
    """
    if wish.socket:
        return _by_socket(Path(wish.socket).absolute())
    if wish.url:
        token = wish.token or _agents_token(wish.settings)
        found = _by_http(wish.url, token)
        if found is not None and not token:
            hint = '--token "$(rampart token --eval)", or RAMPART_TOKEN'
            raise AuthError(f"{wish.url}: a token is needed", help=hint)
        return found
    found = _by_socket(wish.settings.socket_path)
    if found is None and wish.token:
        # WHY only with a token that was given: one of ours must not be shown to whatever listens
        return _by_http(URL_DEFAULT, wish.token)
    return found


class PrivateService:
    """A service for one run. ``with PrivateService(settings, ...) as service`` starts and stops it.

    Raises: ServiceUnavailable if it does not start; it says why on standard error itself.
    """

    def __init__(self, settings: Settings, policy: tuple[str, ...] = ()) -> None:
        self._settings = settings
        self._policy = policy
        self._folder: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = Endpoint()

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        try:
            with os.fdopen(reading, "rb", buffering=0) as ready:
                try:
                    self._process = self._start(writing)
                finally:
                    os.close(writing)
                line = _read_line(ready.fileno())
            self.endpoint = self._endpoint(line)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process number of the service."""
        return self._process.pid if self._process else 0

    def ended(self) -> bool:
        """True if the service is gone."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """End it, and wait for that."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self, ready_fd: int) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-P", "-m", "rampart_preload.private_service", "serve"),
            *("--port", "0", "--quiet", "--ready-fd", str(ready_fd)),
            *("--data-dir", str(self._settings.data_dir), *self._policy, *self._socket()),
        ]
        environment = {k: v for k, v in os.environ.items() if k not in _LIBRARY_VARIABLES}
        return subprocess.Popen(  # noqa: S603 - this interpreter, and words of our own
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(ready_fd,),
            env=environment,
            # WHY: Ctrl-C is for the program, which may go on after it and needs its decisions
            start_new_session=True,
        )

    def _socket(self) -> tuple[str, ...]:
        room = _SOCKET_PATH_BYTES_MAX - _SOCKET_NAME_ROOM
        if len(os.fsencode(self._settings.data_dir)) <= room:
            return ()
        self._folder = tempfile.mkdtemp(prefix="rampart-")
        return ("--socket", str(Path(self._folder) / "socket"))

    def _endpoint(self, line: bytes) -> Endpoint:
        try:
            ready = json.loads(line)
            return Endpoint(url=str(ready["url"]), socket=str(ready["socket"]))
        except (ValueError, KeyError, TypeError):
            process = self._process
            assert process is not None
            raise _StartFailed(_exit_code(process)) from None


class _StartFailed(ServiceUnavailable):
    def __init__(self, code: int) -> None:
        super().__init__("the decision service did not start; nothing was run")
        if code > 0:
            self.exit_code = code  # type: ignore[misc]  # the service's own says more than ours


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin is not None
    process.stdin.close()
    try:
        return process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return 0


def _read_line(descriptor: int) -> bytes:
    """Read up to a newline or the end, within the time that a service may take to start."""
    line = b""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while b"\n" not in line and len(line) < _READY_BYTES_MAX:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
            break
        data = os.read(descriptor, 4096)
        if not data:
            break
        line += data
    return line


def _by_socket(path: Path) -> Endpoint | None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(ANSWER_TIMEOUT_S)
            probe.connect(str(path))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return None
    owner = struct.unpack("iII", credentials)[1]
    if owner != os.geteuid():
        raise ConfigError(f"{path}: a service of user {owner} listens there, not yours")
    return Endpoint(socket=str(path))


def _by_http(url: str, token: str) -> Endpoint | None:
    return Endpoint(url=url, token=token) if _is_healthy(url) else None


def _agents_token(settings: Settings) -> str:
    # WHY only this one: with the token of people the agent could approve its own questions
    path = settings.token_path.with_name("token.eval")
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return text if _TOKEN.fullmatch(text) else ""


def _is_healthy(url: str) -> bool:
    try:
        connection = connect_http(url)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def connect_http(url: str) -> http.client.HTTPConnection:
    """Return a connection to be made. Raises: ConfigError for a URL that the library cannot use."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "http" or parts.path not in ("", "/") or parts.username:
        raise ConfigError(f"{url!r}: http://HOST:PORT is needed")
    return http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)
