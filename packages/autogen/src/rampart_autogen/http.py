"""The address of AutoGen's ``HttpTool``: it was given to the tool, and the model fills its gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any
from urllib.parse import quote

from rampart import ToolMapping

_CLASS = "autogen_ext.tools.http._http_tool.HttpTool"


@dataclass(frozen=True, slots=True)
class HttpMapping(ToolMapping):
    """A ``fetch`` of the address that the tool and the arguments make together."""

    def call(
        self,
        name: str,  # noqa: ARG002 - the signature of its base
        arguments: Mapping[str, object],
        subject: object,
    ) -> tuple[str, dict[str, object], str]:
        """Return the call; a gap in the path that no argument fills is a missing parameter."""
        server = getattr(subject, "server_params", None)
        path = str(getattr(server, "path", "/"))
        gaps = [field for _text, field, _spec, _kind in Formatter().parse(path) if field]
        values = {field: quote(str(arguments.get(field, "")), safe="/%") for field in gaps}
        missing = next((field for field in gaps if field not in arguments), "")
        host, port = getattr(server, "host", ""), getattr(server, "port", "")
        filled = "" if missing else path.format(**values)
        url = f"{getattr(server, 'scheme', 'http')}://{host}:{port}/{filled.lstrip('/')}"
        body = {key: value for key, value in arguments.items() if key not in gaps}
        params: dict[str, object] = {"url": url, "method": getattr(server, "method", "POST")}
        return "fetch", params | ({"body": body} if body else {}), missing


def http_mapping(tool: Any) -> ToolMapping | None:
    """Return what an ``HttpTool`` stands for; None for any other tool."""
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(tool).__mro__}
    return HttpMapping("fetch") if _CLASS in names else None
