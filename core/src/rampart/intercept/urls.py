"""URLs: the canonical form that a client would use, and where it leads.

The canonical form is that of the WHATWG URL standard (https://url.spec.whatwg.org). Python's own
parser reads the same text a second time: where the two find different hosts, clients will too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from rampart.errors import InputError, InputTooLarge
from rampart.intercept.addresses import address_classes, embedded_address
from rampart.intercept.paths import path_action
from rampart.limits import URL_BYTES_MAX
from rampart.model import EMPTY, Action, Host, Origin

DISAGREE: Final = "URL parsers disagree about its host"
UNREADABLE: Final = "a URL that cannot be parsed"

_WRAPPERS_MAX: Final = 4  # `view-source:`, `jar:` and the like, one inside the other

# A URL on which no two parsers differ: lower-case, a domain name that cannot be an address, no
# user, no escapes, no dot segments. Everything else goes through the real parsers.
_PLAIN: Final = re.compile(
    r"(https?)://((?!(?:.*\.)?xn--)[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*\.[a-z]{2,})"
    r"(/(?:[\w~+,;=:@!$&()*-]|/(?!\.)|(?<!/)\.)*)?(\?[\w.~+,;=:@!$&()*/?-]*)?",
    re.ASCII,
)
_TRIMMED: Final = "".join(chr(code) for code in range(0x21))
_URL_US: Final = 25  # what bringing an address into its canonical form costs
_URL_CHARS_PER_US: Final = 8
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WRAPPER: Final = re.compile(r"(?:view-source|jar|blob|url|feed|filesystem):", re.IGNORECASE)
_SCP: Final = re.compile(
    r"(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+|\[[0-9a-fA-F:.]+\]):(?!\d+(?:/|\Z))(\S*)"
)
_ZONE: Final = re.compile(r"(\[[0-9A-Fa-f:.]+)%[^\]\s]*\]")
_AUTHORITY: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]*([^/\\?#]*)")
_OCTAL: Final = re.compile(r"(?:0\d*|\d+)(?:\.(?:0\d*|\d+)){3}")
_RUNTIME: Final = re.compile(
    r"\$\((?:[^()]|\([^()]*\))*\)|`[^`]*`|\$\{[^{}]*\}|\$[A-Za-z_][A-Za-z_0-9]*|\$[0-9@*#?!$-]"
)
_MARK: Final = "qz{}zq"
_MARKED: Final = re.compile(r"qz(\d+)zq", re.IGNORECASE)

_WEB_SCHEMES: Final = frozenset({"http", "https", "ws", "wss", "ftp"})
# Schemes that name a place even without `//`.
_BARE_SCHEMES: Final = _WEB_SCHEMES | {"file", "data", "javascript", "mailto", "about", "vbscript"}
_INLINE_SCHEMES: Final = frozenset({"data", "javascript", "about", "vbscript"})


@dataclass(frozen=True, slots=True)
class CanonicalUrl:
    """One URL in canonical form.

    ``url`` has neither user nor fragment, ``host`` neither brackets nor a trailing dot;
    ``spellings`` are other texts for it, ``effects`` what kind of place it is, and ``opaque`` says
    why that is not certain.
    """

    url: str
    host: str
    scheme: str
    spellings: tuple[str, ...] = ()
    effects: frozenset[str] = frozenset()
    opaque: str = ""


def canonicalize(text: str) -> CanonicalUrl:
    """Return the canonical form of ``text``, read as a browser or ``curl`` would.

    A missing scheme means ``http``. What cannot be parsed keeps its text and is ``opaque``.

    Raises: InputTooLarge over URL_BYTES_MAX; nothing else.
    """
    _require_size(text)
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        scheme, host, path, _query = plain.groups()
        url = text if path else text.replace(host, host + "/", 1)
        spellings = () if url == text else (text,)
        return CanonicalUrl(url, host, scheme, spellings, address_classes(host))
    trimmed = text.strip(_TRIMMED).translate({9: None, 10: None, 13: None})
    for _ in range(_WRAPPERS_MAX):
        found = _WRAPPER.match(trimmed)
        if found is None:
            break
        trimmed = trimmed[found.end() :]
    return _canonicalize_slowly(text, _with_scheme(_ZONE.sub(r"\1]", trimmed)))


def fetch_action(
    origin: Origin,
    text: str,
    *,
    effects: frozenset[str] = frozenset(),
    known: bool = True,
    host: Host | None = None,
) -> Action:
    """Return the action of reaching the URL ``text``; of a ``file:`` URL, of reading that file.

    The classes of the host (``loopback``, ``private``, ``link-local``, ``metadata``, …) are added
    to ``effects``. ``known`` is False if the text holds parts that only the run knows; they stay
    in ``url`` as written and take the grant away.

    Raises: InputTooLarge; of a ``file:`` URL also InputError.
    """
    if host is not None and host.budget is not None:
        foreign = 0 if text.isascii() else len(text)
        host.budget.spend(_URL_US + len(text) // _URL_CHARS_PER_US + foreign)
    if text.lstrip(_TRIMMED)[:5].lower() == "file:":
        place = host or Host(home="/root", cwd="/", workspace="/")
        return path_action(
            "read", origin, text.strip(_TRIMMED), place, cwd="", known=known, effects=effects
        )
    found = canonicalize(text) if known else _canonicalize_unknown(text)
    return Action(
        "fetch",
        origin,
        url=found.url,
        host=found.host,
        spellings=found.spellings,
        params=EMPTY,
        effects=effects | found.effects,
        opaque=found.opaque,
        grantable=known and not found.opaque,
    )


def looks_like_url(text: str) -> bool:
    """Say whether ``text`` is plainly a URL: a scheme, ``://`` and something behind it."""
    head, separator, rest = text.strip(_TRIMMED).partition("://")
    return bool(separator and rest and _SCHEME.fullmatch(head + ":")) and not rest[0].isspace()


