"""A worked plugin: what a program of ours does, a rule that no policy can say, and an adapter.

Install it next to Rampart (`pip install ./examples/plugin`); `rampart plugins` then lists it.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from rampart import Action, Adapter, Decision, Guard, ToolCall, hookimpl

HOURS = range(9, 17)


@hookimpl
def rampart_catalog() -> list[Mapping[str, object]]:
    """Say what `shipit` does, so that every policy understands it."""
    return [{"shipit": {
        "summary": "our deployments",
        "subcommands": {"status": [], "rollout": ["deploys", "remote"]},
        "example": {"shipit rollout api": ["deploys", "remote"]},
    }}]  # fmt: skip


@hookimpl
def rampart_before_decision(call: ToolCall, actions: tuple[Action, ...]) -> Decision | None:
    """Deny deployments outside office hours. An answer looser than the policy's has no effect."""
    hour = int(os.environ.get("OFFICE_HOUR") or time.localtime().tm_hour)
    if hour not in HOURS and any("deploys" in action.effects for action in actions):
        return Decision("deny", "nobody watches deployments at this hour", rule="office-hours")
    return None


class RobotAdapter:
    """Guards robots: objects of the class `Robot` of a module `robots`."""

    name = "robots"

    def supports(self, obj: object) -> bool:
        """True for a robot. The framework is looked up, never imported."""
        kind = getattr(sys.modules.get("robots"), "Robot", None)
        return kind is not None and isinstance(obj, kind)

    def protect(self, obj: Any, guard: Guard) -> Any:
        """Guard a robot in place. A denied move raises `rampart.Denied`."""
        obj.move = guard.tool("robot_move")(functools.partial(obj.move))
        return obj


@hookimpl
def rampart_adapters() -> list[Adapter]:
    """Return the adapter for robots."""
    return [RobotAdapter()]
