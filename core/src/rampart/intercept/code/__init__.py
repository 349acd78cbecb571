"""Inline source code → what it would do: files, requests, programs, and what cannot be known."""

from __future__ import annotations

from rampart.intercept.code.languages import source_actions
from rampart.intercept.code.powershell import is_windows_line

__all__ = ["is_windows_line", "source_actions"]
