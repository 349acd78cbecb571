"""Trail: all that one call will change about the past, as a value that can wait in a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rampart.errors import StateUnavailable
from rampart.policy.past import Counter, Footprint, Mark
from rampart.session.whose import Whose


@dataclass(frozen=True, slots=True)
class Trail:
    """What a call leaves behind: its footprint, the one-time rules it uses up, what it forgets."""

    whose: Whose
    footprint: Footprint
    once: tuple[str, ...] = ()
    forgets: tuple[str, ...] = ()

    @property
    def takes(self) -> bool:
        """True if other calls can be in its way: it is counted, or uses a rule up."""
        return bool(self.once or self.footprint.counters)

    @property
    def leaves(self) -> bool:
        """True if there is something to remember of it."""
        return bool(self.footprint.marks or self.footprint.turns or self.forgets)

    def to_json(self) -> str:
        """Return the trail as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Trail:
        """Return the trail that ``to_json`` wrote. Raises: StateUnavailable."""
        try:
            data = json.loads(text)
            footprint = data["footprint"]
            return cls(
                Whose(**data["whose"]),
                Footprint(
                    tuple(Mark(**each) for each in footprint["marks"]),
                    tuple(Counter(**each) for each in footprint["counters"]),
                    tuple(footprint["turns"]),
                ),
                tuple(data["once"]),
                tuple(data["forgets"]),
            )
        except (ValueError, KeyError, TypeError):
            raise StateUnavailable("a row of the sessions cannot be read") from None
