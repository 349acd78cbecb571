"""What the shared object is made of: that decides whether it can be loaded everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "preload" / "csrc"
STACK_BYTES_MAX = 2048
UNDEFINED_ALLOWED = {"__errno_location", "dlsym", "environ"}


def lines_of(*command: object) -> list[str]:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    for tool in ("readelf", "nm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing")


def test_exports_are_the_listed_functions_and_nothing_else(library: Path) -> None:
    exported = {line.split()[-1] for line in lines_of("nm", "-D", "--defined-only", library)}
    assert sorted(exported) == (CSRC / "exports.txt").read_text().split()


def test_it_needs_no_library(library: Path) -> None:
    assert not [line for line in lines_of("readelf", "-dW", library) if "(NEEDED)" in line]


def test_it_uses_nothing_of_libc_but_what_is_listed(library: Path) -> None:
    used = {line.split()[-1].split("@")[0] for line in lines_of("nm", "-D", "-u", library)}
    assert used <= UNDEFINED_ALLOWED


def test_it_has_few_segments_none_for_threads_and_none_writable_and_executable(
    library: Path,
) -> None:
    headers = lines_of("readelf", "-lW", library)
    assert not [line for line in headers if re.match(r"\s+TLS\s", line)]
    loaded = [line for line in headers if re.match(r"\s+LOAD\s", line)]
    assert 2 <= len(loaded) <= 4
    assert not [line for line in headers if "RWE" in line]


def test_no_function_uses_more_stack_than_a_small_thread_has(tmp_path: Path) -> None:
    flags = (CSRC / "flags.txt").read_text().split()
    compiling = [flag for flag in flags if flag.startswith(("-std", "-D", "-O", "-f"))]
    for source in sorted(CSRC.glob("*.c")):
        target = tmp_path / f"{source.stem}.o"
        command = ["gcc", *compiling, "-fstack-usage", "-c", source, "-o", target]
        subprocess.run(command, check=True)
    usage = [
        line.rsplit("\t", 2)
        for file in tmp_path.glob("*.su")
        for line in file.read_text().splitlines()
    ]
    assert len(usage) > 50
    too_much = [
        f"{name}: {size} {kind.strip()}"
        for name, size, kind in usage
        if int(size) > STACK_BYTES_MAX or "dynamic" in kind
    ]
    assert too_much == []


@pytest.mark.parametrize("compiler", ["musl-gcc", "aarch64-linux-gnu-gcc", "clang"])
def test_other_compilers_have_no_complaint(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    command = ["make", "-s", "-C", ROOT / "preload", f"CC={compiler}", f"OUT={tmp_path / 'x.so'}"]
    subprocess.run(command, check=True)
    symbols = [line.split() for line in lines_of("readelf", "--dyn-syms", "-W", tmp_path / "x.so")]
    undefined = {words[7] for words in symbols if len(words) > 7 and words[6] == "UND"}
    assert undefined <= UNDEFINED_ALLOWED


def test_no_source_includes_headers_that_declare_parameters_as_never_null() -> None:
    """The compiler would remove the checks for NULL from functions declared there."""
    forbidden = re.compile(r"#include <(unistd|spawn|stdlib|stdio|wordexp)\.h>")
    assert not [path.name for path in CSRC.iterdir() if forbidden.search(path.read_text())]
