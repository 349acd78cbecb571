"""Inline source code → what it would do: files, requests, programs, and what cannot be known."""

from __future__ import annotations

from rampart.intercept.code.languages import source_actions

__all__ = ["source_actions"]
