"""What a decision costs, beside ``shlex.split`` of the same text in the same run."""

from __future__ import annotations

import contextlib
import json
import runpy
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Final

from measure import Row, Times, row, time_each
from rampart.embedded import preview_gate
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.intercept import intercept
from rampart.model import ToolCall
from rampart.plugins import Plugins
from rampart.policy import Engine, compile_policies, parse_policy
from rampart.sources import PolicyInForce, policy_documents

COMMANDS: Final = Path(__file__).with_name("commands.txt")
SAMPLES: Final = Path(__file__).with_name("samples.jsonl")
COMPOUND: Final = (
    "set -e; cd src && git fetch origin 2>/dev/null;"
    " for f in $(git diff --name-only HEAD~1 | grep py$); do"
    ' ruff check "$f" && echo "ok $f" || echo "bad $f"; done;'
    " (cd ../web && npm ci >/dev/null && npm run build)"
    " && NODE_ENV=test timeout 60 npm test | tee out.log | tail -n 20;"
    ' test "$(wc -l < out.log)" -gt 5 && git commit -am "build $(date +%F)";'
    " du -sh dist | cut -f1; git stash list >> log"
)
PEER: Final = "shlex"
BOMBS: Final = Path(__file__).parents[1] / "faults" / "bombs.py"
# What is compared with `shlex.split`, of each tool's own parameters.
TEXTS: Final = ("command", "code", "url", "path", "file_path")
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "paths": ("read", "write", "edit", "delete"),
    "addresses": ("fetch",),
    "source": ("code",),
}


def uncached_gate(workspace: Path) -> Gate:
    """Return a gate that previews with the shipped profile and remembers nothing."""
    return Gate(
        PolicyInForce(policy_documents(profile="standard")),
        hosts=HostFacts(workspace=workspace),
        plugins=Plugins(),
        remembers=False,
    )


def ordinary_commands() -> list[str]:
    """Return the command lines of the data file beside this module."""
    return [line for line in COMMANDS.read_text().splitlines() if line and line[0] != "#"]


def corpus_calls(file: Path, cwd: str = "") -> list[ToolCall]:
    """Return the calls of a file of JSON lines with ``tool`` and ``input``."""
    rows = map(json.loads, file.read_text().splitlines())
    return [
        ToolCall(each["tool"], each["input"], cwd=each.get("context", {}).get("cwd", cwd))
        for each in rows
        if each["tool"] != "trace"
    ]


