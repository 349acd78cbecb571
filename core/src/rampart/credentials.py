"""The well-known shapes of credentials: what the log leaves out, and what rules on responses find.

Pure. LIMIT: shapes are recognised, meaning is not. A password that looks like any other word,
outside a pair or header that names it, is not found.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MARK_START: Final = "[redacted:"
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
secret_name: Final = re.compile(rf"(?:{_NAME}|authorization)$", re.IGNORECASE)

Keep = Callable[[str], bool]


def is_reference(text: str) -> bool:
    """True for what names a secret and holds none: a variable, or a mark."""
    # WHY: `password=$DB_PASSWORD` names a secret and holds none
    return text.startswith(("$", MARK_START))


def _inside_mark(match: re.Match[str]) -> bool:
    # WHY: the kind in `[redacted:github_token:…]` is itself a name that announces a secret
    start = match.start()
    opened = match.string.rfind(MARK_START, max(0, start - _KIND_CHARS_MAX), start)
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
    keep: Keep = is_reference

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the secrets of this kind stand in ``text``, in order."""
        for match in self.pattern.finditer(text):
            group = match.lastindex
            assert group is not None
            secret = match[group]
            if not (is_reference(secret) or self.keep(secret) or _inside_mark(match)):
                yield match.span(group)


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

NAMED_KINDS: Final = frozenset(
    {"authorization", "basic", "bearer", "url_password", "user_password", "secret"}
)
"""Kinds that are found by what stands beside them: also in a program's source, and in examples."""

KINDS: Final = tuple(dict.fromkeys(shape.kind for shape in SHAPES))
OWN_KINDS: Final = tuple(kind for kind in KINDS if kind not in NAMED_KINDS)
"""Kinds that are known by their own form, wherever they stand."""
