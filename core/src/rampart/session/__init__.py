"""Sessions: what happened before, as far as the policy in force asks about it."""

from rampart.session.history import History
from rampart.session.turn import Turn

__all__ = ["History", "Turn"]
