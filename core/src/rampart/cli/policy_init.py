"""``rampart policy init``: a first policy with tests, from a few questions or options."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rampart.cli.options import CONTEXT, data_dir_option, examples, settings_of
from rampart.cli.terminal import visible
from rampart.errors import ConfigError

if TYPE_CHECKING:
    from rampart.authoring.stage import Stage

_WORDS: Final = ("watch", "ask", "deny")


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy init",
        "rampart policy init --profile strict --push deny --output policy.yaml",
        "rampart policy init --host docs.example.com --host '*.internal.example'",
        "rampart policy init --protect '~/taxes/**' --push ask",
    ),
)
@click.option("--profile", metavar="NAME", help="What to start from; else standard.")
@click.option("--push", type=click.Choice(_WORDS), help="What to say to `git push`.")
@click.option("--host", "hosts", multiple=True, metavar="DOMAIN", help="Others are asked for.")
@click.option("--protect", multiple=True, metavar="PATH", help="Files that are not for agents.")
@click.option("--output", metavar="FILE", help="Where to; else policy.yaml in the data directory.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@data_dir_option
def init(**given: Any) -> None:
    """Write a commented policy, and a file of tests beside it.

    On a terminal, and without any of the options that say what the policy is to be, a few questions
    are asked. Nothing that exists is overwritten without --force.
    """
    from rampart.authoring.drafts import new_policy, new_tests
    from rampart.cli.policy_files import tests_beside

    path = _path(given)
    beside = tests_beside(path)
    if not given["force"]:
        _require_absent(path, beside)
    wishes = _wishes(given)
    policy = new_policy(wishes)
    for file, text in ((path, policy), (beside, new_tests(wishes, _stage(policy)))):
        _write(file, text, force=given["force"])
        click.echo(visible(str(file)))


def _stage(text: str) -> Stage:
    from rampart.authoring.stage import Stage
    from rampart.sources import PolicyInForce, policy_documents

    return Stage(PolicyInForce(policy_documents(text=text)), now=time.time())


def _path(given: dict[str, Any]) -> Path:
    if given["output"]:
        return Path(given["output"])
    from rampart.config import ensure_private_directory

    return ensure_private_directory(settings_of(given["data_dir"]).data_dir) / "policy.yaml"


def _wishes(given: dict[str, Any]) -> Any:
    from rampart.authoring.drafts import Wishes
    from rampart.sources import profile_document, profile_names

    says = any(given[name] for name in ("profile", "push", "hosts", "protect"))
    if says or not sys.stdin.isatty():
        profile = given["profile"] or "standard"
        profile_document(profile)  # refuses one that does not exist
        return Wishes(profile, given["push"] or "", tuple(given["hosts"]), tuple(given["protect"]))
    profile = click.prompt("Start from", default="standard", type=click.Choice(profile_names()))
    push = click.prompt("What to say to `git push`", default="ask", type=click.Choice(_WORDS))
    hosts = _listed("Only these hosts without asking (empty: as the profile says)")
    protect = _listed("Files that are not for agents, such as ~/private/** (empty: none more)")
    return Wishes(profile, push, hosts, protect)


def _listed(question: str) -> tuple[str, ...]:
    return tuple(click.prompt(question, default="", show_default=False).replace(",", " ").split())


def _require_absent(*paths: Path) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise ConfigError(
                f"{path} exists", help="--force overwrites it, --output names another"
            )


def _write(path: Path, text: str, *, force: bool) -> None:
    # WHY: a link that somebody put there is not followed, and nothing that appeared since is lost
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if force else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
