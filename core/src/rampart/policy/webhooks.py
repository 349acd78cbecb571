"""The ``webhook`` block of a rule: which endpoint decides, and what holds when it does not."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from rampart.limits import WEBHOOK_TIMEOUT_S, WEBHOOK_TIMEOUT_S_MAX
from rampart.model import Webhook
from rampart.policy import fields
from rampart.policy.composer import Node
from rampart.policy.fields import fail
from rampart.policy.times import read_duration

_KEYS: Final = ("url", "timeout", "secret_env", "fail_open")
_MILLISECONDS: Final = re.compile(r"([1-9][0-9]{0,5})ms")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def read_webhook(node: Node) -> Webhook:
    """Return the endpoint that a rule names. Raises: PolicyError."""
    found = fields.mapping(node, "webhook")
    entries = {key.text: item for key, item in found.entries}
    for key, _ in found.entries:
        if key.text not in _KEYS:
            fail(key, f"unknown key `{key.text}` in webhook", fields.nearest(key.text, _KEYS))
    url, timeout = entries.get("url"), entries.get("timeout")
    secret, fail_open = entries.get("secret_env"), entries.get("fail_open")
    if url is None:
        fail(node, "webhook has no url")
    return Webhook(
        url=_url(url),
        timeout_s=WEBHOOK_TIMEOUT_S if timeout is None else _timeout_s(timeout),
        secret_env="" if secret is None else _variable(secret),
        fail_open=False if fail_open is None else fields.boolean(fail_open, "fail_open"),
    )


def _url(node: Node) -> str:
    text = fields.text(node, "url")
    try:
        parsed = urlsplit(text)
        host, _port = parsed.hostname, parsed.port
    except ValueError:
        fail(node, f"`{text}` is not a URL")
    if parsed.scheme not in ("http", "https") or not host or not text.isascii():
        fail(node, f"`{text}` is not the URL of an endpoint", "for example https://HOST/PATH")
    if parsed.username is not None or parsed.password is not None:
        fail(node, "url holds a password", "name an environment variable with `secret_env`")
    if not text.isprintable() or " " in text or "\\" in text or parsed.fragment:
        fail(node, f"`{text}` is not the URL of an endpoint")
    if parsed.scheme == "http" and not _is_loopback(host):
        fail(
            node,
            "calls would cross the network in the clear, and anybody on it could answer",
            "use https://, or http:// to this machine",
        )
    return text


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _timeout_s(node: Node) -> float:
    text = fields.text(node, "timeout")
    try:
        found = _MILLISECONDS.fullmatch(text)
        seconds = int(found[1]) / 1000 if found else read_duration(text)
    except ValueError as error:
        fail(node, f"timeout: {error}")
    if seconds > WEBHOOK_TIMEOUT_S_MAX:
        fail(node, f"timeout is over the limit of {WEBHOOK_TIMEOUT_S_MAX:g} seconds")
    return seconds


def _variable(node: Node) -> str:
    text = fields.text(node, "secret_env")
    if not _VARIABLE.fullmatch(text):
        fail(
            node,
            "secret_env is the name of an environment variable, not the secret itself",
            "for example secret_env: RAMPART_WEBHOOK_SECRET",
        )
    return text
