"""What a decision costs, beside ``shlex.split`` of the same text in the same run."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from measure import Row, Times, row, time_each
from rampart.embedded import preview_gate
from rampart.gate import Gate
from rampart.hosts import HostFacts
from rampart.intercept import intercept
from rampart.limits import COMMAND_BYTES_MAX
from rampart.model import ToolCall
from rampart.plugins import Plugins
from rampart.policy import Engine, compile_policies, parse_policy
from rampart.sources import PolicyInForce, policy_documents

COMMANDS: Final = Path(__file__).with_name("commands.txt")
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
HOSTILE: Final = {
    "braces {a,b}{a,b}...": "echo " + "{a,b}" * 30,
    "10,000 $(": "echo " + "$(" * 10_000,
    "64 KiB of &&": "a&&" * 21_000 + "a",
    "64 KiB of words": "rm " + "x " * 32_000,
    "64 KiB of quotes": "echo " + "\"'" * 32_000,
    "nested quotes": "echo " + '"$(echo ' * 1000 + "x" + ')"' * 1000,
    "60 KiB of globs": "cat " + "~/.s*h/[a-i]d_* " * 3_700,
    "16 KiB of one glob": "cat " + "*a" * 8_000,
    "bash -c in bash -c": "",
    "here-documents": "cat <<A\n" * 4_000,
    "doubling variable": "a=xxxxxxxx;" + "a=$a$a;" * 4000 + "echo $a",
    "eval of eval": "eval " * 10_000 + "ls",
    "nested arithmetic": "echo $((" + "(" * 20_000,
    "base64": "echo " + "QUFB" * 15_000 + " | base64 -d | sh",
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


def corpus_calls(file: Path) -> list[ToolCall]:
    """Return the calls of a file of JSON lines with ``tool`` and ``input``."""
    rows = map(json.loads, file.read_text().splitlines())
    return [
        ToolCall(each["tool"], each["input"], cwd=each.get("context", {}).get("cwd", ""))
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
        texts = [str(call.params.get("command", "")) for call in calls]
        peer = (PEER, _shlex(texts, count)) if all(texts) else None
        p50, p99 = limits
        within = times.p50 <= p50 and (not p99 or times.p99 <= p99)
        budget = f"p50 <= {p50:g}" + (f", p99 <= {p99:g}" if p99 else "")
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
    if corpus is not None:
        calls = [call for call in corpus_calls(corpus) if call.tool == "exec"]
        rows.append(one(f"{corpus.name}, exec", calls, (60, 500), max(rounds // 20, 1)))
    repeated = preview_gate(gate.policies, HostFacts(workspace=workspace))
    times = _times(repeated, exec_calls(["git status"]), rounds * 20)
    rows.append(row("git status, repeated", times, budget="p50 <= 2", within=times.p50 <= 2))
    return rows


def measure_hostile(workspace: Path) -> list[Row]:
    """Return one row for each hostile text, the worst time of three."""
    gate = uncached_gate(workspace)
    rows = []
    for name, text in HOSTILE.items():
        command = text or _wrapped("rm -rf /")
        times = _times(gate, [ToolCall("exec", {"command": command})], 3)
        within = times.p50 <= 50_000
        peer = (PEER, _shlex([command], 1))
        rows.append(row(f"hostile: {name}", times, peer=peer, budget="<= 50,000", within=within))
    return rows


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


def _wrapped(command: str) -> str:
    """Return ``command`` in as many shells as a command line can hold; quotes double each time."""
    while len(longer := f"bash -c {shlex.quote(command)}") <= COMMAND_BYTES_MAX:
        command = longer
    return command
