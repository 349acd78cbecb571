"""``rampart policy explain``: what a rule says in plain words, and with which rules it competes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rampart.cli.options import (
    CONTEXT,
    data_dir_option,
    examples,
    json_option,
    policy_options,
)
from rampart.cli.terminal import print_json, verdict_word, visible
from rampart.errors import PolicyMissing

if TYPE_CHECKING:
    from rampart.authoring.stage import Stage
    from rampart.policy import Policy, Rule


@click.command(
    context_settings=CONTEXT,
    epilog=examples(
        "rampart policy explain git/rule-2",
        "rampart policy explain --profile standard destroys-trees/a-home",
        "rampart policy explain --policy policy.yaml credentials --json",
    ),
)
@click.argument("rule")
@policy_options
@data_dir_option
@json_option
def explain(
    *, rule: str, profile: str | None, policy: str | None, data_dir: str | None, as_json: bool
) -> None:
    """Say what a RULE means: its words, its examples, and the rules that it competes with.

    RULE is POLICY/RULE, as answers and records name it; or a rule's or a policy's own name.
    """
    from rampart.authoring.rivals import find_rules
    from rampart.cli.policy_files import load_in_force

    target = load_in_force(data_dir, profile=profile, policy=policy)
    stage = target.stage()
    found = list(find_rules(target.documents, rule))
    if not found:
        raise PolicyMissing(
            f"there is no rule {rule!r} in {target.name}", help=_nearest(target.documents, rule)
        )
    described = [_described(stage, each, one) for each, one in found]
    if as_json:
        print_json({"rules": described})
        return
    for number, data in enumerate(described):
        if number:
            click.echo()
        _print(data)


def _nearest(documents: object, name: str) -> str:
    from difflib import get_close_matches

    known = [
        f"{policy.name}/{rule.id}"
        for document in documents  # type: ignore[attr-defined]  # a tuple of documents
        for policy in document.policies
        for rule in policy.rules
    ]
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "`rampart policy show` lists them"


def _described(stage: Stage, policy: Policy, rule: Rule) -> dict[str, object]:
    from rampart.authoring.examples import one_call_can_show, rule_results
    from rampart.authoring.rivals import rivals_of
    from rampart.authoring.words import rule_words

    return {
        "policy": policy.name,
        "rule": rule.id,
        "where": rule.where,
        "action": rule.action,
        "enabled": policy.enabled,
        "message": rule.message,
        "suggest": list(rule.suggest),
        "words": list(rule_words(policy, rule)),
        "examples": [
            {"example": each.name.partition(" ")[2], "holds": not each.problems}
            for each in rule_results(policy, rule, stage)
            if one_call_can_show(policy, rule, stage.now)
        ],
        "rivals": [
            {
                "policy": each.policy,
                "rule": each.rule,
                "says": each.says,
                "call": each.text,
                "wins": each.wins,
            }
            for each in rivals_of(stage, policy, rule)
        ],
    }


def _print(data: dict[str, object]) -> None:
    state = "" if data["enabled"] else "  (disabled)"
    name = f"{data['policy']}/{data['rule']}{state}  {data['where']}"
    click.echo(f"{verdict_word(str(data['action']), width=5)}  {visible(name)}")
    for line in _list(data["words"]):
        click.echo(f"  {visible(str(line))}")
    if data["message"]:
        click.echo(f"\n  says     {visible(str(data['message']))}")
    for hint in _list(data["suggest"]):
        click.echo(f"  instead  {visible(str(hint))}")
    for title, key, line in (
        ("Examples", "examples", _example),
        ("Competes with", "rivals", _rival),
    ):
        items = _list(data[key])
        if items:
            click.echo(f"\n  {title}")
        for item in items:
            assert isinstance(item, dict)
            click.echo(f"    {line(item)}")


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _example(item: dict[str, object]) -> str:
    return f"{'holds' if item['holds'] else 'FAILS'}  {visible(str(item['example']))}"


def _rival(item: dict[str, object]) -> str:
    mark = "▸" if item["wins"] else "·"
    word = verdict_word(str(item["says"]), width=5)
    text = "{policy}/{rule}  {call}".format_map(item)
    return f"{mark} {word} {visible(text)}"
