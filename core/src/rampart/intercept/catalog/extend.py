"""Additions to the catalog: programs that a policy file or a plugin describes.

MUST NOT let an addition to a known program hide anything that its entry finds: both are read, and
what either finds counts (decisions/0030). Only ``replace`` puts an entry aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rampart.intercept.catalog.load import Catalog, names_of
from rampart.intercept.catalog.model import Entry, Option
from rampart.intercept.catalog.parse import (
    add_options,
    add_subcommand,
    effects_of,
    entry_spec,
    finish,
    mapping_of,
    missing_modes,
    mode_of,
    operands_of,
    parse_entry,
    patterns_of,
    refuse,
    spellings,
    texts_of,
)
from rampart.limits import CATALOG_NAMES_MAX, NAME_CHARS_MAX

_FIXED: Final = ("style", "language", "stdin", "fresh", "shares", "verbs", "scheme", "assignments")
"""Keys that decide how all words of a program are read: an addition cannot change them."""


@dataclass(frozen=True, slots=True)
class Addition:
    """One program as a policy or a plugin describes it; ``data`` is the YAML form of an entry."""

    name: str
    data: object
    where: str
    replaces: bool = False

    @property
    def summary(self) -> str:
        """What the addition says about the program in one line, or nothing."""
        found = self.data.get("summary", "") if isinstance(self.data, dict) else ""
        return str(found)

    @property
    def examples(self) -> Iterator[tuple[str, list[str]]]:
        """Command lines with what they must do; see ``rampart.intercept.examples``."""
        spec = entry_spec(self.data, self.where)
        for line, expected in mapping_of(spec, "example", self.where).items():
            yield line, texts_of(expected, "an example", self.where)


def read_additions(table: Mapping[str, object], where: str) -> tuple[Addition, ...]:
    """Return the programs of a ``commands`` block.

    Raises: PolicyError or ConfigError, as ``parse_entry``.
    """
    return tuple(_read_addition(name, data, where) for name, data in table.items())


def _read_addition(name: str, data: object, where: str) -> Addition:
    place = getattr(name, "where", "") or f"{where}: {name}"
    if not name or len(name) > NAME_CHARS_MAX or "/" in name or len(name.split()) != 1:
        refuse(name, place, f"{name[:80]!r} is no name of a program", "write it without a path")
    replaces = False
    if isinstance(data, dict) and "replace" in data:
        word = data["replace"]
        if word not in ("true", "false"):
            refuse(word, place, "replace is true or false")
        replaces = word == "true"
        data = _without(data, "replace")
    parse_entry(name, data, where=place)  # WHY: a misspelt word is reported with its own file
    made = Addition(str(name), data, place, replaces)
    for _ in made.examples:
        pass  # the form of the examples is checked here, what they say where all is known
    return made


def _without(data: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in data.items() if name != key}


class ExtendedCatalog(Catalog):
    """A catalog and the additions to it, the first ones first."""

    def __init__(self, base: Catalog, additions: Iterable[Addition]) -> None:
        super().__init__(())
        self._base = base
        self._additions: dict[str, list[Addition]] = {}
        self._aliases: dict[str, str] = {}
        found = tuple(additions)
        for addition in found:
            self._additions.setdefault(addition.name, []).append(addition)
        for addition in found:
            self._add_aliases(addition)
        self._built = {name: self._build(name) for name in self._additions}

    @property
    def variables(self) -> Mapping[str, Option]:
        """Environment variables that matter, by name."""
        return self._base.variables

    def names(self) -> tuple[str, ...]:
        """Return every entry's own name, the added ones last."""
        known = self._base.names()
        return (*known, *(name for name in self._additions if name not in known))

    def find(self, program: str) -> Entry | None:
        """Return what is known about a program, also under a name with a version, or None."""
        try:
            return self._entries[program]
        except KeyError:
            pass
        entry = self._find(program)
        if entry is not None and len(self._entries) < CATALOG_NAMES_MAX:  # LIMIT: as in Catalog
            self._entries[program] = entry
        return entry

    def _find(self, program: str) -> Entry | None:
        for name in names_of(program):
            if name in self._built:
                return self._built[name]
            if name in self._aliases:
                return self._built[self._aliases[name]]
        known = self._base.find(program)
        # `python3.11` has the entry of `python`, and what was added to that
        return self._built.get(known.name, known) if known is not None else None

    def _add_aliases(self, addition: Addition) -> None:
        spec = entry_spec(addition.data, addition.where)
        for alias in texts_of(spec.get("aliases", []), "aliases", addition.where):
            owner = self._aliases.setdefault(alias, addition.name)
            taken = alias in self._additions or self._base.find(alias) is not None
            if taken or owner != addition.name:
                refuse(
                    addition,
                    addition.where,
                    f"the alias `{alias}` is the name of another program",
                    f"describe it in an entry of its own: `{alias}:`",
                )

    def _build(self, name: str) -> Entry:
        """Return the entry under a name, with everything that was added to it."""
        entry = self._base.find(name)
        own = self._additions[name]
        if entry is not None and entry.name != name:
            own = [*self._additions.get(entry.name, ()), *own]
        for addition in own:
            if addition.replaces or entry is None:
                entry = parse_entry(addition.name, addition.data, where=addition.where)
                entry.added = True
            else:
                entry = extended(entry, addition.data, where=addition.where)
            for mode in missing_modes(entry):
                refuse(addition, addition.where, f"`{name}` has no mode `{mode}`")
        assert entry is not None
        return entry


