"""What the name of a tool says about its side of a session, for names of any style."""

from __future__ import annotations

import pytest
from rampart.intercept import intercept
from rampart.intercept.tool_kinds import kind_effects
from rampart.model import Host, ToolCall

LOOKS_UP = """
web_search get_weather list_channels readMessages SearchFlights fetch_page browse_website
describe_table query_database lookupDefinition GetCalendarEvents check_availability
summarize_text translateText get_reviews_for_hotel search_files_by_name find_in_files
mcp__github__list_issues mcp__wiki__get_page view_article retrieve_documents find_similar
InboxReadMessage ForumSearchPosts NewsGetHeadlines count_words get_shared_calendar show_map
list_posts get_order_status count_likes browser_navigate requests_get
"""
ACTS = """
send_email delete_file create_calendar_event cancel_booking add_user_to_channel post_webpage
share_file reserve_table update_profile send_money schedule_transaction place_order unlock_door
DoorLockGrantAccess TransferFunds execute_command run_query HomeSetThermostat invite_member
remove_member append_to_file approve_request search_and_delete find_then_update check_out
log_in requests_post book_flight ThermostatTurnOff RobotMoveTo wire_transfer reset_password
disable_alarm mcp__mail__reply merge_pull_request buy_stock subscribe_newsletter
upload_document download_records move_item generate_video fill_form
"""
SAYS_NOTHING = "calculator wikipedia think final_answer tool x 42 _ é"


@pytest.mark.parametrize("name", LOOKS_UP.split())
def test_a_name_whose_first_verb_looks_is_of_a_tool_that_looks_up(name: str) -> None:
    assert kind_effects(name) & {"looks-up", "acts"} == {"looks-up"}


@pytest.mark.parametrize("name", ACTS.split())
def test_a_name_that_says_that_something_is_done_acts(name: str) -> None:
    assert kind_effects(name) & {"looks-up", "acts"} == {"acts"}


@pytest.mark.parametrize("name", SAYS_NOTHING.split())
def test_a_name_without_a_verb_says_nothing(name: str) -> None:
    assert kind_effects(name) == frozenset()


@pytest.mark.parametrize(
    ("name", "personal"),
    [
        ("get_account_balance", True),
        ("ClinicReadPrescriptions", True),
        ("list_contacts", True),
        ("get_current_location", True),
        ("web_search", False),
        ("get_product_details", False),
    ],
)
def test_records_of_a_person_are_known_by_their_names(name: str, personal: bool) -> None:
    assert ("personal" in kind_effects(name)) is personal


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("create_note", True),
        ("notes_append", True),
        ("SaveSummary", True),
        ("share_note", False),
        ("create_public_note", False),
        ("send_summary_email", False),
        ("delete_note", False),
        ("search_notes", False),
    ],
)
def test_notes_are_taken_and_not_handed_on(name: str, notes: bool) -> None:
    assert ("takes-notes" in kind_effects(name)) is notes


@pytest.mark.parametrize(
    "call",
    [
        ToolCall("web_search", {"query": "x"}),
        ToolCall("mcp", {"name": "web_search", "arguments": {"query": "x"}}),
    ],
)
def test_the_call_itself_carries_what_its_name_says(call: ToolCall) -> None:
    actions = intercept(call, Host(home="/home/me", cwd="/w", workspace="/w"))
    assert actions[0].effects == {"looks-up"}
    assert all("looks-up" not in action.effects for action in actions[1:])
