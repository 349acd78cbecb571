"""The program as a child: signals go down to it, its status comes back."""

from __future__ import annotations

import errno
import os
import signal
from typing import Final

from rampart_preload.program import NotExecutable

_SIGNAL_BASE: Final = 128  # what shells add to the number of a signal
_RELAYED: Final = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)
_SENT_BY_A_PROCESS: Final = 0  # SI_USER; the terminal's signals reach the program by themselves


class Child:
    """A running program in the launcher's own process group, so that the terminal stays its own."""

    def __init__(self, path: str, command: tuple[str, ...], environment: dict[str, str]) -> None:
        """Start it. Raises: NotExecutable."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take the status away
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _RELAYED | {signal.SIGCHLD})
        try:
            self.pid = self._spawn(path, list(command), environment)
        except OSError as error:
            raise NotExecutable(f"{command[0]}: {error.strerror}") from None

    def wait(self) -> int | None:
        """Wait for the next thing to happen; return the exit status once the program has ended."""
        event = signal.sigwaitinfo(_RELAYED | {signal.SIGCHLD})
        if event.si_signo != signal.SIGCHLD:
            if event.si_code == _SENT_BY_A_PROCESS and event.si_pid != self.pid:
                os.kill(self.pid, event.si_signo)
            return None
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if not ended:
            return None
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else _SIGNAL_BASE - code

    def _spawn(self, path: str, command: list[str], environment: dict[str, str]) -> int:
        try:
            return self._spawn_file(path, command, environment)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            return self._spawn_file("/bin/sh", ["/bin/sh", path, *command[1:]], environment)

    def _spawn_file(self, path: str, command: list[str], environment: dict[str, str]) -> int:
        return os.posix_spawn(
            path,
            command,
            environment,
            setsigmask=self._mask,
            setsigdef=_IGNORED_BY_PYTHON,
        )
