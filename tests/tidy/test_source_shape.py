"""The shape that keeps the project readable: sizes, banned calls, cycles, the top level."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("core/src", "packages", "preload", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts and "build" not in path.parts
)
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
POSITIONAL_PARAMETERS_MAX = 6  # five and self
TOP_LEVEL = {
    "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "constraints.txt",
    "dev.py", "pyproject.toml", "core", "packages", "preload", "examples", "tests",
}  # fmt: skip
BANNED_CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "pickle.loads": "runs what it reads",
    "pickle.load": "runs what it reads",
    "yaml.load": "builds objects from text; the policy loader reads events",
    "yaml.safe_load": "keeps the last of two equal keys",
    "os.system": "goes through a shell",
    "tempfile.mktemp": "another process may take the name",
}
EXCEPTIONS = {
    # reads the files of this distribution only, 4,000 lines of them, before the first decision
    ("core/src/rampart/intercept/catalog/load.py", "yaml.load"),
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the list of tracked files is unknown")
    return listed.stdout.splitlines()


def test_there_is_source_to_check() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_module_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    too_long = []
    if text.count("\n") > MODULE_LINES_MAX:
        too_long.append(f"module of {text.count(chr(10))} lines")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            parameters = len(node.args.posonlyargs) + len(node.args.args)
            if lines > FUNCTION_LINES_MAX:
                too_long.append(f"{node.name}: {lines} lines")
            if parameters > POSITIONAL_PARAMETERS_MAX:
                too_long.append(f"{node.name}: {parameters} positional parameters")
    assert too_long == []


@pytest.mark.parametrize("path", [p for p in SOURCES if "examples" not in p.parts], ids=relative)
def test_no_banned_call(path: Path) -> None:
    found = [
        f"{node.lineno}: {name} {BANNED_CALLS[name]}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func)) in BANNED_CALLS
        and (relative(path), name) not in EXCEPTIONS
    ]
    assert found == []


def test_top_level_holds_only_what_the_layout_names() -> None:
    top = {name.split("/")[0] for name in tracked_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_no_package_index_address_is_written_down() -> None:
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "index" + "-url")
    found = [
        name
        for name in tracked_files()
        if (ROOT / name).is_file()
        and (ROOT / name).suffix in (".py", ".toml", ".txt", ".cfg", ".lock")
        and any(host in (ROOT / name).read_text(errors="replace") for host in hosts)
        and name != "dev.py"  # translates pip's own setting at run time
    ]
    assert found == []


def test_import_rules_hold() -> None:
    """Layers, purity, and no import cycle: the contracts of pyproject.toml."""
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_core_has_no_import_cycle() -> None:
    edges = import_edges(ROOT / "core" / "src")
    assert cycle_in(edges) == []


def import_edges(base: Path) -> dict[str, set[str]]:
    """Module → modules it imports at its top level, types only aside."""
    modules = {}
    for path in base.rglob("*.py"):
        parts = path.relative_to(base).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                edges[name] |= {alias.name for alias in node.names if alias.name in modules}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    target = full if full in modules else node.module
                    if target in modules:
                        edges[name].add(target)
    return edges


def cycle_in(edges: dict[str, set[str]]) -> list[str]:
    """Return the names along one cycle, or nothing."""
    state: dict[str, int] = {}
    path: list[str] = []

    def visit(name: str) -> list[str]:
        state[name] = 1
        path.append(name)
        for target in sorted(edges[name] - {name}):
            if state.get(target) == 1:
                return [*path[path.index(target) :], target]
            if target not in state and (found := visit(target)):
                return found
        path.pop()
        state[name] = 2
        return []

    for name in sorted(edges):
        if name not in state and (found := visit(name)):
            return found
    return []


def test_cycle_finder_finds_a_cycle() -> None:
    """The negative control of the test above."""
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert cycle_in({"a": {"b"}, "b": set()}) == []
