"""What parsing a command line yields: simple commands, with everything that is known about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Word:
    """One word after expansion and removal of quotes.

    Parts that are only known at run time stand in ``text`` as they were written (``$NAME``,
    ``$(…)``) and make ``known`` False.
    """

    text: str
    known: bool = True
    source: str = ""  # as written in the command line
    glob: bool = False  # holds an unquoted glob character
    substitutions: tuple[int, ...] = ()  # commands whose output becomes part of this word


@dataclass(slots=True)
class Redirect:
    """One redirection. ``op`` is ``< > >> >| <> &> &>> <& >& << <<- <<<``.

    ``target`` is the file or descriptor; of a here-document or here-string it is the text itself.
    """

    op: str
    target: Word
    fd: int | None = None


@dataclass(slots=True)
class Command:
    """One simple command that the line would, or could, run.

    ``words[0]`` names the program; no words means assignments or redirections alone. ``upstream``
    and the substitutions of words are indexes into ``Script.commands``. ``variables`` are the shell
    variables known at this point (including ones that are not exported; functions are kept as
    ``BASH_FUNC_name%%``, aliases as ``BASH_ALIASES[name]``, arrays as ``name[@]``); ``cwd`` is the
    directory after earlier ``cd``, empty when it is the starting one, None when it cannot be known.
    """

    words: tuple[Word, ...]
    assignments: tuple[tuple[str, Word], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    source: str = ""
    upstream: tuple[int, ...] = ()  # commands whose output is this one's standard input
    variables: Mapping[str, Word] = field(default_factory=dict)
    cwd: str | None = ""


@dataclass(slots=True)
class Script:
    """A parsed command line. ``opaque`` says why (part of) it was not understood, or is empty."""

    commands: tuple[Command, ...]
    opaque: str = ""
    inner_chars: int = 0  # characters of the texts inside it that were read too, as by `eval`
