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
from rampart.intercept.catalog.model import NONE, Entry, Matcher, Operands, Option, matcher
from rampart.intercept.catalog.vocabulary import EFFECTS, ROLES, STYLES

_Loader: type = getattr(
    yaml, "CBaseLoader", yaml.BaseLoader
)  # WHY base: every scalar is text, `on` too

_TOP_KEY: Final = re.compile(
    r"^(?P<quote>[\"']?)(?P<name>[^\s#\"'][^\"'\n]*?)(?P=quote):(?=\s|$)", re.MULTILINE
)
_ALIASES: Final = re.compile(r"^  aliases: \[([^\]]*)\]", re.MULTILINE)
_VERSIONED: Final = re.compile(r"([a-z][a-z+_-]*?)-?[0-9]+(?:\.[0-9]+)*")

_KEYS: Final = frozenset(
    [
        "summary",
        "aliases",
        "style",
        "flags",
        "options",
        "operands",
        "effects",
        "words",
        "subcommands",
        "modes",
        "language",
        "stdin",
        "inner",
        "fresh",
        "shares",
        "alone",
        "verbs",
        "scheme",
        "assignments",
        "reader",
        "example",
    ]
)
_OPTION_KEYS: Final = frozenset(
    ["role", "effects", "values", "mode", "replaces", "inert", "attached"]
)
_INHERITED: Final = ("style", "verbs", "scheme", "language")


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
        # LIMIT: names come from agents; only real entries are kept, so that the cache
        # cannot grow without bound
        if entry is not None:
            self._entries[program] = entry
        return entry

    @functools.cached_property
    def variables(self) -> Mapping[str, Option]:
        """Environment variables that matter, by name."""
        data = yaml.load(self._variables_text, Loader=_Loader) or {}  # noqa: S506 - a base loader makes text only
        found: dict[str, Option] = {}
        for names, spec in data.items():
            option = _option(spec, "variables")
            found.update(dict.fromkeys(names.split(), option))
        return found

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
        name = self._names.get(program)
        if name is None:
            lowered = program.lower().removesuffix(".exe")
            name = self._names.get(lowered)
            if name is None:
                versioned = _VERSIONED.fullmatch(lowered)
                name = self._names.get(versioned[1]) if versioned else None
        if name is None:
            return None
        entry = self._entries.get(name)
        if entry is None:
            filename, body = self._sources[name]
            data = yaml.load(body, Loader=_Loader)  # noqa: S506 - a base loader makes text only
            entry = self._entries[name] = parse_entry(name, data[name], where=f"{filename}: {name}")
        return entry


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


def parse_entry(name: str, data: object, *, where: str, parent: Entry | None = None) -> Entry:
    """Return an entry from its YAML form. Raises: ConfigError, naming place and word."""
    if isinstance(data, list):
        data = {"effects": data}
    if data == "":
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: an entry is a mapping or a list of effects")
    _refuse_unknown(data, _KEYS, where)
    entry = Entry(name, summary=data.get("summary", ""), aliases=tuple(data.get("aliases", ())))
    if parent is not None:
        for key in _INHERITED:
            setattr(entry, key, getattr(parent, key))
        entry.options.update(parent.options)
    entry.style = data.get("style", entry.style)
    if entry.style not in STYLES:
        raise ConfigError(f"{where}: unknown style {entry.style!r}")
    for key in ("language", "stdin", "verbs", "scheme", "reader"):
        setattr(entry, key, data.get(key, getattr(entry, key)))
    entry.shares = data.get("shares") == "true"
    entry.fresh = data.get("fresh") == "true"
    entry.assignments = data.get("assignments") == "true"
    entry.effects = _effects(data.get("effects", ()), where)
    entry.inner = _effects(data.get("inner", ()), where)
    entry.alone = _effects(data.get("alone", ()), where)
    entry.words = _patterns(data.get("words", {}), where)
    entry.examples = data.get("example", {})
    _add_options(entry, data, where)
    if "operands" in data:
        entry.operands = _operands(data["operands"], where)
    _finish(entry)
    for mode, overlay in data.get("modes", {}).items():
        entry.modes[mode] = _mode(entry, mode, overlay, where)
    for path, child in data.get("subcommands", {}).items():
        for spelling in _spellings(path):
            _add_subcommand(entry, spelling, child, where)
    return entry


def _mode(entry: Entry, mode: str, overlay: Mapping[str, object], where: str) -> Entry:
    made = parse_entry(f"{entry.name}:{mode}", overlay, where=f"{where}: mode {mode}", parent=entry)
    if not isinstance(overlay, dict) or "effects" not in overlay:
        made.effects |= entry.effects
    made.inner |= entry.inner
    made.words += entry.words
    made.stdin = made.stdin or entry.stdin
    if "operands" not in overlay:
        made.operands = entry.operands
    _finish(made)
    return made


