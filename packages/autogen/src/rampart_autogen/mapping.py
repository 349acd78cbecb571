"""What is known about AutoGen's tools, of both lineages."""

from __future__ import annotations

import functools
from importlib import resources

from rampart import ToolMap


@functools.cache
def tool_map() -> ToolMap:
    """Return what is known about AutoGen's tools."""
    text = resources.files(__package__).joinpath("tools.yaml").read_text(encoding="utf-8")
    return ToolMap.parse(text, "rampart_autogen/tools.yaml")
