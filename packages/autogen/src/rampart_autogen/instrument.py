"""All of AutoGen in this process behind one guard: executors, tools and workbenches.

MUST cover classes that are made or imported later.
MUST decide once: a tool that runs inside a workbench is decided as a tool, and code that a tool
runs as code. MUST undo exactly what was done.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.tools import (
    BaseStreamTool,
    BaseTool,
    StaticStreamWorkbench,
    StaticWorkbench,
    ToolResult,
    Workbench,
)
from rampart import EnforcementPoint, Guard

from rampart_autogen.blocks import Batch, working_directory
from rampart_autogen.executor import (
    GuardedCodeExecutor,
    allowed_blocks,
    answer,
    guard_of,
    reviewed,
)
from rampart_autogen.passing import letting, was_let
from rampart_autogen.tools import (
    call_context,
    calling,
    decided,
    frozen,
    mapping_of,
    point_of,
    seen,
)
from rampart_autogen.workbench import GuardedStreamWorkbench, GuardedWorkbench

PATHS = (
    "code executors: execute_code_blocks()",
    "tools: run_json() and run_json_stream(), and so every agent and StaticWorkbench",
    "workbenches: call_tool() and call_tool_stream(), MCP servers included",
)
GAPS = (
    "tool.run(), called by a program itself",
    "the classic lineage (autogen.coding): guard its executors and agents",
    "images and files that come back from an executor, where rules look at outputs",
)
_MARK = "__rampart_original__"
_guards: list[Guard] = []
_saved: list[tuple[type, str, Any]] = []


def instrument(guard: Guard) -> tuple[str, ...]:
    """Put ``guard`` in front of every executor, tool and workbench; return what that covers."""
    _guards.append(guard)
    for root, patches in _ROOTS.items():
        for kind in (root, *_below(root)):
            _patch(kind, patches)
        _watch(root, patches)
    return PATHS


def uninstrument() -> None:
    """Undo ``instrument``; nothing if there is nothing to undo."""
    _guards.clear()
    while _saved:
        kind, name, original = _saved.pop()
        if original is None:
            delattr(kind, name)
        else:
            setattr(kind, name, original)


def coverage(obj: Any, guard: Guard) -> tuple[str, ...]:
    """Return the ways to a guarded executor, tool or workbench that pass ``guard``."""
    if isinstance(obj, CodeExecutor):
        return PATHS[:1] if guard_of(obj) is guard else ()
    if isinstance(obj, BaseTool):
        point = point_of(obj)
        behind = point is not None and point.guard is guard
        return (*PATHS[1:2], "run() and run_stream()") if behind else ()
    if isinstance(obj, GuardedWorkbench):
        return PATHS[2:] if obj._guard is guard else ()  # noqa: SLF001 - our own
    return ()


def _below(kind: type) -> Iterator[type]:
    children: list[type] = kind.__subclasses__()
    for child in children:
        yield child
        yield from _below(child)


def _patch(kind: type, patches: Mapping[str, Callable[[Any], Any]]) -> None:
    ours = issubclass(kind, GuardedCodeExecutor | GuardedWorkbench)
    if ours or kind in (StaticWorkbench, StaticStreamWorkbench):
        return  # they decide themselves, or the tools that they run are decided
    for name, patch in patches.items():
        original = kind.__dict__.get(name)
        if original is None or hasattr(original, _MARK):
            continue
        if getattr(original, "__isabstractmethod__", False):
            continue
        patched = patch(original)
        setattr(patched, _MARK, original)
        _saved.append((kind, name, original))
        setattr(kind, name, patched)


def _watch(root: type, patches: Mapping[str, Callable[[Any], Any]]) -> None:
    own = root.__dict__.get("__init_subclass__")
    parent: Any = super

    def __init_subclass__(cls: Any, /, **options: Any) -> None:  # noqa: N807 - Python's own name
        if own is not None:
            own.__get__(None, cls)(**options)
        else:
            parent(root, cls).__init_subclass__(**options)
        if _guards:
            _patch(cls, patches)

    _saved.append((root, "__init_subclass__", own))
    root.__init_subclass__ = classmethod(__init_subclass__)  # type: ignore[assignment]  # as Python asks for


def _patch_executor(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    async def guarded(
        self: CodeExecutor, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        if not _guards or guard_of(self) is not None or was_let(self):
            with letting(self):  # WHY: an executor's class may call that of its base
                result: CodeResult = await execute(self, code_blocks, cancellation_token)
            return result
        guard = _guards[-1]
        batch = Batch(guard, code_blocks, working_directory(self))
        if denied := await answer(batch, cancellation_token):
            return denied
        with letting(self):
            result = await execute(self, allowed_blocks(batch), cancellation_token)
        return await reviewed(batch, result, guard)

    return guarded


def _point(tool: BaseTool[Any, Any], args: Mapping[str, Any]) -> EnforcementPoint | None:
    """Return what decides a tool's call; None if it is decided elsewhere."""
    runs_code = isinstance(getattr(tool, "_executor", None), CodeExecutor)
    if not _guards or point_of(tool) is not None or runs_code or was_let(tool, args):
        return None
    return EnforcementPoint(
        _guards[-1], tool.name, mapping_of(tool), subject=tool, context=call_context
    )


