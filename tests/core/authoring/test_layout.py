"""Formatting changes the order and the style of a policy, and nothing that it says."""

from __future__ import annotations

import textwrap

import pytest
from rampart.authoring.layout import formatted
from rampart.errors import PolicyError
from rampart.sources import profile_document, profile_names

UNTIDY = textwrap.dedent(
    """\
    # head
    policies:
      # about a
      - rules:
          # about the rule
          - when: {command_matches: ['ls *', 'it''s']}
            action: allow
            message: |
              text
                more
          - action: deny
            when:
              program: ls   # why
            name: last


        # the name
        name: a
        match: {tool: exec}   \n\
      - name: b
        rules: [{when: {program: x}, action: deny}]
    # the version
    version: 1
    # tail
    """
)
TIDY = textwrap.dedent(
    """\
    # head
    # the version
    version: "1"
    policies:
      # about a

      # the name
      - name: a
        match: {tool: exec}
        rules:
          # about the rule
          - action: allow
            when: {command_matches: ["ls *", 'it''s']}
            message: |
              text
                more
          - name: last
            action: deny
            when:
              program: ls   # why
      - name: b
        rules: [{when: {program: x}, action: deny}]
    # tail
    """
)


def test_keys_move_with_their_comments() -> None:
    assert formatted(UNTIDY, filename="p.yaml") == TIDY


def test_tidy_file_stays_as_it_is() -> None:
    assert formatted(TIDY, filename="p.yaml") == TIDY


@pytest.mark.parametrize("name", profile_names())
def test_built_in_profile_is_in_canonical_style(name: str) -> None:
    text = profile_document(name).source.decode()

    assert formatted(text, filename=name) == text


def test_text_of_several_lines_keeps_its_spaces() -> None:
    rule = "  - action: deny\n    message: |\n      a  \n\n\n      b\n"
    text = f'version: "1"\npolicies:\n- name: p\n  rules:\n{rule}'

    assert formatted(text, filename="p.yaml") == text


def test_number_stays_a_number_whatever_stands_before_it() -> None:
    when = "when: {params: {version: {in: [version, 1, '1']}}}"
    text = f'version: "1"\npolicies:\n- name: p\n  rules:\n  - action: deny\n    {when}\n'

    assert formatted(text, filename="p.yaml") == text.replace("'1'", '"1"')


def test_windows_line_ends_and_byte_order_mark_go() -> None:
    text = '\ufeffversion: "1"\r\ndefault_action: ask  \r\n\r\n\r\n'

    assert formatted(text, filename="p.yaml") == 'version: "1"\ndefault_action: ask\n'


@pytest.mark.parametrize("text", ["", "version: 2", 'version: "1"\npolicies: ['])
def test_file_that_does_not_load_is_not_touched(text: str) -> None:
    with pytest.raises(PolicyError):
        formatted(text, filename="p.yaml")
