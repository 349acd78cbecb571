"""``rampart policy lint``: what is wrong with a policy, or looks wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option
from rampart.cli.terminal import print_json, visible

if TYPE_CHECKING:
    from rampart.authoring.findings import Finding


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy lint",
        "rampart policy lint policy.yaml",
        "rampart policy lint --errors --json policies/*.yaml",
        "rampart policy lint --profile standard",
    ),
)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--profile", metavar="NAME", help="A built-in policy.")
@click.option("--errors", "errors_only", is_flag=True, help="Leave out the warnings.")
@json_option
@data_dir_option
def lint(
    *,
    files: tuple[str, ...],
    profile: str | None,
    errors_only: bool,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Say what is wrong with policies, or looks wrong; without FILE, with the one in force.

    Each finding has a place (file:line:column), a severity, a code that stays, and what to do. An
    error is what nobody can mean, a warning what somebody might. Exit codes: 0 clean, 1 findings.
    """
    from rampart.cli.policy_files import named

    names = named(files, profile, data_dir)
    found = [each for name in names for each in _findings(name)]
    if errors_only:
        found = [each for each in found if each.severity == "error"]
    if as_json:
        print_json({"files": names, "findings": [_as_data(each) for each in found]})
    else:
        _print(found, len(names))
    click.get_current_context().exit(1 if found else 0)


def _findings(name: str) -> tuple[Finding, ...]:
    from rampart.authoring.cases import read_case_file
    from rampart.authoring.findings import Finding
    from rampart.authoring.lint import lint as lint_document
    from rampart.cli.policy_files import TESTS_SUFFIX, load_target, read_bytes
    from rampart.errors import PolicyError

    tests = name.endswith(TESTS_SUFFIX)
    try:
        if tests:
            read_case_file(read_bytes(Path(name)), filename=name)
            return ()
        target = load_target(name)
        return lint_document(target.document, target.stage())
    except PolicyError as error:
        where = error.where or f"{name}:1:1"
        message = error.message.removeprefix(f"{error.where}: ")
        code = "test-invalid" if tests else "does-not-load"
        return (Finding(code, where, message, error.help),)


def _as_data(finding: Finding) -> dict[str, object]:
    file, line, column = finding.where.rsplit(":", 2)
    return {
        "code": finding.code,
        "severity": finding.severity,
        "file": file,
        "line": int(line),
        "column": int(column),
        "message": finding.message,
        "help": finding.help,
        "policy": finding.policy,
        "rule": finding.rule,
    }


def _print(found: list[Finding], count: int) -> None:
    for each in found:
        about = f" ({each.policy}/{each.rule})" if each.rule else ""
        head = f"{each.where}: {each.severity}[{each.code}]"
        click.echo(visible(f"{head} {each.message}{about}"))
        if each.help:
            click.echo(f"  help: {visible(each.help)}")
    errors = sum(each.severity == "error" for each in found)
    files = "1 file" if count == 1 else f"{count} files"
    click.echo(f"{files}: {errors} errors, {len(found) - errors} warnings", err=True)