def _patch_run_json(run_json: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run_json)
    async def guarded(
        self: BaseTool[Any, Any],
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> Any:
        point = _point(self, args)
        if point is None:
            with letting(self, args):
                return await run_json(self, args, cancellation_token, call_id)
        with calling(call_id):
            allowed = await _allowed(self, point, args, cancellation_token)
            with letting(self, allowed):
                output = await run_json(self, allowed, cancellation_token, call_id)
            return await seen(point, allowed, output)

    return guarded


def _patch_run_json_stream(run_json_stream: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run_json_stream)
    async def guarded(
        self: BaseStreamTool[Any, Any, Any],
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        point = _point(self, args)
        if point is None:
            async for item in run_json_stream(self, args, cancellation_token, call_id):
                yield item
            return
        with calling(call_id):  # WHY only here: between two steps the context may be another
            allowed = await _allowed(self, point, args, cancellation_token)
        async for item in run_json_stream(self, allowed, cancellation_token, call_id):
            yield await seen(point, allowed, item)

    return guarded


async def _allowed(
    tool: BaseTool[Any, Any],
    point: EnforcementPoint,
    args: Mapping[str, Any],
    cancellation_token: CancellationToken,
) -> dict[str, Any]:
    """Return a copy of the arguments that may be used. Raises: Denied, CancelledError.

    Rules see them as given and as the tool's model reads them, which may rename one or fill one in.
    """
    given = frozen(point, args)
    try:
        read = dict(tool.args_type().model_validate(given))
    except ValueError:
        read = {}  # it will not run
    await decided(point, {**given, **read}, cancellation_token)
    return given


def _patch_call_tool(call_tool: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call_tool)
    async def guarded(self: Workbench, name: str, *args: Any, **kwargs: Any) -> ToolResult:
        if not _guards or was_let(self):
            with letting(self):
                result: ToolResult = await call_tool(self, name, *args, **kwargs)
            return result

        async def undecided(*args: Any) -> Any:
            with letting(self):  # WHY: a workbench's class may call that of its base
                return await call_tool(self, *args)

        inner = SimpleNamespace(call_tool=undecided)
        return await GuardedWorkbench(inner, _guards[-1]).call_tool(name, *args, **kwargs)  # type: ignore[arg-type]  # all that is used

    return guarded


def _patch_call_tool_stream(call_tool_stream: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call_tool_stream)
    async def guarded(
        self: Workbench, name: str, *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        if not _guards or was_let(self):
            stream = call_tool_stream(self, name, *args, **kwargs)
        else:
            inner = SimpleNamespace(call_tool_stream=functools.partial(call_tool_stream, self))
            workbench = GuardedStreamWorkbench(inner, _guards[-1])  # type: ignore[arg-type]  # as above
            stream = workbench.call_tool_stream(name, *args, **kwargs)
        async for item in stream:
            yield item

    return guarded


_ROOTS: dict[type, dict[str, Callable[[Any], Any]]] = {
    CodeExecutor: {"execute_code_blocks": _patch_executor},
    BaseTool: {"run_json": _patch_run_json, "run_json_stream": _patch_run_json_stream},
    Workbench: {"call_tool": _patch_call_tool, "call_tool_stream": _patch_call_tool_stream},
}
