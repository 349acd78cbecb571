"""Fuzz one target, or replay what was found before.

usage: python tests/faults/fuzz/run.py TARGET [--seconds N] [--findings DIR]
       python tests/faults/fuzz/run.py replay [TARGET ...]

A finding is written to DIR (default: fuzz-findings/TARGET) and the run goes on; the exit code is 1
if there was any. Fuzzing needs atheris (``pip install atheris``); a replay needs nothing.
Findings belong into ``corpus/TARGET`` once they are minimal, so that every test run replays them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from targets import Target

CORPUS: Final = Path(__file__).resolve().with_name("corpus")
SLOW_S: Final = 0.5  # of processor time; the promise is 50 ms, and machines are shared
INSTRUMENTED_FACTOR: Final = 5  # how much slower code runs while its coverage is traced


def main() -> int:
    """Return the exit code: 0 nothing found, 1 something found, 2 usage."""
    options = _options()
    if options.target == "replay":
        return _replay(options.names)
    try:
        import atheris
    except ImportError:
        print("fuzzing needs atheris: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["rampart"]):
        from targets import TARGETS
    if options.target not in TARGETS:
        print(f"no target {options.target!r}: expected {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    return _fuzz(options.target, options.seconds, options.findings)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    return parser.parse_args()


def _fuzz(name: str, seconds: int, findings: Path) -> int:
    import atheris
    from targets import TARGETS

    target = TARGETS[name]
    hunt = Hunt(name, target, findings / name)
    scratch = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    words = scratch / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    grown = scratch / "grown"
    grown.mkdir()
    # WHY: libFuzzer ends the process itself; a child leaves us to say what was found
    child = os.fork()
    if child == 0:
        arguments = [
            sys.argv[0], str(grown), str(CORPUS / name), f"-max_total_time={seconds}",
            f"-max_len={target.bytes_max}", f"-dict={words}", "-verbosity=0",
            "-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=30",
            f"-artifact_prefix={hunt.folder}/",
        ]  # fmt: skip
        atheris.Setup(arguments, hunt.one, enable_python_coverage=True)
        atheris.Fuzz()
    _, status = os.waitpid(child, 0)
    found = sorted(hunt.folder.iterdir())
    print(f"{name}: {len(found)} findings, {len(list(grown.iterdir()))} inputs with new coverage")
    bad = _check(name, found)
    return 1 if bad or os.waitstatus_to_exitcode(status) else 0


class Hunt:
    """Runs one input after the other and keeps one example of every way to fail."""

    def __init__(self, name: str, target: Target, folder: Path) -> None:
        self._name, self._target, self.folder = name, target, folder
        self._seen: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def one(self, data: bytes) -> None:
        """Run one input; write it down if it fails or is slow."""
        problem = attempt(self._target, data, SLOW_S * INSTRUMENTED_FACTOR)
        if problem and problem.partition("\n")[0] not in self._seen:
            head = problem.partition("\n")[0]
            self._seen.add(head)
            kind = "slow" if head.startswith("slow") else "crash"
            digest = hashlib.sha256(data).hexdigest()[:12]
            (self.folder / f"{kind}-{digest}").write_bytes(data)
            print(f"{self._name}: {kind}-{digest}: {problem}", file=sys.stderr, flush=True)


def attempt(target: Target, data: bytes, slow_s: float) -> str:
    """Return what is wrong with one run: where an error came from, or that it was slow."""
    started = time.thread_time()
    try:
        target.run(data)
    except target.expected:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
        return f"{place}\n{traceback.format_exc(limit=-4)}"
    took = time.thread_time() - started
    return f"slow\n{took:.2f} s for {len(data)} bytes" if took > slow_s else ""


def _replay(names: list[str]) -> int:
    from targets import TARGETS

    bad = 0
    for name in names or list(TARGETS):
        files = sorted((CORPUS / name).iterdir())
        bad += _check(name, files)
        print(json.dumps({"target": name, "files": len(files)}), flush=True)
    return 1 if bad else 0


def _check(name: str, files: list[Path]) -> int:
    from targets import TARGETS

    bad = 0
    for file in files:
        problem = attempt(TARGETS[name], file.read_bytes(), SLOW_S)
        if problem:
            bad += 1
            print(f"{name}/{file.name}: {problem}", flush=True)
    return bad


def _escaped(word: str) -> str:
    return "".join(
        chr(byte) if 0x20 < byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in word.encode()
    )


if __name__ == "__main__":
    sys.exit(main())