def _require_size(text: str) -> None:
    if len(text) * 4 > URL_BYTES_MAX:
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if size > URL_BYTES_MAX:
            raise InputTooLarge(f"a URL of {size} bytes; the limit is {URL_BYTES_MAX}")


def _with_scheme(text: str) -> str:
    found = _SCHEME.match(text)
    if found is not None:
        scheme = found.group(1).lower()
        if scheme in _BARE_SCHEMES or text.startswith("//", found.end()):
            return text
    if text.startswith(("//", "\\\\")):
        return "http:" + text
    remote = _SCP.fullmatch(text)
    if remote is not None and ("@" in text or "/" in remote.group(2)):
        return f"ssh://{remote.group(1)}/{remote.group(2).lstrip('/')}"
    scheme = "ftp" if text[:4].lower() == "ftp." else "http"
    return f"{scheme}://{text}"


def _canonicalize_slowly(text: str, full: str) -> CanonicalUrl:
    scheme = full.partition(":")[0].lower()
    if scheme in _INLINE_SCHEMES:
        return CanonicalUrl(full, "", scheme, _other(full, text), frozenset({"inline"}))
    # WHY: other schemes keep their host as written, yet their clients read it like the web's do
    parsed = _parse(full if scheme in _WEB_SCHEMES else "http" + full[len(scheme) :])
    if scheme == "mailto" or parsed is None or not parsed.host:
        effects = frozenset() if scheme == "mailto" else _literal_classes(full)
        opaque = "" if scheme == "mailto" else UNREADABLE
        return CanonicalUrl(full, "", scheme, _other(full, text), effects, opaque)
    if scheme not in _WEB_SCHEMES:
        parsed = replace(
            parsed,
            url=scheme + parsed.url[4:],
            spellings=tuple(scheme + other[4:] for other in parsed.spellings),
        )
    spellings = dict.fromkeys((text, *parsed.spellings))
    return replace(
        parsed,
        scheme=scheme,
        spellings=tuple(other for other in spellings if other != parsed.url),
        effects=parsed.effects | address_classes(parsed.host),
    )


