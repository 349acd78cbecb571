#!/usr/bin/env python3
"""Everything a newcomer needs, with nothing but Python 3.11, pip and gcc.

usage: python3 dev.py demo            watch real agents being guarded (light install)
       python3 dev.py test [ARGS]     install everything and run all checks and tests
       python3 dev.py lock            write constraints.txt again from what resolves today

ARGS go to pytest. The first run installs into .venv-demo or .venv beside this file; later runs
reuse it. Works where the system Python is externally managed; uses pip where uv cannot be had.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BOOT = ROOT / ".boot"
CONSTRAINTS = ROOT / "constraints.txt"
PYTHON_MIN = (3, 11)

LIGHT = ["core", "packages/langchain[agents]", "preload"]
EVERYTHING = [
    "core",
    "packages/langchain[agents]",
    "packages/crewai",
    "packages/autogen[agentchat,ext]",
    "preload",
]


class Failed(Exception):
    """A step did not work; the text says which and what to do."""


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    commands = {"demo": demo, "test": test, "lock": lock}
    if command not in commands:
        print(__doc__)
        return 0 if command in ("-h", "--help") else 2
    if sys.version_info < PYTHON_MIN:
        print(f"dev.py: Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
        return 1
    try:
        return commands[command](rest)
    except Failed as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def demo(rest: list[str]) -> int:
    """Install the light set and run the main job."""
    python = environment(ROOT / ".venv-demo", LIGHT, groups=())
    say("running examples/demo.py")
    return run([python, ROOT / "examples" / "demo.py", *rest])


def test(rest: list[str]) -> int:
    """Install everything, then run the static checks and all tests."""
    python = environment(ROOT / ".venv", EVERYTHING, groups=("dev",))
    tools = python.parent
    # WHY: worksteal keeps both processors busy to the end; one file holds a third of all cases
    spread = ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "worksteal"]
    checks: list[tuple[str, list[object]]] = [
        ("ruff check", [tools / "ruff", "check", "."]),
        ("ruff format", [tools / "ruff", "format", "--check", "."]),
        ("mypy --strict", [tools / "mypy"]),
        ("import-linter", [tools / "lint-imports"]),
        ("pytest", [python, "-m", "pytest", "-q", *spread, *rest]),
    ]
    if rest:
        checks = checks[-1:]
    failed = []
    for name, command in checks:
        started = time.monotonic()
        code = run(command, {"NO_COLOR": "1"})
        outcome = "ok" if code == 0 else f"failed ({code})"
        say(f"{name}: {outcome} in {time.monotonic() - started:.0f} s")
        if code:
            failed.append(name)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def lock(_rest: list[str]) -> int:
    """Pin what resolves today for everything, without any index address."""
    tool = find_uv()
    if tool is None:
        raise Failed("uv is needed for this, and could not be installed")
    say("resolving")
    export = [
        tool,
        "export",
        "-q",
        "--no-hashes",
        "--no-emit-workspace",
        "--no-header",
        "--no-annotate",
    ]
    code = run([*export, "--all-groups", "-o", CONSTRAINTS], uv_environment(ROOT / ".venv"))
    (ROOT / "uv.lock").unlink(missing_ok=True)  # it holds index addresses; the constraints do not
    return code


def environment(venv: Path, distributions: list[str], *, groups: tuple[str, ...]) -> Path:
    """Make or reuse a virtual environment with these directories installed; return its Python."""
    python = venv / "bin" / "python"
    stamp = venv / ".installed"
    wanted = fingerprint(distributions)
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        say(f"using {venv.name}")
        return python
    if shutil.which(os.environ.get("CC", "cc")) is None and shutil.which("gcc") is None:
        raise Failed("the preload library needs a C compiler: apt-get install gcc")
    started = time.monotonic()
    tool = find_uv()
    say(f"installing {', '.join(distributions)} into {venv.name} with {'uv' if tool else 'pip'}")
    packages = [word for item in distributions for word in ("-e", str(ROOT / item))]
    packages += development_requirements() if groups else []
    constraints = ["-c", str(CONSTRAINTS)]
    if tool is None or not install_with_uv(tool, venv, [*packages, *constraints]):
        install_with_pip(venv, [*packages, *constraints])
    stamp.write_text(wanted)
    say(f"installed in {time.monotonic() - started:.0f} s")
    return python


def install_with_uv(tool: str, venv: Path, packages: list[str]) -> bool:
    """Install with uv; False if it failed and pip should try."""
    env = uv_environment(venv)
    make = (
        []
        if (venv / "bin" / "python").exists()
        else [[tool, "venv", "-q", "-p", sys.executable, venv]]
    )
    steps: list[list[object]] = [
        *make,
        [tool, "pip", "install", "-q", "-p", venv / "bin" / "python", *packages],
    ]
    if all(run(step, env) == 0 for step in steps):
        return True
    say("uv could not install it; trying pip")
    return False


def install_with_pip(venv: Path, packages: list[str]) -> None:
    """Install with the pip of a fresh virtual environment."""
    if run([sys.executable, "-m", "venv", venv]):
        raise Failed("no virtual environment can be made: apt-get install python3-venv")
    if run([venv / "bin" / "python", "-m", "pip", "install", "-q", *packages]):
        raise Failed(
            "the installation failed: the lines above say why (the network, or the compiler?)"
        )


def find_uv() -> str | None:
    """Return a uv program, installed beside this file if need be; None where it cannot be had."""
    found = shutil.which("uv")
    if found:
        return found
    program = BOOT / "bin" / "uv"
    if not program.exists():
        say("getting uv")
        # WHY: --target is allowed on externally managed Pythons, where a plain install is refused
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", BOOT, "uv>=0.9"]
        run(command, {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"})
    return str(program) if program.exists() else None


def uv_environment(venv: Path) -> dict[str, str]:
    """Return what makes uv use this Python, the index of pip and the certificates of the system."""
    env = {
        "UV_PROJECT_ENVIRONMENT": str(venv),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }
    if "UV_SYSTEM_CERTS" not in os.environ:
        env["UV_SYSTEM_CERTS"] = "1"
    if (
        "UV_DEFAULT_INDEX" not in os.environ
    ):  # WHY: uv reads neither pip's configuration nor its variables
        index = (
            os.environ.get("PIP_INDEX_URL")
            or pip_setting("global.index-url")
            or pip_setting("user.index-url")
        )
        if index:
            env["UV_DEFAULT_INDEX"] = index
    return env


def pip_setting(key: str) -> str:
    """Return one of pip's settings, or nothing."""
    command = [sys.executable, "-m", "pip", "config", "get", key]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def development_requirements() -> list[str]:
    """Return the development group of pyproject.toml."""
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        return list(tomllib.load(file)["dependency-groups"]["dev"])


def fingerprint(distributions: list[str]) -> str:
    """Return a digest of everything an installation depends on."""
    files = [CONSTRAINTS, ROOT / "pyproject.toml", ROOT / "preload" / "Makefile"]
    files += [ROOT / item.split("[")[0] / "pyproject.toml" for item in distributions]
    files += sorted((ROOT / "preload").glob("csrc/**/*"))
    digest = hashlib.sha256(repr((sys.version, distributions)).encode())
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def run(command: list[object], extra: dict[str, str] | None = None) -> int:
    """Run a program in the project's folder and return its exit code."""
    env = {
        key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")
    }
    return subprocess.run(
        [str(word) for word in command], cwd=ROOT, env={**env, **(extra or {})}, check=False
    ).returncode


def say(text: str) -> None:
    """Tell the person what happens."""
    print(f"» {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
