"""The YAML form of one entry → ``Entry``.

A text that knows where it stands (``PlacedText``, ``PlacedMapping``, ``PlacedList``) is named with
its place when something is wrong with it; plain values are named by the entry that they are in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NoReturn, Self

from rampart.errors import ConfigError, PolicyError
from rampart.intercept.catalog.model import (
    NONE,
    TAIL_ROLES,
    Entry,
    Matcher,
    Operands,
    Option,
    matcher,
)
from rampart.intercept.catalog.vocabulary import EFFECTS, READER_NAMES, ROLES, STYLES

KEYS: Final = frozenset(
    {"summary", "aliases", "style", "flags", "options", "operands", "effects", "words"}
    | {"subcommands", "modes", "language", "stdin", "inner", "fresh", "shares", "alone", "verbs"}
    | {"scheme", "assignments", "reader", "example"}
)
_OPTION_KEYS: Final = frozenset(
    ["role", "effects", "values", "mode", "replaces", "inert", "attached"]
)
_SUBCOMMAND_WORDS_MAX: Final = 8  # no program nests its subcommands deeper
_INHERITED: Final = ("style", "verbs", "scheme", "language")


class PlacedText(str):
    """A text and where it stands: ``file:line:column``."""

    __slots__ = ("where",)
    where: str

    def __new__(cls, text: str, where: str) -> Self:
        """Return ``text`` with its place."""
        made = super().__new__(cls, text)
        made.where = where
        return made


class PlacedMapping(dict[str, object]):
    """A mapping and where it stands."""

    def __init__(self, items: Iterable[tuple[str, object]], where: str) -> None:
        super().__init__(items)
        self.where = where


class PlacedList(list[object]):
    """A list and where it stands."""

    def __init__(self, items: Iterable[object], where: str) -> None:
        super().__init__(items)
        self.where = where


def parse_entry(name: str, data: object, *, where: str, parent: Entry | None = None) -> Entry:
    """Return an entry from its YAML form.

    Raises: PolicyError for data with places, ConfigError for plain data; both name the word.
    """
    spec = entry_spec(data, where)
    entry = Entry(str(name), summary=_text(spec, "summary", where))
    entry.aliases = tuple(texts_of(spec.get("aliases", []), "aliases", where))
    if parent is not None:
        for key in _INHERITED:
            setattr(entry, key, getattr(parent, key))
        entry.options.update(parent.options)
    _read_words(entry, spec, where)
    entry.effects = effects_of(spec.get("effects", []), where)
    entry.inner = effects_of(spec.get("inner", []), where)
    entry.alone = effects_of(spec.get("alone", []), where)
    entry.words = patterns_of(spec.get("words", {}), where)
    entry.examples = mapping_of(spec, "example", where)
    add_options(entry, spec, where)
    if "operands" in spec:
        entry.operands = operands_of(spec["operands"], where)
    finish(entry)
    for mode, overlay in mapping_of(spec, "modes", where).items():
        entry.modes[str(mode)] = mode_of(entry, mode, overlay, where)
    for path, child in mapping_of(spec, "subcommands", where).items():
        for spelling in spellings(path, where):
            add_subcommand(entry, spelling, child, where)
    return entry


def entry_spec(data: object, where: str) -> Mapping[str, object]:
    """Return an entry's mapping: a list is short for its effects, and nothing for no keys."""
    if isinstance(data, list):
        return {"effects": data}
    if data == "":
        return {}
    if not isinstance(data, dict):
        refuse(data, where, "an entry is a mapping or a list of effects")
    _refuse_unknown(data, KEYS, where)
    return data


def mapping_of(spec: Mapping[str, object], key: str, where: str) -> Mapping[str, object]:
    """Return the mapping under a key, empty if it is absent."""
    table = spec.get(key, {})
    if table == "":
        return {}
    if not isinstance(table, dict):
        refuse(table, where, f"{key} is a mapping")
    return table


def spellings(path: str, where: str) -> list[list[str]]:
    """Return the word lists that ``remote remove|remote rm`` stands for."""
    found = [choice.split() for choice in path.split("|")]
    if not all(0 < len(words) <= _SUBCOMMAND_WORDS_MAX for words in found):
        refuse(path, where, f"a subcommand is one word or more, up to {_SUBCOMMAND_WORDS_MAX}")
    return found


