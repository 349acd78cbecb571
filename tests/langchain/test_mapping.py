"""Well-known tools are decided as what they do, by their class or by their name."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool
from rampart.errors import RampartError
from rampart_langchain.tools import tool_map

COMMUNITY = "langchain_community.tools"
SHELL = f"{COMMUNITY}.shell.tool.ShellTool"
COPY = f"{COMMUNITY}.file_management.copy.CopyFileTool"
READ = f"{COMMUNITY}.file_management.read.ReadFileTool"
FILES = f"{COMMUNITY}.file_management"
REQUESTS = f"{COMMUNITY}.requests.tool"
CASES: list[tuple[str, dict[str, Any], dict[str, Any], str, dict[str, Any]]] = [
    (SHELL, {}, {"commands": ["ls", "pwd"]}, "exec", {"command": "ls;pwd"}),
    (SHELL, {}, {"commands": "ls"}, "exec", {"command": "ls"}),
    (READ, {}, {"file_path": "a"}, "read", {"path": "a"}),
    (READ, {"root_dir": "/srv"}, {"file_path": "a"}, "read", {"path": "/srv/a"}),
    (f"{FILES}.write.WriteFileTool", {}, {"file_path": "a", "text": "t", "append": True}, "write",
     {"path": "a", "content": "t", "append": True}),
    (f"{FILES}.delete.DeleteFileTool", {}, {"file_path": "a"}, "delete", {"path": "a"}),
    (COPY, {"root_dir": "/srv"}, {"source_path": "a", "destination_path": "/b"}, "copy_file",
     {"source_path": "/srv/a", "destination_path": "/b"}),
    (f"{FILES}.list_dir.ListDirectoryTool", {}, {"dir_path": "a"}, "read", {"path": "a"}),
    (f"{REQUESTS}.RequestsGetTool", {}, {"url": "http://x/"}, "fetch", {"url": "http://x/"}),
    (f"{REQUESTS}.RequestsPostTool", {}, {"text": '{"url": "http://x/", "data": {}}'}, "fetch",
     {"url": "http://x/", "method": "POST", "body": '{"url": "http://x/", "data": {}}'}),
    (f"{COMMUNITY}.sql_database.tool.QuerySQLDatabaseTool", {}, {"query": "SELECT 1"}, "code",
     {"code": "SELECT 1", "language": "sql"}),
    ("langchain_experimental.tools.python.tool.PythonREPLTool", {}, {"query": "1"}, "code",
     {"code": "1", "language": "python"}),
]  # fmt: skip


def stand_in(path: str) -> type[BaseTool]:
    """Return a tool class that goes by ``path``, without the framework package that has it."""
    module, _, name = path.rpartition(".")

    def _run(self: BaseTool, **arguments: Any) -> str:
        return "ran"

    fields: dict[str, Any] = {
        "__module__": module,
        "__annotations__": {"name": str, "description": str, "root_dir": Any, "args_schema": Any},
        "name": "any_name",
        "description": "A stand-in.",
        "root_dir": None,
        "args_schema": {"type": "object", "properties": {}},
        "_run": _run,
    }
    return type(name, (BaseTool,), fields)


@pytest.mark.parametrize(("path", "attributes", "arguments", "name", "params"), CASES)
def test_class_says_what_a_tool_does(
    stage: Any,
    path: str,
    attributes: dict[str, Any],
    arguments: dict[str, Any],
    name: str,
    params: dict[str, Any],
) -> None:
    stage.guard.protect(stand_in(path)(**attributes)).invoke(arguments)
    (decision,) = stage.decisions()
    assert (decision["tool"], decision["params"]) == (name, params)


def test_subclass_of_a_known_tool_is_known(stage: Any) -> None:
    class Mine(stand_in(READ)):  # type: ignore[misc]  # made at run time
        pass

    assert "secrets are not" in stage.guard.protect(Mine()).invoke({"file_path": "/x/secret/y"})


@pytest.mark.parametrize("path", sorted({path for path, *_rest in CASES if "copy" not in path}))
def test_known_tool_without_its_argument_is_refused(stage: Any, path: str) -> None:
    answer = stage.guard.protect(stand_in(path)()).invoke({"other": "x"})
    assert answer.startswith("Denied by policy"), answer


def test_missing_argument_of_a_custom_tool_is_refused_too(stage: Any) -> None:
    answer = stage.guard.protect(stand_in(COPY)()).invoke({"source_path": "a"})
    assert "parameter `destination_path` is missing" in answer


def function(name: str, *arguments: str) -> StructuredTool:
    properties = {argument: {"type": "string"} for argument in arguments}
    return StructuredTool(
        name=name,
        description="A tool.",
        args_schema={"type": "object", "properties": properties},
        func=lambda **given: f"ran with {sorted(given)}",
    )


def test_name_counts_only_with_the_arguments_that_belong_to_it(stage: Any) -> None:
    stage.guard.protect(function("read_file", "path")).invoke({"path": "a"})
    stage.guard.protect(function("read_file", "number")).invoke({"number": "7"})
    assert [d["tool"] for d in stage.decisions()] == ["read", "read_file"]


def test_two_names_for_one_thing_that_disagree_are_refused(stage: Any) -> None:
    guarded = stage.guard.protect(function("read_file", "path", "file_path"))
    answer = guarded.invoke({"path": "a", "file_path": "/x/secret/y"})
    assert answer.startswith("Denied by policy"), answer


def test_unknown_tool_is_decided_under_its_own_name(stage: Any) -> None:
    stage.guard.protect(function("count_words", "text")).invoke({"text": "a b"})
    (decision,) = stage.decisions()
    assert (decision["tool"], decision["params"]) == ("count_words", {"text": "a b"})


def test_user_can_say_what_a_tool_stands_for(stage: Any) -> None:
    guarded = stage.guard.protect(function("peek", "where"), tool="read", params={"path": "where"})
    assert "secrets are not" in guarded.invoke({"where": "/x/secret/y"})
    assert stage.decisions()[0]["tool"] == "read"


def test_params_without_a_tool_are_an_error(stage: Any) -> None:
    with pytest.raises(RampartError, match="`params` needs `tool`"):
        stage.guard.protect(function("peek", "where"), params={"path": "where"})


def test_every_entry_names_a_tool_with_parameters() -> None:
    known = tool_map()
    assert len(known.by_class) >= 15
    for mapping in (*known.by_class.values(), *(m for ms in known.by_name.values() for m in ms)):
        required = [name for name, source in mapping.params.items() if not source.optional]
        assert required or mapping.tool == "search_file", mapping
