"""Redaction: what a record may hold. Pure.

Two things happen to every value before a record is built. Credentials of well-known shapes are
replaced by ``[redacted:<kind>:<mark>]``; the mark is the start of a keyed hash, so that the same
secret can be recognised again by whoever has the key, and by nobody else. And a value that strict
JSON cannot hold is replaced by text that it can.

LIMIT: shapes are recognised, meaning is not. A password that looks like any other word, outside a
pair or header that names it, is recorded as it stands.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rampart.limits import PARAMS_DEPTH_MAX, RECORD_FIELD_BYTES_MAX, RECORD_ITEMS_MAX

_MARK_DIGITS: Final = 12
_MARK_START: Final = "[redacted:"
_INTEGER_MAX: Final = 2**64 - 1
_INTEGER_MIN: Final = -(2**63)
_CHARS_MIN: Final = 6  # `-u a:b` is the shortest text that holds a credential
_KIND_CHARS_MAX: Final = 48  # a mark's start and the longest kind
_WORD_CHARS_MIN: Final = 20  # a bearer token is longer than a word, or holds more than letters

_NAME: Final = (
    r"(?:pass(?:word|wd|phrase)|(?<=_)pwd|secret|token|credentials?"
    r"|(?:api|access|private|signing|encryption|account)[_-]?key)"
)
_QUOTES: Final = r"\\{0,4}[\"']?"
_VALUE: Final = (
    r"(?:\\{0,4}\"([^\"\n\\]{1,4096})|\\{0,4}'([^'\n\\]{1,4096})|([^\s\"'&;,|<>(){}]{1,4096}))"
)
_secret_key = re.compile(rf"(?:{_NAME}|authorization)$", re.IGNORECASE)

_Keep = Callable[[str], bool]


def _is_reference(text: str) -> bool:
    # WHY: `password=$DB_PASSWORD` names a secret and holds none
    return text.startswith(("$", _MARK_START))


def _inside_mark(match: re.Match[str]) -> bool:
    # WHY: the kind in `[redacted:github_token:…]` is itself a name that announces a secret
    start = match.start()
    opened = match.string.rfind(_MARK_START, max(0, start - _KIND_CHARS_MAX), start)
    return opened >= 0 and match.string.find("]", opened, start) < 0


def _is_word(text: str) -> bool:
    return text.isalpha() and len(text) < _WORD_CHARS_MIN


def _is_not_basic(text: str) -> bool:
    try:
        return b":" not in base64.b64decode(text + "==", validate=False)
    except (binascii.Error, ValueError):
        return True


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of credential.

    The pattern's last group is the secret; ``hints`` are lower-case texts one of which every match
    contains, so that most texts are never scanned; ``keep`` says which matches are no secrets.

    INVARIANT: linear. A pattern either matches or fails within a bounded number of characters of
    its start, or it can only start at a boundary of its own alphabet.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    keep: _Keep = _is_reference


SHAPES: Final[tuple[Shape, ...]] = (
    Shape(
        "private_key",
        ("private key",),
        re.compile(
            r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z))",
            re.DOTALL,
        ),
    ),
    Shape(
        "jwt",
        ("eyj",),
        re.compile(
            r"(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{5,}+\.eyJ[A-Za-z0-9_-]{2,}+\.[A-Za-z0-9_-]*+)"
        ),
    ),
    Shape(
        "aws_key",
        ("akia", "asia", "abia", "acca"),
        re.compile(r"((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})"),
    ),
    Shape(
        "github_token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"((?:gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_[A-Za-z0-9_]{20,}+))"),
    ),
    Shape(
        "gitlab_token",
        (
            "glpat-",
            "gldt-",
            "glrt-",
            "glrtr-",
            "glft-",
            "glsoat-",
            "glptt-",
            "glcbt-",
            "glimt-",
            "glagent-",
            "gloas-",
            "glffct-",
        ),
        re.compile(
            r"(gl(?:pat|dt|rt|rtr|ft|soat|ptt|cbt|imt|agent|oas|ffct)-[A-Za-z0-9_.-]{20,}+)"
        ),
    ),
    Shape(
        "slack_token",
        ("xox", "xapp-"),
        re.compile(r"((?:xox[abceoprs]|xapp)-[A-Za-z0-9.-]{10,}+)"),
    ),
    Shape(
        "slack_webhook",
        ("hooks.slack.com/",),
        re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{10,}+)"),
    ),
    Shape("anthropic_key", ("sk-ant-",), re.compile(r"(sk-ant-[A-Za-z0-9_-]{16,}+)")),
    Shape("openai_key", ("sk-",), re.compile(r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{20,}+)")),
    Shape(
        "stripe_key",
        ("k_live_", "k_test_"),
        re.compile(r"([rs]k_(?:live|test)_[A-Za-z0-9]{16,}+)"),
    ),
    Shape("google_key", ("aiza",), re.compile(r"(AIza[A-Za-z0-9_-]{35})")),
    Shape("npm_token", ("npm_",), re.compile(r"(npm_[A-Za-z0-9]{36})")),
    Shape("pypi_token", ("pypi-",), re.compile(r"(pypi-[A-Za-z0-9_-]{50,}+)")),
    Shape("huggingface_token", ("hf_",), re.compile(r"(hf_[A-Za-z0-9]{30,}+)")),
    Shape(
        "authorization",
        ("authorization",),
        re.compile(
            rf"authorization{_QUOTES}[ \t]{{0,8}}[:=][ \t]{{0,8}}{_QUOTES}"
            r"(?:[A-Za-z]{2,16}[ \t]{1,8})?([^\s\"'\\]{1,4096})",
            re.IGNORECASE,
        ),
    ),
    Shape(
        "basic",
        ("basic",),
        re.compile(r"\bbasic[ \t]{1,8}([A-Za-z0-9+/_-]{4,}+={0,2})", re.IGNORECASE),
        _is_not_basic,
    ),
    Shape(
        "bearer",
        ("bearer",),
        re.compile(r"\bbearer[ \t]{1,8}([A-Za-z0-9._~+/-]{8,}+={0,2})", re.IGNORECASE),
        _is_word,
    ),
    Shape(
        "url_password",
        ("://",),
        re.compile(r"://[^\s/:@\"']{0,256}:([^\s/@\"']{1,256})@"),
    ),
    Shape(
        "user_password",
        ("-u", "-user"),
        re.compile(
            r"(?:^|\s)(?:-u|--(?:proxy-)?user)[ =]?[\"']?"
            r"[^\s:\"'/]{1,128}:([^\s\"'/][^\s\"']{0,256})"
        ),
    ),
    Shape(
        "secret",
        ("pass", "_pwd", "secret", "token", "key", "credential"),
        re.compile(
            rf"{_NAME}(?:[_-][A-Za-z0-9_-]{{1,40}})?{_QUOTES}"
            rf"[ \t]{{0,8}}(?:=>|[:=])[ \t]{{0,8}}{_VALUE}",
            re.IGNORECASE,
        ),
    ),
    Shape(
        "secret",
        ("pass", "_pwd", "secret", "token", "key", "credential"),
        re.compile(
            rf"--(?:[a-z0-9]{{1,20}}-){{0,4}}{_NAME}[ \t]{{1,8}}(?!-){_VALUE}", re.IGNORECASE
        ),
    ),
)


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
            return f"{_MARK_START}{kind}]"
        digest = hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256").hex()
        return f"{_MARK_START}{kind}:{digest[:_MARK_DIGITS]}]"

    def _replace(self, shape: Shape, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            group = match.lastindex
            assert group is not None
            secret = match[group]
            if _is_reference(secret) or shape.keep(secret) or _inside_mark(match):
                return match[0]
            start, end = match.start(group) - match.start(), match.end(group) - match.start()
            return match[0][:start] + self.mark(shape.kind, secret) + match[0][end:]

        return shape.pattern.sub(one, text)


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
        if name and _secret_key.search(name):
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
        if name and text and _secret_key.search(name) and not _is_reference(text):
            return self._redactor.mark("secret", text)
        return self._redactor.text(text)
