"""A tool call → the actions it would perform. Pure: no files, clock, environment or logging."""

from __future__ import annotations

from rampart.intercept.dispatch import intercept

__all__ = ["intercept"]
