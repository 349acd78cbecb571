"""The catalog says only what can be checked, and has an example for every entry."""

from __future__ import annotations

import ast
from collections import Counter
from importlib import resources
from pathlib import Path

import pytest
import rampart.intercept
import yaml
from rampart.errors import ConfigError
from rampart.intercept.catalog import EFFECTS, ROLES, Catalog, builtin_catalog, parse_entry
from rampart.intercept.catalog.model import Entry, matcher
from rampart.intercept.catalog.parse import missing_modes
from rampart.intercept.catalog.vocabulary import ADDRESS_EFFECTS, ALL_EFFECTS, READER_NAMES
from rampart.intercept.examples import example_problem
from rampart.intercept.readers import READERS

FILES = sorted(
    file.name
    for file in resources.files("rampart.intercept.catalog").iterdir()
    if file.name.endswith(".yaml")
)


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
    assert example_problem(line, expected, builtin_catalog()) == ""


@pytest.mark.parametrize(
    ("line", "expected", "problem"),
    [
        ("rm -rf build", ["-recursive"], "expected `-recursive`; it does: exec rm -rf build"),
        ("ls", ["irreversible"], "expected `irreversible`; it does: exec ls"),
        ("rm a", ["nothing"], "expected `nothing`; it does: exec rm a, delete a"),
        ("cat a", ["read b"], "expected `read b`; it does: exec cat a, read a"),
        ("cat a", ["opaque"], "expected `opaque`"),
        ("cat a", ["exec"], "expected `exec`"),
        ("ls", ["irreversibel"], "`irreversibel` is neither an effect nor an action"),
        ("ls", [], "it says nothing"),
    ],
)
def test_an_example_that_does_not_hold_is_found(
    line: str, expected: list[str], problem: str
) -> None:
    assert example_problem(line, expected, builtin_catalog()).startswith(problem)


def test_every_entry_has_a_summary_and_an_example() -> None:
    catalog = builtin_catalog()
    for name in catalog.names():
        entry = catalog.find(name)
        assert entry is not None
        assert entry.summary, name
        assert entry.examples, name


def test_every_mode_that_an_option_names_exists() -> None:
    catalog = builtin_catalog()
    for name in catalog.names():
        entry = catalog.find(name)
        assert entry is not None
        assert list(missing_modes(entry)) == [], name


def test_entries_can_name_every_reader_there_is() -> None:
    assert set(READERS) == READER_NAMES


SOURCE = Path(rampart.intercept.__file__).parent


@pytest.mark.parametrize(
    "path", [path for path in SOURCE.rglob("*.py") if "vocabulary" not in path.name], ids=str
)
def test_code_adds_only_effects_that_policies_can_name(path: Path) -> None:
    """Read from the source: what is called effects and is given as a text is in the vocabulary."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        for name in _effect_texts(node):
            assert name in ALL_EFFECTS, f"{path.name}:{node.lineno}"  # type: ignore[attr-defined]  # calls have one


def _effect_texts(node: ast.AST) -> list[str]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=target, attr="add" | "update" | "discard"), args=args
        ):
            given = args if "effects" in ast.unparse(target) else []
        case ast.AugAssign(target=target, value=value) if "effects" in ast.unparse(target):
            given = [value]
        case ast.keyword(arg="effects", value=value):
            given = [value]
        case ast.Assign(targets=[ast.Name(id="effects")], value=value):
            given = [value]
        case _:
            given = []
    return [text for item in given for text in _texts(item)]


def _texts(node: ast.AST) -> list[str]:
    """Return the texts of a set or a tuple somewhere in ``node``, or ``node`` itself."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Set(elts=elements) | ast.Tuple(elts=elements):
            return [text for element in elements for text in _texts(element)]
        case _:
            found = [each for each in ast.walk(node) if isinstance(each, (ast.Set, ast.Tuple))]
            return [text for each in found for text in _texts(each)]


@pytest.mark.parametrize("filename", FILES)
def test_no_key_stands_twice_in_one_mapping(filename: str) -> None:
    node = yaml.compose(text_of(filename))
    assert node is not None
    assert duplicates(node) == []


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
    for table in (EFFECTS, ADDRESS_EFFECTS, ROLES):
        for name, sentence in table.items():
            assert sentence.endswith("."), name
            assert len(sentence) < 130, name


def test_the_page_explains_every_effect_and_role_in_the_words_of_the_catalog() -> None:
    page = (Path(__file__).parents[4] / "core/docs/catalog.md").read_text("utf-8")
    for name, sentence in {**EFFECTS, **ADDRESS_EFFECTS, **ROLES}.items():
        assert f"| `{name}` | {sentence} |" in page
