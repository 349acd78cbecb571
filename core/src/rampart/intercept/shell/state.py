"""What a shell knows while it runs: variables, functions, aliases, directory, parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from rampart.intercept.shell.model import Word
from rampart.intercept.shell.syntax import ArrayValue, FunctionValue, Unparsable
from rampart.limits import SHELL_VARIABLES_MAX

UNSET: Final = Word("", True)
"""The value of a variable that is known not to be set."""

_AMBIENT: Final = ("IFS", "HOME", "PWD", "OLDPWD")


def unknown(name: str) -> Word:
    """Return the word for a variable whose value is not known."""
    return Word(f"${name}", False)


def function_key(name: str) -> str:
    """Return the variable under which a function is kept, as bash exports it."""
    return f"BASH_FUNC_{name}%%"


def alias_key(name: str) -> str:
    """Return the variable under which an alias is kept."""
    return f"BASH_ALIASES[{name}]"


@dataclass(slots=True)
class State:
    """One shell's state. INVARIANT: ``variables`` is replaced, never changed: commands share it."""

    variables: dict[str, Word] = field(default_factory=dict)
    cwd: str | None = ""
    previous: str | None = None  # the directory before the last `cd`
    positional: tuple[Word, ...] | None = None
    stack: tuple[str | None, ...] = ()  # of `pushd`

    def copy(self) -> State:
        """Return a state that changes on its own."""
        return State(self.variables, self.cwd, self.previous, self.positional, self.stack)

    def restore(self, saved: State) -> None:
        """Take over every value of ``saved``."""
        self.variables, self.cwd, self.previous = saved.variables, saved.cwd, saved.previous
        self.positional, self.stack = saved.positional, saved.stack

    def assign(self, name: str, value: Word) -> None:
        """Set a scalar; an array of that name is gone."""
        changed = {**self.variables, name: value}
        changed.pop(f"{name}[@]", None)
        self._take(changed)

    def assign_array(self, name: str, items: tuple[Word, ...] | None) -> None:
        """Set an indexed array, or None for one whose elements are not known."""
        if items is None:
            self._take(
                {**self.variables, name: unknown(name), f"{name}[@]": unknown(f"{{{name}[@]}}")}
            )
            return
        first = items[0] if items else UNSET
        known = all(item.known for item in items)
        text = " ".join(item.text for item in items)
        value = ArrayValue(text, known, items=items)
        self._take({**self.variables, name: first, f"{name}[@]": value})

    def define(self, function: FunctionValue) -> None:
        """Define a function."""
        self._take({**self.variables, function_key(function.name): function})

    def set_many(self, values: dict[str, Word]) -> None:
        """Set several entries at once."""
        if values:
            self._take({**self.variables, **values})

    def drop(self, key: str) -> None:
        """Remove an entry, such as a function or an alias."""
        if key in self.variables:
            self.variables = {k: word for k, word in self.variables.items() if k != key}

    def forget(self, names: set[str]) -> None:
        """Make variables unknown; functions and aliases among them too."""
        changed = dict(self.variables)
        for name in names:
            changed[name] = unknown(name)
            if f"{name}[@]" in changed:
                changed[f"{name}[@]"] = unknown(f"{{{name}[@]}}")
        self._take(changed)

    def forget_all(self) -> None:
        """Make everything unknown that running unknown text could change."""
        self.forget({name for name in self.variables if name.isidentifier()} | set(_AMBIENT))
        self.positional = None
        self.cwd = self.previous = None
        self.stack = ()

    def merge(self, other: State) -> None:
        """Keep what is the same in both states; the rest is not known."""
        if self.variables is not other.variables:
            self.variables = _merged(self.variables, other.variables)
        if self.cwd != other.cwd:
            self.cwd = None
        if self.previous != other.previous:
            self.previous = None
        if self.positional is not other.positional:
            self.positional = None
        if self.stack != other.stack:
            self.stack = ()

    def _take(self, variables: dict[str, Word]) -> None:
        if len(variables) > SHELL_VARIABLES_MAX:
            raise Unparsable(f"more than {SHELL_VARIABLES_MAX} variables")
        self.variables = variables


def _merged(left: dict[str, Word], right: dict[str, Word]) -> dict[str, Word]:
    merged: dict[str, Word] = {}
    for name in {**left, **right}:
        one, two = left.get(name), right.get(name)
        if one is not None and (one is two or (one == two and one is not UNSET is not two)):
            merged[name] = one
        else:
            merged[name] = unknown(re.sub(r"(.*\[@\])", r"{\1}", name))
    return merged
