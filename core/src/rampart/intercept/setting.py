"""Where one command stands: what is known around it when its words are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rampart.intercept.catalog.load import Catalog
from rampart.intercept.catalog.model import NONE
from rampart.intercept.shell.model import Word
from rampart.model import Action, Host


@dataclass(frozen=True, slots=True)
class Input:
    """A command's standard input.

    ``text`` is what it would read if that is known. ``fed`` is True if something other than a
    person feeds it. ``words`` are names that a listing upstream would print, as patterns. ``file``
    is a redirected file.
    """

    text: str | None = None
    fed: bool = False
    words: tuple[Word, ...] = ()
    file: Word | None = None


NO_INPUT = Input()


@dataclass(frozen=True, slots=True)
class Written:
    """A file that the same line wrote before: which fetches it comes from, and known text."""

    fetches: tuple[Action, ...] = ()
    text: str | None = None


@dataclass(slots=True)
class Setting:
    """What surrounds one command.

    ``cwd`` is empty for the call's own directory and None when unknown.
    ``inherited`` are the effects of the wrappers around it; ``paths`` is False where its paths are
    another file system's; ``files`` are the ones that the line wrote before.
    """

    host: Host
    catalog: Catalog
    cwd: str | None = ""
    depth: int = 0
    inherited: frozenset[str] = NONE
    paths: bool = True
    grantable: bool = True
    input: Input = NO_INPUT
    upstream: tuple[Action, ...] = ()
    variables: Mapping[str, Word] = field(default_factory=dict)
    assignments: tuple[str, ...] = ()
    files: Mapping[str, Written] = field(default_factory=dict)

    def written(self, path: str) -> Written | None:
        """Return what the line wrote to ``path`` before, or unpacked into a directory above it."""
        found, folder = self.files.get(path), path
        while self.files and found is None and folder:
            folder = folder.rpartition("/")[0]
            found = self.files.get(f"{folder}/*")
        return found

    def changed(self, **changes: object) -> Setting:
        """Return this setting with other values. WHY: ``replace`` takes three times as long."""
        found = Setting(
            self.host,
            self.catalog,
            self.cwd,
            self.depth,
            self.inherited,
            self.paths,
            self.grantable,
            self.input,
            self.upstream,
            self.variables,
            self.assignments,
            self.files,
        )
        for name, value in changes.items():
            setattr(found, name, value)
        return found

    def inside(self, **changes: object) -> Setting:
        """Return the setting of a command that this one runs."""
        return self.changed(assignments=(), **changes)
