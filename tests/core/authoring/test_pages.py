"""What core/docs says about writing policies is true."""

from __future__ import annotations

import re
from pathlib import Path

from rampart.authoring.cases import read_inline_cases
from rampart.authoring.findings import CODES
from rampart.authoring.trial import play
from rampart.sources import PolicyInForce, policy_documents

DOCS = Path(__file__).parents[3] / "core" / "docs"


def test_the_page_lists_every_code_with_its_severity_and_meaning() -> None:
    text = (DOCS / "cli.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning) \| (.*) \|$", text, re.MULTILINE)

    assert rows == [(code, severity, meaning) for code, (severity, meaning) in CODES.items()]


def test_the_tests_that_the_page_shows_hold() -> None:
    text = (DOCS / "policy.md").read_text().partition("## Testing a policy")[2]
    policy = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]
    documents = policy_documents(text=policy)

    cases = read_inline_cases(documents[0])

    assert len(cases) == 4
    for case in cases:
        assert play(case, PolicyInForce(documents), now=0.0).problems == ()


def test_the_page_names_every_key_of_a_test() -> None:
    from rampart.authoring import cases

    text = (DOCS / "policy.md").read_text().partition("## Testing a policy")[2]
    for key in cases._CASE | cases._STEP | cases._FILE - {"version"}:
        assert re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", text), key
