"""Words of one command → options and operands, read the way its program would."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from rampart.intercept.catalog.model import Entry, Option
from rampart.intercept.shell.model import Word

_WINDOWS_OPTION: Final = re.compile(r"(?:--?|//?)([A-Za-z?][A-Za-z0-9_-]*)([:=].*)?", re.DOTALL)
HELP_OPTIONS: Final = frozenset({"--help", "--version"})


class Given(NamedTuple):
    """An option as given: its meaning, its name, and its value if it takes one."""

    option: Option
    name: str
    value: Word | None


@dataclass(slots=True)
class Arguments:
    """The words after a program's name. ``entry`` is the subcommand or mode that they led to."""

    entry: Entry
    path: tuple[str, ...] = ()  # subcommand words
    options: list[Given] = field(default_factory=list)
    operands: list[Word] = field(default_factory=list)
    tail: int = -1  # where in ``operands`` the words of an inner command begin; -1: nowhere
    unknown: str = ""  # an option that the catalog does not list
    inert: str = ""  # "help" or "dry-run": the program does nothing

    def value(self, *names: str) -> Word | None:
        """Return the last value given for one of these options."""
        found = [
            given.value for given in self.options if given.name in names and given.value is not None
        ]
        return found[-1] if found else None

    def has(self, *names: str) -> bool:
        """True if one of these options was given."""
        return any(given.name in names for given in self.options)


def read_arguments(entry: Entry, words: list[Word]) -> Arguments:
    """Return what ``words`` (without the program's name) mean to ``entry``."""
    arguments = _Scan(entry, words).run()
    for given in arguments.options:
        mode = arguments.entry.modes.get(given.option.mode) if given.option.mode else None
        if mode is not None:
            again = _Scan(entry, words, mode=given.option.mode).run()
            again.inert = again.inert or arguments.inert
            return again
    return arguments


