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
flushdb deleteall cancel deactivate unset empty
archive disable unsubscribe leave kill void seal forget rb rmpool gc
"""
_DESTROYS: Final = frozenset(_DESTROYS_WORDS.split())
_WEAK_WORDS: Final = """
reset clear prune detach disassociate evict cancel deactivate del rm unset empty
archive disable unsubscribe leave kill void seal gc
"""
_WEAK: Final = frozenset(_WEAK_WORDS.split())
_HARMLESS_FIRST_WORDS: Final = """
get list ls describe show help info status search view inspect check validate diff preview
plan dry create add new completion version log logs
"""
_HARMLESS_FIRST: Final = frozenset(_HARMLESS_FIRST_WORDS.split())
_NOUNS: Final = frozenset(
    {"status", "info", "search", "view", "check", "plan", "version", "log", "logs"}
)
"""Of the harmless words those that name a thing as well: ``az search service delete``."""

_FILE: Final = re.compile(
    r"(?:~[\w.-]*|\.{1,2}|\$HOME|\$\{HOME\})?/[^\s:]*[^\s:/]|\.[A-Za-z][\w.-]*"
)
_SETTING: Final = re.compile(
    r"-i\Z|-.*(?:key|ident|cert|env|config|secret|cred|auth|token|pass|profile|ca\b)", re.IGNORECASE
)

IRREVERSIBLE: Final = frozenset({"irreversible"})
UNGUARDED: Final = frozenset({"disables-security", "guessed"})

_GUARD: Final = (
    r"(?:safe(?:ty)?(?:[-_]?(?:mode|checks?|filters?|guard|guards|settings))?|guard[-_]?rails?"
    r"|moderation|(?:human[-_])?(?:approvals?|oversight|review|in[-_]the[-_]loop)|hitl"
    r"|content[-_]?(?:filters?|policy|safety)|(?:policy|security|permission|safety|auth)[-_]?checks?"
    r"|permissions?|restrictions?|(?:require|ask|human)[-_](?:approval|confirmation|permission))"
)
_UNGUARDED: Final = re.compile(
    rf"--(?:(?:no|disable|skip|bypass|without|ignore|remove|override)[-_]{_GUARD}"
    rf"|(?:enable[-_]|use[-_])?{_GUARD}=(?:false|off|0|no|none|disabled|never)"
    r"|(?:allow[-_])?danger(?:ous|ously)[-_][\w-]+|allow[-_]all[-_]tools|unsafe[-_](?:mode|tools?)"
    r"|unrestricted(?:[-_]\w+)?|jail[-_]?break|uncensored|yolo|god[-_]mode)(?:=(?:true|1|yes|on))?",
    re.IGNORECASE,
)
_DESTROYING: Final = re.compile(
    r"--(?:(?:delete|remove|destroy|purge|wipe|drop|erase|flush)[-_](?:all|everything|database|db|data)"
    r"|purge|wipe|destroy|nuke|factory[-_]reset|yes-i-really-really-mean-it)"
)
_OFF: Final = frozenset({"false", "off", "0", "no", "none", "disabled", "never"})
_GUARDS: Final = re.compile(rf"--(?:enable[-_]|use[-_])?{_GUARD}", re.IGNORECASE)


def verb_effects(operands: list[Word], *, listed: bool, kind: str = "remote") -> frozenset[str]:
    """Return the effects that the leading words of a command announce.

    ``listed`` says that the catalog knows the program to work with subcommands; of others only
    strong verbs count.
    """
    for index, word in enumerate(operands[:_WORDS_MAX]):
        if "://" in word.text:
            continue  # the value of an option that is not listed
        if not word.known or not _SUBCOMMAND.fullmatch(word.text):
            return NONE
        parts = [part.lower() for part in _PARTS.split(word.text)]
        if parts[0] in _NOUNS and (len(parts) > 1 or _is_noun(operands[index + 1 :])):
            continue
        if parts[0] in _HARMLESS_FIRST:
            return NONE
        # a verb stands first or last in a compound: delete-domain, kv:key:delete
        ends = (parts[0], parts[-1], "" if len(parts) < 3 else parts[1])  # admin-delete-user
        verb = next((part for part in ends if part in _DESTROYS), None)
        if verb is None or (verb in _WEAK and not listed):
            continue
        if not listed:
            return IRREVERSIBLE | {"guessed"}
        return IRREVERSIBLE | {"remote"} if kind == "remote" else IRREVERSIBLE
    return NONE


def _is_noun(after: list[Word]) -> bool:
    """True if a strong verb follows at once, or after one more word: ``plan delete``."""
    return any(word.text in _DESTROYS - _WEAK for word in after[:2])


def option_effects(words: list[Word]) -> frozenset[str]:
    """Return what an option of a program nobody listed announces in so many words.

    ``disables-security``: ``--disable-guardrails``, ``--safe_mode=false``, ``--safe-mode off``.
    ``irreversible``: ``--delete-all``, ``--purge``.
    """
    for index, word in enumerate(words):
        if not word.text.startswith("--"):
            continue
        if _DESTROYING.fullmatch(word.text):
            return IRREVERSIBLE | {"guessed"}
        if _UNGUARDED.fullmatch(word.text):
            return UNGUARDED
        after = words[index + 1 : index + 2]
        if after and after[0].text.lower() in _OFF and _GUARDS.fullmatch(word.text):
            return UNGUARDED
    return NONE


def named_files(words: list[Word]) -> list[Word]:
    """Return the words that plainly name a file, for a program that the catalog does not list.

    A file that an option names as a setting or an identity is the program's own business.
    """
    found: list[Word] = []
    for index, word in enumerate(words):
        option, equals, value = word.text.partition("=")
        text = value if equals else word.text.removeprefix("@")
        before = option if equals else words[index - 1].text if index else ""
        if _FILE.fullmatch(text) and not (before.startswith("-") and _SETTING.match(before)):
            found.append(word if text == word.text else Word(text, word.known, word.source))
    return found
