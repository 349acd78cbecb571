"""What the project depends on: licences that allow it, and nothing heavy at import."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = [
    "rampart-core", "rampart-langchain", "rampart-crewai", "rampart-autogen", "rampart-preload",
]  # fmt: skip
ALLOWED = re.compile(
    r"\b(apache|mit|bsd|isc|mpl|mozilla|python software foundation|psf|unlicense|zlib|0bsd|cc0"
    r"|public domain|hpnd|cnri|mit-cmu|blueoak)\b",
    re.IGNORECASE,
)
FORBIDDEN = re.compile(r"\b(a?gpl|gnu (affero )?general public)", re.IGNORECASE)
CHECKED_BY_HAND = {  # no licence in their metadata
    "cel-python": "Apache-2.0: the licence file in the distribution",
    "crewai": "MIT: the licence file of the repository",
    "crewai-cli": "MIT: part of crewai's repository",
    "crewai-core": "MIT: part of crewai's repository",
}


def requirements_of(name: str, seen: set[str]) -> None:
    """Add ``name`` and all that it needs when installed here to ``seen``."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return  # an optional dependency of another platform
    seen.add(key)
    for requirement in distribution.requires or ():
        if "extra ==" not in requirement:
            requirements_of(re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0], seen)


def licence_of(name: str) -> str:
    fields = metadata.metadata(name)
    parts = [fields.get("License-Expression") or "", (fields.get("License") or "")[:200]]
    parts += [c for c in fields.get_all("Classifier") or () if c.startswith("License")]
    return " | ".join(part for part in parts if part)


def every_dependency() -> list[str]:
    seen: set[str] = set()
    for name in DISTRIBUTIONS:
        requirements_of(name, seen)
    return sorted(seen)


@pytest.mark.parametrize("name", every_dependency())
def test_licence_is_allowed(name: str) -> None:
    licence = licence_of(name)
    if name in CHECKED_BY_HAND:
        assert licence == "", f"{name} states its licence now: take it off the list"
        return
    assert ALLOWED.search(licence), f"{name}: {licence!r} is not on the list"
    without_exceptions = re.sub(r"(?i)lgpl|lesser general", "", licence)
    assert not FORBIDDEN.search(without_exceptions), f"{name}: {licence}"


def test_importing_rampart_imports_no_framework_or_server() -> None:
    heavy = (
        "langchain_core",
        "crewai",
        "autogen_core",
        "starlette",
        "uvicorn",
        "httpx",
        "sqlite3",
        "yaml",
        "click",
    )
    code = f"import rampart, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "folder", ["core", "packages/langchain", "packages/crewai", "packages/autogen", "preload"]
)
def test_distribution_says_what_it_is(folder: str) -> None:
    with (ROOT / folder / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == ">=3.11"
    assert (ROOT / folder / project["readme"]).stat().st_size > 200


def test_constraints_pin_every_dependency() -> None:
    pinned = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    missing = [
        name for name in every_dependency() if name not in pinned and name not in DISTRIBUTIONS
    ]
    assert missing == []