def extended(base: Entry, data: object, *, where: str) -> Entry:
    """Return an entry with an addition to it; the entry as it was stays one of its readings.

    Raises: PolicyError or ConfigError for a key that would change how the words are read.
    """
    made = _extended(base, data, where)
    made.readings = (replace(base, readings=()), *base.readings)
    return made


def _extended(base: Entry, data: object, where: str) -> Entry:
    spec = entry_spec(data, where)
    for key in (*_FIXED, "reader"):
        if key in spec:
            message = f"`{key}` of `{base.name}`, which is known, cannot be changed by an addition"
            refuse(_key(spec, key), where, message, "describe it anew with `replace: true`")
    made = _copy(base)
    made.effects |= effects_of(spec.get("effects", []), where)
    made.inner |= effects_of(spec.get("inner", []), where)
    made.alone |= effects_of(spec.get("alone", []), where)
    made.words += patterns_of(spec.get("words", {}), where)
    known = dict(made.options)
    add_options(made, spec, where)
    new = {name: option for name, option in made.options.items() if known.get(name) != option}
    _hand_down(made, new)
    if "operands" in spec:
        made.operands = operands_of(spec["operands"], where)
    finish(made)
    for mode, overlay in mapping_of(spec, "modes", where).items():
        there = made.modes.get(mode)
        made.modes[str(mode)] = (
            mode_of(made, mode, overlay, where)
            if there is None
            else _extended(there, overlay, where)
        )
    for path, child in mapping_of(spec, "subcommands", where).items():
        for spelling in spellings(path, where):
            _extend_subcommand(made, spelling, child, where)
    return made


def _extend_subcommand(entry: Entry, path: Sequence[str], data: object, where: str) -> None:
    child = entry.subcommands.get(path[0])
    if child is None:
        add_subcommand(entry, list(path), data, where)
    elif len(path) > 1:
        copied = entry.subcommands[path[0]] = _copy(child)
        _extend_subcommand(copied, path[1:], data, where)
    else:
        entry.subcommands[path[0]] = _extended(child, data, f"{where} {path[0]}")


def _copy(entry: Entry) -> Entry:
    """Return a copy whose tables can be added to."""
    return replace(
        entry,
        options=dict(entry.options),
        subcommands=dict(entry.subcommands),
        modes=dict(entry.modes),
    )


def _hand_down(entry: Entry, options: Mapping[str, Option]) -> None:
    """Give an entry's subcommands and modes its new options, as they have all of the others."""
    if not options:
        return
    for table in (entry.subcommands, entry.modes):
        for name, child in table.items():
            copied = table[name] = _copy(child)
            copied.options = {**options, **copied.options}
            finish(copied)
            _hand_down(copied, options)


def _key(spec: Mapping[str, object], key: str) -> object:
    return next((name for name in spec if name == key), key)