def finish(entry: Entry) -> None:
    """Set what follows from the entry's options and operands."""
    roles = {option.role for option in entry.options.values()} | {
        *entry.operands.first,
        entry.operands.repeated,
    }
    entry.launches = bool(roles & {"command", "shell-words"})
    entry.keyed = any(name.endswith("=") for name in entry.options)
    entry.long_names = tuple(sorted(name for name in entry.options if name.startswith("--")))


def missing_modes(entry: Entry) -> Iterator[str]:
    """Yield the modes that options of an entry name and that it does not have."""
    for option in entry.options.values():
        # WHY: a subcommand has the options of what it belongs to, and modes of its own
        if option.mode and option.mode not in entry.modes:
            yield option.mode


def parse_variables(data: object) -> dict[str, Option]:
    """Return environment variables by name: each is written as an option is."""
    found: dict[str, Option] = {}
    for names, spec in mapping_of({"variables": data}, "variables", "variables").items():
        found.update(dict.fromkeys(names.split(), _option(spec, "variables")))
    return found


def refuse(spot: object, where: str, message: str, help: str = "") -> NoReturn:  # noqa: A002 - the word users see
    """Raise an error at the place of ``spot`` if it knows one, else at ``where``."""
    place = getattr(spot, "where", "")
    if place:
        raise PolicyError(message, where=place, help=help)
    raise ConfigError(f"{where}: {message}", help=help)


def _read_words(entry: Entry, spec: Mapping[str, object], where: str) -> None:
    """Read the keys whose value is one word."""
    for key, known in _CHOICES.items():
        if key in spec:
            word = _text(spec, key, where)
            if word not in known:
                refuse(spec[key], where, f"unknown {key} {word!r}", _nearest(word, known))
            setattr(entry, key, word)
    for key in ("language", "scheme"):
        if key in spec:
            setattr(entry, key, _text(spec, key, where))
    for key in ("shares", "fresh", "assignments"):
        setattr(entry, key, _switch(spec, key, where))


def mode_of(entry: Entry, mode: str, overlay: object, where: str) -> Entry:
    """Return what ``entry`` is in a mode: itself, changed by ``overlay``."""
    place = f"{where}: mode {mode}"
    spec = entry_spec(overlay, place)
    made = parse_entry(f"{entry.name}:{mode}", overlay, where=place, parent=entry)
    if "effects" not in spec:
        made.effects |= entry.effects
    made.inner |= entry.inner
    made.words += entry.words
    made.stdin = made.stdin or entry.stdin
    if "operands" not in spec:
        made.operands = entry.operands
    finish(made)
    return made


def add_subcommand(entry: Entry, path: list[str], data: object, where: str) -> None:
    """Give ``entry`` a subcommand of one word or more."""
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


def add_options(entry: Entry, spec: Mapping[str, object], where: str) -> None:
    """Give ``entry`` the flags and options of its YAML form."""
    for key in ("flags", "options"):
        for names, given in mapping_of(spec, key, where).items():
            place = f"{where}: {names}"
            option = _option(given, place, flag=key == "flags")
            for name in names.split():
                entry.options[name] = option


def _option(spec: object, where: str, *, flag: bool = False) -> Option:
    if isinstance(spec, list):
        return Option(role="" if flag else "text", effects=effects_of(spec, where))
    if isinstance(spec, str):
        if flag:
            return Option(inert=_inert(spec, where))
        return Option(role=_role(spec or "text", where, spec))
    if not isinstance(spec, dict):
        refuse(spec, where, "an option is a role, a list of effects or a mapping")
    _refuse_unknown(spec, _OPTION_KEYS, where)
    replaces = _text(spec, "replaces", where)
    if replaces not in ("", "first", "last"):
        refuse(spec["replaces"], where, "`replaces` is first or last")
    role = _text(spec, "role", where) or "text"
    return Option(
        role="" if flag else _role(role, where, spec.get("role")),
        effects=effects_of(spec.get("effects", []), where),
        values=patterns_of(spec.get("values", {}), where),
        mode=_text(spec, "mode", where),
        replaces=replaces,
        inert=_inert(spec.get("inert", ""), where),
        attached=_switch(spec, "attached", where),
    )


