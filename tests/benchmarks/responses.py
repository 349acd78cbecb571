"""What a review of a tool's output costs, beside one bare pass of an RE2 set over the same text."""

from __future__ import annotations

from functools import partial
from typing import Final

import re2
from measure import Row, Times, row, time_each
from rampart.limits import RESPONSE_BYTES_MAX
from rampart.model import Action, ToolCall
from rampart.policy import Engine, compile_policies, parse_policy

PATTERNS: Final = (
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"glpat-[A-Za-z0-9_.-]{20,}",
    r"xox[abceoprs]-[A-Za-z0-9.-]{10,}",
    r"sk-ant-[A-Za-z0-9_-]{16,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"eyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*",
    r"AIza[A-Za-z0-9_-]{35}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{50,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"[rs]k_live_[A-Za-z0-9]{16,}",
    r"hooks\.slack\.com/services/[A-Za-z0-9/_-]{10,}",
    r"(?i)password\s*[:=]\s*\S+",
    r"(?i)api[_-]?key\s*[:=]\s*\S+",
    r"postgres(?:ql)?://[^\s:]+:[^\s@]+@",
    r"mongodb://[^\s:]+:[^\s@]+@",
    r"(?i)ignore (?:all )?previous instructions",
    r"(?i)you are now in",
    r"(?i)do not tell the user",
    r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
    r"\b(?:4[0-9]{12}|5[1-5][0-9]{14})\b",
    r"customer-[0-9]{8}",
    r"(?i)confidential",
    r"<\|im_start\|>",
)
_TEXT: Final = (
    "The quick brown fox jumps over the lazy dog, as the policy says, and so on. " * 60_000
)
_CALL: Final = ToolCall("fetch", {"url": "https://x.example/"})
_ACTIONS: Final = (Action("fetch", "call", url="https://x.example/", host="x.example"),)
_BUDGET_US: Final = 30


def measure_responses(rounds: int) -> list[Row]:
    """Return the rows about reviews: growing texts, a structure, and hostile text."""
    engine = _engine()
    bare = re2.Set.SearchSet()
    for pattern in PATTERNS:
        bare.Add(pattern)
    bare.Compile()

    def one(name: str, response: object, text: str, budget: float, count: int) -> Row:
        times = time_each([partial(_review, engine, response)], rounds=count)
        peer: Times = time_each([partial(bare.Match, text)], rounds=count)
        label = f"p50 <= {budget:g}" if budget else ""
        within = times.p50 <= budget if budget else None
        return row(name, times, peer=("re2 set", peer), budget=label, within=within)

    short, long = _TEXT[:10_000], _TEXT[: RESPONSE_BYTES_MAX - 1]
    blocks = {"content": [{"type": "text", "text": short[:2000]} for _ in range(5)]}
    hostile = "eyJ" * (RESPONSE_BYTES_MAX // 3)
    return [
        one("response, 1 KB", short[:1000], short[:1000], 0, rounds * 20),
        one("response, 10 KB", short, short, _BUDGET_US, rounds * 20),
        one("response, 10 KB in blocks", blocks, short, 0, rounds * 20),
        one("response, 4 MiB", long, long, 50_000, max(rounds // 10, 2)),
        one("response, 4 MiB of eyJ", hostile, hostile, 50_000, max(rounds // 10, 2)),
    ]


def _engine() -> Engine:
    listed = "".join(f"          - '{pattern}'\n" for pattern in PATTERNS)
    text = (
        'version: "1"\npolicies:\n  - name: p\n    rules:\n      - action: deny\n'
        f"        when:\n          response_matches:\n{listed}"
    )
    document = parse_policy(text, filename="responses")
    return compile_policies([document], home="/home/me", workspace="/work")


def _review(engine: Engine, response: object) -> None:
    reviewed = engine.review(_CALL, _ACTIONS, response, now=0.0, late=lambda: False)
    assert reviewed.decision.action == "allow"
