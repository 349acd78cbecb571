"""``rampart allow``, ``rampart block`` and ``rampart rules``: overrides of the policy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import click

from rampart.cli.calls import call_text
from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option, settings_of
from rampart.cli.terminal import print_fields, print_json, visible

if TYPE_CHECKING:
    from rampart.config import Settings
    from rampart.overrides import Override
    from rampart.policy import Policy

F = TypeVar("F", bound=Callable[..., Any])
_NOTHING: Final = "no overrides"


def _wish_options(function: F) -> F:
    for option in (
        data_dir_option,
        click.option("--yes", is_flag=True, help="Save it without a question."),
        click.option("--reason", default="", metavar="TEXT", help="Why; it is shown in the list."),
        click.option("--session", default="", help="Only in sessions that match this pattern."),
        click.option("--once", is_flag=True, help="For one call."),
        click.option("--for", "duration", metavar="TIME", help="For so long: 30m, 2h, 7d."),
        click.option("--tool", default="exec", show_default=True, help="The tool that is called."),
        click.argument("pattern"),
    ):
        function = option(function)
    return function


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart allow 'git push origin *' --for 2h",
        "rampart allow 'make release' --once --reason 'release 2.1'",
        "rampart allow --tool fetch '*.example.com'",
    ),
)
@_wish_options
def allow(**given: Any) -> None:
    """Let calls run that the policy asks about or does not know; never what it denies.

    PATTERN is the whole command with `*` for any text; for read, write, edit and delete a path, for
    fetch a URL or a domain, for any other tool `*`.
    """
    _save("allow", given)


@click.command(
    context_settings=CONTEXT,
    epilog=examples("rampart block 'terraform apply*'", "rampart block --tool read '**/*.pem'"),
)
@_wish_options
def block(**given: Any) -> None:
    """Deny calls, whatever the policy says. PATTERN is as for `rampart allow`."""
    _save("deny", given)


@click.group(
    context_settings=CONTEXT,
    invoke_without_command=True,
    epilog=examples("rampart rules", "rampart rules remove allow-3f9a2c"),
)
@json_option
@data_dir_option
@click.pass_context
def rules(ctx: click.Context, as_json: bool, data_dir: str | None) -> None:
    """List what `rampart allow` and `rampart block` saved."""
    if ctx.invoked_subcommand is not None:
        ctx.meta["rampart.data_dir"] = data_dir
        return
    from rampart.sources import overrides_document

    document = overrides_document(settings_of(data_dir))
    policies = document.policies if document else ()
    if as_json:
        print_json([_described(policy) for policy in policies])
    elif not policies:
        click.echo(_NOTHING)
    for policy in policies if not as_json else ():
        said = _described(policy)
        state = "".join(f"  {word}" for word in said["state"])
        what = f"{said['action']:<5}  {' '.join(said['tool'])}  {said['when']}"
        click.echo(visible(f"{policy.name:<14} {what}{state}"))
        if policy.description:
            click.echo(visible(f"{'':14} {policy.description}"))


@rules.command(context_settings=CONTEXT)
@data_dir_option
@click.argument("name", metavar="ID")
@click.pass_context
def remove(ctx: click.Context, data_dir: str | None, name: str) -> None:
    """Remove one, by its id."""
    from rampart.overrides import remove as remove_override

    remove_override(settings_of(data_dir or ctx.meta["rampart.data_dir"]), name)
    click.echo(f"{visible(name)} is removed")


def _save(action: Literal["allow", "deny"], given: dict[str, Any]) -> None:
    from rampart.overrides import Wish, add, prepare

    settings = settings_of(given["data_dir"])
    wish = Wish(
        action,
        given["pattern"],
        tool=given["tool"],
        session=given["session"],
        until=_until(given["duration"]),
        once=given["once"],
        reason=given["reason"],
    )
    override = prepare(wish, cwd=Path.cwd())
    _show(settings, override, action)
    if not given["yes"]:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is here to confirm it: say --yes")
        if not click.confirm("save it?"):
            raise click.Abort
    add(settings, override)
    click.echo(f"saved as {override.id}; `rampart rules remove {override.id}` undoes it")


def _until(duration: str | None) -> float | None:
    from rampart.policy.times import read_duration

    if duration is None:
        return None
    try:
        return time.time() + read_duration(duration)
    except ValueError as error:
        raise click.UsageError(f"--for {duration!r}: {error}") from None


def _show(settings: Settings, override: Override, action: str) -> None:
    word = "allows" if action == "allow" else "denies"
    rows = {
        word: visible(call_text(override.covers)),
        "and not": visible(call_text(override.leaves)),
    }
    if action == "allow":
        still = _still_denied(settings, override)
        rows["but"] = f"the policy denies it: {still}" if still else ""
    print_fields(rows)


def _still_denied(settings: Settings, override: Override) -> str:
    """Say why the covered call would not run all the same; empty if it would."""
    from rampart.embedded import preview_gate
    from rampart.hosts import HostFacts, find_workspace
    from rampart.sources import PolicyInForce, documents_in_force

    policies = PolicyInForce(documents_in_force(settings))
    hosts = HostFacts(workspace=find_workspace(Path(override.covers.cwd)))
    decision = preview_gate(policies, hosts).check(override.covers)
    return (
        decision.message if decision.rule != "default_action" and decision.action == "deny" else ""
    )


def _described(policy: Policy) -> dict[str, Any]:
    rule = policy.rules[0]
    when = rule.when
    what = (*when.command_matches, *when.path_matches, *when.url_matches, *when.domain_matches)
    state = ["once"] if rule.once else []
    if rule.expires_at is not None:
        gone = rule.expires_at <= time.time()
        moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(rule.expires_at))
        state.append("expired" if gone else f"until {moment}")
    return {
        "id": policy.name,
        "action": rule.action,
        "tool": list(policy.match.tool),
        "session": list(policy.match.session),
        "when": " ".join(what) or "*",
        "state": state,
        "reason": policy.description,
    }
