"""`commands:` in a policy and `rampart_catalog` in a plugin decide wherever calls are decided."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from rampart import Guard, ToolCall, hookimpl
from rampart.embedded import preview_gate
from rampart.errors import PluginError, PolicyError
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.intercept.catalog import builtin_catalog
from rampart.plugins import Plugins
from rampart.sources import PolicyInForce, policy_documents

COMMANDS = """\
commands:
  deployctl:
    summary: our deployments
    aliases: [dctl]
    subcommands:
      burn: [irreversible, remote]
    example:
      dctl burn api: [irreversible]
"""
RULES = """\
version: "1"
default_action: allow
policies:
  - name: lasting
    rules:
      - {action: deny, when: {effect: irreversible}, message: this lasts}
"""
POLICY = RULES + COMMANDS


def in_force(text: str) -> PolicyInForce:
    return PolicyInForce(policy_documents(text=text))


def gate_with(text: str, *plugins: object) -> Gate:
    registered = Plugins()
    for number, plugin in enumerate(plugins):
        registered.register(plugin, name=f"plugin-{number}")
    return Gate(in_force(text), hosts=HostFacts(), plugins=registered)


def answer(gate: Gate, command: str) -> str:
    return gate.check(ToolCall("exec", {"command": command})).action


def plugin(*items: object) -> object:
    def rampart_catalog() -> object:
        return list(items)

    return SimpleNamespace(rampart_catalog=hookimpl(rampart_catalog))


def test_a_policy_decides_about_the_programs_that_it_describes() -> None:
    gate = preview_gate(in_force(POLICY), HostFacts())
    assert answer(gate, "dctl burn api") == "deny"
    assert answer(gate, "dctl status") == "allow"
    assert answer(preview_gate(in_force(RULES), HostFacts()), "dctl burn api") == "allow"
    assert any("irreversible" in each.effects for each in gate.actions(exec_call("dctl burn x")))


def exec_call(command: str) -> ToolCall:
    return ToolCall("exec", {"command": command})


def test_a_guard_and_its_memory_of_calls_use_the_catalog_in_force(tmp_path: Path) -> None:
    with Guard(POLICY, data_dir=tmp_path / "data") as guard:
        for _ in range(2):
            assert guard.check("exec", {"command": "dctl burn api"}).action == "deny"


def test_without_additions_the_catalog_is_the_built_in_one() -> None:
    assert in_force(RULES).catalog is builtin_catalog()


def test_an_addition_changes_the_generation() -> None:
    def generation(text: str, *plugins: object) -> str:
        return gate_with(text, *plugins).check(exec_call("ls")).generation

    assert generation(POLICY) != generation(RULES)
    assert generation(RULES, plugin({"x": []})) != generation(RULES)
    assert generation(RULES, plugin({"x": []})) != generation(RULES, plugin({"y": []}))
    assert generation(RULES, plugin({"x": []})) == generation(RULES, plugin({"x": []}))


def test_documents_reached_by_extends_contribute(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text('version: "1"\n' + COMMANDS)
    top = tmp_path / "top.yaml"
    top.write_text(RULES.replace("default_action", "extends: [base.yaml]\ndefault_action"))
    gate = preview_gate(PolicyInForce(policy_documents(path=top)), HostFacts())
    assert answer(gate, "dctl burn api") == "deny"


def test_only_the_named_policy_may_replace_an_entry(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text('version: "1"\ncommands:\n  rm: {replace: true}\n')
    assert PolicyInForce(policy_documents(path=base)).catalog.find("rm") is not None
    top = tmp_path / "top.yaml"
    top.write_text(RULES.replace("default_action", "extends: [base.yaml]\ndefault_action"))
    with pytest.raises(PolicyError, match=r"base\.yaml:3:3: `rm` cannot be replaced here"):
        PolicyInForce(policy_documents(path=top))


def test_the_policy_in_force_adds_to_what_it_extends_and_cannot_undo_it(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text('version: "1"\n' + COMMANDS)
    top = tmp_path / "top.yaml"
    text = RULES.replace("default_action", "extends: [base.yaml]\ndefault_action")
    top.write_text(text + "commands:\n  deployctl: {subcommands: {burn: []}}\n")
    gate = preview_gate(PolicyInForce(policy_documents(path=top)), HostFacts())
    assert answer(gate, "deployctl burn api") == "deny"
    top.write_text(text + "commands:\n  deployctl: {replace: true, subcommands: {burn: []}}\n")
    with pytest.raises(PolicyError, match="the example `dctl burn api` does not hold"):
        PolicyInForce(policy_documents(path=top))


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ("{x: {effects: [irreversibel]}}", "<text>:2:26: unknown effect 'irreversibel'"),
        ("{x: {operands: raed}}", "<text>:2:26: unknown role 'raed'"),
        ("{x: {options: {-x: {color: y}}}}", "<text>:2:31: unknown key 'color'"),
        ("{x: {reader: none}}", "<text>:2:24: unknown reader 'none'"),
        ("{x: {subcommands: {a: {b: c}}}}", "<text>:2:34: unknown key 'b'"),
        ("{git: {style: posix}}", "<text>:2:18: `style` of `git`"),
        ("{x: {aliases: [rm]}}", "<text>:2:12: the alias `rm`"),
        ("{a b: {}}", "<text>:2:12: 'a b' is no name of a program"),
        ("{x: {flags: {-q: {mode: none}}}}", "<text>:2:12: `x` has no mode `none`"),
        ("{x: {example: {x a: [exec]}}}", "<text>:2:26: the example `x a` does not hold: expected"),
        ("{x: {fresh: maybe}}", "<text>:2:23: fresh is true or false"),
        ("[x]", "<text>:2:11: commands must be a mapping"),
        ("{x: {effects: {a: b}}}", "<text>:2:25: effects are a list"),
        ("{x: {effects: [[a]]}}", "<text>:2:26: effects: list is no word"),
        ("{x: {words: [a]}}", "<text>:2:23: patterns are a mapping"),
        ("{x: {modes: [a]}}", "<text>:2:23: modes is a mapping"),
        ("{x: {summary: [a]}}", "<text>:2:25: summary is a text"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(commands: str, message: str) -> None:
    with pytest.raises(PolicyError, match="^" + message):
        in_force(f'version: "1"\ncommands: {commands}\n')


def test_a_misspelt_effect_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(PolicyError) as caught:
        in_force('version: "1"\ncommands: {x: {effects: [irreversibel]}}\n')
    assert caught.value.help == "did you mean `irreversible`?"


@pytest.mark.parametrize(
    "item",
    [
        {"dctl": {"subcommands": {"burn": ["irreversible"]}}},
        {"dctl": {"subcommands": {"burn": ("irreversible",), "status": None}}},
        "dctl: {subcommands: {burn: [irreversible]}}",
    ],
    ids=["mapping", "other values of python", "text"],
)
def test_a_plugin_describes_programs(item: object) -> None:
    gate = gate_with(RULES, plugin(item))
    assert answer(gate, "dctl burn x") == "deny"
    assert answer(gate, "dctl status") == "allow"


def test_a_plugin_cannot_make_a_known_program_look_harmless() -> None:
    text = RULES.replace("irreversible", "recursive")
    gate = gate_with(text, plugin({"rm": {"operands": "text", "flags": {"-r": "help"}}}))
    assert answer(gate, "rm -r build") == "deny"


def test_the_policy_stands_above_plugins() -> None:
    gate = gate_with(
        RULES + "commands:\n  ours: {replace: true, subcommands: {burn: []}}\n",
        plugin({"ours": {"subcommands": {"burn": ["irreversible"]}}}),
    )
    assert answer(gate, "ours burn") == "allow"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (7, "rampart_catalog: int is no entry"),
        ({"x": {"effects": ["nonsense"]}}, "unknown effect 'nonsense'"),
        ({"x": {"effects": [object()]}}, "object has no place in an entry"),
        ({"rm": {"replace": True}}, "`rm`: only a policy may replace an entry"),
        ({"x": {"aliases": ["rm"]}}, "the alias `rm`"),
        ({"x": {"example": {"x": ["irreversible"]}}}, "the example `x` does not hold"),
        ("x: {effects: [nonsense]}", "plugin:plugin-0:1:15: unknown effect"),
        ("x: [", "plugin:plugin-0:2:1: not yaml"),
    ],
)
def test_a_plugin_that_answers_nonsense_is_named(item: object, message: str) -> None:
    with pytest.raises(PluginError, match="plugin 'plugin-0'") as caught:
        gate_with(RULES, plugin(item))
    assert message in str(caught.value)


def test_a_plugin_that_raises_is_named() -> None:
    def rampart_catalog() -> object:
        raise RuntimeError("broken inside")

    with pytest.raises(PluginError, match="rampart_catalog: broken inside"):
        gate_with(RULES, SimpleNamespace(rampart_catalog=hookimpl(rampart_catalog)))


def test_one_entry_instead_of_a_list_is_refused() -> None:
    def rampart_catalog() -> object:
        return {"x": []}

    with pytest.raises(PluginError, match="one entry instead of a list"):
        gate_with(RULES, SimpleNamespace(rampart_catalog=hookimpl(rampart_catalog)))


def test_an_installed_plugin_with_a_broken_catalog_denies_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_catalog.py").write_text(
        "from rampart import hookimpl\n\n\n@hookimpl\ndef rampart_catalog():\n"
        "    return [{'x': {'effects': ['nonsense']}}]\n"
    )
    metadata = tmp_path / "broken_catalog-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-catalog\nVersion: 1.0")
    (metadata / "entry_points.txt").write_text("[rampart]\nbroken = broken_catalog\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins = Plugins()
    plugins.load_entry_points()
    decision = Gate(in_force(RULES), hosts=HostFacts(), plugins=plugins).check(exec_call("ls"))
    assert (decision.action, decision.rule) == ("deny", "plugin_error")
    assert "broken" in decision.message
    assert "nonsense" in decision.message
