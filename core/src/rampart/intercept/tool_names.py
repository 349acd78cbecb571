"""The name of a tool → what it says the tool does.

Servers and frameworks name their tools after what they do: ``delete_repository``,
``BankManagerTransferFunds``, ``mcp__stripe__create_refund``. A name only adds effects, so a wrong
reading can only tighten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from rampart.intercept.hints import words_of
from rampart.intercept.params import plain_name

_NONE: Final[frozenset[str]] = frozenset()
_Rule = tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOOKS: Final = _set("""
get gets list lists search find read fetch show view describe count query lookup retrieve inspect
browse summarize explain estimate preview simulate calculate
""")
"""Verbs that only look. What follows one is what is looked at: ``list_payments``."""

_LOOKS_FIRST: Final = _LOOKS | _set("""
is can has should check validate verify plan monitor track watch test dry diff compare parse
convert
""")  # WHY: inside a name these are nouns as well: `test_environment_destroy`

_JOINS: Final = _set("and or then")  # `find_one_and_delete` does not only look

_FILES: Final = _set("file files path paths directory directories dir folder folders")
_SMALL: Final = _set("""
line lines cell cells row column label labels reaction bookmark entity entities observation
observations relation relations memory memories todo todos task tasks item items draft text
character selection word node nodes element elements shape layer slide tab cookie cookies thought
block paragraph filter duplicates whitespace background noise stopwords outliers reminder na nan
nulls drag process terminal session thread columns pin down right left css
""")
"""What is removed every day, and is easily made again."""

_HANDED_OVER: Final = _set("agent agents human humans operator call file files control assistant")
"""``transfer_to_refund_agent`` hands over a talk, not money."""

_UNPAID: Final = (
    _HANDED_OVER
    | _LOOKS
    | _set("git branch code repo repository style test payload owner ownership battery batteries")
    | _set("columns column rows row lines words panes faces buffers letters elements")
)

_DESTROYS: Final = _set("""
delete deletes deletion drop destroy destroys purge truncate wipe erase nuke terminate uninstall
revoke decommission deprovision unpublish unregister expunge obliterate teardown shutdown
""")
_STORED: Final = _set("""
database databases db table tables collection collections bucket buckets index indexes volume
volumes container containers instance instances cluster clusters namespace namespaces project
projects repo repository repositories branch branches snapshot snapshots backup backups release
releases server servers service services app application account accounts user users member
members group groups team teams organization org workspace channel channels domain domains zone
zones queue queues topic topics stack stacks environment environments secret secrets key keys
role roles permission permissions access webhook device devices customer customers all everything
""")
_STATE: Final = _STORED | _set(
    "password passwords factory state schema credentials data logs log history"
)
_STOPPED: Final = _STORED - _set("""
container containers channel channels topic topics key keys role roles permission permissions
index indexes access all everything webhook branch branches server servers service services app
""") | _set("subscription subscriptions")
_BOOKED: Final = _set(
    "subscription subscriptions account plan policy contract membership insurance"
)
_MONEY: Final = _set(
    "money funds fund cash sol eth btc crypto token tokens coin coins transaction usd"
)
_BILLS: Final = _set("bill bills invoice invoices")
_RIGHTS: Final = _set("""
permission permissions role roles password passwords privilege privileges visibility acl acls
owner ownership protection sharing iam
""")
_KEYS: Final = _set("key keys token tokens credential credentials secret secrets")
_KEY_KINDS: Final = _set("api access service ssh deploy auth signing private")
_KEPT_KEYS: Final = _KEY_KINDS | _set("token credential credentials")
_MAKES: Final = _set("create generate rotate regenerate")
_GUARDS: Final = _set("""
mfa 2fa factor alarm alarms security logging protection firewall guard antivirus audit encryption
ssl tls authentication verification backup backups
""")
_DOORS: Final = _set("door doors car vehicle home house garage safe lock gate")
_PACKAGES: Final = _set("""
package packages release crate gem module extension app site dataset model version article post
""")
_INFRASTRUCTURE: Final = _set("terraform tofu pulumi cloudformation infrastructure infra stack")
_MERGED: Final = _set("pull pr request mr branch branches main master")

_JOINING: Final = _set("create add invite update set assign register change make modify edit")
_RANKS: Final = _set("""
admin administrator administrators owner owners root superuser superadmin sudo wheel cluster-admin
maintainer org_admin
""")
_BOXES: Final = _set("docker container containers pod kubernetes k8s podman vm sandbox")
_SHARED: Final = _set("share sharing permission permissions visibility access acl publish")
_EVERYBODY: Final = _set("""
anyone public everyone everybody world anyone_with_link anyonewithlink allusers public-read
""")
_RANK_KEYS: Final = _set("role roles permission permissions group groups access accesslevel rank")
_OPERATIONS: Final = _set("action operation op subcommand verb method httpmethod function")
_OPERATION_CHARS_MAX: Final = 64  # longer than the name of any operation
_FORCED: Final = _set("push reset checkout clean branch rebase restore")
_SIZED: Final = _set("scale resize")
_ROLLED_OUT: Final = _set("deploy rollout promote")
_SWITCHED: Final = _FORCED | _SIZED | _ROLLED_OUT | _JOINING | _BOXES | _SHARED
_SWITCHES: Final = _set("force hard mode forcepush forced type resettype")
_HARD: Final = _set("hard --hard force --force -f true")
_PRODUCTION: Final = _set("prod production live")
_COUNTS: Final = _set("replicas count size desiredcount desiredcapacity nodes nodecount instances")

_ANY: Final[frozenset[str]] = frozenset()
_RULES: Final[tuple[_Rule, ...]] = (
    # verbs, objects of which one must be named (none: any), objects that it is not about, effects
    (_DESTROYS, _ANY, _SMALL | _FILES, _set("irreversible")),
    (_set("remove detach"), _STORED, _SMALL | _FILES, _set("irreversible")),
    (_set("reset clear flush prune recreate"), _STATE, _set("cache filter"), _set("irreversible")),
    (_set("cancel"), _BOOKED, _ANY, _set("irreversible")),
    (_set("force"), _set("push reset"), _ANY, _set("irreversible")),
    (
        _set("pause suspend disable deactivate archive stop freeze ban"),
        _STOPPED,
        _set("dev local debug test"),
        _set("kills"),
    ),
    (_set("reboot poweroff halt"), _ANY, _ANY, _set("halts")),
    (
        _set("transfer transfers withdraw payout refund purchase donate deposit wire checkout"),
        _ANY,
        _UNPAID,
        _set("pays"),
    ),
    (_set("payment payments pay buy sell charge stake swap"), _ANY, _UNPAID, _set("pays")),
    (_set("send"), _MONEY, _ANY, _set("pays")),
    (_set("sign approve"), _set("transaction spend allowance"), _ANY, _set("pays")),
    (_set("place submit"), _set("order orders trade"), _ANY, _set("pays")),
    (_set("issue give"), _set("credit credits"), _ANY, _set("pays")),
    (_set("settle"), _BILLS, _ANY, _set("pays")),
    (_set("grant impersonate elevate"), _ANY, _ANY, _set("accounts")),
    (_set("add invite"), _set("collaborator collaborators admin owner"), _ANY, _set("accounts")),
    (
        _set("set update change modify edit reset promote assign attach put add transfer"),
        _RIGHTS,
        _ANY,
        _set("accounts"),
    ),
    (_set("make set change share"), _set("public publicly visibility"), _ANY, _set("accounts")),
    (_set("disable deactivate bypass skip"), _GUARDS, _ANY, _set("disables-security")),
    (_set("unlock disarm"), _DOORS, _ANY, _set("disables-security")),
    (_set("publish unlist"), _PACKAGES, _ANY, _set("publishes")),
    (_set("merge"), _MERGED, _ANY, _set("deploys force")),
    (_set("apply"), _INFRASTRUCTURE, _ANY, _set("deploys force")),
    (_set("deploy rollback rollout"), _ANY, _ANY, _set("deploys")),
    (_set("install sideload"), _ANY, _set("dependencies requirements"), _set("installs")),
    (
        _set("add register load enable"),
        _set("tool plugin plugins extension extensions"),
        _ANY,
        _set("installs"),
    ),
)


@lru_cache(maxsize=2048)  # WHY: an agent has few tools and calls them often
def name_effects(tool: str) -> frozenset[str]:
    """Return the effects that the name of ``tool`` announces, with ``guessed``, or nothing."""
    words = words_of(tool)
    present = frozenset(words)
    if present & _MAKES and present & _KEYS and present & _KEPT_KEYS:
        return _set("accounts guessed")
    found = set(_shown(words, present))
    for verb in _verbs(words):
        for verbs, objects, others, effects in _RULES:
            if verb in verbs and (not objects or present & objects) and not present & others:
                found |= effects
    if "deploys" in found and present & _PRODUCTION:
        found.add("force")
    return frozenset(found | {"guessed"}) if found else _NONE


def switch_effects(tool: str, arguments: Mapping[str, object]) -> frozenset[str]:
    """Return what arguments make of a tool that is harmless without them: ``git_push`` by force."""
    for key, value in arguments.items():
        if isinstance(value, str) and value.isascii() and plain_name(key) in _OPERATIONS:
            found = name_effects(f"{tool}_{value[:_OPERATION_CHARS_MAX]}")
            if found:
                return found
    words = _switched(tool)
    if not words:
        return _NONE
    if words & _FORCED and any(
        value is True or value in _HARD
        for key, value in arguments.items()
        if plain_name(key) in _SWITCHES and isinstance(value, bool | str)
    ):
        return _set("irreversible guessed")
    if words & _JOINING and any(
        isinstance(value, str) and value.lower() in _RANKS and plain_name(key) in _RANK_KEYS
        for key, value in arguments.items()
    ):
        return _set("accounts guessed")
    if words & _SHARED and any(
        isinstance(value, str) and value.lower() in _EVERYBODY for value in arguments.values()
    ):
        return _set("accounts guessed")
    if words & _BOXES and any(
        value is True and plain_name(key) in ("privileged", "hostnetwork", "hostpid")
        for key, value in arguments.items()
    ):
        return _set("disables-security guessed")
    if words & _SIZED and any(
        value in (0, "0") for key, value in arguments.items() if plain_name(key) in _COUNTS
    ):
        return _set("kills guessed")
    if words & _ROLLED_OUT and any(
        isinstance(value, str) and value.lower() in _PRODUCTION for value in arguments.values()
    ):
        return _set("force guessed")
    return _NONE


@lru_cache(maxsize=2048)
def _switched(tool: str) -> frozenset[str]:
    """Return the words of a tool's name that arguments can make something else of."""
    return frozenset(words_of(tool)) & _SWITCHED


def _verbs(words: tuple[str, ...]) -> Iterator[str]:
    """Yield the words that may be the verb: after one that only looks there is none."""
    looking = words[:1] != () and words[0] in _LOOKS_FIRST
    for word in words:
        if word in _JOINS:
            looking = False
        elif word in _LOOKS:
            looking = True
        elif not looking:
            yield word


def _shown(words: tuple[str, ...], present: frozenset[str]) -> frozenset[str]:
    """Return ``credential`` for a tool that shows secrets: ``get_secret_value``."""
    if not present & _set(
        "get read reveal export dump show fetch retrieve list decrypt share send fill"
    ):
        return _NONE
    if present & _set("info hint hints scanning alerts santa"):
        return _NONE
    named = present & _set("secret secrets password passwords credential credentials mnemonic env")
    kinds = present & _KEYS and present & (_KEY_KINDS - {"service", "auth"})
    return _set("credential") if named or kinds or "reveal" in words else _NONE
