"""Budget: how much work one call may cause, so that no call takes longer than a person notices."""

from __future__ import annotations

from rampart.errors import InputTooLarge


class Budget:
    """The work of one call, in estimated microseconds.

    WHY: an estimate is the same on every run and every machine, so the same call always gets the
    same answer; a clock is not.
    """

    __slots__ = ("_left", "_message")

    def __init__(self, work_us: int, message: str) -> None:
        self._left = work_us
        self._message = message

    def spend(self, work_us: int) -> None:
        """Take off ``work_us``.

        Raises: InputTooLarge when nothing is left; the caller must deny.
        """
        self._left -= work_us
        if self._left < 0:
            raise InputTooLarge(self._message)
