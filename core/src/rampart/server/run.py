"""Running the service: the gate, the HTTP API and the local socket, together and in order.

Everything is bound and opened before anything is answered; what cannot be is an error at start.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import uvicorn

from rampart.config import PORT_DEFAULT, Settings
from rampart.embedded import gate_of, live_policies
from rampart.errors import ConfigError
from rampart.generations import LivePolicies
from rampart.hosts import HostFacts, find_workspace
from rampart.limits import APPROVAL_TIMEOUT_S, SHUTDOWN_TIMEOUT_S
from rampart.model import ToolCall
from rampart.server.app import Access, build_app
from rampart.server.perimeter import allowed_authorities
from rampart.server.protocol import BoundedProtocol
from rampart.server.socket import SocketServer
from rampart.server.watch import terminal_is_gone, watching
from rampart.tokens import service_tokens

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import ASGIApp

HOST_DEFAULT: Final = "127.0.0.1"
_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BACKLOG: Final = 512  # as the local socket
_KEEP_ALIVE_S: Final = 30  # an agent thinks between two calls; a connection costs a descriptor


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the service listens.

    ``port`` 0 takes a free one. ``socket`` is the local socket's file, by default the one in the
    data directory, or one of this process's own where the port is 0. ``token`` takes the place of
    the admin token for this run. ``allow_hosts`` are more names that requests may use for it.
    """

    host: str = HOST_DEFAULT
    port: int = PORT_DEFAULT
    token: str | None = None
    socket: Path | None = None
    local_socket: bool = True
    allow_hosts: tuple[str, ...] = ()
    ask_timeout_s: float = APPROVAL_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a running service is."""

    pid: int
    host: str
    port: int
    url: str
    socket: str
    data_dir: str


class Service:
    """A decision service in this process.

    ``with Service(settings) as service`` binds and opens everything; ``run`` answers until ``stop``
    is called. Raises: ConfigError, PolicyError, PolicyMissing, AuditError.
    """

    def __init__(self, settings: Settings, options: ServeOptions | None = None) -> None:
        self.settings = settings
        self.options = options or ServeOptions()
        self._stack = ExitStack()
        self._server: _Server | None = None
        self._listener: socket.socket | None = None
        self._policies: LivePolicies | None = None
        self.ready: Ready | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.ready = self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self) -> None:
        """Answer until stopped."""
        assert self._server is not None
        assert self._listener is not None
        self._server.run(sockets=[self._listener])

    def reload(self) -> None:
        """Read the policy's files again, soon and in another thread. May be called from any."""
        if self._policies is not None:
            threading.Thread(target=self._policies.look, kwargs={"anyway": True}).start()

    def stop(self) -> None:
        """Let ``run`` finish what is under way and return. May be called from any thread."""
        if self._server is not None:
            self._server.should_exit = True

    def _open(self, stack: ExitStack) -> Ready:
        options, settings = self.options, self.settings
        policies = self._policies = live_policies(settings, look_s=0)
        # WHY: what does not compile is refused now; and the first call need not wait for it
        here = HostFacts(workspace=find_workspace(Path.cwd())).host(ToolCall("exec", {}))
        policies.current().engine(here)
        self._listener = stack.enter_context(_listen(options.host, options.port))
        port = self._listener.getsockname()[1]
        gate, close = gate_of(settings, policies, ask_timeout_s=options.ask_timeout_s)
        stack.callback(close)
        stack.enter_context(watching(policies))
        tokens = service_tokens(settings, override=options.token)
        authorities = allowed_authorities(port, (_bracketed(options.host), *options.allow_hosts))
        app = build_app(gate, Access(tokens, authorities))
        self._server = _http_server(app)
        local = ""
        if options.local_socket:
            server = SocketServer(gate, self._socket_path())
            server.start()
            stack.callback(server.close)
            local = str(server.path)
        return Ready(
            pid=os.getpid(),
            host=options.host,
            port=port,
            url=f"http://{_bracketed(options.host)}:{port}",
            socket=local,
            data_dir=str(settings.data_dir),
        )

    def _socket_path(self) -> Path:
        if self.options.socket is not None:
            return self.options.socket.absolute()
        known = self.settings.socket_path
        # WHY: a service on a free port lives for one program; it must not take the known name
        return known if self.options.port else known.with_name(f"rampart-{os.getpid()}.sock")


def serve(settings: Settings, options: ServeOptions, announce: Callable[[Ready], None]) -> None:
    """Run the service in the main thread until SIGINT or SIGTERM ends it, or its terminal closes.

    Any other SIGHUP makes it read its policy again.

    ``announce`` is called once it can be reached.
    """
    with Service(settings, options) as service, _stopped_by_signals(service):
        assert service.ready is not None
        announce(service.ready)
        service.run()


def is_loopback(host: str) -> bool:
    """True if only this machine can reach ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # WHY: the original raises the signal again after its own shutdown and before ours, which
        # would leave the log and the socket as they are
        yield


def _http_server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(SHUTDOWN_TIMEOUT_S),
        )
    )


@contextmanager
def _stopped_by_signals(service: Service) -> Iterator[None]:
    terminals = [number for number in range(3) if os.isatty(number)]

    def stop(number: int, _frame: object) -> None:
        # WHY: the kernel sends the same signal when a terminal is closed
        if number == signal.SIGHUP and not terminal_is_gone(terminals):
            service.reload()
        else:
            service.stop()

    handlers = {
        number: signal.signal(number, stop)
        for number in _ENDING_SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup and job control want it
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"{host}: cannot listen there: {error.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {(error.strerror or str(error)).lower()}",
            help="is `rampart serve` running already? choose another port with --port",
        ) from None
    return listener


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
