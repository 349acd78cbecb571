"""A running decision service in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from rampart.config import Settings
from rampart.server.run import ServeOptions, Service

POLICY = """\
version: "1"
default_action: deny
policies:
  - name: shell
    match: {tool: exec}
    rules:
      - action: deny
        when: {command_matches: ["rm -rf *"]}
        message: Destructive command blocked
        suggest: [move it to the trash]
      - {action: ask, when: {command_matches: ["git push*"]}, message: pushing needs a person}
      - {action: watch, when: {command_matches: ["date*"]}, message: watched}
      - {action: allow, when: {command_matches: ["echo *", "ls", "ls *", "true"]}}
  - name: notes
    match: {tool: note}
    rules:
      - {action: allow, when: {default: true}}
"""


@dataclass(frozen=True)
class Running:
    """A service that answers, and where."""

    service: Service
    url: str
    port: int
    socket: Path
    data_dir: Path
    admin: str
    evaluate: str
    stop: Callable[[], None]


StartService = Callable[..., Running]


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide without the plugins that happen to be installed."""
    monkeypatch.setenv("RAMPART_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory whose own policy is the one above."""
    folder = tmp_path / "rampart"
    folder.mkdir(mode=0o700)
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.fixture
def start_service(data_dir: Path) -> Iterator[StartService]:
    """Start services in this process; all are stopped at the end."""
    with starter(data_dir) as start:
        yield start


@pytest.fixture(scope="package")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for every test that does not look at what it keeps."""
    folder = tmp_path_factory.mktemp("shared") / "rampart"
    folder.mkdir(mode=0o700)
    (folder / "policy.yaml").write_text(POLICY)
    with starter(folder) as start:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAMPART_DISABLE_PLUGIN_AUTOLOAD", "1")
            running = start()
        yield running


@contextmanager
def starter(data_dir: Path) -> Iterator[StartService]:
    """Yield the function that starts services on a data directory."""
    with ExitStack() as everything:

        def start(**options: object) -> Running:
            stack = everything.enter_context(ExitStack())
            settings = Settings(data_dir, policy=data_dir / "policy.yaml")
            chosen: dict[str, object] = {"port": 0, "token": "admin-token-of-the-tests", **options}
            service = stack.enter_context(Service(settings, ServeOptions(**chosen)))
            thread = threading.Thread(target=service.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(service.stop)
            return Running(
                service,
                service.ready.url,
                service.ready.port,
                Path(service.ready.socket),
                data_dir,
                str(chosen["token"]),
                (data_dir / "token.eval").read_text().strip(),
                stack.close,
            )

        yield start


@pytest.fixture
def service(start_service: StartService) -> Running:
    """One running service."""
    return start_service()