class _Scan:
    """One pass over the words."""

    def __init__(self, entry: Entry, words: list[Word], mode: str = "") -> None:
        self.words = words
        self.mode = mode
        self.at = 0
        self.found = Arguments(entry)
        self._enter(entry)

    def _enter(self, entry: Entry) -> None:
        self.entry = entry.modes.get(self.mode, entry) if self.mode else entry
        self.found.entry = self.entry
        self.inner_at = self.entry.operands.inner_at

    def run(self) -> Arguments:
        found, words = self.found, self.words
        while self.at < len(words):
            if self.inner_at >= 0 and self._inner_starts():
                if words[self.at].text == "--":  # WHY: `exec vm -- rm x` runs rm, and never `--`
                    self.at += 1
                found.tail = len(found.operands)
                found.operands.extend(words[self.at :])
                return found
            word = words[self.at]
            self.at += 1
            text = word.text
            if self.entry.style == "dos" and self._windows_option(word):
                pass
            elif (
                self.entry.style not in ("text", "dos")
                and text.startswith("-")
                and (text != "-" or "-" in self.entry.options)
            ):
                if text == "--":
                    self._after_dashes()
                    return found
                self._option(word)
            elif self.entry.keyed and self._keyed(word):
                pass
            elif not self._subcommand(text):
                found.operands.append(word)
                if self.entry.style == "posix" and self.inner_at < 0:
                    found.operands.extend(words[self.at :])
                    return found
        return found

    def _inner_starts(self) -> bool:
        """True if the words of the inner command begin here."""
        found = self.found
        taken = len(found.operands)
        if self.entry.assignments:
            taken = sum(1 for word in found.operands if not _is_assignment(word))
        text = self.words[self.at].text
        if taken < self.inner_at:
            # WHY: POSIX programs stop looking for options at the first operand
            return False
        if self.entry.assignments and _is_assignment(self.words[self.at]):
            return False
        if not taken and text in self.entry.subcommands:
            return False
        first_operand_seen = bool(found.operands) and self.entry.style == "posix"
        if self.entry.style == "dos":
            return _WINDOWS_OPTION.fullmatch(text) is None
        return first_operand_seen or not (
            text.startswith("-") and (len(text) > 1 or "-" in self.entry.options)
        )

    def _after_dashes(self) -> None:
        found, rest = self.found, self.words[self.at :]
        if self.inner_at >= 0:
            before = self.inner_at - len(found.operands)
            if self.entry.assignments:
                before = next(
                    (i for i, word in enumerate(rest) if not _is_assignment(word)), len(rest)
                )
            # WHY: `kubectl exec pod -- cmd` has had its operands; `timeout -- 5 cmd` has not
            found.tail = len(found.operands) + max(0, before)
        elif self.entry.subcommands and rest and self._subcommand(rest[0].text):
            self.at += 1
            rest = rest[1:]
        found.operands.extend(rest)

    def _subcommand(self, text: str) -> bool:
        if self.found.operands:
            return False
        child = self.entry.subcommands.get(text)
        if child is None and self.entry.style == "dos":
            child = self.entry.subcommands.get(text.lower())
        if child is None:
            return False
        self.found.path += (text,)
        self._enter(child)
        return True

    def _keyed(self, word: Word) -> bool:
        name, equals, value = word.text.partition("=")
        option = self.entry.options.get(f"{name}=") if equals else None
        if option is None:
            return False
        self._add(
            option, f"{name}=", Word(value, word.known, word.source, word.glob, word.substitutions)
        )
        return True

    def _option(self, word: Word) -> None:
        text = word.text
        options = self.entry.options
        option = options.get(text)
        if option is not None:
            self._add_with_next(option, text)
            return
        name, equals, value = text.partition("=")
        if equals and (option := self._long(name)) is not None:
            self._add(
                option, name, Word(value, word.known, word.source, word.glob, word.substitutions)
            )
            return
        if text.startswith("--"):
            option = self._long(text)
            if option is not None:
                self._add_with_next(option, text)
            elif text in HELP_OPTIONS and not self._is_versioned(text):
                self.found.inert = "help"
            elif not equals:
                self.found.unknown = self.found.unknown or text
        elif self.entry.style == "long":
            self._single_dash(word, name)
        elif text[1:].isdigit() and "-NUM" in options:
            self._add(options["-NUM"], "-NUM", Word(text[1:]))
        else:
            self._bundle(word)

    def _is_versioned(self, text: str) -> bool:
        """True for ``backend delete --version 2``: behind a subcommand it is a value's option."""
        found = self.found
        return text == "--version" and bool(found.path or (self.entry.verbs and found.operands))

    def _single_dash(self, word: Word, name: str) -> None:
        """One dash and a whole word; the entry may list it with two."""
        option = self.entry.options.get(f"-{name}")
        _, equals, value = word.text.partition("=")
        if option is not None and equals:
            self._add(
                option,
                f"-{name}",
                Word(value, word.known, word.source, word.glob, word.substitutions),
            )
        elif option is not None:
            self._add_with_next(option, f"-{name}")
        elif f"-{word.text}" in HELP_OPTIONS:
            self.found.inert = "help"
        elif not equals:
            self.found.unknown = self.found.unknown or word.text

    def _long(self, name: str) -> Option | None:
        option = self.entry.options.get(name)
        if option is None and self.entry.style == "long" and name.startswith("--"):
            option = self.entry.options.get(name[1:])
        if (
            option is None
            and len(name) > 3
            and name.startswith("--")
            and self.entry.style != "long"
        ):
            # WHY: GNU programs accept every unambiguous beginning of a long option
            full = next((known for known in self.entry.long_names if known.startswith(name)), None)
            option = self.entry.options[full] if full is not None else None
        return option

    def _windows_option(self, word: Word) -> bool:
        """Read ``/s``, ``/t:x`` and ``-EncodedCommand x``; False if the word is none of these."""
        shape = _WINDOWS_OPTION.fullmatch(word.text)
        if shape is None:
            return False
        name, value = shape[1].lower(), shape[2]
        options = self.entry.options
        option = options.get(f"/{name}") or options.get(f"-{name}")
        if option is None and len(name) > 1:
            # WHY: PowerShell accepts every unambiguous beginning of a name
            full = next((known for known in options if known[1:].startswith(name)), "")
            option = options.get(full)
        if option is None:
            self.found.unknown = self.found.unknown or word.text
        elif value is not None:
            self._add(option, f"/{name}", replace(word, text=value[1:]))
        else:
            self._add_with_next(option, f"/{name}")
        return True

    def _bundle(self, word: Word) -> None:
        text, options = word.text, self.entry.options
        for position in range(1, len(text)):
            name = f"-{text[position]}"
            option = options.get(name)
            if option is None:
                if name == "-=":
                    return
                self.found.unknown = self.found.unknown or name
                continue
            rest = text[position + 1 :]
            if option.role and rest:
                # WHY: `-o=x` and `-ox` mean the same to many argument parsers
                self._add(
                    option,
                    name,
                    Word(
                        rest.removeprefix("="),
                        word.known,
                        word.source,
                        word.glob,
                        word.substitutions,
                    ),
                )
                return
            if option.role and not option.attached:
                self._add_with_next(option, name)
                return
            self._add(option, name, None)

    def _add_with_next(self, option: Option, name: str) -> None:
        value = None
        if option.role and not option.attached and self.at < len(self.words):
            value = self.words[self.at]
            self.at += 1
        self._add(option, name, value)

    def _add(self, option: Option, name: str, value: Word | None) -> None:
        self.found.options.append(Given(option, name, value))
        if option.replaces == "first" and self.inner_at > 0:
            self.inner_at -= 1
        if option.inert and self.found.inert != "help":
            self.found.inert = option.inert


def _is_assignment(word: Word) -> bool:
    name, equals, _ = word.text.partition("=")
    return bool(equals) and name.replace("_", "a").isalnum() and not name[:1].isdigit()


def is_assignment(word: Word) -> bool:
    """True for ``NAME=value``."""
    return _is_assignment(word)
