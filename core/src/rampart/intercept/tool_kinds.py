"""The name of a tool → what kind of tool it says it is: one that looks up, or one that acts.

``tool_names`` says what is dangerous about a name; this module says which side of a session a tool
is on: does it bring in what others wrote, or does it do something in the world? A policy that lets
tools run because they look things up trusts their names; see the profile ``research-agent``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from rampart.intercept.hints import words_of
from rampart.intercept.tool_names import name_effects


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOOKS: Final = _set("""
get gets list lists search searches find finds read reads fetch fetches show shows view views
describe count query lookup look retrieve inspect browse browser navigate visit summarize summarise
explain estimate preview calculate compare analyze analyse translate extract parse check verify
validate monitor track watch crawl scrape classify detect identify recognize recommend suggest rank
filter sort display receive load scan transcribe ask explore discover peek grep glob
""")
"""Verbs that bring something in, and change nothing where they look."""

_ACTS: Final = _set("""
send sends post posts publish publishes share shares submit upload uploads email mail message reply
forward tweet retweet comment notify broadcast call dial invite subscribe unsubscribe follow
unfollow like book reserve order place buy purchase sell trade pay transfer withdraw deposit donate
refund charge checkout swap stake create creates add adds insert write writes save put set update
updates edit modify change changes rename move copy delete deletes remove removes drop destroy purge
clear reset cancel archive close merge approve reject accept decline sign grant revoke share unlock
lock open enable disable activate deactivate block unblock allow assign unassign promote ban kick
execute run exec eval invoke launch start stop restart pause resume kill install uninstall deploy
rollback build schedule reschedule dispatch manage control give take turn switch toggle adjust
increase decrease go drive walk fly print play record capture shoot fill autofill generate make
download export import backup restore sync migrate register unregister enroll login logout sign
connect disconnect link unlink attach detach mount configure config provision request trigger commit
push pull fork clone apply draft append upsert patch flag report mark star vote rate dispute claim
issue award mint burn bridge impersonate hire fire prescribe refill dispense administer order ship
""")
"""Verbs that change, send, spend, grant or start something."""

_JOINS: Final = _set("and or then")
_PARTICLES: Final = _set("in out")
_BEFORE_PARTICLES: Final = _set("check log sign opt clock")  # `check_out` is no looking

_PERSONAL: Final = _set("""
account accounts balance balances bank card cards payment payments payee payees transaction
transactions salary holdings portfolio wallet invoice invoices tax password passwords credential
credentials secret secrets token tokens key keys login address addresses phone contact contacts
friend friends location locations whereabouts history personal private identity passport ssn
license medical health patient patients prescription prescriptions diagnosis genetic dna insurance
reservation reservations booking bookings saved stored linked shipment shipments visitors members
employees customers people person
""")
"""What a tool that looks up may bring in of a person's own: reason to watch what goes out after."""

_NOTES: Final = _set("note notes summary summaries memo outline draft drafts finding findings todo")
_WRITES_NOTES: Final = _set("create write add save append update edit draft take make")
_HANDS_ON: Final = _set("share sharing send public publish permission permissions email mail post")


@lru_cache(maxsize=2048)  # WHY: an agent has few tools and calls them often
def kind_effects(tool: str) -> frozenset[str]:
    """Return ``looks-up`` or ``acts``, with ``personal`` and ``takes-notes``, or nothing.

    The first verb of a name decides, and one that is joined to it by ``and``. A name without a verb
    that is known here says nothing.
    """
    words = words_of(tool)
    present = frozenset(words)
    looks, acts = _verbs(words)
    found = set()
    if acts or name_effects(tool) - {"credential", "guessed"}:
        found.add("acts")
    elif looks:
        found.add("looks-up")
    if present & _PERSONAL or "credential" in name_effects(tool):
        found.add("personal")
    if present & _NOTES and present & _WRITES_NOTES and not present & _HANDS_ON:
        found.add("takes-notes")
    return frozenset(found)


def _verbs(words: tuple[str, ...]) -> tuple[bool, bool]:
    """Return whether a name says that its tool looks something up, and that it acts."""
    looks = False
    joined = True  # a verb counts at the start, and after a word that joins it to another
    for index, word in enumerate(words):
        outward = word in _BEFORE_PARTICLES and _PARTICLES.intersection(
            words[index + 1 : index + 2]
        )
        if word in _JOINS:
            joined = True
        elif not joined:
            continue
        elif word in _ACTS or outward:
            return looks, True
        elif word in _LOOKS:
            looks, joined = True, False
    return looks, False
