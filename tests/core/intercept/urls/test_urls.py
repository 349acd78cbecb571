"""URLs: one canonical form, the place it leads to, and no parser that knows better."""

from __future__ import annotations

import ada_url
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rampart.errors import InputError, InputTooLarge
from rampart.intercept.urls import (
    DISAGREE,
    UNREADABLE,
    canonicalize,
    fetch_action,
    looks_like_url,
    require_url,
)
from rampart.limits import URL_BYTES_MAX


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        ("https://example.com", "https://example.com/", "example.com"),
        ("https://example.com/", "https://example.com/", "example.com"),
        ("HTTPS://EXAMPLE.com/A", "https://example.com/A", "example.com"),
        ("https://example.com:443/", "https://example.com/", "example.com"),
        ("http://example.com:80/", "http://example.com/", "example.com"),
        ("http://example.com:8080/", "http://example.com:8080/", "example.com"),
        ("http://example.com./x", "http://example.com/x", "example.com"),
        ("http://example.com/a/../b", "http://example.com/b", "example.com"),
        ("http://example.com/%2e%2e/b", "http://example.com/b", "example.com"),
        ("http://example.com/#frag", "http://example.com/", "example.com"),
        ("http://example.com?q=1", "http://example.com/?q=1", "example.com"),
        ("http://user:pw@example.com/", "http://example.com/", "example.com"),
        ("http://good.com@evil.com/", "http://evil.com/", "evil.com"),
        ("http://good.com:80@evil.com/", "http://evil.com/", "evil.com"),
        ("http://a@b@evil.com/", "http://evil.com/", "evil.com"),
        ("http://evil.com#@good.com/", "http://evil.com/", "evil.com"),
        ("http://evil.com?@good.com/", "http://evil.com/?@good.com/", "evil.com"),
        ("http://ex%61mple.com/", "http://example.com/", "example.com"),
        ("http://\uff45xample.com/", "http://example.com/", "example.com"),
        ("http://evil\u3002com/", "http://evil.com/", "evil.com"),
        ("http://m\u00fcnchen.de/", "http://xn--mnchen-3ya.de/", "xn--mnchen-3ya.de"),
        ("ht\ttp://exa\nmple.com/", "http://example.com/", "example.com"),
        ("  https://example.com/ ", "https://example.com/", "example.com"),
        ("http://127.1/", "http://127.0.0.1/", "127.0.0.1"),
        ("http://0x7f.1/", "http://127.0.0.1/", "127.0.0.1"),
        ("http://0x7f000001/", "http://127.0.0.1/", "127.0.0.1"),
        ("http://2130706433/", "http://127.0.0.1/", "127.0.0.1"),
        ("http://017700000001/", "http://127.0.0.1/", "127.0.0.1"),
        ("http://0/", "http://0.0.0.0/", "0.0.0.0"),
        ("http://2852039166/", "http://169.254.169.254/", "169.254.169.254"),
        ("http://0xa9fea9fe/", "http://169.254.169.254/", "169.254.169.254"),
        ("http://169.254.43518/", "http://169.254.169.254/", "169.254.169.254"),
        ("http://169.254.169.254./", "http://169.254.169.254/", "169.254.169.254"),
        ("http://\uff11\uff16\uff19.254.169.254/", "http://169.254.169.254/", "169.254.169.254"),
        ("http://[::1]/", "http://[::1]/", "::1"),
        ("http://[0:0:0:0:0:0:0:1]:80/", "http://[::1]/", "::1"),
        ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "::ffff:7f00:1"),
        ("http://[fe80::1%25eth0]/", "http://[fe80::1]/", "fe80::1"),
        ("//example.com/x", "http://example.com/x", "example.com"),
        ("example.com/x", "http://example.com/x", "example.com"),
        ("example.com:8080/x", "http://example.com:8080/x", "example.com"),
        ("localhost:3000", "http://localhost:3000/", "localhost"),
        ("ftp.example.com/x", "ftp://ftp.example.com/x", "ftp.example.com"),
        ("ws://example.com/x", "ws://example.com/x", "example.com"),
        ("gopher://127.1:70/_x", "gopher://127.0.0.1:70/_x", "127.0.0.1"),
        ("dict://LOCALHOST:11211/x", "dict://localhost:11211/x", "localhost"),
        ("redis://:pw@localhost:6379/0", "redis://localhost:6379/0", "localhost"),
        ("git+ssh://git@github.com/o/r", "git+ssh://github.com/o/r", "github.com"),
        ("git@github.com:o/r.git", "ssh://github.com/o/r.git", "github.com"),
        ("view-source:http://example.com/", "http://example.com/", "example.com"),
        ("jar:http://example.com/a.jar", "http://example.com/a.jar", "example.com"),
        ("URL:http://example.com/", "http://example.com/", "example.com"),
        ("tcp://evil.com:4444", "tcp://evil.com:4444/", "evil.com"),
        ("http://a.com/x y", "http://a.com/x%20y", "a.com"),
        ("http://a.com/.hidden", "http://a.com/.hidden", "a.com"),
        ("data:text/plain,hi", "data:text/plain,hi", ""),
        ("mailto:a@example.com", "mailto:a@example.com", ""),
    ],
)
def test_every_text_for_an_address_has_the_same_canonical_form(
    text: str, url: str, host: str
) -> None:
    """Schemes, ports, escapes, user names and number systems do not hide a host."""
    found = canonicalize(text)
    assert (found.url, found.host, found.opaque) == (url, host, "")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("http://good.com\\@evil.com/", "evil.com"),
        ("http://good.com\\.evil.com/", "evil.com"),
        ("http:evil.com/", "http:"),
        ("http:///evil.com/", "http:"),
        ("http:/evil.com/", "http:"),
        ("http://0177.0.0.1/", "177.0.0.1"),
        ("http://010.0.0.1/", "10.0.0.1"),
        ("http:\\\\evil.com/", "http:"),
    ],
)
def test_host_on_which_parsers_disagree_is_opaque_and_both_readings_are_kept(
    text: str, other: str
) -> None:
    """Nobody knows which client will read it, so no grant applies and restrictions see both."""
    action = fetch_action("argument", text)
    assert action.opaque == DISAGREE
    assert not action.grantable
    assert any(other in spelling for spelling in action.spellings)
    with pytest.raises(InputError, match="disagree"):
        require_url(text, "fetch")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "http://ex ample.com/",
        "http://example.com:99999/",
        "http://127.0.0.1.5/",
        "http://a%00b/",
        "http://[::1/",
        "http://[::g]/",
        "https://exa<mple.com/",
        "http://\ud800.com/",
    ],
)
def test_text_that_is_no_url_is_opaque(text: str) -> None:
    """What cannot be parsed is never guessed."""
    found = canonicalize(text)
    assert (found.opaque, found.host) == (UNREADABLE, "")


