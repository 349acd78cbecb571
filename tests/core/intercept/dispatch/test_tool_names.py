"""What the names and arguments of tools that nobody knows say about them."""

from __future__ import annotations

import pytest
from rampart.intercept import intercept
from rampart.intercept.tool_names import name_effects, switch_effects
from rampart.model import Host, ToolCall

HOST = Host(home="/home/me", cwd="/workspace/project", workspace="/workspace/project")


@pytest.mark.parametrize(
    ("tool", "effect"),
    [
        ("delete_repository", "irreversible"),
        ("mcp__mongodb__drop-database", "irreversible"),
        ("GitHubDeleteRepository", "irreversible"),
        ("find_one_and_delete", "irreversible"),
        ("pods_delete", "irreversible"),
        ("remove_volume", "irreversible"),
        ("cancel_subscription", "irreversible"),
        ("pause_project", "kills"),
        ("BankManagerTransferFunds", "pays"),
        ("BankManagerPayBill", "pays"),
        ("create_refund", "pays"),
        ("sign_transaction", "pays"),
        ("update_user_role", "accounts"),
        ("create_api_key", "accounts"),
        ("transfer_ownership", "accounts"),
        ("disable_two_factor_authentication", "disables-security"),
        ("unlock_front_door", "disables-security"),
        ("get_secret_value", "credential"),
        ("merge_pull_request", "force"),
        ("deploy_to_production", "force"),
        ("publish_package", "publishes"),
    ],
)
def test_name_that_says_what_it_does_is_heard(tool: str, effect: str) -> None:
    assert {effect, "guessed"} <= name_effects(tool)


@pytest.mark.parametrize(
    "tool",
    [
        "list_payments",
        "get_transfer_status",
        "search_deleted_items",
        "git_checkout",
        "transfer_to_refund_agent",
        "browser_drag_and_drop",
        "drop_columns",
        "remove_label",
        "delete_entities",
        "count_tokens",
        "stop_dev_server",
        "merge_cells",
        "apply_patch",
        "clear_cache",
        "read_file",
        "",
    ],
)
def test_everyday_name_says_nothing(tool: str) -> None:
    assert name_effects(tool) == frozenset()


@pytest.mark.parametrize(
    ("tool", "arguments", "effect"),
    [
        ("git_push", {"force": True}, "irreversible"),
        ("git_reset", {"mode": "hard"}, "irreversible"),
        ("scale_deployment", {"replicas": 0}, "kills"),
        ("deploy_service", {"environment": "Production"}, "force"),
    ],
)
def test_argument_makes_a_harmless_tool_a_dangerous_one(
    tool: str, arguments: dict[str, object], effect: str
) -> None:
    assert effect in switch_effects(tool, arguments)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("git_push", {"force": False}),
        ("git_reset", {"mode": "soft"}),
        ("scale_deployment", {"replicas": 3}),
        ("deploy_service", {"environment": "staging"}),
        ("write_file", {"force": True}),
    ],
)
def test_argument_of_ordinary_use_says_nothing(tool: str, arguments: dict[str, object]) -> None:
    assert switch_effects(tool, arguments) == frozenset()


def _own_effects(tool: str, arguments: dict[str, object]) -> frozenset[str]:
    return intercept(ToolCall("mcp", {"name": tool, "arguments": arguments}), HOST)[0].effects


def test_file_deleted_by_its_identifier_or_elsewhere_is_gone_for_good() -> None:
    """A path in the workspace is judged as a path; an identifier, or a forge's file, cannot be."""
    assert "irreversible" not in _own_effects("delete_file", {"path": "temp/old.log"})
    assert "irreversible" in _own_effects("delete_file", {"file_id": "17"})
    assert "irreversible" in _own_effects("mcp__github__delete_file", {"path": "src/main.py"})


def test_tool_named_after_a_program_gets_the_words_after_its_name() -> None:
    call = ToolCall("mcp", {"name": "kubectl", "arguments": {"command": "delete ns prod"}})

    found = intercept(call, HOST)

    assert any("irreversible" in each.effects for each in found if each.program == "kubectl")


def test_question_to_a_search_engine_is_no_statement_of_sql() -> None:
    asked = ToolCall("mcp", {"name": "search_docs", "arguments": {"query": "drop table syntax"}})
    sent = ToolCall("mcp", {"name": "query", "arguments": {"query": "DROP TABLE users"}})

    assert not any("irreversible" in each.effects for each in intercept(asked, HOST))
    assert any("irreversible" in each.effects for each in intercept(sent, HOST))
