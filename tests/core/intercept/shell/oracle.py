"""What bash itself does with a line, without running any program.

No program can be found (``PATH`` leads nowhere), and what bash would have run is written down by
its own hook for commands that are not found.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rampart.intercept.shell import parse, words_of_argv
from rampart.intercept.shell.model import Command, Script, Word

BASH = shutil.which("bash") or "bash"
# WHY: one write per program, as several may run at once
RECORD = (
    "command_not_found_handle() { builtin printf '%s\\0' \"$@\" $'\\1' >&9; return 0; }\n"
    "PATH=/nowhere\n"
)
CASES = Path(__file__).parent / "cases"


def snippets(name: str) -> list[str]:
    """The snippets of one file, which stand between lines of three dashes."""
    return (CASES / name).read_text(encoding="utf-8").removesuffix("\n").split("\n---\n")


def accepts(text: str) -> bool:
    """Whether bash finds the syntax correct."""
    done = subprocess.run(
        [BASH, "-O", "extglob", "-n"], input=text.encode(), capture_output=True, check=False
    )
    return done.returncode == 0


def programs_raw(text: str, directory: Path) -> str:
    """What the hook wrote down while bash ran ``text`` in ``directory``."""
    log = directory / "programs"
    with subprocess.Popen(
        [BASH, "--norc", "-c", f"exec 9>>'{log}'\n{RECORD}{text}"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"HOME": "/home/user", "PATH": "/nowhere", "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    ) as process:
        try:
            process.wait(timeout=10)
        finally:
            # WHY: a snippet that calls itself must not outlive its test, nor fill the machine
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    found = log.read_bytes().decode("utf-8", "surrogateescape")
    log.unlink()
    return found


def programs(text: str, directory: Path) -> list[list[str]]:
    """The programs that bash would run, each with its arguments, in ``directory``."""
    # WHY: a program named with its path would really run
    assert not re.search(r"(?<![\w$'~=:])/(?:usr|bin|sbin)/", text), text
    return _entries(programs_raw(text, directory))


def separate(record: str) -> list[list[list[str]]]:
    """The programs of several scripts, each of which ended its part with a mark."""
    return [_entries(part) for part in record.split("\2\0")[:-1]]


def _entries(record: str) -> list[list[str]]:
    return [entry.split("\0") for entry in record.split("\0\1\0")[:-1]]


def listed(script: Script, argv: Sequence[str]) -> bool:
    """Whether a command of the script, or of what it evaluates, stands for ``argv``."""
    return any(
        _matches(command.words, argv) or any(listed(inner, argv) for inner in _evaluated(command))
        for command in script.commands
    )


def _evaluated(command: Command) -> list[Script]:
    words = [word.text for word in command.words]
    while words and words[0] in ("command", "builtin", "exec"):
        words = words[1:]
    if words[:1] == ["eval"]:
        return [parse(" ".join(words[1:]), variables=command.variables)]
    return [Script((words_of_argv(words),))] if len(words) < len(command.words) else []


def exactly(script: Script, argv: Sequence[str]) -> bool:
    """Whether a command of the script has exactly these words, all known."""
    return list(argv) in [known_words(command) for command in script.commands]


def known_words(command: Command) -> list[str] | None:
    """The words of a command, or None if one is not known."""
    if all(word.known for word in command.words):
        return [word.text for word in command.words]
    return None


def _matches(words: Sequence[Word], argv: Sequence[str]) -> bool:
    """Match where a word that is not known may become any number of words."""
    if not words:
        return not argv
    if words[0].known and not words[0].glob:
        return bool(argv) and words[0].text == argv[0] and _matches(words[1:], argv[1:])
    return any(_matches(words[1:], argv[count:]) for count in range(len(argv) + 1))
