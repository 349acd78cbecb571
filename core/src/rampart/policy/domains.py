"""Domain patterns: ``example.com`` is that host, ``*.example.com`` every host below it.

At any depth, but not ``example.com`` itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from rampart.model import Action
from rampart.policy.glob import TextTest
from rampart.policy.texts import compile_text_globs

_DOTS_MAX: Final = 127  # a name in the domain name system has at most 253 characters
_AUTHORITY_END: Final = re.compile(r"[/?#\\]")


def canonical_domain(pattern: str) -> str:
    """Return a pattern in the form hosts are compared in: lower case, ASCII, no final dot.

    Raises: ValueError, with the reason, for a text that no host can match.
    """
    if any(character in "/\\@ \t\n" for character in pattern):
        raise ValueError("a domain has no scheme, path or user: use `url_matches` for those")
    labels = pattern.lower().removesuffix(".").split(".")
    return ".".join(_ascii_label(label) for label in labels)


def compile_domains(patterns: Sequence[str]) -> TextTest:
    """Return the test for a host in canonical form; the patterns must be canonical."""
    test = compile_text_globs(patterns)
    return lambda host: test(canonical_host(host))


def canonical_host(host: str) -> str:
    """Return a host in the form in which it is compared."""
    host = host.lower().removesuffix(".")
    return host if host.isascii() else _ascii_host(host)


@lru_cache(maxsize=256)
def _ascii_host(host: str) -> str:
    if host.count(".") > _DOTS_MAX:
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def hosts_of(action: Action) -> tuple[str, ...]:
    """Return the host of an action, then those that other spellings of its URL could mean."""
    if not action.host or not action.spellings:
        return (action.host,) if action.host else ()
    others = [host for text in action.spellings if (host := _host_in(text))]
    return tuple(dict.fromkeys((action.host, *others)))


def _host_in(url: str) -> str:
    _, found, rest = url.partition("://")
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0].rpartition("@")[2] if found else ""
    return authority if authority.startswith("[") else authority.partition(":")[0]


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label
    if "*" in label or "?" in label:
        raise ValueError("a label with letters beyond ascii cannot hold wildcards")
    try:
        return label.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"`{label}` is not a domain label") from None
