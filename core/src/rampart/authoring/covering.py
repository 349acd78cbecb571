"""Does one condition hold wherever another one does? Yes, or not known.

INVARIANT: "yes" is always right; where it would take more than comparing patterns the answer is no.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final

from rampart.policy.document import Condition, Rule
from rampart.policy.path_glob import ANY, GLOBSTAR, STAR, CharacterClass, Token, tokenize
from rampart.policy.paths import Places, expand

PLACES: Final = Places("/.home", "/.workspace")  # stand-ins that no pattern names

_TEXTS: Final = ("command_matches", "command_env_assignments", "program", "session_matches", "tool")
_EXCLUDED_TEXTS: Final = ("command_not_matches", "session_not_matches")
_DOMAINS: Final = ("domain_matches",)
_EITHER: Final = ("effect", "origin")
_HANDLED: Final = frozenset(
    {*_TEXTS, *_EXCLUDED_TEXTS, *_DOMAINS, *_EITHER, "command_contains", "path_matches"}
    | {"path_not_matches", "url_matches", "domain_not_matches", "effect_not"}
)
_CELLS_MAX: Final = 250_000  # two patterns longer than this together are not compared

Cover = Callable[[str, str], bool]


def restricts(rule: Rule) -> bool:
    """True for a rule that is read widely: deny, ask and webhook."""
    return rule.action in ("deny", "ask", "webhook")


def covers(wider: Rule, narrower: Rule) -> bool:
    """True if ``wider``'s condition holds wherever ``narrower``'s does.

    Each is read as its own action says. A grant that stands in the place of ``wider`` is compared
    in the reading of grants, so it says nothing about actions that no grant can cover.
    """
    one, other = wider.when, narrower.when
    if one.of_response != other.of_response or wider.once:
        return False
    if wider.expires_at is not None and wider.expires_at != narrower.expires_at:
        return False
    return (
        _texts_cover(one, other)
        and _paths_cover(one, other, wide=restricts(wider), other_wide=_wide(wider, narrower))
        and _rest_is_equal(one, other)
    )


def _wide(wider: Rule, narrower: Rule) -> bool:
    # WHY: against a grant, what a restriction means is what the two have in common
    return restricts(narrower) and restricts(wider)


def _texts_cover(one: Condition, other: Condition) -> bool:
    return (
        all(_all_covered(getattr(one, n), getattr(other, n), text_covers) for n in _TEXTS)
        and all(_all_covered(getattr(one, n), getattr(other, n), text_covers) for n in _DOMAINS)
        and _all_covered(one.url_matches, other.url_matches, _same_or_all)
        and _all_covered(one.command_contains, other.command_contains, _is_inside)
        and all(_all_excluded(getattr(one, n), getattr(other, n)) for n in _EXCLUDED_TEXTS)
        and _all_excluded(one.domain_not_matches, other.domain_not_matches)
        and all(_is_subset(getattr(other, n), getattr(one, n)) for n in _EITHER)
        and set(one.effect_not) <= set(other.effect_not)
    )


def _all_covered(wide: Sequence[str], narrow: Sequence[str], cover: Cover) -> bool:
    if not wide:
        return True
    return bool(narrow) and all(any(cover(w, n) for w in wide) for n in narrow)


def _all_excluded(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """True if whatever the wider condition excludes is excluded by the narrower one too."""
    return all(any(text_covers(n, w) for n in narrow) for w in wide)


def _is_subset(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def _same_or_all(wide: str, narrow: str) -> bool:
    return wide == narrow or wide.strip("*") == ""


def _is_inside(wide: str, narrow: str) -> bool:
    return wide in narrow


def _paths_cover(one: Condition, other: Condition, *, wide: bool, other_wide: bool) -> bool:
    if one.path_matches:
        if not other.path_matches:
            return False
        big = [glob for pattern in one.path_matches for glob in path_globs(pattern, wide=wide)]
        for pattern in other.path_matches:
            for glob in path_globs(pattern, wide=other_wide):
                if not any(path_covers(each, glob) for each in big):
                    return False
    # an exclusion is written the same way in both, or it is not compared
    return set(one.path_not_matches) <= set(other.path_not_matches)


def _rest_is_equal(one: Condition, other: Condition) -> bool:
    for field in fields(Condition):
        if field.name in _HANDLED:
            continue
        wanted = getattr(one, field.name)
        if wanted not in ((), None, {}) and wanted != getattr(other, field.name):
            return False
    return True


def path_globs(pattern: str, *, wide: bool) -> tuple[str, ...]:
    """Return the globs that a path pattern stands for in a wide or narrow reading."""
    found = expand(pattern, PLACES, wide=wide)
    if not wide:
        return found
    return (*found, *(glob[:-3] for glob in found if glob.endswith("/**") and len(glob) > 3))


def text_covers(wide: str, narrow: str) -> bool:
    """True if the text glob ``wide`` matches every text that ``narrow`` matches."""
    if "*" not in wide and "?" not in wide:
        return wide == narrow
    return _covers(list(_text_tokens(wide)), list(_text_tokens(narrow)))


def path_covers(wide: str, narrow: str) -> bool:
    """True if the path glob ``wide`` matches every path that ``narrow`` matches."""
    return wide == narrow or _covers(list(tokenize(wide)), list(tokenize(narrow)))


def _text_tokens(pattern: str) -> Sequence[Token]:
    found: list[Token] = []
    for character in pattern:
        if character == "*":
            if not found or found[-1] is not GLOBSTAR:
                found.append(GLOBSTAR)
        else:
            found.append(_ANY_TEXT if character == "?" else character)
    return found


_ANY_TEXT: Final = CharacterClass(frozenset(), (), negated=True)
"""``?`` of a text glob, which also takes a slash."""


def _covers(wide: Sequence[Token], narrow: Sequence[Token]) -> bool:
    """Walk ``narrow`` as a text over tokens: only a star takes a star."""
    if len(wide) * len(narrow) > _CELLS_MAX:
        return False
    states = _closed({0}, set(), wide)
    for token in narrow:
        stays: set[int] = set()
        enters: set[int] = set()
        for state in states:
            if state == len(wide):
                continue
            each = wide[state]
            if each is GLOBSTAR or (each is STAR and token != "/" and token is not GLOBSTAR):  # noqa: S105 - a glob's token
                stays.add(state)
            elif _takes(each, token):
                enters.add(state + 1)
        states = _closed(enters, stays, wide)
        if not states:
            return False
    return len(wide) in states


def _closed(enters: set[int], stays: set[int], wide: Sequence[Token]) -> set[int]:
    """Add the states that are reached by taking nothing: behind a star, or over `**/`."""
    found = enters | stays
    pending = [(state, state in enters) for state in found]
    while pending:
        state, entered = pending.pop()
        if state == len(wide) or (wide[state] is not STAR and wide[state] is not GLOBSTAR):
            continue
        ahead = [(state + 1, False)]
        head = state == 0 or wide[state - 1] == "/"
        # WHY entered: `**/` stands for no segment at all, not for a part of one
        if entered and head and wide[state] is GLOBSTAR and wide[state + 1 : state + 2] == ["/"]:
            ahead.append((state + 2, True))
        for each in ahead:
            if each[0] not in found or each[1]:
                found.add(each[0])
                pending.append(each)
    return found


def _takes(wide: Token, narrow: Token) -> bool:
    if narrow is STAR or narrow is GLOBSTAR:
        return False
    if wide is _ANY_TEXT:
        return True
    if wide is ANY:
        return narrow != "/"
    if isinstance(wide, CharacterClass):
        return wide == narrow or (isinstance(narrow, str) and wide.holds(narrow))
    return wide == narrow
