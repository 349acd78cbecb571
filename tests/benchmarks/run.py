"""Measure what decisions, records and services cost, against the budgets.

usage: python tests/benchmarks/run.py [--json] [--quick] [--corpus FILE] [--only PART ...]

PART is one of decisions, responses, hostile, growth, audit, service, import, adapters. Every row
stands beside a peer or a bare operation of the same run: on a shared machine read the ratio, not
the last digit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from adapters import measure_adapters
from decisions import measure_decisions, measure_growth, measure_hostile
from durable import measure_audit, measure_import, measure_service
from evidence import measure_evidence
from measure import Row, table
from responses import measure_responses


def main() -> int:
    """Print the table; the exit code says whether it could be measured, not how fast it was."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that it runs")
    parser.add_argument("--corpus", type=Path, help="JSON lines with `tool` and `input`")
    parser.add_argument("--only", nargs="*", default=[], metavar="PART")
    options = parser.parse_args()
    rounds = 2 if options.quick else 30
    with tempfile.TemporaryDirectory(prefix="rampart-bench-") as name:
        folder = Path(name)
        (folder / "work" / ".git").mkdir(parents=True)
        os.chdir(folder / "work")
        parts: dict[str, Callable[[], list[Row]]] = {
            "decisions": lambda: measure_decisions(folder / "work", options.corpus, rounds),
            "responses": lambda: measure_responses(rounds),
            "hostile": lambda: measure_hostile(folder / "work"),
            "growth": lambda: measure_growth(folder / "work", max(rounds // 3, 1)),
            "audit": lambda: measure_audit(folder, rounds * 20),
            "evidence": lambda: measure_evidence(folder, rounds * 3000),
            "service": lambda: measure_service(folder, rounds * 30),
            "import": measure_import,
            "adapters": lambda: measure_adapters(folder, rounds * 10),
        }
        unknown = set(options.only) - set(parts)
        if unknown:
            parser.error(f"unknown part {sorted(unknown)}: expected {', '.join(parts)}")
        rows = [row for part in options.only or parts for row in parts[part]()]
    if options.json:
        for each in rows:
            print(json.dumps(each.as_json()))
    else:
        print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
        print(table(rows))
    return 0


if __name__ == "__main__":
    if "--corpus" in sys.argv:  # WHY: the run changes its directory
        at = sys.argv.index("--corpus") + 1
        sys.argv[at] = str(Path(sys.argv[at]).absolute())
    sys.exit(main())
