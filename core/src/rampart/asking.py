"""How a framework that has its own way to people puts a question to one, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rampart.model import Decision


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A call that waits for a person.

    ``name`` is the framework's name of the tool, ``arguments`` are the call's, as plain data.
    ``decision`` is the ``ask``, with the approval's id; ``key`` is what ``Asker.key`` said.
    ``known`` says that this question was asked before, so that an answer that is there already can
    belong to it.
    """

    name: str
    arguments: Mapping[str, Any]
    decision: Decision
    key: str
    known: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said.

    ``arguments``, where there are any, take the place of the call's own: they are decided anew, and
    no answer lifts a denial. ``by`` is recorded as who answered.
    """

    approve: bool
    by: str
    message: str = ""
    arguments: Mapping[str, Any] | None = None


class Asker(Protocol):
    """Puts questions to people in a framework's own way."""

    def key(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Return what identifies a question about this call now, also after a restart.

        Empty: nobody can be asked in this way now, and the approvals of Rampart are used.
        """
        ...

    def ask(self, asked: AskedCall) -> Answer | None:
        """Return the answer, or None to wait for the approval.

        May raise what stops the framework's run until somebody answers: it passes through, and the
        tool does not run.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision about a call, and the arguments that a person put in place of its own."""

    decision: Decision
    edited: Mapping[str, Any] | None = None
