"""Redaction: what a record may hold. Pure.

Two things happen to every value before a record is built. Credentials of well-known shapes are
replaced by ``[redacted:<kind>:<mark>]``; the mark is the start of a keyed hash, so that the same
secret can be recognised again by whoever has the key, and by nobody else. And a value that strict
JSON cannot hold is replaced by text that it can.

What is recognised, and what is not, is said in ``credentials``.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping
from typing import Final

from rampart.credentials import MARK_START, SHAPES, Shape, is_reference, secret_name
from rampart.limits import PARAMS_DEPTH_MAX, RECORD_FIELD_BYTES_MAX, RECORD_ITEMS_MAX

_MARK_DIGITS: Final = 12
_INTEGER_MAX: Final = 2**64 - 1
_INTEGER_MIN: Final = -(2**63)
_CHARS_MIN: Final = 6  # `-u a:b` is the shortest text that holds a credential

_HINTS: Final = tuple(dict.fromkeys(hint for shape in SHAPES for hint in shape.hints))


class Redactor:
    """Replaces credentials, and values that JSON cannot hold.

    ``key`` makes the marks: HMAC-SHA-256 of the secret, 12 hex digits. Without a key marks are left
    out, because a plain hash of a weak password gives the password away.
    """

    def __init__(self, key: bytes = b"") -> None:
        self._key = key

    def text(self, text: str) -> str:
        """Return ``text`` with every recognised credential replaced."""
        if len(text) < _CHARS_MIN:
            return text
        lowered = text.lower()
        for hint in _HINTS:
            if hint in lowered:
                break
        else:
            return text
        for shape in SHAPES:
            if any(hint in lowered for hint in shape.hints):
                text = self._replace(shape, text)
        return text

    def value(self, value: object, depth: int = 1) -> object:
        """Return ``value`` as strict JSON can hold it, with every recognised credential replaced.

        ``depth`` is how deep it will stand in the record. A string over ``RECORD_FIELD_BYTES_MAX``
        becomes ``{size, sha256}``; what is nested too deep, or beyond ``RECORD_ITEMS_MAX``, becomes
        ``{omitted}``; an object of another kind ``{object}``, its type.
        """
        return _Walk(self).value(value, depth)

    def mark(self, kind: str, secret: str) -> str:
        """Return what stands in a record instead of ``secret``."""
        if not self._key:
            return f"{MARK_START}{kind}]"
        digest = hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256").hex()
        return f"{MARK_START}{kind}:{digest[:_MARK_DIGITS]}]"

    def digest(self, data: bytes) -> str:
        """Return the HMAC-SHA-256 of ``data``: only the key's holder can make it again."""
        return hmac.digest(self._key, data, "sha256").hex()

    def identity(self, text: str) -> str:
        """Return 32 hex digits that stand for ``text``, and that only the key's holder can make."""
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    def _replace(self, shape: Shape, text: str) -> str:
        parts, end = [], 0
        for start, stop in shape.find(text):
            parts += [text[end:start], self.mark(shape.kind, text[start:stop])]
            end = stop
        return "".join((*parts, text[end:])) if parts else text


class _Walk:
    """One pass over one value; bounded in depth and in number of items."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._items = 0

    def value(self, value: object, depth: int, name: str = "") -> object:
        self._items += 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, name)
        if isinstance(value, int):
            return self._number(value, name)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))
        if isinstance(value, bytes | bytearray):
            return self._text(bytes(value).decode("utf-8", "backslashreplace"), name)
        if depth >= PARAMS_DEPTH_MAX or self._items > RECORD_ITEMS_MAX:
            return {"omitted": f"{type(value).__name__}: too deep or too long"}
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._sequence(value, depth, name)
        return {"object": f"{type(value).__module__}.{type(value).__qualname__}"}

    def _mapping(self, value: Mapping[object, object], depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, item in value.items():
            if self._items > RECORD_ITEMS_MAX:
                found["omitted"] = f"{len(value)} items"
                break
            name = self._name(key)
            while name in found:  # two names that became one must not hide a value
                name += "'"
            found[name] = self.value(item, depth + 1, name)
        return found

    def _name(self, key: object) -> str:
        if not isinstance(key, str):
            plain = key is None or isinstance(key, int | float)
            return f"{type(key).__name__} {key}" if plain else type(key).__name__
        name = self._text(key, "")
        if isinstance(name, dict):
            return f"{name['size']} bytes, sha256 {name['sha256']}"
        return str(name)

    def _sequence(
        self,
        value: list[object] | tuple[object, ...] | set[object] | frozenset[object],
        depth: int,
        name: str,
    ) -> list[object]:
        found: list[object] = []
        for item in value:
            if self._items > RECORD_ITEMS_MAX:
                found.append({"omitted": f"{len(value)} items"})
                break
            found.append(self.value(item, depth + 1, name))
        return found

    def _number(self, value: int, name: str) -> object:
        if name and secret_name.search(name):
            return self._redactor.mark("secret", str(value))
        return int(value) if _INTEGER_MIN <= value <= _INTEGER_MAX else hex(value)

    def _text(self, value: str, name: str) -> object:
        text = str(value)
        if not text.isascii():
            # WHY: a lone surrogate is no character; strict readers would refuse the whole line
            text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        if len(text) * 4 > RECORD_FIELD_BYTES_MAX:
            data = text.encode("utf-8")
            if len(data) > RECORD_FIELD_BYTES_MAX:
                return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if name and text and secret_name.search(name) and not is_reference(text):
            return self._redactor.mark("secret", text)
        return self._redactor.text(text)
