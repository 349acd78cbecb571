"""``rampart policy new-rule``: a rule for a call that was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, settings_of
from rampart.errors import AuditError

if TYPE_CHECKING:
    from rampart.authoring.drafts import Seen


@click.command(
    "new-rule",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart audit tail",
        "rampart policy new-rule 01J9ZQ4M8E6V5T3K2X1W0Y9Z8A",
        "rampart policy new-rule --action deny 01J9ZQ4M8E6V5T3K2X1W0Y9Z8A",
    ),
)
@click.argument("record_id")
@click.option(
    "--action",
    type=click.Choice(("allow", "watch", "ask", "deny")),
    help="What it says; else allow for what was stopped, ask for what ran.",
)
@data_dir_option
def new_rule(*, record_id: str, action: str | None, data_dir: str | None) -> None:
    """Propose a policy with one rule about the call of a record, as YAML to go under `policies`.

    The rule is as narrow as it can be, and has the call as its example. Nothing is written.
    """
    from rampart.audit.query import find_record
    from rampart.authoring.drafts import new_rule as draft
    from rampart.hosts import HostFacts
    from rampart.model import ToolCall

    hit = find_record(settings_of(data_dir).audit_dir, record_id.upper())
    if hit is None or hit.record is None:
        raise AuditError(f"there is no record {record_id!r}", help="`rampart audit tail` shows ids")
    seen = _seen(hit.record)
    word = action or ("ask" if seen.decided in ("allow", "watch") else "allow")
    here = ToolCall(seen.tool, {}, cwd=str(hit.record.get("cwd") or ""))
    click.echo(draft(seen, word, HostFacts(follow_links=False).host(here)), nl=False)


def _seen(record: dict[str, object]) -> Seen:
    from rampart.authoring.drafts import Seen
    from rampart.errors import InputError

    params, decision, because = (record.get(name) for name in ("params", "decision", "because"))
    if record.get("type") != "decision" or not isinstance(params, dict):
        raise InputError("this record is not about a call", help="take one of type `decision`")
    if set(params) == {"size", "sha256"} or not isinstance(decision, dict):
        raise InputError("the call was too large to be recorded as it was")
    names = [str(decision[key]) for key in ("policy", "rule") if decision.get(key)]
    return Seen(
        id=str(record.get("id", "")),
        tool=str(record.get("tool", "")),
        params=params,
        because=because if isinstance(because, dict) else {},
        decided=str(decision.get("action", "")),
        by="/".join(names),
    )
