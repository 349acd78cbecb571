"""What the tests of command readings share: one line's actions, easy to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from rampart.intercept.commands import shell_actions
from rampart.model import Action, Host

HOST = Host(home="/home/user", cwd="/workspace", workspace="/workspace", user="user")


@dataclass
class Reading:
    """The actions of one line."""

    actions: list[Action]

    @property
    def commands(self) -> list[str]:
        return [a.command for a in self.actions if a.tool == "exec" and a.origin != "assignment"]

    @property
    def effects(self) -> set[str]:
        return set().union(*(action.effects for action in self.actions))

    @property
    def opaque(self) -> list[str]:
        return [action.opaque for action in self.actions if action.opaque]

    def paths(self, tool: str) -> list[str]:
        return [action.path for action in self.actions if action.tool == tool]

    def action(self, command: str) -> Action:
        """Return the one action that runs ``command``."""
        found = [a for a in self.actions if a.command == command]
        assert found, [a.command for a in self.actions]
        return found[-1]

    def hosts(self) -> list[str]:
        return [action.host for action in self.actions if action.tool == "fetch"]


def read_line(line: str, cwd: str = "") -> Reading:
    return Reading(shell_actions(line, HOST, cwd=cwd))


@pytest.fixture
def read() -> Callable[..., Reading]:
    """Reads one line as a shell would."""
    return read_line
