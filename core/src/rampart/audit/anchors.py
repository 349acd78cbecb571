"""Anchors: where checkpoints go so that whoever rewrites the log cannot rewrite them too.

``file:PATH`` appends to a file; ``command:WORDS`` gives each checkpoint to a program's standard
input; ``syslog:`` sends one line; ``git:REPOSITORY#REF`` adds a commit to a ref. Where they go is a
setting of the person in charge, never of a policy, a plugin or a request.
"""

from __future__ import annotations

import base64
import logging
import os
import shlex
import subprocess
import syslog
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rampart.errors import AuditUnavailable, ConfigError
from rampart.limits import ANCHOR_TIMEOUT_S

SYSLOG_MARK: Final = "rampart-checkpoint "
GIT_REF_DEFAULT: Final = "refs/rampart/audit"
Send = Callable[[bytes], None]
_log = logging.getLogger(__name__)
_SHOWN: Final = 200


def parse_target(text: str) -> Send:
    """Return the function that sends a checkpoint to ``text``. Raises: ConfigError.

    What it returns raises AuditUnavailable if a checkpoint did not arrive.
    """
    kind, colon, rest = text.partition(":")
    match kind:
        case "file" if rest:
            return lambda note: _to_file(Path(rest).expanduser(), note)
        case "command" if words := _words(rest):
            return lambda note: _to_command(words, note)
        case "syslog" if colon and not rest:
            return _to_syslog
        case "git" if rest.partition("#")[0]:
            repository, _, ref = rest.partition("#")
            return lambda note: _to_git(Path(repository).expanduser(), ref or GIT_REF_DEFAULT, note)
        case _:
            raise ConfigError(
                f"{text!r} is not where a checkpoint can go",
                help="file:PATH, command:WORDS, syslog: or git:REPOSITORY#REF",
            )


class Publisher:
    """Sends checkpoints to all ``targets`` without keeping anybody waiting.

    One thread while there is something to send; only the newest checkpoint waits for it. Raises:
    ConfigError for a target that is none.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self._sends = [(target, parse_target(target)) for target in targets]
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._waiting: bytes | None = None
        self._thread: threading.Thread | None = None

    def publish(self, note: bytes) -> None:
        """Send a checkpoint soon, and return at once."""
        if self._pid != os.getpid():  # a forked child has the lock, but not the thread
            self._start()
        with self._mutex:
            self._waiting = note
            if self._thread is None:
                thread = threading.Thread(target=self._send, daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    _log.warning("a checkpoint is not sent: %s", error)
                else:
                    self._thread = thread

    def drain(self) -> None:
        """Return once what was published is sent, or could not be."""
        thread = self._thread if self._pid == os.getpid() else None
        if thread is not None:
            thread.join()

    def _send(self) -> None:
        while True:
            with self._mutex:
                note, self._waiting = self._waiting, None
                if note is None:
                    self._thread = None
                    return
            for target, send in self._sends:
                try:
                    send(note)
                except (OSError, AuditUnavailable) as error:
                    _log.warning("a checkpoint did not reach %s: %s", target, error)


def _to_file(path: Path, note: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
    try:
        fd = os.open(path, flags, 0o644)
        try:
            data = note + b"\n"
            if os.write(fd, data) != len(data):
                raise AuditUnavailable(f"{path}: short write")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise AuditUnavailable(f"{path}: {error.strerror}") from None


def _to_command(words: Sequence[str], note: bytes) -> None:
    _run(words, note)


def _to_syslog(note: bytes) -> None:
    text = SYSLOG_MARK + base64.b64encode(note).decode()
    syslog.syslog(syslog.LOG_NOTICE | syslog.LOG_AUTH, text)


def _to_git(repository: Path, ref: str, note: bytes) -> None:
    """Add a commit that holds the checkpoint in one file; refuse if another one was faster."""
    git = ["git", "-C", str(repository)]
    blob = _run([*git, "hash-object", "-w", "--stdin"], note)
    tree = _run([*git, "mktree"], f"100644 blob {blob}\tcheckpoint\n".encode())
    parent = _run([*git, "for-each-ref", "--format=%(objectname)", ref])
    size = note.split(b"\n")[1].decode("ascii", "replace")
    words = ["commit-tree", tree, "-m", f"checkpoint of {size} records"]
    commit = _run([*git, *words, *(["-p", parent] if parent else [])], extra=_git_author())
    _run([*git, "update-ref", ref, commit, parent or "0" * len(commit)])


def _git_author() -> dict[str, str]:
    date = f"{int(time.time())} +0000"
    who = {"NAME": "rampart", "EMAIL": "rampart@localhost", "DATE": date}
    return {f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who}


def _run(words: Sequence[str], given: bytes = b"", *, extra: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the words are the setting
            list(words),
            input=given,
            capture_output=True,
            timeout=ANCHOR_TIMEOUT_S,
            check=False,
            env={**os.environ, **(extra or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuditUnavailable(f"{words[0]}: {error}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-_SHOWN:]
        raise AuditUnavailable(f"{words[0]} ended with {done.returncode}: {said}")
    return done.stdout.decode("utf-8", "replace").strip()


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []
