"""Builds librampart.so into the package. Needs a C compiler and nothing else."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MACHINES = ("x86_64", "aarch64")


class NativeBuildHook(BuildHookInterface[Any]):
    """Compiles the library before the wheel is put together, editable or not."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile, and mark the wheel as one for this platform."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        output = root / "src" / "rampart_preload" / "_native" / "librampart.so"
        if os.environ.get("RAMPART_SKIP_NATIVE") == "1":
            output.unlink(missing_ok=True)  # WHY: an old one would go into a wheel for anywhere
            self.app.display_warning("RAMPART_SKIP_NATIVE=1: librampart.so is not built")
            return
        if not sys.platform.startswith("linux") or os.uname().machine not in MACHINES:
            self.app.display_warning(
                f"librampart.so is for Linux on {' and '.join(MACHINES)}; it is not built here"
            )
            return
        compile_library(root, output)
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"  # WHY: it uses nothing of Python


def compile_library(root: Path, output: Path) -> None:
    """Compile ``csrc`` into ``output``. Ends the build with one clear message if it cannot."""
    compiler = find_compiler()
    output.parent.mkdir(parents=True, exist_ok=True)
    fresh = output.with_name(f".{output.name}.{os.getpid()}")
    sources = [str(path.relative_to(root)) for path in sorted((root / "csrc").glob("*.c"))]
    command = [*compiler, "@csrc/flags.txt", "-o", str(fresh), *sources]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"rampart-preload: {shlex.join(command)} failed:\n{done.stderr}\n"
            "Install a compiler with headers (Debian: apt-get install gcc libc6-dev), "
            "or set RAMPART_SKIP_NATIVE=1 to go without the library."
        )
    fresh.replace(output)  # INVARIANT: programs that have it mapped keep the old file


def find_compiler() -> list[str]:
    """Return the compiler's command. Ends the build if there is none."""
    configured = shlex.split(os.environ.get("CC", ""))
    for name in configured[:1] or ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return [found, *configured[1:]]
    tried = ", ".join(configured[:1]) or "cc, gcc, clang"
    raise SystemExit(
        f"rampart-preload: no C compiler: {tried} not found. librampart.so needs one: "
        "apt-get install gcc libc6-dev (Debian), dnf install gcc (Fedora), "
        "apk add gcc musl-dev linux-headers (Alpine). "
        "Or set RAMPART_SKIP_NATIVE=1 to go without the library."
    )
