"""What a guard costs per call of a framework's tool, beside the same call of the bare tool."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from measure import Row, row, time_each
from rampart import Guard

_QUIET: Final = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}
_ARGUMENTS: Final = {"path": "README.md"}
Call = Callable[[], object]
Pair = tuple[Call, Call]


def read_file(path: str) -> str:
    """Read a file."""
    return path


async def aread_file(path: str) -> str:
    """Read a file."""
    return path


def measure_adapters(folder: Path, rounds: int) -> list[Row]:
    """Return a row for each framework that is installed: a guarded call, and the bare one.

    Every guarded call is decided with the `standard` profile and written to a durable log.
    """
    os.environ.update(_QUIET | {"CREWAI_STORAGE_DIR": str(folder / "crewai")})
    rows = []
    with Guard(profile="standard", data_dir=folder / "adapters", workspace=Path.cwd()) as guard:
        for name, make in _FRAMEWORKS.items():
            try:
                with make(guard) as (guarded, bare):
                    plain = time_each([bare], rounds=rounds)
                    times = time_each([guarded], rounds=rounds)
                rows.append(row(f"guarded, {name}", times, peer=("bare", plain)))
            except ImportError:
                continue
        synced = time_each([partial(_sync, folder / "bare-sync")], rounds=rounds)
        rows.append(row("one bare fdatasync", synced))
    return rows


@contextmanager
def _function(guard: Guard) -> Iterator[Pair]:
    yield partial(guard.protect(read_file), **_ARGUMENTS), partial(read_file, **_ARGUMENTS)


@contextmanager
def _langchain(guard: Guard) -> Iterator[Pair]:
    from langchain_core.tools import StructuredTool

    tool = StructuredTool.from_function(read_file)
    yield partial(guard.protect(tool).invoke, _ARGUMENTS), partial(tool.invoke, _ARGUMENTS)


@contextmanager
def _crewai(guard: Guard) -> Iterator[Pair]:
    from crewai.tools import tool

    made: Any = tool("read_file")(read_file)
    yield partial(guard.protect(made).run, **_ARGUMENTS), partial(made.run, **_ARGUMENTS)


@contextmanager
def _autogen(guard: Guard) -> Iterator[Pair]:
    from autogen_core import CancellationToken
    from autogen_core.tools import FunctionTool

    made = FunctionTool(aread_file, "Read a file.", name="read_file")
    with asyncio.Runner() as loop:

        def call(tool: Any) -> object:
            return loop.run(tool.run_json(_ARGUMENTS, CancellationToken()))

        yield partial(call, guard.protect(made)), partial(call, made)


def _sync(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(b"x" * 600)
        os.fdatasync(file.fileno())


_FRAMEWORKS: Final = {
    "function": _function,
    "langchain": _langchain,
    "crewai": _crewai,
    "autogen": _autogen,
}
