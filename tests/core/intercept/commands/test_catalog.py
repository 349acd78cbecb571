"""The catalog says only what can be checked, and has an example for every entry."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from pathlib import Path

import pytest
import yaml
from rampart.errors import ConfigError
from rampart.intercept.catalog import EFFECTS, ROLES, Catalog, builtin_catalog, parse_entry
from rampart.intercept.catalog.model import Entry, matcher
from rampart.intercept.commands import shell_actions
from rampart.model import Action, Host

HOST = Host(home="/home/user", cwd="/workspace", workspace="/workspace", user="user")
FILES = sorted(
    file.name
    for file in resources.files("rampart.intercept.catalog").iterdir()
    if file.name.endswith(".yaml")
)
TOOLS = {"read", "write", "delete", "fetch", "exec"}


def text_of(filename: str) -> str:
    return resources.files("rampart.intercept.catalog").joinpath(filename).read_text("utf-8")


def duplicates(node: yaml.Node, path: str = "") -> list[str]:
    """Return every key that stands twice in one mapping."""
    if isinstance(node, yaml.SequenceNode):
        return [found for item in node.value for found in duplicates(item, path)]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = Counter(key.value for key, _ in node.value)
    found = [f"{path}/{key}" for key, count in keys.items() if count > 1]
    for key, value in node.value:
        found += duplicates(value, f"{path}/{key.value}")
    return found


def shown(action: Action) -> str:
    """Return an action in the words of the examples."""
    if action.tool == "exec":
        return f"exec {action.command}"
    if action.tool == "fetch":
        return f"fetch {action.url.rstrip('/')}"
    path = action.path.removeprefix("/workspace/").replace("/home/user", "~")
    return f"{action.tool} {path}"


def examples() -> list[tuple[str, str, list[str]]]:
    catalog = builtin_catalog()
    found = []
    for name in catalog.names():
        entry = catalog.find(name)
        assert entry is not None
        found += [(name, line, list(expected)) for line, expected in entry.examples.items()]  # type: ignore[call-overload]
    return found


@pytest.mark.parametrize(("name", "line", "expected"), examples())
def test_every_example_does_what_it_says(name: str, line: str, expected: list[str]) -> None:
    actions = shell_actions(line, HOST)
    effects = set().union(*(action.effects for action in actions))
    things = [shown(action) for action in actions]
    arguments = [action for action in actions if action.origin in ("argument", "code")]
    for item in expected:
        tool = item.partition(" ")[0]
        if item == "nothing":
            assert not effects, things
            assert not [action for action in arguments if action.tool in ("write", "delete")]
            assert not any(action.opaque for action in actions)
        elif item == "opaque":
            assert any(action.opaque for action in actions), things
        elif item == "exec":
            assert len([action for action in actions if action.tool == "exec"]) > 1
        elif tool in TOOLS and " " in item:
            assert any(thing.rstrip("/") == item.rstrip("/") for thing in things), things
        elif item.startswith("-"):
            assert item[1:] in EFFECTS
            assert item[1:] not in effects
        else:
            assert item in EFFECTS
            assert item in effects, (things, effects)


def test_every_entry_has_a_summary_and_an_example() -> None:
    catalog = builtin_catalog()
    for name in catalog.names():
        entry = catalog.find(name)
        assert entry is not None
        assert entry.summary, name
        assert entry.examples, name


@pytest.mark.parametrize("filename", FILES)
def test_no_key_stands_twice_in_one_mapping(filename: str) -> None:
    assert duplicates(yaml.compose(text_of(filename))) == []


@pytest.mark.parametrize("filename", [name for name in FILES if name != "variables.yaml"])
def test_cutting_a_file_at_its_keys_yields_what_yaml_would(filename: str) -> None:
    text = text_of(filename)
    whole = yaml.load(text, Loader=yaml.BaseLoader)
    catalog = Catalog([(filename, text)])
    assert list(catalog.names()) == list(whole)
    for name, data in whole.items():
        entry = catalog.find(name)
        assert entry is not None
        assert entry.summary == data["summary"]
        for alias in data.get("aliases", ()):
            assert catalog.find(alias) is not None, alias


def test_no_two_entries_claim_a_name() -> None:
    catalog = builtin_catalog()
    names = Counter[str]()
    for name in catalog.names():
        entry = catalog.find(name)
        assert entry is not None
        names.update({name, *entry.aliases})
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    "data",
    [
        {"effects": ["nonsense"]},
        {"operands": "nonsense"},
        {"operands": ["read...", "write..."]},
        {"flags": {"-x": "nonsense"}},
        {"options": {"-x": "nonsense"}},
        {"options": {"-x": {"role": "read", "colour": "red"}}},
        {"style": "nonsense"},
        {"nonsense": "x"},
        {"subcommands": {"x": {"effects": ["nonsense"]}}},
        {"words": ["x"]},
        "text",
    ],
)
def test_an_entry_with_an_unknown_word_is_refused(data: object) -> None:
    with pytest.raises(ConfigError, match="here"):
        parse_entry("x", data, where="here")


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two entries"):
        Catalog([("a.yaml", "x:\n  summary: a\n"), ("b.yaml", "x:\n  summary: b\n")])


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("python3.11", "python"),
        ("pip3", "pip"),
        ("bash", "sh"),
        ("mkfs.ext4", "mkfs"),
        ("RM.EXE", "rm"),
    ],
)
def test_versions_and_aliases_lead_to_the_entry(program: str, name: str) -> None:
    entry = builtin_catalog().find(program)
    assert isinstance(entry, Entry)
    assert entry.name == name


@pytest.mark.parametrize("program", ["nosuchprogram", "", "3", "x" * 5000])
def test_an_unknown_program_has_no_entry(program: str) -> None:
    assert builtin_catalog().find(program) is None


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a*c", "abc", True),
        ("a*c", "abcd", False),
        ("*", "", True),
        ("a*a", "a", False),
        ("*x*y", "axby", True),
        ("[0-7][0-7]7", "777", True),
        ("[0-7][0-7]7", "0777", False),
        ("*[0-7]7", "0777", True),
        ("DELETE", "delete", True),
        ("a?c", "abc", True),
        ("*drop*(*", "db.drop()", True),
    ],
)
def test_patterns_match_as_globs_do(pattern: str, text: str, expected: bool) -> None:
    assert matcher(pattern)(text) is expected


def test_every_effect_and_role_is_explained_in_one_sentence() -> None:
    for table in (EFFECTS, ROLES):
        for name, sentence in table.items():
            assert sentence.endswith("."), name
            assert len(sentence) < 130, name


def test_the_page_explains_every_effect_and_role_in_the_words_of_the_catalog() -> None:
    page = (Path(__file__).parents[4] / "core/docs/catalog.md").read_text("utf-8")
    for name, sentence in {**EFFECTS, **ROLES}.items():
        assert f"| `{name}` | {sentence} |" in page