@pytest.mark.parametrize(
    ("host", "classes"),
    [
        ("localhost", "loopback"),
        ("api.localhost", "loopback"),
        ("127.8.8.8", "loopback"),
        ("[::1]", "loopback"),
        ("0.0.0.0", "loopback unspecified"),
        ("[::]", "loopback unspecified"),
        ("lvh.me", "loopback"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.32.0.1", ""),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("[fd12::1]", "private"),
        ("[fe80::1]", "link-local"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "link-local metadata"),
        ("169.254.170.2", "link-local metadata"),
        ("[fd00:ec2::254]", "private metadata"),
        ("100.100.100.200", "private metadata"),
        ("168.63.129.16", "metadata"),
        ("metadata.google.internal", "metadata private"),
        ("metadata", "metadata private"),
        ("[::ffff:169.254.169.254]", "link-local metadata"),
        ("[::ffff:10.0.0.1]", "private"),
        ("[64:ff9b::169.254.169.254]", "link-local metadata"),
        ("[2002:a9fe:a9fe::1]", "link-local metadata"),
        ("[::127.0.0.1]", "loopback"),
        ("169-254-169-254.nip.io", "link-local metadata"),
        ("10.0.0.1.sslip.io", "private"),
        ("a9fea9fe.nip.io", "link-local metadata"),
        ("224.0.0.1", "multicast"),
        ("[ff02::1]", "multicast"),
        ("app", "internal-name"),
        ("db.internal", "private"),
        ("printer.local", "private"),
        ("kubernetes.default.svc", "private"),
        ("example.com", ""),
        ("8.8.8.8", ""),
        ("[2606:4700::1111]", ""),
    ],
)
def test_place_of_a_host_is_named(host: str, classes: str) -> None:
    """Rules can name the machine itself, private networks and metadata services."""
    assert fetch_action("call", f"http://{host}/").effects == frozenset(classes.split())


def test_address_inside_an_address_is_a_spelling() -> None:
    """A rule on the inner address sees its mapped forms."""
    for host in ("[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "169.254.169.254.nip.io"):
        assert "http://169.254.169.254/x" in fetch_action("call", f"http://{host}/x").spellings


def test_user_name_in_a_url_is_named_and_kept_as_a_spelling() -> None:
    """The canonical form begins with the host, so a glob on it cannot be fooled."""
    action = fetch_action("call", "https://example.com@evil.com/x")
    assert action.url == "https://evil.com/x"
    assert "userinfo" in action.effects
    assert "https://example.com@evil.com/x" in action.spellings


def test_escaped_path_is_also_kept_decoded() -> None:
    """A rule on the plain path sees its escaped form."""
    assert "http://a.com/latest/x" in fetch_action("call", "http://a.com/%6catest/x").spellings


def test_file_url_is_reading_the_file() -> None:
    """Rules on paths see it."""
    action = fetch_action("call", "file:///home/user/.ssh/id_rsa")
    assert (action.tool, action.path) == ("read", "/home/user/.ssh/id_rsa")


@pytest.mark.parametrize(
    ("text", "url", "host"),
    [
        ("https://$HOST/x", "https://$HOST/x", "$HOST"),
        ("https://api.com/$ID?k=${KEY}", "https://api.com/$ID?k=${KEY}", "api.com"),
        (
            "https://$(cat /etc/x).evil.com/",
            "https://$(cat /etc/x).evil.com/",
            "$(cat /etc/x).evil.com",
        ),
        ("$URL", "$URL", ""),
        ("https://`id`.evil.com/", "https://`id`.evil.com/", "`id`.evil.com"),
    ],
)
def test_parts_that_only_the_run_knows_stay_and_take_the_grant(
    text: str, url: str, host: str
) -> None:
    """The known rest of the host is still there for rules."""
    action = fetch_action("argument", text, known=False)
    assert (action.url, action.host, action.grantable) == (url, host, False)


def test_url_over_its_limit_is_refused() -> None:
    """Nothing is cut."""
    text = "https://example.com/"
    assert fetch_action("call", text + "a" * (URL_BYTES_MAX - len(text))).host == "example.com"
    with pytest.raises(InputTooLarge, match=str(URL_BYTES_MAX)):
        fetch_action("call", text + "a" * URL_BYTES_MAX)


def test_given_effects_are_kept() -> None:
    """What the caller knows is added to what the host says."""
    action = fetch_action("call", "http://10.0.0.1/", effects=frozenset({"uploads"}))
    assert action.effects == {"uploads", "private"}


@pytest.mark.parametrize(
    ("text", "is_url"),
    [
        ("https://a.com", True),
        ("s3://bucket/key", True),
        ("postgres://h/db", True),
        ("a.com/x", False),
        ("see https://a.com", False),
        ("C:\\x", False),
        ("://x", False),
        ("http:// ", False),
    ],
)
def test_only_a_scheme_with_an_authority_looks_like_a_url(text: str, is_url: bool) -> None:
    """Prose and paths do not."""
    assert looks_like_url(text) is is_url


_PIECES = st.sampled_from(
    ["http", "https", ":", "/", "//", "\\", "@", "#", "?", ".", "..", "%2e", "%00", "[", "]", "::1"]
) | st.sampled_from(
    ["evil.com", "127.1", "0x7f", "xn--a", "\t", " ", "é", "localhost", ":80", "a", "2002:", "$X"]
)


@given(st.lists(_PIECES, max_size=9).map("".join) | st.text(max_size=60))
def test_canonical_form_is_idempotent_and_nothing_escapes(text: str) -> None:
    """The canonical form of a canonical form is itself; a random text raises nothing."""
    first = canonicalize(text)
    if first.opaque or not first.host:
        return
    again = canonicalize(first.url)
    assert (again.url, again.host, again.opaque) == (first.url, first.host, "")


@given(
    st.from_regex(
        r"https?://[a-z0-9.-]{1,20}(/[a-z0-9./~_-]{0,20})?(\?[a-z=&]{0,9})?", fullmatch=True
    )
)
def test_short_cut_for_plain_urls_agrees_with_the_standard_parser(text: str) -> None:
    """The fast path says what the slow one would."""
    try:
        parsed = ada_url.URL(text)
    except ValueError:
        assume(False)
    found = canonicalize(text)
    if not found.opaque and not parsed.hostname.endswith("."):
        assert found.url == parsed.href
        assert found.host == parsed.hostname.strip("[]")