def _parse(full: str) -> CanonicalUrl | None:
    """Parse a web URL with the standard's parser, then ask Python's for its opinion."""
    import ada_url  # WHY: 26 ms; the plain URLs of most calls never need it

    try:
        parsed = ada_url.URL(full)
        href, hostname = str(parsed.href), str(parsed.hostname)
        user = bool(parsed.username or parsed.password)
    except ValueError:
        return None
    if ".." in hostname:
        return None  # an empty label names no host
    scheme, _, rest = href.split("#", 1)[0].partition("://")
    authority, slash, path = _split_authority(rest)
    netloc = authority.rpartition("@")[2]
    bare = hostname.removesuffix(".")
    netloc = bare + netloc[len(hostname) :]
    url = f"{scheme}://{netloc}{slash}{path}"
    host = bare.strip("[]")
    spellings = [href] if href != url else []
    decoded = unquote(path, errors="replace")
    if decoded != path:
        spellings.append(f"{scheme}://{netloc}{slash}{decoded}")
    inner = embedded_address(host)
    if inner:
        spellings.append(f"{scheme}://{inner}{netloc[len(bare) :]}{slash}{path}")
    effects = {"userinfo"} if user else set()
    if "xn--" in bare:
        effects.add("idna")
        spellings.append(f"{scheme}://{_unicode_host(bare)}{netloc[len(bare) :]}{slash}{path}")
    elsewhere = _other_host(full, bare)
    if elsewhere:
        spellings.append(elsewhere)
    return CanonicalUrl(
        url, host, scheme, tuple(spellings), frozenset(effects), DISAGREE if elsewhere else ""
    )


def _split_authority(rest: str) -> tuple[str, str, str]:
    for index, character in enumerate(rest):
        if character in "/?":
            return (
                (rest[:index], "/", rest[index + 1 :])
                if character == "/"
                else (rest[:index], "/", rest[index:])
            )
    return rest, "/", ""


def _other_host(full: str, host: str) -> str:
    """Return the URL as Python's parser reads it if that leads to another host, else nothing."""
    import ada_url

    scheme = full.partition(":")[0]
    try:
        second = urlsplit(full).hostname or ""
    except ValueError:
        return f"{scheme}:"
    if _OCTAL.fullmatch(second) and re.search(r"(?:^|\.)0\d", second):
        return f"{scheme}://{'.'.join(str(int(part)) for part in second.split('.'))}/"
    if "\\" in second:
        return f"{scheme}://{second.replace(chr(92), '')}/"
    if second == host or second.removesuffix(".") == host.strip("[]"):
        return ""
    wrapped = f"[{second}]" if ":" in second else second
    try:
        read = str(ada_url.URL(f"http://{wrapped}/").hostname).removesuffix(".")
    except ValueError:
        # a text that is no host cannot be reached by anyone
        return f"{scheme}://{second}/"
    return "" if read == host else f"{scheme}://{read}/"


def _unicode_host(host: str) -> str:
    import ada_url

    try:
        return str(ada_url.idna_to_unicode(host))
    except ValueError:
        return host


def _literal_classes(full: str) -> frozenset[str]:
    found = _AUTHORITY.match(full)
    name = found.group(1).rpartition("@")[2].partition(":")[0].lower() if found else ""
    return address_classes(name) if "." in name else frozenset()


def _other(url: str, text: str) -> tuple[str, ...]:
    return () if url == text else (text,)


def _canonicalize_unknown(text: str) -> CanonicalUrl:
    """Canonicalise around the parts that only the run knows, and put them back."""
    _require_size(text)
    parts: list[str] = []

    def mark(found: re.Match[str]) -> str:
        parts.append(found.group())
        return _MARK.format(len(parts) - 1)

    marked = _RUNTIME.sub(mark, text)
    if _SCHEME.match(marked) is None and _MARKED.match(marked):
        # the scheme itself may be inside the unknown part: nothing is known about the place
        return CanonicalUrl(text, "", "", (), frozenset())
    found = canonicalize(marked)

    def unmark(value: str) -> str:
        return _MARKED.sub(lambda each: _part(parts, each), value)

    host = unmark(found.host)
    effects = found.effects - {"internal-name"} if host != found.host else found.effects
    spellings = tuple(dict.fromkeys((text, *map(unmark, found.spellings))))
    url = unmark(found.url)
    return replace(
        found,
        url=url,
        host=host,
        effects=effects,
        spellings=tuple(other for other in spellings if other != url),
    )


def _part(parts: list[str], found: re.Match[str]) -> str:
    index = int(found.group(1)) if len(found.group(1)) < 6 else len(parts)
    return parts[index] if index < len(parts) else found.group()


def require_url(text: str, what: str) -> CanonicalUrl:
    """Return the canonical form of a URL that a tool was given, or refuse it.

    Raises: InputError for a text that is no URL or that parsers read differently, InputTooLarge.
    """
    found = canonicalize(text)
    if found.opaque:
        raise InputError(f"{what}: {found.opaque}")
    return found
