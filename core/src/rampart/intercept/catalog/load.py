"""Catalog files → entries.

A file is a YAML mapping from program name to entry. Reading all of them as YAML costs a tenth of a
second, so the files are only cut at their top-level keys; an entry is parsed when its program is
first met.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Final

import yaml

from rampart.errors import ConfigError
from rampart.intercept.catalog.model import Entry, Option
from rampart.intercept.catalog.parse import parse_entry, parse_variables
from rampart.limits import CATALOG_NAMES_MAX

_Loader: type = getattr(
    yaml, "CBaseLoader", yaml.BaseLoader
)  # WHY base: every scalar is text, `on` too

_TOP_KEY: Final = re.compile(
    r"^(?P<quote>[\"']?)(?P<name>[^\s#\"'][^\"'\n]*?)(?P=quote):(?=\s|$)", re.MULTILINE
)
_ALIASES: Final = re.compile(r"^  aliases: \[([^\]]*)\]", re.MULTILINE)
_VERSIONED: Final = re.compile(r"([a-z][a-z+_-]*?)-?[0-9]+(?:\.[0-9]+)*")


class Catalog:
    """Programs by name. Safe to share: entries are never changed once they are parsed."""

    def __init__(self, texts: Iterable[tuple[str, str]], variables: str = "") -> None:
        self._sources: dict[str, tuple[str, str]] = {}
        self._names: dict[str, str] = {}
        self._entries: dict[str, Entry | None] = {}
        for filename, text in texts:
            self._index(filename, text)
        self._variables_text = variables

    def find(self, program: str) -> Entry | None:
        """Return what is known about a program, also under a name with a version, or None."""
        try:
            return self._entries[program]
        except KeyError:
            pass
        entry = self._lookup(program)
        # LIMIT: names come from agents, and `python3.1000` is one of python's: the cache is bounded
        if entry is not None and len(self._entries) < CATALOG_NAMES_MAX:
            self._entries[program] = entry
        return entry

    @functools.cached_property
    def variables(self) -> Mapping[str, Option]:
        """Environment variables that matter, by name."""
        data = yaml.load(self._variables_text, Loader=_Loader) or {}  # noqa: S506 - a base loader makes text only
        return parse_variables(data)

    def names(self) -> tuple[str, ...]:
        """Return every entry's own name, in the order of the files."""
        return tuple(self._sources)

    def _index(self, filename: str, text: str) -> None:
        keys = list(_TOP_KEY.finditer(text))
        ends = [key.start() for key in keys[1:]] + [len(text)]
        for key, end in zip(keys, ends, strict=True):
            name, body = key["name"], text[key.start() : end]
            if name in self._sources:
                raise ConfigError(f"{filename}: {name!r} has two entries")
            self._sources[name] = (filename, body)
            self._names[name] = name
            for found in _ALIASES.finditer(body):
                for alias in found[1].split(","):
                    self._names.setdefault(alias.strip().strip("\"'"), name)

    def _lookup(self, program: str) -> Entry | None:
        name = next((self._names[name] for name in names_of(program) if name in self._names), None)
        if name is None:
            return None
        entry = self._entries.get(name)
        if entry is None:
            filename, body = self._sources[name]
            data = yaml.load(body, Loader=_Loader)  # noqa: S506 - a base loader makes text only
            entry = self._entries[name] = parse_entry(name, data[name], where=f"{filename}: {name}")
        return entry


def names_of(program: str) -> tuple[str, ...]:
    """Return the names under which a program may be listed, its own first: ``Python3.exe``."""
    lowered = program.lower().removesuffix(".exe")
    versioned = _VERSIONED.fullmatch(lowered)
    names = (program, lowered, versioned[1]) if versioned else (program, lowered)
    return tuple(dict.fromkeys(names))


@functools.cache
def builtin_catalog() -> Catalog:
    """Return the catalog that ships with Rampart."""
    files = sorted(
        (file for file in resources.files(__package__).iterdir() if file.name.endswith(".yaml")),
        key=lambda file: file.name,
    )
    texts = [(file.name, file.read_text(encoding="utf-8")) for file in files]
    variables = "".join(text for name, text in texts if name == "variables.yaml")
    return Catalog((pair for pair in texts if pair[0] != "variables.yaml"), variables)