def measure_decisions(workspace: Path, corpus: Path | None, rounds: int) -> list[Row]:
    """Return the rows about single decisions.

    Of several commands, p50 and p99 are over the commands, each with its own median: the slow ones
    show, and what else the machine does in the meantime does not.
    """
    gate = uncached_gate(workspace)
    place = str(workspace)

    def exec_calls(commands: Sequence[str]) -> list[ToolCall]:
        return [ToolCall("exec", {"command": text}, cwd=place) for text in commands]

    def one(name: str, calls: Sequence[ToolCall], limits: tuple[float, float], count: int) -> Row:
        times = _times(gate, calls, count)
        texts = [text for call in calls for name in TEXTS if (text := call.params.get(name))]
        peer = (PEER, _shlex(list(map(str, texts)), count)) if texts else None
        p50, p99 = limits
        within = (times.p50 <= p50 and (not p99 or times.p99 <= p99)) if p50 else None
        budget = f"p50 <= {p50:g}" + (f", p99 <= {p99:g}" if p99 else "") if p50 else ""
        return row(name, times, peer=peer, budget=budget, within=within)

    rows = [
        one("custom tool", [ToolCall("search", {"q": "x"}, cwd=place)], (15, 0), rounds * 20),
        one(
            "read a file",
            [ToolCall("read", {"path": "src/app.py"}, cwd=place)],
            (15, 0),
            rounds * 20,
        ),
        one("git status", exec_calls(["git status"]), (15, 0), rounds * 20),
        one("ordinary commands", exec_calls(ordinary_commands()), (60, 500), rounds),
        one("compound, 18 commands", exec_calls([COMPOUND]), (1000, 0), rounds * 2),
    ]
    samples = corpus_calls(SAMPLES, place)
    # WHY: source has no budget of its own, as its length decides what it costs
    budgets = {"paths": (15, 0), "addresses": (15, 0), "source": (0, 0)}
    for kind, tools in KINDS.items():
        calls = [call for call in samples if call.tool in tools]
        rows.append(one(f"ordinary {kind}", calls, budgets[kind], rounds))
    if corpus is not None:
        given = corpus_calls(corpus)
        for kind, tools in {"exec": ("exec",), **KINDS}.items():
            calls = [call for call in given if call.tool in tools]
            if calls:
                budget = (60, 500) if kind == "exec" else budgets[kind]
                rows.append(one(f"{corpus.name}, {kind}", calls, budget, max(rounds // 20, 1)))
    repeated = preview_gate(gate.policies, HostFacts(workspace=workspace))
    times = _times(repeated, exec_calls(["git status"]), rounds * 20)
    rows.append(row("git status, repeated", times, budget="p50 <= 2", within=times.p50 <= 2))
    return rows


def measure_hostile(workspace: Path, worst: int = 12) -> list[Row]:
    """Return one row about all bombs of the fault tests, and one for each of the slowest.

    Of each bomb the best processor time of three counts: what else the machine does is no matter of
    it.
    """
    gate = uncached_gate(workspace)
    bombs: Iterable[tuple[str, ToolCall]] = runpy.run_path(str(BOMBS))["bombs"]()
    taken = [(_best_us(partial(gate.check, call)), name, call) for name, call in bombs]
    taken.sort(key=itemgetter(0), reverse=True)
    times = Times(sorted(each[0] for each in taken))
    budget, limit = "<= 50,000", 50_000
    rows = [row(f"{len(taken)} bombs", times, budget=budget, within=times.worst <= limit)]
    for best, name, call in taken[:worst]:
        text = next((str(call.params[key]) for key in TEXTS if key in call.params), "")
        peer = (PEER, _shlex([text], 1)) if text else None
        within = best <= limit
        rows.append(row(name, Times([best]), peer=peer, budget=budget, within=within))
    return rows


def _best_us(run: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        started = time.process_time_ns()
        run()
        found.append((time.process_time_ns() - started) / 1000)
    return min(found)


def measure_growth(workspace: Path, rounds: int) -> list[Row]:
    """Return the ordinary commands against more and more rules."""
    found: list[Row] = []
    base: Times | None = None
    for count in (100, 1_000, 10_000):
        engine = _engine_with(count, workspace)
        hosts = HostFacts(workspace=workspace)
        calls = [
            ToolCall("exec", {"command": text}, cwd=str(workspace)) for text in ordinary_commands()
        ]
        derived = [(call, intercept(call, hosts.host(call))) for call in calls]
        runs = [partial(engine.decide, call, actions, now=0.0) for call, actions in derived]
        times = time_each(runs, rounds=rounds)
        base = base or times
        within = times.p50 <= base.p50 * 1.5
        budget = "<= 1.5 x 100 rules"
        found.append(
            row(f"{count:,} rules more", times, peer=("100", base), budget=budget, within=within)
        )
    return found


def _times(gate: Gate, calls: Sequence[ToolCall], rounds: int) -> Times:
    return time_each([partial(gate.check, call) for call in calls], rounds=rounds)


def _shlex(texts: Sequence[str], rounds: int) -> Times:
    def split(text: str) -> Callable[[], None]:
        def run() -> None:
            with contextlib.suppress(ValueError):
                shlex.split(text)

        return run

    return time_each([split(text) for text in texts], rounds=rounds)


def _engine_with(count: int, workspace: Path) -> Engine:
    kinds = (
        'command_matches: ["tool{0} run *", "*--secret-{0}*"]',
        'path_matches: ["**/vault{0}/**", "~/.conf{0}/key"]',
        'domain_matches: ["*.evil{0}.example", "bad{0}.example"]',
        'command_contains: ["needle-{0}"]',
    )
    rules = "\n".join(
        f"      - {{action: deny, when: {{{kinds[n % 4].format(n)}}}}}" for n in range(count)
    )
    text = f'version: "1"\npolicies:\n  - name: many\n    rules:\n{rules}\n'
    documents = [parse_policy(text, filename="many.yaml"), *policy_documents(profile="standard")]
    return compile_policies(documents, home=str(Path.home()), workspace=str(workspace))
