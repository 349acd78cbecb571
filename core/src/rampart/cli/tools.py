"""``rampart tools``: how an application's tools would be seen, and what the policy would say."""

from __future__ import annotations

import json
import os
from pathlib import Path

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
from rampart.model import ToolCall
from rampart.scan import SeenTool, Trial, load_object, scan

_SHOWN_CHARACTERS = 100


@click.group(
    invoke_without_command=True,
    context_settings=CONTEXT,
    epilog=examples("rampart tools scan my_agent:tools"),
)
@click.pass_context
def tools(ctx: click.Context) -> None:
    """Look at an application's tools."""
    help_if_alone(ctx)


@tools.command(
    "scan",
    context_settings=CONTEXT,
    epilog=examples(
        "rampart tools scan my_agent:tools",
        "rampart tools scan my_agent:build_crew --profile strict",
    ),
)
@json_option
@policy_options
@data_dir_option
@click.argument("name", metavar="MODULE:OBJECT")
def scan_tools(
    name: str, *, as_json: bool, profile: str | None, policy: str | None, data_dir: str | None
) -> None:
    """Say what each tool stands for, and what would be decided about two calls of it.

    OBJECT is a tool, a list of tools, a toolkit, an agent, a crew or an executor of an installed
    framework, a function that is a tool, or a class or function without parameters that makes one.
    The module is imported, as Python would from here. Nothing is called, recorded or asked.

    What a tool stands for is said by `tools.yaml` in the data directory (RAMPART_TOOLS), by plugins
    and by the adapter of its framework; any other is decided under its own name.
    """
    from rampart.embedded import preview_gate
    from rampart.hosts import HostFacts, find_workspace
    from rampart.sources import PolicyInForce, policy_documents

    settings = settings_of(data_dir, profile=profile, policy=policy)
    policies = PolicyInForce(policy_documents(path=settings.policy, profile=settings.profile))
    hosts = HostFacts(workspace=find_workspace(Path.cwd()))
    policies.engine(hosts.host(ToolCall("", cwd=os.getcwd())))  # noqa: PTH109 - text
    found = list(scan(load_object(name), preview_gate(policies, hosts)))
    if as_json:
        print_json([_described(each) for each in found])
        return
    for each in found:
        _print(each)
    if not found:
        click.echo("no tools")


def _described(seen: SeenTool) -> dict[str, object]:
    return {
        "name": seen.name,
        "class": seen.kind,
        "tool": seen.tool,
        "mapped": seen.mapped,
        "params": dict(seen.sources),
        "trials": [
            {
                "arguments": dict(trial.arguments),
                "decision": trial.decision.action,
                "policy": trial.decision.policy,
                "message": trial.decision.message,
            }
            for trial in seen.trials
        ],
    }


def _print(seen: SeenTool) -> None:
    params = ", ".join(name if name == said else f"{name}={said}" for name, said in _pairs(seen))
    known = "" if seen.mapped else "  (a custom tool: its arguments are examined)"
    click.echo(f"{visible(seen.name)} -> {visible(seen.tool)}({visible(params)}){known}")
    for trial in seen.trials:
        click.echo(f"  {verdict_word(trial.decision.action, width=5)}  {_shown(trial)}")


def _pairs(seen: SeenTool) -> list[tuple[str, str]]:
    return list(seen.sources.items())


def _shown(trial: Trial) -> str:
    arguments = visible(json.dumps(dict(trial.arguments), default=str), limit=_SHOWN_CHARACTERS)
    why = f"  {visible(trial.decision.message)}" if trial.decision.message else ""
    return f"{arguments}{why}"
