"""The report: one page that needs nothing else, and in which nothing of the log can act."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from rampart.audit.report import Integrity, render
from rampart.audit.statistics import Statistics

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><style>*{display:none}",
    "' onmouseover='alert(1)",
    "</title></svg><a href='javascript:1'>",
    "&lt;b&gt;",
    "$style $title ${x}",
    "\u202etxt.exe\x00\x1b[2J",
    "\ud800",
]


WHOLE = Integrity("ok", 1, head="ab")


class Page(HTMLParser):
    """What a browser would see: the tags, what they say, and whether they close."""

    void = frozenset({"meta", "br"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open, self.attributes = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page_of(name="exec", integrity=WHOLE, count=3):
    found = Statistics()
    for number in range(count):
        for action in ("allow", "deny", "ask"):
            found.add(
                {
                    "type": "decision",
                    "id": "X",
                    "time": f"2026-03-0{1 + number}T10:00:00.000000Z",
                    "tool": name,
                    "agent": name,
                    "session": name,
                    "params": {"command": name},
                    "decision": {"action": action, "policy": name, "rule": name, "message": name},
                    "duration_us": 12.0,
                }
            )
    return render(found, integrity, title=name, made=name, which=name)


@pytest.mark.parametrize("name", NASTY)
def test_nothing_of_the_log_is_markup(name):
    plain, nasty = Page(page_of()), Page(page_of(name))
    assert nasty.tags == plain.tags
    assert nasty.open == []
    assert [key for key, _ in nasty.attributes] == [key for key, _ in plain.attributes]
    shown = "".join(nasty.text)
    assert "\u202e" not in shown
    assert "\x1b" not in shown
    assert "\x00" not in shown
    if name.isprintable():
        assert name in shown


def test_the_page_runs_nothing_and_loads_nothing():
    text = page_of()
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "form", "a", "base"} & set(page.tags)
    assert not [
        k for k, _ in page.attributes if k.startswith("on") or k in ("href", "src", "style")
    ]
    (policy,) = [v for k, v in page.attributes if k == "content" and v and "default-src" in v]
    style = re.search("<style>(.*?)</style>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("verdict", ["ok", "tampered", "torn", "unreadable", "rollback", ""])
def test_the_page_says_what_verification_said(verdict):
    text = page_of(integrity=Integrity(verdict, 5, "the reason", "segment:7"))
    assert f'<section class="verdict {verdict}">' in text
    assert ("Yes: every record is whole" in text) == (verdict == "ok")
    assert "the reason" in text
    assert "segment:7" in text


def test_the_columns_of_the_timeline_add_up():
    text = page_of(count=9)
    counted = re.findall(r"<title>2026-[0-9: -]+ (\w+): (\d+)</title>", text)
    sums = {word: sum(int(n) for w, n in counted if w == word) for word in ("allow", "ask", "deny")}
    assert sums == {"allow": 9, "ask": 9, "deny": 9}


def test_an_empty_log_makes_a_page_too():
    page = Page(render(Statistics(), Integrity(), title="T", made="m", which=""))
    assert page.open == []
    assert "There are no records." in "".join(page.text)
