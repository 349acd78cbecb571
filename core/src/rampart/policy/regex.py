"""Regular expressions of a policy: RE2, linear in the text, compiled when the policy loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from rampart.errors import InputTooLarge

MEMORY_BYTES_MAX: Final = (
    8 * 1024 * 1024
)  # RE2's own default: what one compiled expression may take


class Match(Protocol):
    """What is used of a match."""

    def span(self, group: int = 0) -> tuple[int, int]:
        """Return where a group matched, or (-1, -1) if it had no part in the match."""
        ...


class Regex(Protocol):
    """What is used of a compiled expression. Places in bytes are counted in bytes."""

    @property
    def groupindex(self) -> Mapping[str, int]:
        """The numbers of the named groups."""
        ...

    def search(self, text: str | bytes) -> Match | None:
        """Return a match anywhere in ``text``, or None."""
        ...

    def fullmatch(self, text: str | bytes) -> Match | None:
        """Return a match of all of ``text``, or None."""
        ...

    def finditer(self, text: str | bytes) -> Iterator[Match]:
        """Yield the matches in ``text``, from left to right and apart from each other."""
        ...


def compile_regex(pattern: str) -> Regex:
    """Compile ``pattern``. Raises: ValueError with the reason."""
    import re2  # WHY: few policies use regular expressions, and the import costs milliseconds

    options = re2.Options()
    options.log_errors = (
        False  # INVARIANT: a bad pattern is an error here, not a line on standard error
    )
    options.max_mem = MEMORY_BYTES_MAX
    try:
        compiled: Regex = re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else "it does not compile"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a regular expression that re2 knows: {text}") from None
    return compiled


def compile_set(
    patterns: Sequence[str], *, size_bytes_max: int
) -> Callable[[bytes], Sequence[int]]:
    """Return what says which of ``patterns`` match somewhere in a text, in one pass over it.

    Raises: ValueError if they do not compile together. What is returned raises InputTooLarge if a
    text cannot be searched to its end.
    """
    if not patterns:
        return lambda _data: ()
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = size_bytes_max
    found = re2.Set.SearchSet(options)
    try:
        for pattern in patterns:
            found.Add(pattern)
        # INVARIANT: this one always matches. A search that fails answers as if nothing had matched.
        last = found.Add("")
        found.Compile()
    except (re2.error, UnicodeError):
        raise ValueError("they are too large together") from None

    def search(data: bytes) -> Sequence[int]:
        numbers: list[int] = found.Match(data) or []
        if last not in numbers:
            raise InputTooLarge("a text that the expressions of the policy cannot be searched in")
        numbers.remove(last)
        return numbers

    return search
