"""How an application's tools would be seen: what each stands for, and what a policy would say.

The tools are guarded as ``guard.protect`` would, by a guard that only looks; what it makes of them
is what is reported.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rampart.enforcement import EnforcementPoint, points_made
from rampart.errors import ConfigError, InputError, UnsupportedObject
from rampart.guard import DecisionPoint, Guard
from rampart.model import Decision
from rampart.toolmap import Source, ToolMapping

# What is tried for a parameter of a tool: an ordinary value, and one that nobody wants.
_TRIALS: Final[Mapping[str, tuple[str, str]]] = {
    "command": ("git status", "rm -rf ~"),
    "code": ("print(1 + 1)", "import shutil; shutil.rmtree('/home')"),
    "path": ("README.md", "~/.ssh/id_ed25519"),
    "url": ("https://example.com/", "http://169.254.169.254/latest/meta-data/"),
}
_WORDS: Final = (  # a part of a parameter's name, and which trial fits it
    ("command", "command"), ("cmd", "command"), ("code", "code"), ("source_path", "path"),
    ("path", "path"), ("file", "path"), ("dir", "path"), ("url", "url"), ("uri", "url"),
)  # fmt: skip
_REST: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_OF_TOOL: Final = {"exec": "command", "code": "code", "fetch": "url"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One call that was tried, and what the policy says."""

    arguments: Mapping[str, object]
    decision: Decision


@dataclass(frozen=True, slots=True)
class SeenTool:
    """One tool of an application, as Rampart sees it.

    ``tool`` is what it stands for; its own name if nothing else is known (``mapped`` is False).
    ``sources`` says where each parameter comes from.
    """

    name: str
    kind: str
    tool: str
    mapped: bool
    sources: Mapping[str, str]
    trials: tuple[Trial, ...]


def load_object(name: str) -> Any:
    """Return the object that ``MODULE:OBJECT`` names.

    Of a function or class without parameters, what it returns. Raises: ConfigError.
    """
    module, colon, path = name.partition(":")
    if not colon or not module or not path:
        raise ConfigError(f"{name!r}: MODULE:OBJECT is needed", help="for example my_agent:tools")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name}: {error}", help="it is looked for from here") from None
    finally:
        sys.path.remove(str(Path.cwd()))
    return _built(found)


def _built(found: Any) -> Any:
    """Return what a function or class without parameters makes; anything else as it is."""
    if not (inspect.isfunction(found) or inspect.isclass(found)):
        return found
    try:
        given = list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):  # a class that cannot say
        return found
    if inspect.isclass(found):
        given = [each for each in given if each.kind not in _REST and each.default is each.empty]
    if given:
        return found
    made = found()
    return asyncio.run(made) if inspect.iscoroutine(made) else made


def scan(obj: Any, point: DecisionPoint) -> Iterator[SeenTool]:
    """Yield what the tools in ``obj`` stand for. Raises: UnsupportedObject, ConfigError."""
    guard = Guard.of(point)
    for item in _each(obj):
        with points_made() as points:
            if not inspect.isroutine(item):
                _protect(guard, item)
        seen: set[int] = set()
        for each in points:
            if id(each.subject) not in seen or each.subject is None:
                seen.add(id(each.subject))
                yield _seen(guard, each)
        if inspect.isroutine(item):
            yield _seen(guard, _point_of(guard, item))


def _each(obj: Any) -> Iterable[Any]:
    if callable(getattr(obj, "crew", None)):  # a CrewAI project
        obj = obj.crew()
    if hasattr(obj, "get_tools") and callable(obj.get_tools):  # a toolkit
        return list(obj.get_tools())
    return obj if isinstance(obj, list | tuple) else [obj]


def _protect(guard: Guard, item: Any) -> None:
    try:
        guard.protect(item)
    except UnsupportedObject:
        raise
    except InputError as error:
        raise ConfigError(error.message) from None


def _point_of(guard: Guard, function: Callable[..., Any]) -> EnforcementPoint:
    raw = inspect.unwrap(function)
    return EnforcementPoint(guard, raw.__name__, ToolMapping(), subject=raw)


def _seen(guard: Guard, point: EnforcementPoint) -> SeenTool:
    names, mapping = _arguments(point), point.mapping
    ordinary, unwanted = ({n: _value(point, n, k) for n in names} for k in (0, 1))
    trials = [_tried(guard, point, ordinary), _tried(guard, point, unwanted)]
    kind = type(point.subject)
    return SeenTool(
        point.name,
        f"{kind.__module__}.{kind.__qualname__}",
        mapping.tool or point.name,
        bool(mapping.tool),
        {name: _source(source) for name, source in mapping.params.items()}
        or {name: name for name in names},
        tuple(trials),
    )


def _tried(guard: Guard, point: EnforcementPoint, arguments: dict[str, object]) -> Trial:
    tool, params, missing = point.mapping.call(point.name, arguments, point.subject)
    if missing:
        return Trial(arguments, Decision("deny", f"parameter `{missing}` is missing"))
    return Trial(arguments, guard.check(tool, params))


def _arguments(point: EnforcementPoint) -> list[str]:
    """Return the names of a tool's arguments, from its schema, signature and mapping."""
    subject = point.subject
    names: list[str] = []
    for schema in ("tool_call_schema", "args_schema", "schema"):
        names += _names_in(getattr(subject, schema, None))
    if not names and inspect.isroutine(subject):
        names += list(inspect.signature(subject).parameters)
    used = [n for s in point.mapping.params.values() for n in s.names if "self." not in n]
    if not names:
        names = used[:1]
    return [name for name in dict.fromkeys(names) if name not in point.hidden]


def _names_in(schema: Any) -> list[str]:
    if isinstance(schema, Mapping):
        inner = schema.get("parameters", schema)
        return list(inner.get("properties", ())) if isinstance(inner, Mapping) else []
    fields = getattr(schema, "model_fields", None)
    return list(fields) if isinstance(fields, Mapping) else []


def _value(point: EnforcementPoint, name: str, which: int) -> object:
    for parameter, source in point.mapping.params.items():
        if name in source.names:
            fit = next((trial for part, trial in _WORDS if part in parameter), "")
            fit = fit or _OF_TOOL.get(point.mapping.tool, "")
            if source.kind == "json" and fit:
                return f'{{"{source.extra}": "{_TRIALS[fit][which]}"}}'
            return _TRIALS[fit][which] if fit else "text"
    lowered = name.lower()
    fit = next((trial for part, trial in _WORDS if part in lowered), "")
    return _TRIALS[fit][which] if fit else "text"


def _source(source: Source) -> str:
    if source.kind == "literal":
        return f"={source.extra}"
    joined = {"join": "/", "first": " or "}.get(source.kind, ", ").join(source.names)
    return f"{joined}?" if source.optional else joined