def operands_of(spec: object, where: str) -> Operands:
    """Return the roles of operands from a role or a list of them."""
    if isinstance(spec, str):
        role = _role(spec.removesuffix("..."), where, spec)
        repeats = role not in TAIL_ROLES
        return Operands(repeated=role) if repeats else Operands((role,))
    roles = texts_of(spec, "operands", where, "operands are a role or a list of roles")
    at = next((i for i, role in enumerate(roles) if role.endswith("...")), None)
    plain = tuple(
        _role(role.removesuffix("..."), where, spot)
        for role, spot in zip(roles, _items(spec), strict=True)
    )
    if at is None:
        return Operands(plain)
    if any(role.endswith("...") for role in roles[at + 1 :]):
        refuse(spec, where, "only one role can repeat")
    return Operands(plain[:at], plain[at], plain[at + 1 :])


def _items(spec: object) -> Iterable[object]:
    return spec if isinstance(spec, (list, tuple)) else ()


def patterns_of(table: object, where: str) -> tuple[tuple[Matcher, frozenset[str]], ...]:
    """Return globs with the effects of what they match."""
    if table == "":
        return ()
    if not isinstance(table, dict):
        refuse(table, where, "patterns are a mapping from glob to effects")
    return tuple(
        (matcher(str(glob)), effects_of(effects, where)) for glob, effects in table.items()
    )


def effects_of(names: object, where: str) -> frozenset[str]:
    """Return a list of effects, each one of the vocabulary."""
    if not names and names in ("", [], ()):
        return NONE
    found = texts_of(names, "effects", where, "effects are a list")
    for name, spot in zip(found, _items(names), strict=True):
        if name not in EFFECTS:
            refuse(spot, where, f"unknown effect {name!r}", _nearest(name, EFFECTS))
    return frozenset(found)


def _role(role: str, where: str, spot: object) -> str:
    if role not in ROLES and not (role.startswith("code:") and len(role) > len("code:")):
        refuse(spot, where, f"unknown role {role!r}", _nearest(role, ROLES))
    return str(role)


def _inert(word: object, where: str) -> str:
    if word not in ("", "help", "dry-run"):
        refuse(word, where, f"a flag is a list of effects, `help` or `dry-run`, not {_shown(word)}")
    return str(word)


def _text(spec: Mapping[str, object], key: str, where: str) -> str:
    value = spec.get(key, "")
    if not isinstance(value, str):
        refuse(value, where, f"{key} is a text")
    return str(value)


def texts_of(value: object, key: str, where: str, message: str = "") -> list[str]:
    """Return a list of texts."""
    if not isinstance(value, (list, tuple)):
        refuse(value, where, message or f"{key} are a list")
    for item in value:
        if not isinstance(item, str):
            refuse(item, where, f"{key}: {_shown(item)} is no word")
    return [str(item) for item in value]


def _switch(spec: Mapping[str, object], key: str, where: str) -> bool:
    value = spec.get(key, "false")
    if value not in ("true", "false"):
        refuse(value, where, f"{key} is true or false")
    return value == "true"


def _refuse_unknown(data: Mapping[str, object], known: frozenset[str], where: str) -> None:
    for key in data:
        if key not in known:
            refuse(key, where, f"unknown key {key!r}", _nearest(key, known))


def _nearest(word: str, known: Iterable[str]) -> str:
    import difflib  # WHY: needed for an error only

    names = sorted(name for name in known if name)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"the words are: {', '.join(names)}"


def _shown(value: object) -> str:
    return (
        repr(str(value))
        if isinstance(value, str)
        else type(value).__name__.removeprefix("Placed").lower()
    )


_CHOICES: Final[Mapping[str, frozenset[str]]] = {
    "style": STYLES,
    "stdin": frozenset({"", "code", "data"}),
    "verbs": frozenset({"", "local", "remote"}),
    "reader": frozenset({"", *READER_NAMES}),
}
"""Keys of an entry whose value is one of a few words."""
