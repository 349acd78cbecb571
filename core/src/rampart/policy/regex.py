"""Regular expressions of a policy: RE2, linear in the text, compiled when the policy loads."""

from __future__ import annotations

from typing import Final, Protocol

MEMORY_BYTES_MAX: Final = (
    8 * 1024 * 1024
)  # RE2's own default: what one compiled expression may take


class Regex(Protocol):
    """What is used of a compiled expression."""

    def search(self, text: str) -> object | None:
        """Return a match anywhere in ``text``, or None."""
        ...

    def fullmatch(self, text: str) -> object | None:
        """Return a match of all of ``text``, or None."""
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
