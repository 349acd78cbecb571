"""The launcher: finds or starts a service, asks about the program, and runs it guarded.

MUST NOT run a program that was refused, or one for which no service could be started.
MUST NOT leave a service behind, or a token where the program does not need it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, NoReturn

from rampart.config import URL_DEFAULT, Settings
from rampart.errors import EXIT_DENIED, RampartError, ServiceUnavailable

from rampart_preload.child import Child
from rampart_preload.library import library_path
from rampart_preload.program import NotExecutable, find_program, obstacle
from rampart_preload.question import Question, ask
from rampart_preload.service import Endpoint, PrivateService, Wish, find_service

_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


@dataclass(frozen=True, slots=True)
class Launch:
    """A run: the program and how it is guarded."""

    command: tuple[str, ...]
    settings: Settings
    session: str
    agent: str = "preload"
    mode: str = "enforce"
    fail_open: bool = True
    debug: bool = False
    port: int | None = None
    token: str | None = None
    socket: str | None = None
    own_policy: bool = False
    """True if the policy was named for this run: a service that runs has its own."""


def launch(wanted: Launch) -> int:
    """Run the program and return its exit status; it may also take the place of this process.

    Raises: RampartError where nothing was run.
    """
    path = find_program(wanted.command[0])
    library = str(library_path(wanted.settings.data_dir))
    if wanted.mode == "disabled":
        _become(path, wanted.command, environment_of(wanted, library, Endpoint()))
    _warn_of_obstacle(path)
    with ExitStack() as stack:
        endpoint, service = _service(wanted, stack)
        refusal = _refusal(wanted, path, endpoint)
        if refusal is not None:
            _tell(f"blocked — {refusal}")
            return EXIT_DENIED
        environment = environment_of(wanted, library, endpoint)
        if service is None:
            _become(path, wanted.command, environment)
        return _accompany(Child(path, wanted.command, environment), service, wanted)


def environment_of(wanted: Launch, library: str, endpoint: Endpoint) -> dict[str, str]:
    """Return the environment of the program.

    INVARIANT: ``RAMPART_TOKEN`` is in it only if the library has to use HTTP. Whatever an agent's
    programs print of their environment ends in a model's context.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _variables(wanted, endpoint)}
    others = [item for item in environment.get("LD_PRELOAD", "").split(":") if item]
    environment["LD_PRELOAD"] = ":".join([library, *(o for o in others if o != library)])
    return environment | {k: v for k, v in _variables(wanted, endpoint).items() if v}


def _variables(wanted: Launch, endpoint: Endpoint) -> Mapping[str, str]:
    return {
        "RAMPART_URL": endpoint.url,
        "RAMPART_SOCKET": endpoint.socket,
        "RAMPART_TOKEN": endpoint.token,
        "RAMPART_MODE": wanted.mode,
        "RAMPART_FAIL_OPEN": "1" if wanted.fail_open else "0",
        "RAMPART_AGENT": wanted.agent,
        "RAMPART_SESSION": wanted.session,
        "RAMPART_DEBUG": "1" if wanted.debug else "",
    }


def _service(wanted: Launch, stack: ExitStack) -> tuple[Endpoint, PrivateService | None]:
    wish = _wish(wanted)
    found = None if wanted.own_policy else find_service(wish)
    if found is not None:
        return found, None
    if not wanted.own_policy and (wish.socket or wish.url):
        _tell(f"no service at {wish.socket or wish.url}; starting one for this run")
    private = stack.enter_context(PrivateService(wanted.settings, _policy_options(wanted.settings)))
    return private.endpoint, private


def _wish(wanted: Launch) -> Wish:
    url, path = os.environ.get("RAMPART_URL", ""), os.environ.get("RAMPART_SOCKET", "")
    if wanted.port:
        url, path = f"http://127.0.0.1:{wanted.port}", ""
    elif url in (URL_DEFAULT, URL_DEFAULT.replace("127.0.0.1", "localhost")):
        url = ""  # the default, said aloud, is not a wish to do without the socket
    token = wanted.token or os.environ.get("RAMPART_TOKEN", "")
    return Wish(wanted.settings, url=url, token=token, socket=wanted.socket or path)


def _policy_options(settings: Settings) -> tuple[str, ...]:
    if settings.policy is not None:
        return ("--policy", str(settings.policy))
    return ("--profile", settings.profile)


def _refusal(wanted: Launch, path: str, endpoint: Endpoint) -> str | None:
    """Return why the program may not run, or None."""
    monitor = wanted.mode == "monitor"
    question = Question(path, wanted.command, wanted.agent, wanted.session, monitor=monitor)
    try:
        verdict, reason = ask(question, endpoint)
    except ServiceUnavailable as error:
        return None if wanted.fail_open or monitor else error.message
    except RampartError as error:
        return None if monitor else error.message
    if monitor or verdict in ("allow", "watch"):
        return None
    return reason or "not permitted by policy"


def _warn_of_obstacle(path: str) -> None:
    reason = obstacle(path)
    if reason:
        _tell(
            f"warning: {path} {reason}: librampart.so cannot be loaded into it, and what it starts "
            "is not checked. Use a dynamically linked build, or let the agent ask the HTTP API of "
            "`rampart serve`."
        )


def _accompany(child: Child, service: PrivateService, wanted: Launch) -> int:
    told = False
    while (status := child.wait()) is None:
        if service.ended() and not told:
            told = True
            effect = "are no longer checked" if wanted.fail_open else "are refused from now on"
            _tell(f"the decision service has ended; commands {effect}")
    return status


def _become(path: str, command: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    """Let the program take the place of this process."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        try:
            os.execve(path, command, environment)  # noqa: S606 - this is what we are for
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # a file without a first line is a script of the shell, as for every shell
            os.execve("/bin/sh", ["/bin/sh", path, *command[1:]], environment)  # noqa: S606 - as above
    except OSError as error:
        raise NotExecutable(f"{command[0]}: {error.strerror}") from None


def _tell(text: str) -> None:
    printable = "".join(c if c.isprintable() else " " for c in text)
    sys.stderr.write(f"rampart: {printable}\n")
    sys.stderr.flush()
