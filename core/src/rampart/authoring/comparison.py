"""Comparison: which calls two policies answer differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rampart.authoring.samples import catalog_samples, corpus_of, described
from rampart.authoring.stage import Sample, Stage
from rampart.model import STRICTNESS, Decision, Verdict


@dataclass(frozen=True, slots=True)
class Change:
    """One call that is answered differently; ``origin`` says where the call comes from."""

    text: str
    origin: str
    before: Decision
    after: Decision


@dataclass(frozen=True, slots=True)
class Group:
    """Changes of the same kind: from one rule's word to another's."""

    before: tuple[Verdict, str]
    after: tuple[Verdict, str]
    changes: tuple[Change, ...]

    @property
    def looser(self) -> bool:
        """True if more may be done than before."""
        return STRICTNESS[self.after[0]] < STRICTNESS[self.before[0]]


def changes_of(before: Stage, after: Stage) -> Iterator[Change]:
    """Yield what changes for the calls of both policies' rules, and for the catalog's lines."""
    for sample in _samples(before, after):
        one, other = before.decide(sample), after.decide(sample)
        if one.action != other.action:
            yield Change(described(sample), sample.origin, one, other)


def grouped(changes: Iterable[Change]) -> tuple[Group, ...]:
    """Return changes by the rules that say so, the looser ones first, then the largest groups."""
    found: dict[tuple[tuple[Verdict, str], tuple[Verdict, str]], list[Change]] = {}
    for change in changes:
        key = (_word(change.before), _word(change.after))
        found.setdefault(key, []).append(change)
    groups = [Group(*key, tuple(items)) for key, items in found.items()]
    return tuple(sorted(groups, key=lambda group: (not group.looser, -len(group.changes))))


def _word(decision: Decision) -> tuple[Verdict, str]:
    name = f"{decision.policy}/{decision.rule}" if decision.policy else decision.rule
    return decision.action, name


def _samples(before: Stage, after: Stage) -> Iterator[Sample]:
    seen: set[str] = set()
    for source in (
        corpus_of(before.policies.documents),
        corpus_of(after.policies.documents),
        catalog_samples(),
    ):
        for sample in source:
            key = (
                f"{described(sample)}|{sample.response!r}" if sample.answered else described(sample)
            )
            if key not in seen:
                seen.add(key)
                yield sample
