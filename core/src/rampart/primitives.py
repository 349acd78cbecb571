"""Guarded primitives: running a program and opening a file, decided first.

MUST run and open what was decided: the same words, the same environment, the same file.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from rampart.errors import Denied, InputError
from rampart.model import RULE_INVALID_INPUT, Decision, denial_text

if TYPE_CHECKING:
    from rampart.guard import Guard
    from rampart.model import Review

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MODE: Final = re.compile(r"[rwax](?:b?\+?|\+?b|t?\+?|\+?t)\Z")
_O_NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0)
_OWN_FILES: Final = "/proc/self/fd"  # Linux: where a descriptor really leads

Command = str | Sequence[str]


def run(
    guard: Guard,
    command: Command,
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002 - the name that `subprocess.run` has
    timeout_s: float | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program if its call is allowed; see ``Guard.run``."""
    words, folder = _settled(command), None if cwd is None else os.fspath(cwd)
    params = _params(words, env)
    _require("exec", guard.enforce("exec", params, **_place(folder)))
    done = subprocess.run(  # noqa: S603 - this is what was decided
        words,
        shell=isinstance(words, str),
        cwd=folder,
        env=None if env is None else dict(env),
        input=input,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout_s,
        check=check,
    )
    if guard.reviews:
        shown = {"stdout": done.stdout, "stderr": done.stderr}
        _put_back(done, guard.review("exec", params, shown, **_place(folder)))
    return done


async def arun(
    guard: Guard,
    command: Command,
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002 - the name that `subprocess.run` has
    timeout_s: float | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """As ``run``, without blocking the event loop; see ``Guard.arun``."""
    words, folder = _settled(command), None if cwd is None else os.fspath(cwd)
    params = _params(words, env)
    _require("exec", await guard.aenforce("exec", params, **_place(folder)))
    done = await _run_async(words, folder, None if env is None else dict(env), input, timeout_s)
    if check:
        done.check_returncode()
    if guard.reviews:
        shown = {"stdout": done.stdout, "stderr": done.stderr}
        _put_back(done, await guard.areview("exec", params, shown, **_place(folder)))
    return done


async def _run_async(
    words: str | list[str],
    folder: str | None,
    env: dict[str, str] | None,
    given: str | None,
    timeout_s: float | None,
) -> subprocess.CompletedProcess[str]:
    pipe = asyncio.subprocess.PIPE
    start = asyncio.create_subprocess_shell if isinstance(words, str) else _start_words
    feed = None if given is None else given.encode("utf-8", "surrogateescape")
    process = await start(
        words,  # type: ignore[arg-type]  # the two take a text and a list
        stdin=None if feed is None else pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=folder,
        env=env,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(feed), timeout_s)
    except TimeoutError:
        raise subprocess.TimeoutExpired(words, timeout_s or 0.0) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                process.kill()
            await process.wait()
    texts = [data.decode("utf-8", "surrogateescape") for data in (out, err)]
    assert process.returncode is not None
    return subprocess.CompletedProcess(words, process.returncode, *texts)


async def _start_words(words: list[str], **options: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(*words, **options)


def open_file(
    guard: Guard, path: str | os.PathLike[str], mode: str = "r", **options: Any
) -> IO[Any]:
    """Open a file if that is allowed; see ``Guard.open``."""
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"a path is text, not {type(name).__name__}")
    if not _MODE.match(mode):
        raise ValueError(f"mode {mode!r}: one of r, w, a and x is needed, then b or t, and +")
    real = os.path.realpath(name)
    kinds = ["read"] if mode[0] == "r" else ["write"]
    if "+" in mode:
        kinds = ["read", "write"]
    for kind in kinds:
        _require(kind, guard.enforce(kind, {"path": name}))
    return builtins.open(real, mode, opener=_opener_of(kinds[-1], real), **options)


def _opener_of(tool: str, real: str) -> Any:
    def opener(path: str, flags: int) -> int:
        # WHY: a link may have been put in its place since; and nothing is cut before it is known
        # that this is the file that was decided
        descriptor = os.open(path, (flags & ~os.O_TRUNC) | _O_NOFOLLOW, 0o666)
        try:
            if os.path.isdir(_OWN_FILES) and os.readlink(f"{_OWN_FILES}/{descriptor}") != real:  # noqa: PTH112, PTH115 - text, compared as it is
                _require(tool, _invalid("the path led elsewhere while it was opened"))
            if flags & os.O_TRUNC:
                os.ftruncate(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    return opener


def _settled(command: object) -> str | list[str]:
    """Return the command as it will be run. Raises: Denied."""
    if isinstance(command, str):
        return command
    words = list(command) if isinstance(command, list | tuple) else []
    if not words or not all(isinstance(word, str) for word in words):
        _require("exec", _invalid("a command is a text, or a list of texts"))
    return words


def _params(words: str | list[str], env: Mapping[str, str] | None) -> dict[str, object]:
    line = words if isinstance(words, str) else shlex.join(words)
    changed = {k: v for k, v in (env or {}).items() if os.environ.get(k) != v}
    for name in changed:
        if not _NAME.match(name):
            _require("exec", _invalid(f"{name!r} is no name of a variable"))
    assignments = " ".join(f"{name}={shlex.quote(value)}" for name, value in changed.items())
    if not assignments:
        return {"command": line}
    if isinstance(words, str):
        return {"command": f"export {assignments}; {line}"}  # they count for every command in it
    return {"command": f"{assignments} {line}"}


def _place(folder: str | None) -> dict[str, str]:
    return {} if folder is None else {"cwd": os.path.abspath(folder)}  # noqa: PTH100 - text, as it is


def _put_back(done: subprocess.CompletedProcess[str], review: Review) -> None:
    if not review.allowed or not isinstance(review.response, Mapping):
        raise Denied(str(review.response), review.decision)
    done.stdout, done.stderr = review.response["stdout"], review.response["stderr"]


def _invalid(message: str) -> Decision:
    return Decision("deny", InputError(message).message, rule=RULE_INVALID_INPUT)


def _require(tool: str, decision: Decision) -> None:
    if not decision.allowed:
        raise Denied(denial_text(tool, decision), decision)