def _add_subcommand(entry: Entry, path: list[str], data: object, where: str) -> None:
    node = entry
    for word in path[:-1]:
        if word not in node.subcommands:
            node.subcommands[word] = parse_entry(word, {}, where=where, parent=node)
        node = node.subcommands[word]
    child = parse_entry(path[-1], data, where=f"{where} {' '.join(path)}", parent=node)
    known = node.subcommands.get(path[-1])
    if known is not None:  # its own subcommands were listed before it
        child.subcommands = {**known.subcommands, **child.subcommands}
    if not child.subcommands and not (isinstance(data, dict) and "verbs" in data):
        child.verbs = ""  # WHY: what the catalog describes need not be guessed from words
    node.subcommands[path[-1]] = child


def _spellings(path: str) -> list[list[str]]:
    """Return the word lists that ``remote remove|remote rm`` stands for."""
    return [choice.split() for choice in path.split("|")]


def _add_options(entry: Entry, data: Mapping[str, object], where: str) -> None:
    for key in ("flags", "options"):
        table = data.get(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: {key} is a mapping")
        for names, spec in table.items():
            option = _option(spec, f"{where}: {names}", flag=key == "flags")
            for name in names.split():
                entry.options[name] = option


def _option(spec: object, where: str, *, flag: bool = False) -> Option:
    if isinstance(spec, list):
        return Option(role="" if flag else "text", effects=_effects(spec, where))
    if isinstance(spec, str):
        if flag:
            return Option(inert=_inert(spec, where))
        return Option(role=_role(spec or "text", where))
    if not isinstance(spec, dict):
        raise ConfigError(f"{where}: an option is a role, a list of effects or a mapping")
    _refuse_unknown(spec, _OPTION_KEYS, where)
    if spec.get("replaces", "") not in ("", "first", "last"):
        raise ConfigError(f"{where}: `replaces` is first or last")
    return Option(
        role="" if flag else _role(spec.get("role", "text"), where),
        effects=_effects(spec.get("effects", ()), where),
        values=_patterns(spec.get("values", {}), where),
        mode=spec.get("mode", ""),
        replaces=spec.get("replaces", ""),
        inert=_inert(spec.get("inert", ""), where),
        attached=spec.get("attached") == "true",
    )


def _operands(spec: object, where: str) -> Operands:
    if isinstance(spec, str):
        spec = [spec if spec in ("command", "shell-words") else f"{spec}..."]
    if not isinstance(spec, list):
        raise ConfigError(f"{where}: operands are a role or a list of roles")
    at = next((i for i, role in enumerate(spec) if role.endswith("...")), None)
    for role in spec:
        _role(role.removesuffix("..."), where)
    if at is None:
        return Operands(tuple(spec))
    first, last = tuple(spec[:at]), tuple(spec[at + 1 :])
    if any(role.endswith("...") for role in last):
        raise ConfigError(f"{where}: only one role can repeat")
    return Operands(first, spec[at].removesuffix("..."), last)


def _finish(entry: Entry) -> None:
    roles = {option.role for option in entry.options.values()} | {
        *entry.operands.first,
        entry.operands.repeated,
    }
    entry.launches = bool(roles & {"command", "shell-words"})
    entry.keyed = any(name.endswith("=") for name in entry.options)
    entry.long_names = tuple(sorted(name for name in entry.options if name.startswith("--")))


def _patterns(table: object, where: str) -> tuple[tuple[Matcher, frozenset[str]], ...]:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: patterns are a mapping from glob to effects")
    return tuple((matcher(glob), _effects(effects, where)) for glob, effects in table.items())


def _effects(names: object, where: str) -> frozenset[str]:
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"{where}: effects are a list")
    for name in names:
        if name not in EFFECTS:
            raise ConfigError(f"{where}: unknown effect {name!r}")
    return frozenset(names) if names else NONE


def _role(role: str, where: str) -> str:
    if role not in ROLES and not role.startswith("code:"):
        raise ConfigError(f"{where}: unknown role {role!r}")
    return role


def _inert(word: str, where: str) -> str:
    if word not in ("", "help", "dry-run"):
        raise ConfigError(
            f"{where}: a flag is a list of effects, `help` or `dry-run`, not {word!r}"
        )
    return word


def _refuse_unknown(data: Mapping[str, object], known: frozenset[str], where: str) -> None:
    for key in data:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}")
