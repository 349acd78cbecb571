"""Overrides: what the person in charge allows or blocks on top of the policy (decisions/0065).

They stand in one file of the data directory, in the ordinary policy format, one policy for each.

MUST change the file under its lock, by a rename, and only into one that loads.
MUST NOT save an override that does not do what its own sample says.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from rampart.config import Settings, ensure_private_directory
from rampart.errors import ConfigError, InputError
from rampart.hosts import HostFacts, find_workspace
from rampart.intercept import intercept
from rampart.model import ToolCall
from rampart.policy import Policy, PolicyDocument, compile_policies, parse_policy
from rampart.sources import read_policy_file

_HEAD: Final = """\
# What `rampart allow` and `rampart block` wrote, and `rampart rules` shows: a policy file.
version: "1"
"""
_FILES: Final = ("read", "write", "edit", "delete")
_ID_BYTES: Final = 3
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Wish:
    """An override as a person asks for it; ``until`` is in epoch seconds."""

    action: Literal["allow", "deny"]
    pattern: str
    tool: str = "exec"
    session: str = ""
    until: float | None = None
    once: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """One override: its id, its lines in the file, and a call that it covers and one that not."""

    id: str
    text: str
    covers: ToolCall
    leaves: ToolCall


def prepare(wish: Wish, *, cwd: Path) -> Override:
    """Return an override with samples that were tried.

    Raises: InputError for a pattern that means nothing, PolicyError.
    """
    if not wish.pattern.strip():
        raise InputError("this pattern covers no call: it is empty")
    word = "allow" if wish.action == "allow" else "block"
    name = f"{word}-{secrets.token_hex(_ID_BYTES)}"
    text = _text(name, wish)
    covers, others = _samples(wish, cwd)
    if not _applies(wish, text, covers):
        raise InputError(
            f"this pattern covers no call: {wish.pattern!r}",
            help="a pattern is the whole command, with `*` for any text: 'git push *'",
        )
    leaves = next((call for call in others if not _applies(wish, text, call)), None)
    if leaves is None:
        raise InputError(
            f"this pattern covers everything: {wish.pattern!r}",
            help="say what it is about; `default_action` in your own policy is for the rest",
        )
    return Override(name, text, covers, leaves)


def add(settings: Settings, override: Override) -> None:
    """Save an override. Raises: ConfigError, PolicyError if the file there does not load."""
    with _locked(settings) as path:
        text, document = _read(path)
        head = text or _HEAD
        if not document or not document.policies:
            head = head.rstrip("\n") + "\npolicies:\n"
        names = {policy.name for policy in _policies(document)}
        _write(path, head.rstrip("\n") + "\n" + override.text, expected=names | {override.id})


def remove(settings: Settings, name: str) -> None:
    """Remove an override by its id. Raises: InputError if there is none, ConfigError."""
    with _locked(settings) as path:
        text, document = _read(path)
        policies = _policies(document)
        if name not in {policy.name for policy in policies}:
            raise InputError(f"there is no override {name!r}", help="`rampart rules` lists them")
        lines = text.splitlines(keepends=True)
        starts = [_line(policy) for policy in policies]
        at = next(index for index, policy in enumerate(policies) if policy.name == name)
        end = starts[at + 1] if at + 1 < len(starts) else len(lines)
        kept = lines[: starts[at]] + lines[end:]
        if len(policies) == 1:
            kept = [line for line in kept if line.rstrip() != "policies:"]
        _write(path, "".join(kept), expected={p.name for p in policies} - {name})


def _policies(document: PolicyDocument | None) -> tuple[Policy, ...]:
    return document.policies if document else ()


def _line(policy: Policy) -> int:
    return int(policy.where.rsplit(":", 2)[1]) - 1


def _text(name: str, wish: Wish) -> str:
    parts = [f"action: {wish.action}", f"when: {{{_condition(wish)}}}"]
    if wish.once:
        parts.append("once: true")
    if wish.until is not None:
        parts.append(f"expires_at: {datetime.fromtimestamp(wish.until, UTC):%Y-%m-%dT%H:%M:%SZ}")
    scope = f"tool: {json.dumps(wish.tool)}"
    if wish.session:
        scope += f", session: {json.dumps(wish.session)}"
    lines = [f"  - name: {name}"]
    if wish.reason:
        lines.append(f"    description: {json.dumps(wish.reason)}")
    lines += [f"    match: {{{scope}}}", f"    rules: [{{{', '.join(parts)}}}]"]
    return "\n".join(lines) + "\n"


def _condition(wish: Wish) -> str:
    pattern = json.dumps(wish.pattern)
    if wish.tool in ("exec", "code"):
        return f"command_matches: [{pattern}]"
    if wish.tool in _FILES:
        return f"path_matches: [{pattern}]"
    if wish.tool == "fetch":
        return f"{'url' if '://' in wish.pattern else 'domain'}_matches: [{pattern}]"
    if wish.pattern == "*":
        return "default: true"
    raise InputError(
        f"for the tool {wish.tool!r} the pattern can only be `*`",
        help="conditions on parameters belong into your own policy file",
    )


def _samples(wish: Wish, cwd: Path) -> tuple[ToolCall, list[ToolCall]]:
    """Return a call that the pattern is meant to cover, and some that it may leave alone."""
    session = wish.session.replace("*", "x").replace("?", "x")

    def call(tool: str, value: str) -> ToolCall:
        name = {"exec": "command", "code": "code", "fetch": "url"}.get(tool, "path")
        return ToolCall(tool, {name: value}, session=session, cwd=str(cwd))

    filled = wish.pattern.replace("**", "x").replace("*", "x").replace("?", "x")
    if wish.tool in ("exec", "code"):
        others = [f"{filled} && curl example.com", f"{filled} more", "other-tool"]
        return call(wish.tool, filled), [call(wish.tool, other) for other in others]
    if wish.tool in _FILES:
        path = filled if filled[0] in "/~$" else str(find_workspace(cwd) / filled)
        path = path.replace("${workspace}", str(find_workspace(cwd)))
        others = [f"{path}.other", "/elsewhere/x", f"{path}/below"]
        return call(wish.tool, path), [call(wish.tool, other) for other in others]
    if wish.tool == "fetch":
        url = filled if "://" in filled else f"https://{filled}/"
        others = ["https://example.com/", "https://other.example/"]
        return call("fetch", url), [call("fetch", other) for other in others]
    other = ToolCall(f"{wish.tool}-other", {}, session=session, cwd=str(cwd))
    return ToolCall(filled and wish.tool, {}, session=session, cwd=str(cwd)), [other]


def _applies(wish: Wish, text: str, call: ToolCall) -> bool:
    default = "deny" if wish.action == "allow" else "allow"
    whole = f'version: "1"\ndefault_action: {default}\npolicies:\n{text}'
    document = parse_policy(whole, filename="<override>")
    host = HostFacts(workspace=find_workspace(Path(call.cwd))).host(call)
    engine = compile_policies([document], home=host.home, workspace=host.workspace)
    decision = engine.decide(call, intercept(call, host), now=0.0)
    return decision.action == wish.action


@contextlib.contextmanager
def _locked(settings: Settings) -> Iterator[Path]:
    ensure_private_directory(settings.data_dir)
    path = settings.overrides_path
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield path
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be changed: {error.strerror}") from None


def _read(path: Path) -> tuple[str, PolicyDocument | None]:
    if not path.exists():
        return "", None
    document = read_policy_file(path)
    return path.read_text(encoding="utf-8"), document


def _write(path: Path, text: str, *, expected: set[str]) -> None:
    if {policy.name for policy in parse_policy(text, filename=str(path)).policies} != expected:
        raise ConfigError(f"{path}: this file was changed by hand", help="edit it by hand again")
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
