"""Proofs that others check without the log: that a record is in it, and that it only ever grew.

An inclusion proof is a file in the format of C2SP tlog-proof (https://c2sp.org/tlog-proof): the
record itself (as ``extra``), its number, the path to the root, and the signed checkpoint with that
root. Whoever has the public key needs nothing else. Shares no code with the writer.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rampart.audit.merkle import (
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_of,
    verify_inclusion,
)
from rampart.audit.note import Checkpoint, PublicKey, open_checkpoint
from rampart.audit.signed import Entry, read_entries
from rampart.errors import AuditError, AuditUnavailable, ProofInvalid
from rampart.limits import PROOF_BYTES_MAX, RECORD_BYTES_MAX

FORMAT: Final = "c2sp.org/tlog-proof@v1"
_SEGMENT: Final = re.compile(r"audit-[0-9]{20}\.jsonl")
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_HEAD_BYTES: Final = 128  # the id of a record stands within these


class NotSigned(AuditError):
    """The record is in no checkpoint yet."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof proves: that ``line`` is record ``index`` of the log of ``checkpoint``."""

    line: bytes
    index: int
    checkpoint: Checkpoint

    @property
    def record(self) -> dict[str, object]:
        """The record's members."""
        found = json.loads(self.line)
        assert isinstance(found, dict)
        return found


def prove_record(directory: Path, record: str, keys: Sequence[PublicKey]) -> bytes:
    """Return the proof that a record, named by its id or its hash, is in the log.

    Raises: NotSigned, ProofInvalid if the log is not the one that was signed, AuditUnavailable.
    """
    leaves, index, found = _leaves(directory, record)
    if found is None:
        raise AuditError(f"there is no record {record!r}", help="`rampart audit tail` shows ids")
    note, newest = _newest(directory, leaves, keys)
    if newest is None or newest.size <= index:
        raise NotSigned(
            f"record {index} is in no checkpoint yet",
            help="`rampart audit checkpoint` signs the log as it stands",
        )
    path = inclusion_path(leaves[: newest.size], index)
    lines = [FORMAT, f"extra {_text(found)}", f"index {index}", *map(_text, path), ""]
    return "\n".join(lines).encode() + b"\n" + note


def check_proof(proof: bytes, keys: Sequence[PublicKey]) -> Proven:
    """Return what a proof proves to whoever trusts ``keys``. Raises: ProofInvalid."""
    if len(proof) > PROOF_BYTES_MAX:
        raise ProofInvalid(f"a proof of {len(proof)} bytes; the limit is {PROOF_BYTES_MAX}")
    head, blank, note = proof.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ProofInvalid("this is no proof") from None
    if not blank or len(lines) < 3 or lines[0] != FORMAT or not lines[1].startswith("extra "):
        raise ProofInvalid(f"a proof begins with {FORMAT!r}, the record and its number")
    number = _INDEX.fullmatch(lines[2])
    if number is None:
        raise ProofInvalid("the proof does not say which record it is about")
    line, index = _bytes(lines[1].removeprefix("extra ")), int(number[1])
    checkpoint = open_checkpoint(note, keys)
    path = [_bytes(step) for step in lines[3:]]
    if not verify_inclusion(leaf_hash(line), index, checkpoint.size, path, checkpoint.root):
        raise ProofInvalid("the record is not the one in the log that was signed")
    proven = Proven(line, index, checkpoint)
    try:
        seq = proven.record.get("seq")
    except (ValueError, AssertionError, RecursionError):
        seq = None
    if seq != index:
        raise ProofInvalid("what the proof is about is not a record")
    return proven


def consistency_proof(directory: Path, earlier: int, later: int) -> list[bytes]:
    """Return the proof that the log of ``later`` records continues the one of ``earlier``.

    Raises: AuditError if there are not that many records, AuditUnavailable.
    """
    leaves, _index, _line = _leaves(directory, "", limit=later)
    if not 1 <= earlier <= later or len(leaves) < later:
        raise AuditError(f"the log has no trees of {earlier} and {later} records")
    return consistency_path(leaves, earlier)


def newest_checkpoint(directory: Path, keys: Sequence[PublicKey]) -> bytes | None:
    """Return the newest checkpoint that one of ``keys`` signed; its root is not compared.

    Raises: ProofInvalid, AuditUnavailable.
    """
    for entry in reversed(_entries(directory)):
        try:
            open_checkpoint(entry.note, keys)
        except ProofInvalid:
            continue
        return entry.note
    return None


def _newest(
    directory: Path, leaves: Sequence[bytes], keys: Sequence[PublicKey]
) -> tuple[bytes, Checkpoint | None]:
    """Return the newest checkpoint by a trusted key, its root compared with the log."""
    note = newest_checkpoint(directory, keys)
    if note is None:
        return b"", None
    found = open_checkpoint(note, keys)
    if found.size > len(leaves) or root_of(leaves[: found.size]) != found.root:
        raise ProofInvalid("the log is not the one that was signed", help="rampart audit verify")
    return note, found


def _entries(directory: Path) -> list[Entry]:
    try:
        return read_entries(directory)
    except OSError as error:
        raise AuditUnavailable(f"{error.filename}: {error.strerror}") from None


def _leaves(
    directory: Path, record: str, *, limit: int | None = None
) -> tuple[list[bytes], int, bytes | None]:
    """Return every line's leaf, and the number and the line of the record that is named."""
    by_id, by_hash = f'"id":"{record}"'.encode(), f'"hash":"{record}"}}'.encode()
    leaves: list[bytes] = []
    index, found = -1, None
    for line in _lines(directory):
        if limit is not None and len(leaves) >= limit:
            break
        if record and (line.find(by_id, 0, _HEAD_BYTES) >= 0 or line.endswith(by_hash)):
            index, found = len(leaves), line
        leaves.append(leaf_hash(line))
    return leaves, index, found


def _lines(directory: Path) -> Iterator[bytes]:
    try:
        names = sorted(path.name for path in directory.iterdir() if _SEGMENT.fullmatch(path.name))
        if not names:
            raise AuditUnavailable(f"{directory}: there is no audit log here")
        for name in names:
            with (directory / name).open("rb") as file:
                while line := file.readline(RECORD_BYTES_MAX + 1):
                    if line.endswith(b"\n"):
                        yield line[:-1]
    except OSError as error:
        raise AuditUnavailable(f"{error.filename}: {error.strerror}") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofInvalid("a line of the proof is not in base64") from None
    if _text(data) != text:
        raise ProofInvalid("a line of the proof is not in the one spelling of base64")
    return data
