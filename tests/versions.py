"""Run the adapters' tests against the oldest and the newest framework versions that they support.

    python tests/versions.py                 all of them, one after the other
    python tests/versions.py crewai-oldest   one of them; --list names them

Each runs in a virtual environment of its own in a temporary folder, which is removed afterwards.
Needs uv and an index. This is no part of the test run: it takes minutes and gigabytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Job:
    """What is installed, and which tests run.

    ``packages`` are the adapters' folders; ``strict`` is off where a dependency of that age warns
    about today's Python packages; ``plugins`` where one's pytest plugin does before the tests do.
    ``without`` leaves out tests by their names.
    """

    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    tests: str
    strict: bool = True
    plugins: bool = True
    without: str = ""


# The oldest versions are the lower bounds in each adapter's pyproject.toml (decisions/0059).
JOBS = {
    "autogen-oldest": Job(
        ("autogen-core==0.6.2", "autogen-agentchat==0.6.2", "autogen-ext[http-tool]==0.6.2",
         "langchain-core>=1,<2"),
        ("autogen", "langchain"), "tests/autogen",
    ),
    "autogen-newest": Job(
        ("autogen-core<0.8", "autogen-agentchat<0.8", "autogen-ext[http-tool]<0.8",
         "langchain-core>=1,<2"),
        ("autogen", "langchain"), "tests/autogen",
    ),
    "classic-oldest": Job(
        ("pyautogen==0.2.35",),
        ("autogen",), "tests/autogen/test_classic.py", strict=False, plugins=False,
    ),
    "classic-newest": Job(
        ("ag2>=0.14,<1",),
        ("autogen",), "tests/autogen/test_classic.py", strict=False, plugins=False,
    ),
    "crewai-oldest": Job(
        ("crewai==1.15.9", "langchain-core>=1,<2"),
        ("crewai", "langchain"), "tests/crewai", strict=False, plugins=False,
    ),
    "crewai-newest": Job(
        ("crewai<2", "crewai-tools<2", "langchain-core>=1,<2"),
        ("crewai", "langchain"), "tests/crewai", strict=False, plugins=False,
    ),
    "langchain-oldest": Job(
        ("langchain-core==1.2.1", "langchain==1.2.4", "langgraph==1.0.2",
         "langgraph-prebuilt<1.0.5", "langchain-tests<1.1.3", "pytest-asyncio"),
        ("langchain",), "tests/langchain", strict=False,
    ),
    "langchain-core-oldest": Job(
        # WHY the others: newer ones need a newer langchain-core, and do not say so
        ("langchain-core==1.0.0", "langchain==1.0.0", "langgraph==1.0.*", "langgraph-checkpoint<4",
         "langgraph-prebuilt<1.0.5", "langchain-tests==1.0.0", "pytest-asyncio"),
        ("langchain",), "tests/langchain", strict=False,
        # WHY: agents have no names there; that is why the extra asks for langchain 1.2.4
        without="agent_thread_and_call or sub_agent_inherits",
    ),
    "langchain-newest": Job(
        ("langchain-core<2", "langchain<2", "langchain-tests<2", "pytest-asyncio"),
        ("langchain",), "tests/langchain", strict=False,
    ),
}  # fmt: skip


def main(names: list[str]) -> int:
    """Run the named jobs, or all."""
    if names == ["--list"]:
        print("\n".join(JOBS))
        return 0
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(JOBS)}", file=sys.stderr)
        return 2
    outcomes = {name: run(JOBS[name]) for name in names or JOBS}
    for name, code in outcomes.items():
        print(f"{name}: {'ok' if code == 0 else f'failed ({code})'}")
    return int(any(outcomes.values()))


def run(job: Job) -> int:
    """Install one job's versions and run its tests; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="rampart-versions-") as folder:
        python = Path(folder) / "bin" / "python"
        uv = [find_uv()]
        core = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]
        wanted = [*core["dependencies"], *job.requirements, "hypothesis", "pytest"]
        local = [ROOT / "core", *(ROOT / "packages" / name for name in job.packages)]
        editable = [word for path in local for word in ("-e", str(path))]
        commands: list[list[object]] = [
            [*uv, "venv", "-q", "-p", sys.executable, folder],
            [*uv, "pip", "install", "-q", "-p", python, *wanted],
            # WHY without dependencies: what is tested here is the versions, not their bounds
            [*uv, "pip", "install", "-q", "-p", python, "--no-deps", *editable],
        ]
        for command in commands:
            subprocess.run([str(word) for word in command], check=True, cwd=folder)
        quiet = [] if job.strict else ["-W", "ignore"]
        chosen = ["-k", f"not ({job.without})"] if job.without else []
        pytest = [python, *quiet, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        tests = [*pytest, *quiet, *chosen, job.tests]
        env = os.environ | ({} if job.plugins else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
        words = [str(word) for word in tests]
        return subprocess.run(words, check=False, cwd=ROOT, env=env).returncode


def find_uv() -> str:
    """Return the uv to use: the one that dev.py fetched, or the one on PATH."""
    own = ROOT / ".boot" / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        sys.exit("this needs uv: run `python3 dev.py test` once, or install it")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
