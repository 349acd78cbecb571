"""``rampart policy``: what is in force."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING

import click

from rampart.cli.options import (
    CONTEXT,
    data_dir_option,
    examples,
    help_if_alone,
    json_option,
    policy_options,
    settings_of,
)
from rampart.cli.terminal import print_json, verdict_word, visible

if TYPE_CHECKING:
    from rampart.policy.document import Condition, Policy, PolicyDocument, Rule, Scope


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@click.pass_context
def policy(ctx: click.Context) -> None:
    """Look at policies."""
    help_if_alone(ctx)


@policy.command(
    "show",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy show",
        "rampart policy show --profile strict",
        "rampart policy show --policy ./policy.yaml --json",
    ),
)
@policy_options
@data_dir_option
@json_option
def show(*, profile: str | None, policy: str | None, data_dir: str | None, as_json: bool) -> None:
    """Show the policy in force: every document, policy and rule, in the order they are read."""
    from rampart.sources import PolicyInForce, policy_documents

    settings = settings_of(data_dir, profile=profile, policy=policy)
    documents = policy_documents(path=settings.policy, profile=settings.profile)
    _require_compilable(PolicyInForce(documents))
    if as_json:
        print_json({"documents": [_document(document) for document in documents]})
        return
    for document in documents:
        _print_document(document)


def _require_compilable(policies: object) -> None:
    """Refuse to show as being in force what would not load."""
    from rampart.hosts import HostFacts
    from rampart.model import ToolCall
    from rampart.sources import PolicyInForce

    assert isinstance(policies, PolicyInForce)
    policies.engine(HostFacts().host(ToolCall("exec")))


def _print_document(document: PolicyDocument) -> None:
    click.echo(visible(document.filename))
    click.echo(f"  default  {document.default_action or 'deny (not stated)'}")
    if document.extends:
        click.echo(f"  extends  {visible(', '.join(document.extends))}")
    for policy_ in document.policies:
        _print_policy(policy_)


def _print_policy(policy_: Policy) -> None:
    state = "" if policy_.enabled else "  (disabled)"
    click.echo(f"\n  {visible(policy_.name)}{state}  for {visible(_scope(policy_.match))}")
    if policy_.description:
        click.echo(f"    {visible(policy_.description)}")
    for rule in policy_.rules:
        conditions = "; ".join(f"{name}: {value}" for name, value in _when(rule.when).items())
        click.echo(f"    {verdict_word(rule.action, width=5)}  {visible(conditions or 'always')}")
        if rule.message:
            click.echo(f"           {visible(rule.message)}")


def _scope(scope: Scope) -> str:
    parts = [", ".join(scope.tool) or "every tool"]
    parts += [f"agent {', '.join(scope.agent)}"] if scope.agent else []
    parts += [f"session {', '.join(scope.session)}"] if scope.session else []
    return "; ".join(parts)


def _document(document: PolicyDocument) -> dict[str, object]:
    return {
        "filename": document.filename,
        "sha256": hashlib.sha256(document.source).hexdigest(),
        "default_action": document.default_action,
        "extends": list(document.extends),
        "policies": [_policy(policy_) for policy_ in document.policies],
    }


def _policy(policy_: Policy) -> dict[str, object]:
    return {
        "name": policy_.name,
        "description": policy_.description,
        "enabled": policy_.enabled,
        "priority": policy_.priority,
        "match": {
            "tool": list(policy_.match.tool),
            "agent": list(policy_.match.agent),
            "session": list(policy_.match.session),
        },
        "rules": [_rule(rule) for rule in policy_.rules],
    }


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "action": rule.action,
        "message": rule.message,
        "suggest": list(rule.suggest),
        "when": _when(rule.when),
        "where": rule.where,
    }


def _when(condition: Condition) -> dict[str, object]:
    """Return only the fields that were given, as plain values."""
    found: dict[str, object] = {}
    for field in fields(condition):
        value = getattr(condition, field.name)
        if value not in ((), None, {}):
            found[field.name] = _plain(value)
    return found


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return _when(value)  # type: ignore[arg-type]  # any dataclass will do
    return value
