"""URL patterns: text globs on the canonical form; for grants the host is compared on its own.

``https://*.example.com/*`` as a plain glob also matches ``https://evil.test/?x=.example.com/``. A
restriction may be that wide; a grant compares the part before the path on its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rampart.policy.glob import TextTest, compile_text_glob
from rampart.policy.texts import compile_text_globs

_AUTHORITY_END: Final = re.compile(r"[/?#\\]")


def compile_url_globs(patterns: Sequence[str]) -> tuple[TextTest, TextTest]:
    """Return the loose test for restrictions and the strict one for grants."""
    strict = tuple(_compile_strict(pattern) for pattern in patterns)
    return compile_text_globs(patterns), lambda url: any(test(url) for test in strict)


def _compile_strict(pattern: str) -> TextTest:
    if "://" not in pattern:
        return compile_text_glob(pattern)
    whole = compile_text_glob(pattern)
    # WHY: `?` is a wildcard in a pattern, so its authority ends at a slash only
    origin = compile_text_glob("/".join(pattern.split("/", 3)[:3]))
    return lambda url: whole(url) and origin(_origin(url))


def _origin(url: str) -> str:
    """Return scheme and authority: all before the path, the query or the fragment."""
    start = url.index("://") + 3 if "://" in url else 0
    end = _AUTHORITY_END.search(url, start)
    return url[: end.start()] if end else url
