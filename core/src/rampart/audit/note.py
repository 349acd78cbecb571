"""Signed notes and checkpoints, as whoever checks them reads them. Pure.

C2SP signed-note (https://c2sp.org/signed-note) with Ed25519 keys, and the checkpoint that is its
text (https://c2sp.org/tlog-checkpoint): origin, size and root of a log's tree.

MUST ignore signatures of unknown keys, and refuse a note that a known key did not sign.
MUST accept one spelling of everything: a note that was changed in any bit is another note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rampart.audit.merkle import HASH_BYTES
from rampart.errors import ProofInvalid
from rampart.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX

SIGNATURE_START: Final = "— "
ED25519: Final = b"\x01"  # the signature type of C2SP
_KEY_ID_BYTES: Final = 4
_KEY_BYTES: Final = 32
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


class UnknownKey(ProofInvalid):
    """A note that none of the keys at hand has signed."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that notes are verified with; as text ``name+id+key``, which C2SP calls a vkey."""

    name: str
    key: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that a signature names its key by."""
        start = hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.key)
        return start.digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.key).decode()}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of a log at one moment, signed: ``size`` lines under ``root``."""

    origin: str
    size: int
    root: bytes


def parse_public_key(text: str) -> PublicKey:
    """Return the key that one line of a key file holds. Raises: ProofInvalid."""
    name, _, rest = text.strip().partition("+")
    number, _, encoded = rest.partition("+")
    data = _base64(encoded, "a key")
    if not is_key_name(name) or data[:1] != ED25519 or len(data) != 1 + _KEY_BYTES:
        raise ProofInvalid("a public key is `name+id+key`, and an Ed25519 key")
    key = PublicKey(name, data[1:])
    if key.id.hex() != number:
        raise ProofInvalid(f"the key of {name} does not fit its id")
    return key


def parse_public_keys(text: str) -> list[PublicKey]:
    """Return the keys of a key file: one a line, `#` starts a comment. Raises: ProofInvalid."""
    lines = (line.strip() for line in text.splitlines())
    return [parse_public_key(line) for line in lines if line and not line.startswith("#")]


def is_key_name(name: str) -> bool:
    """True if a key may have this name."""
    return bool(name) and "+" not in name and not any(one.isspace() for one in name)


def open_note(note: bytes, keys: Iterable[PublicKey]) -> tuple[str, list[PublicKey]]:
    """Return the text of a note and the keys that signed it, at least one.

    Raises: ProofInvalid if it is no note, if a known key's signature does not fit, or if no known
    key signed it.
    """
    text, signatures = split_note(note)
    known = {(key.name, key.id): key for key in keys}
    signers = []
    for name, number, signature in signatures:
        key = known.get((name, number))
        if key is None or key in signers:
            continue
        if not _fits(key, signature, text.encode()):
            raise ProofInvalid(f"the signature of {name} is wrong")
        signers.append(key)
    if not signers:
        raise UnknownKey("no known key signed this")
    return text, signers


def open_checkpoint(note: bytes, keys: Iterable[PublicKey]) -> Checkpoint:
    """Return the checkpoint in a note that one of ``keys`` signed.

    Raises: ProofInvalid, also if the key is not the one of the log that the checkpoint names.
    """
    text, signers = open_note(note, keys)
    found = parse_checkpoint(text)
    if all(key.name != found.origin for key in signers):
        raise ProofInvalid(f"the checkpoint of {found.origin} is signed by another log")
    return found


def parse_checkpoint(text: str) -> Checkpoint:
    """Return what a note's text says. Raises: ProofInvalid."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise ProofInvalid("a checkpoint is an origin, a size and a root, each in its line")
    if not _SIZE.fullmatch(lines[1]):
        raise ProofInvalid("the size of a checkpoint is no number")
    root = _base64(lines[2], "the root")
    if len(root) != HASH_BYTES:
        raise ProofInvalid("the root of a checkpoint is no SHA-256")
    return Checkpoint(lines[0], int(lines[1]), root)


def checkpoint_text(note: bytes) -> Checkpoint:
    """Return the checkpoint in a note without verifying who signed it. Raises: ProofInvalid."""
    return parse_checkpoint(split_note(note)[0])


def split_note(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return a note's text and its signatures: name, key id, signature. Raises: ProofInvalid."""
    if len(note) > NOTE_BYTES_MAX:
        raise ProofInvalid(f"a note of {len(note)} bytes; the limit is {NOTE_BYTES_MAX}")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise ProofInvalid("a note is text in UTF-8") from None
    text, blank, rest = whole.rpartition("\n\n")
    if not blank or not rest.endswith("\n") or _CONTROL.search(whole):
        raise ProofInvalid("a note is a text, an empty line and signatures")
    lines = rest.removesuffix("\n").split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise ProofInvalid(f"a note with {len(lines)} signatures")
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(SIGNATURE_START).partition(" ")
    if not line.startswith(SIGNATURE_START) or not space or not is_key_name(name):
        raise ProofInvalid("a line of signatures is no signature")
    data = _base64(encoded, "a signature")
    if len(data) <= _KEY_ID_BYTES:
        raise ProofInvalid("a signature is too short")
    return name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:]


def _fits(key: PublicKey, signature: bytes, text: bytes) -> bool:
    # WHY here: it takes longer to import than most commands take to run
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofInvalid(f"{what} is not in base64") from None
    if base64.b64encode(data).decode() != text:  # WHY: the unused bits of the last digit
        raise ProofInvalid(f"{what} is not in the one spelling of base64")
    return data
