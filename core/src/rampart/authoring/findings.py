"""Findings: what is wrong, or looks wrong, with a policy. Each kind has a code that stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Severity = Literal["error", "warning"]

CODES: Final[Mapping[str, tuple[Severity, str]]] = MappingProxyType(
    {
        "contradiction": ("error", "the conditions of a rule cannot hold together"),
        "does-not-load": ("error", "a file that the engine refuses"),
        "example-fails": ("error", "an example of a rule does not hold"),
        "excluded-entirely": ("error", "what a rule names is excluded by the same rule"),
        "grant-of-opaque": ("error", "a grant of what cannot be known; no grant covers that"),
        "mixed-conditions": ("error", "conditions that no single action can meet"),
        "operator-in-grant": ("error", "a grant for a whole line; grants are for its parts"),
        "test-invalid": ("error", "a test that cannot be read"),
        "too-late": ("error", "a restriction after a grant of the same in its policy"),
        "unreachable": ("error", "a rule after one that always speaks first"),
        "url-without-scheme": ("error", "a pattern of an address that no address can match"),
        "wrong-tool": ("error", "a condition on what the tools of the policy do not have"),
        "braces-in-glob": ("warning", "`{a,b}`, which globs do not know"),
        "duplicate-pattern": ("warning", "the same pattern twice in a list"),
        "exact-command": ("warning", "a restriction of a command without any arguments"),
        "exclusion-only": ("warning", "a grant of all but what is excluded"),
        "expired": ("warning", "a rule whose time is over"),
        "glued-star": ("warning", "a grant that reaches other programs: `rm*`"),
        "home-in-command": ("warning", "`~` or `$HOME` in a pattern of commands"),
        "overridden": ("warning", "a grant that another policy always overrides"),
        "quotes-in-command": ("warning", "quotes in a pattern of commands"),
        "regex-in-glob": ("warning", "a regular expression where a glob is meant"),
        "spaces-in-command": ("warning", "spaces that commands do not have"),
        "unknown-program": ("warning", "a program that is nearly the name of a known one"),
        "unknown-tool": ("warning", "a tool that is nearly the name of a built-in one"),
        "wide-grant": ("warning", "a grant whose wildcard reaches something serious"),
    }
)
"""Code to its severity and what it means."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``where`` is ``file:line:column``; ``help`` says what to do."""

    code: str
    where: str
    message: str
    help: str = ""
    policy: str = ""
    rule: str = ""

    @property
    def severity(self) -> Severity:
        """``error`` for what cannot be meant, ``warning`` for what may be."""
        return CODES[self.code][0]
