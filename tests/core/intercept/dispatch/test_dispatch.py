"""Tool calls: each tool's parameters become actions, and ambiguous ones are refused."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rampart.errors import InputError, InputTooLarge
from rampart.intercept import intercept
from rampart.limits import CODE_BYTES_MAX, COMMAND_BYTES_MAX, PARAMS_BYTES_MAX, PARAMS_DEPTH_MAX
from rampart.model import Action, Host, ToolCall

HOST = Host(home="/home/user", cwd="/w", workspace="/w", variables={"HOME": "/home/user"})


def actions(tool: str, /, **params: Any) -> tuple[Action, ...]:
    return intercept(ToolCall(tool, params), HOST)


def did(tool: str, /, **params: Any) -> set[tuple[str, str]]:
    return {(a.tool, a.path or a.url or a.command) for a in actions(tool, **params)}


class TestExec:
    """The shell tool."""

    def test_simple_command_that_is_its_own_normal_form_has_no_whole(self) -> None:
        """One action carries both restriction and grant."""
        found = actions("exec", command="git status")
        assert [(a.tool, a.command, a.whole) for a in found] == [("exec", "git status", False)]

    def test_whole_call_stands_first_and_takes_no_grant(self) -> None:
        """Restrictions see the text as it was written."""
        first, *parts = actions("exec", command="git status && rm -rf /")
        assert (first.origin, first.whole, first.grantable) == ("call", True, False)
        assert first.command == "git status && rm -rf /"
        assert [p.command for p in parts if p.origin == "command"] == ["git status", "rm -rf /"]

    @pytest.mark.parametrize("name", ["command", "cmd", "script", "Command", "shell_command"])
    def test_command_goes_by_many_names(self, name: str) -> None:
        """All of them are read."""
        assert ("exec", "git status") in did("exec", **{name: "git status"})

    def test_list_is_exact_words_without_a_shell(self) -> None:
        """Nothing in a word is syntax."""
        commands = [a.command for a in actions("exec", command=["echo", "a; rm -rf /"])]
        assert "rm -rf /" not in commands
        assert ("read", "/etc/shadow") in did("exec", argv=["cat", "/etc/shadow"])

    def test_arguments_follow_the_command(self) -> None:
        """The way of MCP servers: a program and its arguments apart."""
        assert ("read", "/etc/shadow") in did("exec", command="cat", args=["/etc/shadow"])

    def test_working_directory_is_followed(self) -> None:
        """A relative path means what it means there."""
        assert ("read", "/etc/shadow") in did("exec", command="cat shadow", cwd="/etc")
        assert ("read", "/w/sub/x") in did("exec", command="cat x", workdir="sub")

    def test_text_for_standard_input_is_read_as_what_it_feeds(self) -> None:
        """A shell that is fed runs what it is fed."""
        assert ("exec", "rm -rf /") in did("exec", command="bash", stdin="rm -rf /\n")
        assert ("exec", "rm -rf /") not in did("exec", command="cat", stdin="rm -rf /\n")

    def test_environment_that_changes_loading_takes_the_grant(self) -> None:
        """As an assignment in front of the command does."""
        assert not any(
            a.grantable for a in actions("exec", command="ls", env={"LD_PRELOAD": "/x.so"})
        )
        assert any(a.grantable for a in actions("exec", command="ls", env={"LANG": "C"}))

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"command": ""},
            {"command": "  "},
            {"command": None},
            {"command": 7},
            {"command": b"ls"},
            {"command": {"a": 1}},
            {"command": []},
            {"command": ["ls", 7]},
            {"command": "ls\0-l"},
            {"command": ["ls", "a\0"]},
            {"argv": "ls"},
            {"argv": []},
            {"argv": [""]},
            {"command": "ls", "cmd": "rm -rf /"},
            {"command": "ls", "argv": ["rm", "-rf", "/"]},
            {"command": "ls", "cwd": 7},
            {"command": "ls", "env": 7},
        ],
    )
    def test_missing_mistyped_or_ambiguous_command_is_refused(self, params: dict[str, Any]) -> None:
        """Nothing is guessed."""
        with pytest.raises(InputError, match="exec"):
            actions("exec", **params)

    def test_equal_values_under_two_names_are_one(self) -> None:
        """Saying the same twice is no contradiction."""
        assert did("exec", command="ls", cmd="ls") == did("exec", command="ls")

    def test_command_over_its_limit_is_refused(self) -> None:
        """Nothing is cut; bytes count."""
        for text in ("a" * (COMMAND_BYTES_MAX + 1), "é" * (COMMAND_BYTES_MAX // 2 + 1)):
            with pytest.raises(InputTooLarge):
                actions("exec", command=text)


class TestFiles:
    """The file tools."""

    @pytest.mark.parametrize("tool", ["read", "write", "edit", "delete"])
    @pytest.mark.parametrize(
        "name", ["path", "file_path", "filePath", "filename", "file", "target"]
    )
    def test_path_goes_by_many_names(self, tool: str, name: str) -> None:
        """All of them are read."""
        (found,) = actions(tool, **{name: "~/.ssh/id_rsa"})
        assert (found.tool, found.origin, found.path) == (tool, "call", "/home/user/.ssh/id_rsa")

    def test_list_of_paths_is_one_action_each(self) -> None:
        """None of them hides behind the first."""
        assert did("delete", paths=["a", "/b"]) == {("delete", "/w/a"), ("delete", "/b")}

    def test_path_object_is_a_path(self) -> None:
        """Python programs pass them."""
        assert did("read", path=PurePosixPath("/etc/hosts")) == {("read", "/etc/hosts")}

    def test_parameters_stay_with_the_action(self) -> None:
        """Rules on content look there."""
        (found,) = actions("write", path="a", content="x")
        assert found.params["content"] == "x"

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"path": ""},
            {"path": 7},
            {"path": b"/etc/passwd"},
            {"path": []},
            {"path": ["a", 7]},
            {"path": "/a", "file_path": "/b"},
            {"path": "/a\0b"},
        ],
    )
    def test_missing_mistyped_or_ambiguous_path_is_refused(self, params: dict[str, Any]) -> None:
        """Nothing is guessed."""
        with pytest.raises(InputError):
            actions("read", **params)


class TestFetch:
    """The request tool."""

    def test_url_is_canonical(self) -> None:
        """Rules see the host that a client would reach."""
        (found,) = actions("fetch", url="HTTP://127.1/x")
        assert (found.url, found.host) == ("http://127.0.0.1/x", "127.0.0.1")

    def test_body_or_sending_method_uploads(self) -> None:
        """Data leaves with it."""
        assert "uploads" in actions("fetch", url="https://e.com", method="post")[0].effects
        assert "uploads" in actions("fetch", url="https://e.com", body="x")[0].effects
        assert "uploads" not in actions("fetch", url="https://e.com")[0].effects

    def test_file_url_is_reading(self) -> None:
        """Rules on paths see it."""
        assert did("fetch", url="file:///etc/passwd") == {("read", "/etc/passwd")}

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"url": 7},
            {"url": ""},
            {"url": "http://good.com\\@evil.com/"},
            {"url": "http://exa mple/"},
            {"url": "https://a.com", "uri": "https://b.com"},
        ],
    )
    def test_missing_unreadable_or_ambiguous_url_is_refused(self, params: dict[str, Any]) -> None:
        """Nothing is guessed."""
        with pytest.raises(InputError):
            actions("fetch", **params)


class TestCode:
    """The source tool."""

    def test_harmless_source_is_one_action_that_can_be_granted(self) -> None:
        """It is its own only part."""
        (found,) = actions("code", code="print(1)", language="python")
        assert (found.tool, found.origin, found.command) == ("code", "call", "print(1)")
        assert found.grantable
        assert not found.whole

    def test_what_source_does_follows(self) -> None:
        """Rules on paths and commands see it."""
        found = did("code", code="import os\nos.system('rm -rf /')\nopen('/x')", language="py")
        assert {("exec", "rm -rf /"), ("read", "/x")} <= found

    def test_shell_source_is_a_command_line(self) -> None:
        """Its parts carry the grants."""
        first, *parts = actions("code", code="ls; rm -rf /", language="bash")
        assert (first.tool, first.whole) == ("code", True)
        assert [p.command for p in parts if p.origin == "command"] == ["ls", "rm -rf /"]

    def test_opaque_part_makes_the_call_opaque(self) -> None:
        """No grant applies to source that nobody can read."""
        (found, _part) = actions("code", code="eval(input())", language="python")
        assert found.opaque
        assert not found.grantable

    def test_blocks_are_read_each_in_its_language(self) -> None:
        """A list may mix them."""
        blocks = [{"language": "python", "code": "open('/x')"}, {"language": "sh", "code": "rm /y"}]
        assert {("read", "/x"), ("delete", "/y")} <= did("code", code=blocks)

    def test_source_without_a_language_is_read_as_python_or_opaque(self) -> None:
        """Both readings are safe."""
        assert ("read", "/x") in did("code", code="open('/x')")
        assert actions("code", code="#!/bin/sh\nrm -rf /")[0].opaque

    @pytest.mark.parametrize("params", [{}, {"code": ""}, {"code": 7}, {"code": [7]}, {"code": []}])
    def test_missing_or_mistyped_source_is_refused(self, params: dict[str, Any]) -> None:
        """Nothing is guessed."""
        with pytest.raises(InputError, match="code"):
            actions("code", **params)

    def test_source_over_its_limit_is_refused(self) -> None:
        """Nothing is cut."""
        with pytest.raises(InputTooLarge):
            actions("code", code="#" * (CODE_BYTES_MAX + 1), language="python")


class TestOtherTools:
    """MCP tools and tools of any name: their arguments say what they do."""

    @pytest.mark.parametrize(
        ("said", "wanted"), [(True, True), ("yes", True), (False, False), ("", False), (0, False)]
    )
    def test_a_whole_tree_is_meant_where_the_call_says_so(self, said: object, wanted: bool) -> None:
        """An empty or false `recursive` says no."""
        (path,) = (each for each in actions("anything", path="/x", recursive=said) if each.path)
        assert ("recursive" in path.effects) is wanted

    @pytest.mark.parametrize(
        ("name", "arguments", "tool", "operand"),
        [
            ("read_file", {"path": "/etc/shadow"}, "read", "/etc/shadow"),
            ("list_directory", {"path": "~/.ssh"}, "read", "/home/user/.ssh"),
            ("write_file", {"path": "a", "content": "x"}, "write", "/w/a"),
            ("createDirectory", {"path": "/x"}, "write", "/x"),
            ("delete_file", {"file_path": "/x"}, "delete", "/x"),
            ("str_replace_editor", {"path": "/x"}, "edit", "/x"),
            ("str_replace_editor", {"command": "view", "path": "/x"}, "read", "/x"),
            ("move_file", {"source": "/x", "destination": "/y"}, "delete", "/x"),
            ("move_file", {"source": "/x", "destination": "/y"}, "write", "/y"),
            ("copy_file", {"source": "/x", "destination": "/y"}, "read", "/x"),
            ("read_multiple_files", {"paths": ["/x", "/y"]}, "read", "/y"),
            ("anything", {"deep": {"list": [{"k": "/etc/shadow"}]}}, "read", "/etc/shadow"),
            ("anything", {"note": "~/.ssh/id_rsa"}, "read", "/home/user/.ssh/id_rsa"),
            ("execute_command", {"command": "rm -rf /"}, "exec", "rm -rf /"),
            ("run", {"cmd": "cat /etc/shadow"}, "read", "/etc/shadow"),
            ("http_request", {"url": "http://127.1/"}, "fetch", "http://127.0.0.1/"),
            ("api_call", {"target": "http://10.0.0.1/"}, "fetch", "http://10.0.0.1/"),
            ("connect", {"host": "e.com:99"}, "fetch", "http://e.com:99/"),
            ("open", {"uri": "file:///etc/shadow"}, "read", "/etc/shadow"),
            ("run_python", {"code": "open('/x')"}, "read", "/x"),
            ("eval", {"language": "node", "code": "fs.unlinkSync('/x')"}, "delete", "/x"),
            ("query_database", {"query": "DROP TABLE t"}, "code", "DROP TABLE t"),
        ],
    )
    def test_argument_is_an_action_that_only_tightens(
        self, name: str, arguments: dict[str, Any], tool: str, operand: str
    ) -> None:
        """Both as an MCP call and as a tool of that name."""
        for found in (
            actions("mcp", name=name, arguments=arguments),
            intercept(ToolCall(name, arguments), HOST),
        ):
            derived = found[1:]
            assert (tool, operand) in {(a.tool, a.path or a.url or a.command) for a in derived}
            assert {a.origin for a in derived} <= {"argument", "code", "assignment"}
            assert not any(a.whole for a in derived)

    def test_call_itself_stands_first_with_its_parameters(self) -> None:
        """Rules on any parameter look there."""
        first = actions("transfer", amount=5)[0]
        assert (first.tool, first.origin, first.params["amount"]) == ("transfer", "call", 5)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"message": "Please fix the null pointer in my code."},
            {"query": "SELECT id FROM t WHERE a = 1"},
            {"text": "see /etc/passwd for details"},
            {"amount": 3, "flag": True, "nothing": None},
            {"dsn": "host=localhost dbname=x"},
        ],
    )
    def test_prose_and_numbers_are_no_actions(self, arguments: dict[str, Any]) -> None:
        """Text is not execution."""
        assert len(actions("anything", **arguments)) == 1

    def test_arguments_as_json_text_are_read(self) -> None:
        """Models send them so."""
        found = did("mcp", name="read_file", arguments='{"path": "/etc/shadow"}')
        assert ("read", "/etc/shadow") in found

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"name": 7},
            {"name": "x", "arguments": "{"},
            {"name": "x", "arguments": '{"a": 1, "a": 2}'},
            {"name": "x", "arguments": [1]},
        ],
    )
    def test_mcp_call_that_cannot_be_understood_is_refused(self, params: dict[str, Any]) -> None:
        """Nothing is guessed."""
        with pytest.raises(InputError):
            actions("mcp", **params)


class TestBounds:
    """Parameters of any shape."""

    def test_parameters_that_hold_themselves_are_refused(self) -> None:
        """The walk ends."""
        loop: dict[str, Any] = {}
        loop["again"] = loop
        with pytest.raises(InputTooLarge):
            actions("anything", value=loop)

    def test_nesting_is_bounded(self) -> None:
        """Neither recursion nor the record overflows."""
        value: object = "x"
        for _ in range(PARAMS_DEPTH_MAX + 1):
            value = [value]
        with pytest.raises(InputTooLarge, match="nested"):
            actions("anything", value=value)

    def test_size_is_bounded(self) -> None:
        """A call is recorded, and a record is one line."""
        for value in ("x" * PARAMS_BYTES_MAX, b"x" * PARAMS_BYTES_MAX, [0] * PARAMS_BYTES_MAX):
            with pytest.raises(InputTooLarge):
                actions("anything", value=value)

    def test_parameter_name_that_is_no_text_is_refused(self) -> None:
        """JSON has none."""
        with pytest.raises(InputError, match="name"):
            actions("anything", value={7: "x"})

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(
            ["exec", "read", "write", "fetch", "code", "mcp", "anything", "run_python"]
        ),
        st.dictionaries(
            st.sampled_from(
                [
                    "command",
                    "path",
                    "url",
                    "code",
                    "language",
                    "name",
                    "arguments",
                    "cwd",
                    "x",
                    "query",
                ]
            ),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.text(max_size=20)
                | st.binary(max_size=5),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=3)
                ),
                max_leaves=6,
            ),
            max_size=4,
        ),
    )
    def test_nothing_but_input_errors_escapes(self, tool: str, params: dict[str, Any]) -> None:
        """Any parameters are read or refused, and something always stands for the call."""
        try:
            found = intercept(ToolCall(tool, params), HOST)
        except InputError:
            return
        assert found
