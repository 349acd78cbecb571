"""Functions and methods of Python that yield the same text whenever the same text goes in."""

from __future__ import annotations

import base64
import binascii
import codecs
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Final

from rampart.intercept.code.findings import UNKNOWN, Text
from rampart.limits import CODE_BYTES_MAX

Fold = Callable[[list[Text]], Text]
MethodFold = Callable[[Text, list[Text]], Text]

_FIELD: Final = re.compile(r"\{\{|\}\}|\{(\w*)(?:![rsa])?(?::[^{}]*)?\}")
_DIRECTIVE: Final = re.compile(r"%(?:\((\w+)\))?[-+ #0-9.*]*([srdifxXoeEgGc%])")
_TEMPORARY: Final = "/tmp"  # noqa: S108 - a value of the source, not a file of ours


def join_paths(parts: list[Text]) -> Text:
    """Join parts as ``os.path.join`` does."""
    if not parts:
        return UNKNOWN
    return Text(posixpath.join(*(part.text for part in parts)), all(part.known for part in parts))


def format_percent(template: Text, values: list[Text]) -> Text:
    """Fill ``%s`` and the like with values in order."""
    rest = iter(values)
    known = template.known

    def fill(found: re.Match[str]) -> str:
        nonlocal known
        if found.group(2) == "%":
            return "%"
        value = UNKNOWN if found.group(1) else next(rest, UNKNOWN)
        known = known and value.known
        return value.text

    return _bounded(_DIRECTIVE.sub(fill, template.text), lambda: known)


def format_braces(template: Text, values: list[Text], named: Mapping[str, Text]) -> Text:
    """Fill ``{}``, ``{0}`` and ``{name}`` with values."""
    rest = iter(values)
    known = template.known

    def fill(found: re.Match[str]) -> str:
        nonlocal known
        if found.group() in ("{{", "}}"):
            return found.group()[0]
        name = found.group(1)
        if not name:
            value = next(rest, UNKNOWN)
        elif name.isdecimal():
            position = int(name[:6])
            value = values[position] if position < len(values) else UNKNOWN
        else:
            value = named.get(name, UNKNOWN)
        known = known and value.known
        return value.text

    return _bounded(_FIELD.sub(fill, template.text), lambda: known)


def _bounded(text: str, known: Callable[[], bool]) -> Text:
    return Text(text, known()) if len(text) <= CODE_BYTES_MAX else UNKNOWN


def _same(values: list[Text]) -> Text:
    return values[0] if values else UNKNOWN


def _path(values: list[Text]) -> Text:
    return join_paths(values) if values else Text(".")


def _on_known(change: Callable[[str], str]) -> Fold:
    def fold(values: list[Text]) -> Text:
        if len(values) < 1 or not values[0].known:
            return UNKNOWN
        try:
            return Text(change(values[0].text))
        except (ValueError, OverflowError, LookupError):
            return UNKNOWN

    return fold


def _on_path(change: Callable[[str], str]) -> Fold:
    def fold(values: list[Text]) -> Text:
        return Text(change(values[0].text), values[0].known) if values else UNKNOWN

    return fold


def _decoder(decode: Callable[[bytes], bytes]) -> Callable[[str], str]:
    def change(text: str) -> str:
        try:
            raw = decode(text.encode("utf-8", "surrogateescape"))
        except binascii.Error as error:
            raise ValueError(str(error)) from None
        return raw.decode("utf-8", "surrogateescape")

    return change


def _padded_base64(data: bytes) -> bytes:
    return base64.b64decode(data + b"=" * (-len(data) % 4))


def _codecs_decode(values: list[Text]) -> Text:
    if len(values) < 2 or not (values[0].known and values[1].known):
        return values[0] if len(values) == 1 else UNKNOWN
    name = values[1].text.lower().replace("_", "").replace("-", "")
    if name == "rot13":
        return Text(codecs.encode(values[0].text, "rot13"))
    if name in ("base64", "hex"):
        return FUNCTIONS["base64.b64decode" if name == "base64" else "bytes.fromhex"](values[:1])
    return values[0]


def _character(text: str) -> str:
    return chr(int(text, 0)) if len(text) < 12 else ""


def _byte_list(words: list[Text]) -> Text:
    if not all(word.known and word.text.isdecimal() and len(word.text) < 4 for word in words):
        return words[0] if len(words) == 1 else UNKNOWN
    values = [int(word.text) for word in words]
    return Text(bytes(value & 255 for value in values).decode("utf-8", "surrogateescape"))


def _url_join(values: list[Text]) -> Text:
    second = values[1] if len(values) > 1 else UNKNOWN
    return second if "://" in second.text else _same(values)


def _shlex_join(words: list[Text]) -> Text:
    return Text(shlex.join(word.text for word in words), all(word.known for word in words))


