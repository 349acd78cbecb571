"""From the text of a command line to what it would run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from rampart.errors import InputTooLarge
from rampart.intercept.shell.effects import WATCHED
from rampart.intercept.shell.evaluator import Evaluator
from rampart.intercept.shell.layout import RESERVED
from rampart.intercept.shell.model import Command, Redirect, Script, Word
from rampart.intercept.shell.parser import parse_text
from rampart.intercept.shell.state import State, alias_key, function_key
from rampart.intercept.shell.syntax import Unparsable
from rampart.limits import COMMAND_BYTES_MAX

__all__ = ["Command", "Redirect", "Script", "Word", "parse", "words_of_argv"]

_SIMPLE: Final = re.compile(r"[ \t]*[A-Za-z0-9_./@%+,:-]+(?:[ \t][A-Za-z0-9_./@%+,:=^ \t-]*)?\n?\Z")
_SPLIT_CHARS: Final = " \t\n"
_SLOW: Final = RESERVED | WATCHED
_DIFFERS: Final = re.compile(r"\$'[^']*\\'")
_CARRIAGE_RETURNS: Final = re.compile(r"(?<!\r)\n")


def parse(
    text: str,
    *,
    variables: Mapping[str, Word] | None = None,
    positional: tuple[Word, ...] | None = None,
    home: str = "",
    cwd: str = "",
    depth: int = 0,
) -> Script:
    """Return the commands that ``text`` would, or could, run.

    ``variables`` are what is known of the shell's variables (functions and aliases among them, as
    ``Command.variables`` gives them), ``positional`` what ``$1``, ``$2``, … are; ``depth`` counts
    the shells around this one.

    Raises: InputTooLarge. Everything else that is wrong with the text is told by ``Script.opaque``.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > COMMAND_BYTES_MAX:
        raise InputTooLarge(f"a command of more than {COMMAND_BYTES_MAX} bytes")
    if _SIMPLE.match(text):
        words = text.split()
        name = words[0]
        if name not in _SLOW and not (variables and _replaced(name, variables)):
            found = tuple([Word(word, True, word) for word in words])
            return Script((Command(found, source=text.strip(), variables=variables or {}),))
    state = State(_without_origins(variables or {}), positional=positional)
    return _parse(text, state, home, cwd, depth)


def words_of_argv(argv: Sequence[str]) -> Command:
    """Return the command that runs exactly these words; no shell reads them."""
    return Command(tuple([Word(word, True, word) for word in argv]), source=" ".join(argv))


def _replaced(name: str, variables: Mapping[str, Word]) -> bool:
    return function_key(name) in variables or alias_key(name) in variables


def _without_origins(variables: Mapping[str, Word]) -> dict[str, Word]:
    # WHY: the commands that a variable came from belong to another script
    return {
        name: Word(word.text, word.known, word.source, word.glob) if word.substitutions else word
        for name, word in variables.items()
    }


def _parse(text: str, state: State, home: str, cwd: str, depth: int) -> Script:
    problem = ""
    if "\0" in text:
        problem = "a zero byte"  # WHY: some shells skip it and others end there
    if "\r\n" in text and not _CARRIAGE_RETURNS.search(text):
        if "\\\r\n" in text:
            problem = "a backslash in front of a carriage return"
        text = text.replace("\r\n", "\n")
    start = state.copy()
    evaluator = Evaluator(state, home=home, cwd=cwd, depth=depth)
    try:
        parsed = parse_text(text, depth)
        problem = problem or parsed.problem
        evaluator.run(parsed.tree)
        for simple in parsed.loose:
            evaluator.run(simple)
        evaluator.finish()
        if _DIFFERS.search(text):
            # WHY: to `sh` the quote of $'a\'… ends at the second mark, and what follows runs
            evaluator.state.restore(start)
            evaluator.run(parse_text(text, depth, posix=True).tree)
            evaluator.finish()
    except Unparsable as stop:
        problem = problem or str(stop)
    except RecursionError:
        problem = problem or "nested too deeply"
    evaluator.release()
    return Script(tuple(evaluator.commands), problem or evaluator.problem, evaluator.read)
