"""What the checkpoints beside a log say about it: the second half of verification.

Shares no code with the writer. Nothing here reads a record: ``verify`` does, and hands over the
roots of the tree and the keys that the log names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rampart.audit.note import (
    Checkpoint,
    PublicKey,
    UnknownKey,
    checkpoint_text,
    open_checkpoint,
)
from rampart.errors import ProofInvalid

CHECKPOINTS_NAME: Final = "audit.checkpoints"
_BLANK: Final = b"\n\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One note of the file of checkpoints, counted from 1."""

    number: int
    note: bytes
    checkpoint: Checkpoint

    def __str__(self) -> str:
        return f"{CHECKPOINTS_NAME}: checkpoint {self.number}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What signatures vouch for.

    ``checkpoints`` are signed by a trusted key; the newest covers ``records``. ``problem`` says
    what is wrong with one, ``size`` how many records that one is about; ``broken`` tells a damaged
    checkpoint from a sound one that speaks of another log.
    """

    checkpoints: int = 0
    records: int = 0
    newest: bytes = b""
    problem: str = ""
    size: int = 0
    broken: bool = False


def read_entries(directory: Path) -> list[Entry]:
    """Return every checkpoint of a log, oldest first; an incomplete last one is left out.

    Raises: ProofInvalid for one that is none, OSError.
    """
    try:
        data = (directory / CHECKPOINTS_NAME).read_bytes()
    except FileNotFoundError:
        return []
    pieces = data.split(_BLANK)[:-1]  # INVARIANT: an empty line ends the text, and one each note
    found = []
    for at in range(0, len(pieces) - 1, 2):
        number = at // 2 + 1
        note = pieces[at] + _BLANK + pieces[at + 1] + b"\n"
        try:
            found.append(Entry(number, note, checkpoint_text(note)))
        except ProofInvalid as error:
            text = f"{CHECKPOINTS_NAME}: checkpoint {number}: {error.message}"
            raise ProofInvalid(text) from None
    return found


def coverage(
    entries: Iterable[Entry],
    roots: Mapping[int, bytes],
    keys: Sequence[PublicKey],
    named: Sequence[tuple[int, PublicKey]],
) -> Coverage:
    """Return what the checkpoints prove for a log with these ``roots``, by size.

    ``keys`` are trusted. ``named`` are the keys that the log hands over to, with the number of the
    record that does: such a key is trusted once a trusted checkpoint covers its record. Checkpoints
    by other keys are ignored.
    """
    trusted, waiting = list(keys), list(named)
    count, before, newest = 0, 0, b""
    for entry in entries:
        try:
            found = open_checkpoint(entry.note, trusted)
        except UnknownKey:
            continue
        except ProofInvalid as error:
            text = f"{entry}: {error.message}"
            return Coverage(count, before, newest, text, entry.checkpoint.size, broken=True)
        problem = _problem(entry, found, before, roots)
        if problem:
            broken = found.size < before
            return Coverage(count, before, newest, problem, found.size, broken=broken)
        count, before, newest = count + 1, found.size, entry.note
        ours = [key for seq, key in waiting if seq < found.size and key.name == found.origin]
        waiting = [(seq, key) for seq, key in waiting if seq >= found.size]
        trusted += ours
    return Coverage(count, before, newest)


def _problem(entry: Entry, found: Checkpoint, before: int, roots: Mapping[int, bytes]) -> str:
    if found.size < before:
        return f"{entry} is about fewer records than the one before it"
    root = roots.get(found.size)
    if root is None:
        return f"{found.size} records were signed ({entry}), and the log holds fewer"
    if root != found.root:
        return f"one of the records {before} to {found.size - 1} is not the one signed ({entry})"
    return ""
