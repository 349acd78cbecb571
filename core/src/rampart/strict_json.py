"""JSON with nothing left to guess.

Refused: duplicate keys (another parser may keep the other one), NaN and infinities, lone
surrogates, integers beyond 64 bits, nesting deeper than ``PARAMS_DEPTH_MAX``, and bytes that are
not UTF-8.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from rampart.errors import InputError, InputTooLarge
from rampart.limits import PARAMS_DEPTH_MAX

_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_INTEGER_DIGITS_MAX: Final = 20  # a 64-bit number and its sign

_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def dumps(value: object) -> bytes:
    """Return ``value`` as JSON bytes with sorted keys, no spaces and ASCII only.

    One value, one text.

    Raises: InputError for values that JSON cannot hold.
    """
    try:
        return _encoder.encode(value).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"value cannot be written as JSON: {error}") from None


def loads(data: bytes, *, size_bytes_max: int) -> object:
    """Parse JSON bytes.

    Raises: InputTooLarge above ``size_bytes_max``; InputError with line and column for everything
    else.
    """
    if len(data) > size_bytes_max:
        raise InputTooLarge(f"JSON of {len(data)} bytes; the limit is {size_bytes_max}")
    _refuse_deep_nesting(data)
    try:
        text = data.decode("utf-8")
        value: object = json.loads(
            text, object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer
        )
    except InputError:
        raise
    except json.JSONDecodeError as error:
        raise InputError(f"{error.lineno}:{error.colno}: not JSON: {error.msg.lower()}") from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from None
    # WHY: only an escape can make a lone surrogate; two escapes of a pair decode to one character
    if _SURROGATE_ESCAPE.search(text) and _holds_surrogate(value):
        raise InputError("a string holds a lone surrogate, which is not a character")
    return value


def loads_object(data: bytes, *, size_bytes_max: int) -> dict[str, object]:
    """Parse JSON bytes that must be an object. Raises as ``loads``."""
    value = loads(data, size_bytes_max=size_bytes_max)
    if not isinstance(value, dict):
        raise InputError(f"a JSON object is needed, not {type(value).__name__}")
    return value


def _refuse_deep_nesting(data: bytes) -> None:
    # WHY: the depth of brackets outside strings bounds the depth of values, before any recursion
    if data.count(b"[") + data.count(b"{") <= PARAMS_DEPTH_MAX:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(data):
        if token.group() in (b"[", b"{"):
            depth += 1
            if depth > PARAMS_DEPTH_MAX:
                raise InputTooLarge(f"JSON nested deeper than {PARAMS_DEPTH_MAX}")
        elif token.group() in (b"]", b"}"):
            depth -= 1


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(f"duplicate key {key!r}")
        found[key] = value
    return found


def _holds_surrogate(value: object) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return any(_holds_surrogate(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_holds_surrogate(item) for item in value)


def _constant(name: str) -> NoReturn:
    raise InputError(f"{name} is not JSON")


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS_MAX:
        raise InputError(f"an integer of {len(text)} digits; 64 bits are the limit")
    return int(text)
