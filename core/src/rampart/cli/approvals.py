"""``rampart pending``, ``approve`` and ``deny``: a person's side of what policies ask."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option, settings_of
from rampart.cli.terminal import print_fields, print_json, visible
from rampart.config import Settings
from rampart.errors import ApprovalError, ConfigError
from rampart.subject import subject
from rampart.tokens import read_token, token_in_environment

if TYPE_CHECKING:
    from rampart.answers import RemoteApproval
    from rampart.approval import Approval

F = TypeVar("F", bound=Callable[..., object])

_ID_PREFIX: Final = "apr_"
_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Question:
    """A pending approval, wherever it is kept."""

    id: str
    message: str
    tool: str
    params: object
    agent: str
    session: str
    cwd: str
    policy: str
    created_at: float
    expires_at: float


class Desk(Protocol):
    """Where questions are read and answered."""

    def pending(self) -> Sequence[Question]:
        """Return the questions that wait, oldest first."""
        ...

    def resolve(self, approval_id: str, approve: bool, *, by: str, reason: str) -> str:
        """Answer one and return its new status."""
        ...


def remote_options(function: F) -> F:
    """Add ``--url`` and ``--token``."""
    function = click.option("--token", help="Admin token of that service (RAMPART_TOKEN).")(
        function
    )
    return click.option("--url", help="A service elsewhere, instead of the data directory.")(
        function
    )


def answer_options(function: F) -> F:
    """Add what ``approve`` and ``deny`` share."""
    function = click.option("--reason", default="", help="Why; it is recorded.")(function)
    function = click.argument("approval_id", metavar="ID", required=False)(function)
    return data_dir_option(remote_options(function))


@click.command(
    context_settings=CONTEXT,
    epilog=examples("rampart pending", "rampart pending --json", "rampart pending --url https://…"),
)
@json_option
@remote_options
@data_dir_option
def pending(*, as_json: bool, url: str | None, token: str | None, data_dir: str | None) -> None:
    """List the questions that wait for a person, oldest first."""
    with open_desk(settings_of(data_dir), url, token) as desk:
        questions = desk.pending()
    if as_json:
        print_json([_described(question) for question in questions])
    elif not questions:
        click.echo("nothing waits for approval")
    else:
        for question in questions:
            _print(question)


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart approve apr_3f2a", "rampart approve 3f2a --reason 'reviewed the diff'"
    ),
)
@answer_options
def approve(
    *,
    approval_id: str | None,
    reason: str,
    url: str | None,
    token: str | None,
    data_dir: str | None,
) -> None:
    """Approve a question: exactly this call may run, once.

    ID may be shortened to its first characters as long as they are clear. On a terminal, without
    an ID, the only question there is is shown and asked about.
    """
    with open_desk(settings_of(data_dir), url, token) as desk:
        _answer(desk, approval_id, approve=True, reason=reason)


@click.command(
    context_settings=CONTEXT,
    epilog=examples("rampart deny apr_3f2a --reason 'not on a Friday'"),
)
@answer_options
def deny(
    *,
    approval_id: str | None,
    reason: str,
    url: str | None,
    token: str | None,
    data_dir: str | None,
) -> None:
    """Deny a question. The agent is told the reason. ID as for `rampart approve`."""
    with open_desk(settings_of(data_dir), url, token) as desk:
        _answer(desk, approval_id, approve=False, reason=reason)


@contextmanager
def open_desk(settings: Settings, url: str | None, token: str | None) -> Iterator[Desk]:
    """Open the approvals of the data directory, or of a service."""
    desk = _RemoteDesk(url, token, settings) if url else _LocalDesk(settings)
    try:
        yield desk
    finally:
        desk.close()


class _LocalDesk:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def pending(self) -> Sequence[Question]:
        from rampart.approval import ApprovalStore

        if not self._settings.approvals_path.exists():
            return []
        store = ApprovalStore.open(self._settings.approvals_path)
        try:
            return [_of_store(approval) for approval in store.pending()]
        finally:
            store.close()

    def resolve(self, approval_id: str, approve: bool, *, by: str, reason: str) -> str:
        from rampart.embedded import gate_of
        from rampart.sources import PolicyInForce

        if not self._settings.approvals_path.exists():
            raise ApprovalError(f"there is no approval {approval_id!r}")
        # WHY: no policy is needed to answer, and one that does not load must not stop it
        gate, close = gate_of(self._settings, PolicyInForce(()))
        try:
            return gate.resolve(approval_id, approve, by=by, reason=reason).status
        finally:
            close()

    def close(self) -> None:
        """Nothing is kept open between two calls."""


class _RemoteDesk:
    def __init__(self, url: str, token: str | None, settings: Settings) -> None:
        from rampart.client import RemoteGate, is_local

        shown = token or token_in_environment(os.environ)
        if shown is None and is_local(url) and settings.token_path.exists():
            shown = read_token(settings.token_path)
        if shown is None:
            raise ConfigError(f"no token for {url}", help="give it with --token or RAMPART_TOKEN")
        self._remote = RemoteGate(url, shown)

    def pending(self) -> Sequence[Question]:
        return [_of_service(item) for item in self._remote.pending()]

    def resolve(self, approval_id: str, approve: bool, *, by: str, reason: str) -> str:
        return self._remote.resolve(approval_id, approve, by=by, reason=reason).status

    def close(self) -> None:
        self._remote.close()


def _answer(desk: Desk, wanted: str | None, *, approve: bool, reason: str) -> None:
    questions = desk.pending()
    approval_id = _found(wanted, questions) if wanted else _asked(questions, approve=approve)
    status = desk.resolve(approval_id, approve, by=_user(), reason=reason)
    click.echo(f"{visible(status)} {visible(approval_id)}")


def _found(wanted: str, questions: Sequence[Question]) -> str:
    text = wanted.lower()
    full = text if text.startswith(_ID_PREFIX) else _ID_PREFIX + text
    found = [question.id for question in questions if question.id.startswith(full)]
    if len(found) > 1:
        raise ApprovalError(
            f"{wanted!r} is short for {len(found)} questions",
            help=f"say more of it: {', '.join(found[:5])}",
        )
    return found[0] if found else full


def _asked(questions: Sequence[Question], *, approve: bool) -> str:
    if not questions:
        raise ApprovalError("nothing waits for approval")
    if len(questions) > 1 or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ApprovalError(
            "which question? give its ID", help="`rampart pending` lists them with their IDs"
        )
    _print(questions[0])
    click.confirm("Approve this call?" if approve else "Deny this call?", abort=True)
    return questions[0].id


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def _of_store(approval: Approval) -> Question:
    return Question(**{name: getattr(approval, name) for name in Question.__slots__})


def _of_service(approval: RemoteApproval) -> Question:
    texts = {
        name: str(approval.fields.get(name, ""))
        for name in ("tool", "agent", "session", "cwd", "policy")
    }
    return Question(
        id=approval.id,
        message=approval.message,
        params=approval.fields.get("params", {}),
        created_at=approval.created_at,
        expires_at=approval.expires_at,
        **texts,
    )


def _described(question: Question) -> dict[str, object]:
    return {name: getattr(question, name) for name in question.__slots__}


def _print(question: Question) -> None:
    click.echo(visible(question.id))
    left_s = max(0, question.expires_at - time.time())
    print_fields(
        {
            "tool": question.tool,
            "call": visible(subject(question.params), limit=_SHOWN_CHARACTERS),
            "in": question.cwd,
            "agent": " ".join(part for part in (question.agent, question.session) if part),
            "why asked": question.message,
            "policy": question.policy,
            "expires": f"in {left_s:.0f} s",
        }
    )
