"""What `tools.yaml` says about CrewAI's own tools is true of those that are installed."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest
from rampart import Guard
from rampart_crewai import guard_tool
from rampart_crewai.tools import tool_map

# WHY optional: this package needs another 100 packages; tests/versions.py installs it
pytest.importorskip("crewai_tools", reason="crewai-tools is not installed")


def known() -> dict[str, Any]:
    return dict(tool_map().by_class)


@pytest.mark.parametrize("path", known())
def test_class_exists_and_has_what_is_said_of_it(path: str) -> None:
    module, _, name = path.rpartition(".")
    kind = getattr(import_module(module), name)
    schema = kind.model_fields["args_schema"].default
    arguments = set(getattr(schema, "model_fields", {}))
    arguments |= set(inspect.signature(kind._run).parameters)
    for parameter, source in known()[path].params.items():
        if source.kind == "literal":
            continue
        found = [
            each.removeprefix("self.") in kind.model_fields
            if each.startswith("self.")
            else each in arguments
            for each in source.names
        ]
        assert any(found), (path, parameter, source.names, sorted(arguments))


def test_file_that_was_given_to_the_constructor_is_decided(stage: Any) -> None:
    tools = import_module("crewai_tools")
    secret = stage.folder / "secret" / "a.txt"
    secret.write_text("hidden")
    guarded = stage.guard.protect(tools.FileReadTool(file_path=str(secret)))
    assert "secrets are not" in guarded.run().message


def test_folder_that_was_given_to_the_constructor_is_decided(stage: Any) -> None:
    tools = import_module("crewai_tools")
    base = stage.folder / "secret"
    (base / "a.txt").write_text("hidden")
    for tool, arguments in (
        (tools.FileReadTool(base_dir=str(base)), {"file_path": "a.txt"}),
        (tools.FileWriterTool(base_dir=str(base)), {"filename": "b.txt", "content": "x"}),
    ):
        assert "secrets are not" in stage.guard.protect(tool).run(**arguments).message
    assert not (base / "b.txt").exists()


def test_allowed_tool_works(stage: Any) -> None:
    tools = import_module("crewai_tools")
    guard: Guard = stage.guard
    public = stage.folder / "public"
    write = guard_tool(tools.FileWriterTool(base_dir=str(public)), guard)
    read = guard_tool(tools.FileReadTool(base_dir=str(public)), guard)
    write.run(filename="a.txt", content="hello")
    assert read.run(file_path="a.txt") == "hello"