_unhex: Final = _on_known(_decoder(binascii.unhexlify))

FUNCTIONS: Final[dict[str, Fold]] = {
    "str": _same,
    "bytes": _byte_list,
    "bytearray": _byte_list,
    "os.fspath": _same,
    "os.fsdecode": _same,
    "os.fsencode": _same,
    "os.path.expanduser": _same,  # paths expand `~` and `$HOME` themselves
    "os.path.expandvars": _same,
    "os.path.abspath": _same,
    "os.path.realpath": _same,
    "os.path.normpath": _same,
    "os.path.join": join_paths,
    "posixpath.join": join_paths,
    "os.path.dirname": _on_path(posixpath.dirname),
    "os.path.basename": _on_path(posixpath.basename),
    "os.getcwd": lambda _: Text("."),
    "tempfile.gettempdir": lambda _: Text(_TEMPORARY),
    "tempfile.mkdtemp": lambda _: Text(f"{_TEMPORARY}/$unknown", known=False),
    "tempfile.mktemp": lambda _: Text(f"{_TEMPORARY}/$unknown", known=False),
    "pathlib.Path": _path,
    "pathlib.PosixPath": _path,
    "pathlib.PurePath": _path,
    "pathlib.PurePosixPath": _path,
    "pathlib.Path.cwd": lambda _: Text("."),
    "urllib.request.Request": _same,
    "urllib.parse.urljoin": _url_join,
    "shlex.quote": _on_known(shlex.quote),
    "shlex.join": _shlex_join,
    "chr": _on_known(_character),
    "base64.b64decode": _on_known(_decoder(_padded_base64)),
    "base64.urlsafe_b64decode": _on_known(_decoder(base64.urlsafe_b64decode)),
    "base64.decodebytes": _on_known(_decoder(_padded_base64)),
    "base64.b32decode": _on_known(_decoder(base64.b32decode)),
    "base64.b16decode": _on_known(_decoder(base64.b16decode)),
    "binascii.a2b_base64": _on_known(_decoder(_padded_base64)),
    "binascii.unhexlify": _unhex,
    "binascii.a2b_hex": _unhex,
    "bytes.fromhex": _unhex,
    "bytearray.fromhex": _unhex,
    "codecs.decode": _codecs_decode,
    "compile": _same,
    "reversed": _on_known(lambda text: text[::-1]),
    "textwrap.dedent": _same,
    "inspect.cleandoc": _same,
}  # fmt: skip

LIST_FOLDS: Final = frozenset({_byte_list, _shlex_join})


def _method(change: Callable[[str], str]) -> MethodFold:
    def fold(receiver: Text, _arguments: list[Text]) -> Text:
        return Text(change(receiver.text), receiver.known)

    return fold


def _itself(receiver: Text, _arguments: list[Text]) -> Text:
    return receiver


def _replaced(receiver: Text, arguments: list[Text]) -> Text:
    if len(arguments) < 2 or not all(each.known for each in (receiver, *arguments)):
        return UNKNOWN
    old, new = arguments[0].text, arguments[1].text
    if receiver.text.count(old) * len(new) > CODE_BYTES_MAX:
        return UNKNOWN
    return Text(receiver.text.replace(old, new))


def _decoded(receiver: Text, arguments: list[Text]) -> Text:
    return _codecs_decode([receiver, *arguments[:1]])


def _sibling(receiver: Text, arguments: list[Text]) -> Text:
    if not arguments:
        return UNKNOWN
    return join_paths([Text(posixpath.dirname(receiver.text), receiver.known), arguments[0]])


def _suffixed(receiver: Text, arguments: list[Text]) -> Text:
    if not arguments:
        return UNKNOWN
    stem = posixpath.splitext(receiver.text)[0]
    return Text(stem + arguments[0].text, receiver.known and arguments[0].known)


METHODS: Final[dict[str, MethodFold]] = {
    "strip": _method(str.strip),
    "lstrip": _method(str.lstrip),
    "rstrip": _method(str.rstrip),
    "lower": _method(str.lower),
    "upper": _method(str.upper),
    "swapcase": _method(str.swapcase),
    "title": _method(str.title),
    "replace": _replaced,
    "encode": _itself,
    "decode": _decoded,
    "as_posix": _itself,
    "as_uri": _method(lambda text: f"file://{text}"),
    "resolve": _itself,
    "absolute": _itself,
    "expanduser": _itself,
    "joinpath": lambda receiver, arguments: join_paths([receiver, *arguments]),
    "with_name": _sibling,
    "with_suffix": _suffixed,
    "parent": _method(lambda text: posixpath.dirname(text.rstrip("/")) or "."),
    "name": _method(posixpath.basename),
    "stem": _method(lambda text: posixpath.splitext(posixpath.basename(text))[0]),
    "__str__": _itself,
    "__fspath__": _itself,
}
