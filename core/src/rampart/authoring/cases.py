"""Cases: the tests of a policy, as they stand in a file. Node → values with their positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rampart.authoring.tree import Tree
from rampart.model import ToolCall, Verdict
from rampart.policy import PolicyDocument, fields
from rampart.policy.composer import Mapping, Node, Scalar, compose, decode
from rampart.policy.fields import fail
from rampart.policy.times import read_duration

HOME: Final = "/home/user"
WORKSPACE: Final = "/workspace"

_PLACE: Final = frozenset({"home", "workspace", "at"})
_CALL: Final = frozenset(
    {"call", "expect", "rule", "message", "response", "shows"}
    | {"cwd", "agent", "session", "depth", "run_id"}
)
_STEP: Final = _CALL | {"later", "approve"}
_CASE: Final = _CALL | _PLACE | {"name", "steps"}
_FILE: Final = _PLACE | {"version", "policy", "profile", "cwd", "agent", "session", "tests"}
_OF_CASE: Final = ("cwd", "agent", "session", "depth", "run_id")
ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Step:
    """One call and what is expected of it; every given expectation must hold.

    With a ``response`` it is about what the call returned, and ``shows`` is what is left of it.
    """

    call: ToolCall
    expect: tuple[Verdict, ...]
    where: str
    rule: str = ""
    message: str = ""
    response: object = ABSENT
    shows: object = ABSENT
    later_s: float = 0.0
    approve: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One test: a call, or the calls of a session in their order. ``at`` is in epoch seconds."""

    name: str
    steps: tuple[Step, ...]
    where: str
    home: str = HOME
    workspace: str = WORKSPACE
    at: float | None = None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of cases, and the policy that it is about: a file beside it, or a profile."""

    cases: tuple[Case, ...]
    policy: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class _Defaults:
    values: dict[str, Node] = field(default_factory=dict)

    def under(self, entries: dict[str, Node]) -> dict[str, Node]:
        """Return what a case says, and for the rest what its file says."""
        return {**self.values, **entries}


def read_inline_cases(document: PolicyDocument) -> tuple[Case, ...]:
    """Return the cases under ``tests`` of a policy. Raises: PolicyError."""
    node = Tree(document).node("tests")
    return () if node is None else _cases(node, _Defaults())


def read_case_file(text: bytes, *, filename: str) -> CaseFile:
    """Return the cases of a file. Raises: PolicyError, with ``file:line:column``."""
    decoded, _ = decode(text, filename)
    top = compose(decoded, filename)
    entries = _entries(top, "a file of tests", _FILE)
    if "tests" not in entries:
        fail(top, "there are no `tests`", "for example tests: [{call: ls, expect: allow}]")
    defaults = {name: entries[name] for name in entries if name in _PLACE or name in _OF_CASE}
    about, profile = entries.get("policy"), entries.get("profile")
    if about is not None and profile is not None:
        fail(profile, "`policy` and `profile` exclude each other")
    return CaseFile(
        _cases(entries["tests"], _Defaults(defaults)),
        policy="" if about is None else fields.text(about, "policy"),
        profile="" if profile is None else fields.text(profile, "profile"),
    )


def _cases(node: Node, defaults: _Defaults) -> tuple[Case, ...]:
    return tuple(_case(item, defaults) for item in fields.sequence(node, "tests"))


def _case(node: Node, defaults: _Defaults) -> Case:
    own = _entries(node, "a test", _CASE)
    entries = defaults.under(own)
    at = entries.get("at")
    if "steps" in own:
        for key in ("call", "expect", "rule", "message", "response", "shows"):
            if key in own:
                fail(own[key], f"`{key}` beside `steps`", "it belongs to one of the steps")
        shared = {each: entries[each] for each in entries if each in _OF_CASE}
        items = fields.sequence(own["steps"], "steps")
        steps = tuple(_step(item, shared, _STEP, "a step", entries) for item in items)
    else:
        steps = (_step(node, entries, _CASE, "a test", entries),)
    name = own.get("name")
    return Case(
        name=_title(steps) if name is None else fields.text(name, "name"),
        steps=steps,
        where=node.where,
        home=_folder(entries.get("home"), "home", HOME),
        workspace=_folder(entries.get("workspace"), "workspace", WORKSPACE),
        at=None if at is None else fields.timestamp(at, "at"),
    )


def _step(
    node: Node,
    shared: dict[str, Node],
    known: frozenset[str],
    what: str,
    case: dict[str, Node],
) -> Step:
    entries = {**shared, **_entries(node, what, known)}
    if "call" not in entries:
        fail(node, f"{what} has no call", "a command line, or {tool: read, path: /etc/hosts}")
    if "expect" not in entries:
        fail(node, f"{what} does not say what to expect", "expect: allow, watch, ask or deny")
    later, approve, depth = entries.get("later"), entries.get("approve"), entries.get("depth")
    home = _folder(case.get("home"), "home", HOME)
    workspace = _folder(case.get("workspace"), "workspace", WORKSPACE)
    response, shows = entries.get("response"), entries.get("shows")
    if shows is not None and response is None:
        fail(shows, "`shows` without a `response`")
    return Step(
        call=ToolCall(
            *_call(entries["call"]),
            agent=_text(entries, "agent"),
            session=_text(entries, "session"),
            run_id=_text(entries, "run_id"),
            cwd=_cwd(entries.get("cwd"), home, workspace),
            depth=0 if depth is None else fields.integer(depth, "depth"),
        ),
        expect=_expected(entries["expect"]),
        where=node.where,
        rule=_text(entries, "rule"),
        message=_text(entries, "message"),
        response=ABSENT if response is None else fields.plain(response),
        shows=ABSENT if shows is None else fields.plain(shows),
        later_s=0.0 if later is None else _seconds(later),
        approve=False if approve is None else fields.boolean(approve, "approve"),
    )


def _call(node: Node) -> tuple[str, dict[str, object]]:
    if isinstance(node, Scalar):
        return "exec", {"command": fields.text(node, "call")}
    entries = {key.text: item for key, item in fields.mapping(node, "call").entries}
    if "tool" not in entries:
        fail(node, "a call of another tool names it", "for example {tool: read, path: /etc/hosts}")
    params = {name: fields.plain(item) for name, item in entries.items() if name != "tool"}
    return fields.text(entries["tool"], "tool"), params


def _expected(node: Node) -> tuple[Verdict, ...]:
    items: Sequence[Node] = (node,) if isinstance(node, Scalar) else fields.sequence(node, "expect")
    return tuple(fields.verdict(item) for item in items)


def _entries(node: Node, what: str, known: frozenset[str]) -> dict[str, Node]:
    found: Mapping = fields.mapping(node, what)
    for key, _ in found.entries:
        if key.text not in known:
            fail(key, f"unknown key `{key.text}` in {what}", fields.nearest(key.text, known))
    return {key.text: item for key, item in found.entries}


def _text(entries: dict[str, Node], name: str) -> str:
    node = entries.get(name)
    return "" if node is None else fields.text(node, name)


def _folder(node: Node | None, what: str, otherwise: str) -> str:
    if node is None:
        return otherwise
    text = fields.text(node, what)
    if not text.startswith("/"):
        fail(node, f"{what} must be an absolute directory")
    return text.rstrip("/") or "/"


def _cwd(node: Node | None, home: str, workspace: str) -> str:
    if node is None:
        return workspace
    text = fields.text(node, "cwd")
    if text.startswith("~"):
        return home + text[1:]
    return text if text.startswith("/") else f"{workspace}/{text}"


def _seconds(node: Node) -> float:
    text = fields.text(node, "later")
    try:
        return read_duration(text)
    except ValueError as error:
        fail(node, f"`{text}`: {error}")


def _title(steps: Sequence[Step]) -> str:
    from rampart.authoring.samples import described
    from rampart.authoring.stage import Sample

    shown = " ; ".join(described(Sample(step.call)) for step in steps)
    return shown if len(shown) <= _TITLE_CHARS_MAX else f"{shown[: _TITLE_CHARS_MAX - 1]}…"


_TITLE_CHARS_MAX: Final = 100
