"""What a tool returns piece by piece: shown as far as it was searched, and no further.

MUST show no character before it stands far enough from the end of what has come, or at the end.
MUST NOT cut between two pieces where something is found.
LIMIT: what is longer than ``STREAM_HELD_CHARS`` may be shown in part before it is recognised; what
was shown cannot be withheld any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rampart.errors import Denied, InputError
from rampart.limits import STREAM_HELD_CHARS
from rampart.model import Review

Look = Callable[[str], Review]

_WINDOW_CHARS: Final = 2 * STREAM_HELD_CHARS  # so that each character is searched a few times only


class ResponseStream:
    """One text that comes in pieces.

    ``review`` looks and records, ``preview`` leaves no record. With ``whole`` nothing is shown
    before the end, because some rule is about the whole text.
    """

    def __init__(self, review: Look, preview: Look, *, whole: bool) -> None:
        self._review = review
        self._preview = preview
        self._whole = whole
        self._held = ""
        self._ended = False

    def feed(self, piece: str) -> str:
        """Take a piece and return what may be shown so far, which may be nothing.

        Raises: Denied where a rule withholds it, InputError after the end. Either ends the stream.
        """
        self._require_open()
        self._held += piece
        if self._whole or len(self._held) < _WINDOW_CHARS:
            return ""
        cut = self._cut()
        if not cut:
            return ""
        shown = self._shown(self._held[:cut])
        self._held = self._held[cut:]
        return shown

    def finish(self) -> str:
        """Return the rest. Raises as ``feed``."""
        self._require_open()
        rest, self._ended = self._held, True
        self._held = ""
        return self._shown(rest)

    def _cut(self) -> int:
        """Return how much of what is held can be shown: 0 if something is found at every cut."""
        text = self._held
        whole = self._text_of(self._preview(text), text)
        cut = len(text) - STREAM_HELD_CHARS
        while cut > 0:
            first = self._text_of(self._preview(text[:cut]), text)
            rest = self._text_of(self._preview(text[cut:]), text)
            if first + rest == whole:
                return cut
            cut //= 2
        return 0

    def _shown(self, text: str) -> str:
        return self._text_of(self._review(text), text)

    def _text_of(self, review: Review, text: str) -> str:
        if not review.allowed:
            self._ended = True
            self._held = ""
            # WHY: a preview leaves no record, and what is withheld must have one
            recorded = review if review.decision.audit_id else self._review(text)
            raise Denied(str(recorded.response), recorded.decision)
        return str(review.response)

    def _require_open(self) -> None:
        if self._ended:
            raise InputError("the stream has ended")
