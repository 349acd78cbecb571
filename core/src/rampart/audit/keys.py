"""The keys that checkpoints are signed with: made, kept, and replaced.

A directory of two files. ``audit.key`` is the private key, one line in the notation of Go's signer
keys, mode 0600. ``audit.pub`` holds the public keys, one a line, the newest last: what people give
to whoever is to verify the log. Both change under the log's lock only.

MUST NOT read a private key that others may read, or follow a symbolic link to one.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from rampart.audit.note import ED25519, SIGNATURE_START, PublicKey, is_key_name, parse_public_keys
from rampart.errors import AuditUnavailable, ProofInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

T = TypeVar("T")

PUBLIC_NAME: Final = "audit.pub"
PRIVATE_NAME: Final = "audit.key"
_NEXT_NAME: Final = "audit.key.next"
_START: Final = "PRIVATE+KEY+"
_FILE_BYTES_MAX: Final = 64 * 1024  # hundreds of keys
_SEED_BYTES: Final = 32
_OTHERS: Final = 0o077
_OTHERS_MAY_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and its name, which is the origin of the log's checkpoints."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    @property
    def public(self) -> PublicKey:
        """The key that others verify with."""
        return PublicKey(self.name, self._key().public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return the signature line for a note's text."""
        data = self.public.id + self._key().sign(text.encode())
        return f"{SIGNATURE_START}{self.name} {base64.b64encode(data).decode()}\n"

    def dump(self) -> str:
        """Return the private key as text."""
        encoded = base64.b64encode(ED25519 + self.seed).decode()
        return f"{_START}{self.name}+{self.public.id.hex()}+{encoded}"

    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


def parse_signer(text: str) -> Signer:
    """Return the key that ``Signer.dump`` wrote. Raises: ProofInvalid."""
    name, _, rest = text.strip().removeprefix(_START).partition("+")
    number, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        data = b""
    whole = len(data) == 1 + _SEED_BYTES and data[:1] == ED25519
    if not text.startswith(_START) or not is_key_name(name) or not whole:
        raise ProofInvalid("not a private key for checkpoints")
    signer = Signer(name, data[1:])
    if signer.public.id.hex() != number:
        raise ProofInvalid("the private key does not fit its id")
    return signer


class KeyStore:
    """The keys in ``directory``. Nothing is created before the first checkpoint is signed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def public_path(self) -> Path:
        """The file of public keys."""
        return self._directory / PUBLIC_NAME

    def public_keys(self) -> list[PublicKey]:
        """Return the public keys, the newest last; none if there is no key yet.

        Raises: AuditUnavailable.
        """
        text = self._read(PUBLIC_NAME, _OTHERS_MAY_WRITE)
        return [] if text is None else _parsed(parse_public_keys, text, self.public_path)

    def signer(self) -> Signer:
        """Return the key in use; make the first one. Raises: AuditUnavailable."""
        text = self._read(PRIVATE_NAME, _OTHERS)
        if text is not None:
            signer = _parsed(parse_signer, text, self._directory / PRIVATE_NAME)
        elif self.public_keys():
            # INVARIANT: a key that is gone is not replaced in silence
            raise AuditUnavailable(
                f"{self._directory / PRIVATE_NAME}: the key is gone",
                help="restore it, or keep this log as it is and start another one",
            )
        else:
            signer = Signer(f"rampart.log/{secrets.token_hex(8)}", secrets.token_bytes(32))
            self._write(PRIVATE_NAME, signer.dump(), 0o600)
        self._publish(signer)
        return signer

    def next_signer(self) -> Signer:
        """Return the key that is to follow; the same one until it is ``take_next``.

        It has the name of the present one: it is the same log. Raises: AuditUnavailable.
        """
        text = self._read(_NEXT_NAME, _OTHERS)
        if text is not None:
            return _parsed(parse_signer, text, self._directory / _NEXT_NAME)
        following = Signer(self.signer().name, secrets.token_bytes(32))
        self._write(_NEXT_NAME, following.dump(), 0o600)
        return following

    def take_next(self) -> None:
        """Put the next key in the place of the present one, which is gone then."""
        self._publish(self.next_signer())
        with _as_audit_error():
            (self._directory / _NEXT_NAME).replace(self._directory / PRIVATE_NAME)
            self._sync()

    def _publish(self, signer: Signer) -> None:
        known = self.public_keys()
        if signer.public not in known:
            lines = "".join(f"{key}\n" for key in [*known, signer.public])
            self._write(PUBLIC_NAME, lines.removesuffix("\n"), 0o644)

    def _read(self, name: str, forbidden: int) -> str | None:
        path = self._directory / name
        with _as_audit_error():
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(fd)
                if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
                    raise AuditUnavailable(f"{path}: not a file of ours")
                if status.st_mode & forbidden:
                    raise AuditUnavailable(
                        f"{path}: others may use it", help=f"chmod go-rwx {path}"
                    )
                return file.read(_FILE_BYTES_MAX).decode("utf-8", "replace")

    def _write(self, name: str, text: str, mode: int) -> None:
        with _as_audit_error():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self._directory / f".{name}.{secrets.token_hex(8)}"
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(fd)
            fresh.replace(self._directory / name)
            self._sync()

    def _sync(self) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _parsed(parse: Callable[[str], T], text: str, path: Path) -> T:
    try:
        return parse(text)
    except ProofInvalid as error:
        raise AuditUnavailable(f"{path}: {error.message}") from None


@contextlib.contextmanager
def _as_audit_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuditUnavailable(f"{error.filename}: {error.strerror}") from None
