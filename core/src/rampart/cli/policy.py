"""``rampart policy``: what is in force, and the commands that work on policies."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Final

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
    from rampart.intercept.catalog import Addition
    from rampart.policy.document import Condition, Policy, PolicyDocument, Rule, Scope


# name: module, the function in it; imported when the command is
_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "coverage": ("rampart.cli.policy_coverage", "coverage"),
    "diff": ("rampart.cli.policy_diff", "diff"),
    "explain": ("rampart.cli.policy_explain", "explain"),
    "fmt": ("rampart.cli.policy_fmt", "fmt"),
    "init": ("rampart.cli.policy_init", "init"),
    "lint": ("rampart.cli.policy_lint", "lint"),
    "new-rule": ("rampart.cli.policy_new_rule", "new_rule"),
    "schema": ("rampart.cli.policy_schema", "schema"),
    "suggest": ("rampart.cli.policy_suggest", "suggest"),
    "test": ("rampart.cli.policy_test", "test"),
}


_LAYERS: Final = {
    "tightens": "its restrictions only",
    "overrides": "its grants lift questions and the default",
}


class _Family(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            module, function = _COMMANDS[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), function)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Family, context_settings=CONTEXT, invoke_without_command=True)
@click.pass_context
def policy(ctx: click.Context) -> None:
    """Read, write, check, test and compare policies."""
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
    from pathlib import Path

    from rampart.embedded import live_policies
    from rampart.hosts import find_workspace

    settings = settings_of(data_dir, profile=profile, policy=policy)
    policies = live_policies(settings).at(str(find_workspace(Path.cwd())))
    documents = policies.documents
    _require_compilable(policies)
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
    if document.layer == "policy":
        click.echo(f"  default  {document.default_action or 'deny (not stated)'}")
    else:
        click.echo(f"  counts   {_LAYERS[document.layer]}")
    if document.extends:
        click.echo(f"  extends  {visible(', '.join(document.extends))}")
    for addition in document.commands:
        what = "replaces" if addition.replaces else "describes"
        summary = f": {addition.summary}" if addition.summary else ""
        click.echo(f"  {what}  {visible(addition.name + summary)}")
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
        "commands": [_addition(addition) for addition in document.commands],
        "policies": [_policy(policy_) for policy_ in document.policies],
    }


def _addition(addition: Addition) -> dict[str, object]:
    return {
        "program": addition.name,
        "summary": addition.summary,
        "replace": addition.replaces,
        "where": addition.where,
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
        **({"webhook": _plain(rule.webhook)} if rule.webhook is not None else {}),
        "where": rule.where,
    }


def _when(condition: Condition) -> dict[str, object]:
    """Return only the fields that were given, as plain values."""
    found: dict[str, object] = {}
    for field in fields(condition):
        value = getattr(condition, field.name)
        if value not in ((), None, {}, field.default):
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
