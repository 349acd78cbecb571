"""``rampart policy test``: the cases of a policy, and what became of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, json_option
from rampart.cli.terminal import print_json, visible
from rampart.errors import ConfigError, PolicyMissing

if TYPE_CHECKING:
    from rampart.authoring.cases import Case
    from rampart.cli.policy_files import Target


@dataclass(frozen=True, slots=True)
class Result:
    """One test that was run: ``problems`` are lines, none if it holds."""

    suite: str
    name: str
    where: str
    problems: tuple[str, ...]


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy test",
        "rampart policy test policy.yaml",
        "rampart policy test policy.test.yaml --junit results.xml",
        "rampart policy test --profile standard --json",
    ),
)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--profile", metavar="NAME", help="A built-in policy.")
@click.option("--junit", metavar="FILE", help="Write the results as JUnit XML as well.")
@json_option
@data_dir_option
def test(
    *,
    files: tuple[str, ...],
    profile: str | None,
    junit: str | None,
    as_json: bool,
    data_dir: str | None,
) -> None:
    """Run the tests of policies; without FILE, of the one in force.

    Tests are the `examples` of the rules of a FILE, its `tests`, and those of the file
    NAME.test.yaml beside NAME.yaml. A file of tests can also be named itself. Nothing is recorded,
    no file is touched, and no link followed. Exit codes: 0 all hold, 1 some do not.
    """
    from rampart.cli.policy_files import named

    results = [each for name in named(files, profile, data_dir) for each in results_of(name)]
    if not results:
        raise PolicyMissing("there is not one test", help="`rampart policy test --help` says where")
    if junit:
        _write_junit(Path(junit), results)
    failed = [each for each in results if each.problems]
    if as_json:
        data = [_as_data(each) for each in results]
        print_json({"passed": len(results) - len(failed), "failed": len(failed), "tests": data})
    else:
        _print(results, failed)
    click.get_current_context().exit(1 if failed else 0)


def results_of(name: str) -> list[Result]:
    """Run the tests of one file. Raises: PolicyError, PolicyMissing."""
    from rampart.authoring.cases import read_inline_cases
    from rampart.cli.policy_files import TESTS_SUFFIX, load_target

    if name.endswith(TESTS_SUFFIX):
        return _of_cases(*_about(Path(name)))
    target = load_target(name)
    found = _of_examples(target)
    found += _of_cases(target, read_inline_cases(target.document), target.document.filename)
    found += _of_cases(*_beside(target))
    return found


def cases_of(target: Target) -> tuple[Case, ...]:
    """Return the cases of a policy: its own, and those of the file beside it."""
    from rampart.authoring.cases import read_inline_cases

    return (*read_inline_cases(target.document), *_beside(target)[1])


def _about(path: Path) -> tuple[Target, tuple[Case, ...], str]:
    """Return the policy that a file of tests is about, and its cases."""
    from rampart.authoring.cases import read_case_file
    from rampart.cli.policy_files import TESTS_SUFFIX, load_file, load_profile, read_bytes

    file = read_case_file(read_bytes(path), filename=str(path))
    if file.profile:
        return load_profile(file.profile), file.cases, str(path)
    own = file.policy or f"{path.name.removesuffix(TESTS_SUFFIX)}.yaml"
    return load_file(path.parent / Path(own).expanduser()), file.cases, str(path)


def _beside(target: Target) -> tuple[Target, tuple[Case, ...], str]:
    from rampart.authoring.cases import read_case_file
    from rampart.cli.policy_files import read_bytes, tests_beside

    if target.path is None:
        return target, (), ""
    path = tests_beside(target.path)
    if not path.exists():
        return target, (), ""
    return target, read_case_file(read_bytes(path), filename=str(path)).cases, str(path)


def _of_cases(target: Target, cases: tuple[Case, ...], suite: str) -> list[Result]:
    from rampart.authoring.trial import play
    from rampart.plugins import installed_plugins

    now = time.time()
    outcomes = [play(case, target.policies, now=now, plugins=installed_plugins()) for case in cases]
    return [Result(suite, each.case.name, each.case.where, each.problems) for each in outcomes]


def _of_examples(target: Target) -> list[Result]:
    from rampart.authoring.examples import example_results

    suite = f"{target.document.filename} (examples)"
    return [
        Result(suite, each.name, each.where, each.problems)
        for each in example_results(target.document, target.stage())
    ]


def _print(results: list[Result], failed: list[Result]) -> None:
    for each in failed:
        click.echo(f"FAIL  {visible(each.name)}  ({visible(each.where)})")
        for line in each.problems:
            click.echo(f"  {visible(line)}")
    click.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")


def _as_data(result: Result) -> dict[str, object]:
    return {
        "suite": result.suite,
        "name": result.name,
        "where": result.where,
        "passed": not result.problems,
        "problems": list(result.problems),
    }


def _write_junit(path: Path, results: list[Result]) -> None:
    from xml.etree import ElementTree as ET

    top = ET.Element("testsuites")
    for suite in dict.fromkeys(each.suite for each in results):
        own = [each for each in results if each.suite == suite]
        failures = sum(bool(each.problems) for each in own)
        node = ET.SubElement(
            top,
            "testsuite",
            name=visible(suite),
            tests=str(len(own)),
            failures=str(failures),
            errors="0",
        )
        for each in own:
            case = ET.SubElement(
                node,
                "testcase",
                classname=visible(suite),
                name=f"{visible(each.name)} ({each.where})",
            )
            if each.problems:
                lines = [visible(line) for line in each.problems]
                failure = ET.SubElement(case, "failure", message=lines[0])
                failure.text = "\n".join(lines)
    try:
        path.write_bytes(ET.tostring(top, encoding="utf-8", xml_declaration=True))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
