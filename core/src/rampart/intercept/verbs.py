"""A generic reading of subcommands, for what the catalog does not list word by word.

Service command lines name what they do: ``projects delete x``, ``delete-health-check``, ``kv:key
delete``. The reading only adds effects, so a wrong guess can only tighten.
"""

from __future__ import annotations

import re
from typing import Final

from rampart.intercept.catalog.model import NONE
from rampart.intercept.shell.model import Word

_WORDS_MAX: Final = 5  # no service nests its subcommands deeper
_SUBCOMMAND: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_:.][A-Za-z0-9]+)*")
_PARTS: Final = re.compile(r"[-_:.]|(?<=[a-z0-9])(?=[A-Z])")

_DESTROYS_WORDS: Final = """
delete del destroy destroys purge drop remove rm wipe terminate revoke uninstall flush
truncate erase nuke deprovision decommission undeploy unpublish unregister deregister
teardown reset expunge evict clear prune obliterate detach disassociate abandon flushall
flushdb deleteall cancel deactivate
"""
_DESTROYS: Final = frozenset(_DESTROYS_WORDS.split())
_WEAK_WORDS: Final = """
reset clear prune detach disassociate evict cancel deactivate del rm
"""
_WEAK: Final = frozenset(_WEAK_WORDS.split())
_HARMLESS_FIRST_WORDS: Final = """
get list ls describe show help info status search view inspect check validate diff preview
plan dry create add new completion version log logs
"""
_HARMLESS_FIRST: Final = frozenset(_HARMLESS_FIRST_WORDS.split())

IRREVERSIBLE: Final = frozenset({"irreversible"})


def verb_effects(operands: list[Word], *, listed: bool, kind: str = "remote") -> frozenset[str]:
    """Return the effects that the leading words of a command announce.

    ``listed`` says that the catalog knows the program to work with subcommands; of others only
    strong verbs count.
    """
    for word in operands[:_WORDS_MAX]:
        if "://" in word.text:
            continue  # the value of an option that is not listed
        if not word.known or not _SUBCOMMAND.fullmatch(word.text):
            return NONE
        parts = [part.lower() for part in _PARTS.split(word.text)]
        if parts[0] in _HARMLESS_FIRST:
            return NONE
        # a verb stands first or last in a compound: delete-domain, kv:key:delete
        verb = next((part for part in (parts[0], parts[-1]) if part in _DESTROYS), None)
        if verb is None or (verb in _WEAK and not listed):
            continue
        if not listed:
            return IRREVERSIBLE | {"guessed"}
        return IRREVERSIBLE | {"remote"} if kind == "remote" else IRREVERSIBLE
    return NONE
