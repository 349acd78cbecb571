"""The report: one page that stands alone, to show to a person who was not there.

MUST load nothing and run nothing: no script, no font, no picture, and a policy in the page that
forbids them.
MUST escape every text of the log.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template
from typing import Final

from rampart.audit.report import charts
from rampart.audit.statistics import VERDICTS, Spoken, Statistics

_SLOTS: Final = 72
_ROWS: Final = 10
_EDGES_US: Final = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0, 50000.0)
_VERDICTS: Final[Mapping[str, str]] = {
    "ok": "Yes: every record is whole, and each continues the one before.",
    "tampered": "No: the log is not the one that was written.",
    "torn": "Up to an incomplete last line, which a crash left behind.",
    "unreadable": "It cannot be said: the log cannot be read.",
    "rollback": "No: it is not the log of which the anchor was taken.",
    "": "It was not checked for this page.",
}


@dataclass(frozen=True, slots=True)
class Integrity:
    """What verification said: one of its verdicts (empty: not asked), and what belongs to it."""

    verdict: str = ""
    records: int = 0
    reason: str = ""
    where: str = ""
    head: str = ""


def render(found: Statistics, integrity: Integrity, *, title: str, made: str, which: str) -> str:
    """Return the page. ``made`` says when and by what; ``which`` says what was left out, if so."""
    style = _read("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    asked = found.top_restrictions(_ROWS, "ask")
    return Template(_read("page.html")).substitute(
        style=style,
        style_hash=digest,
        title=_shown(title),
        span=_span(found, which),
        tiles=_tiles(found),
        verdict=_integrity(integrity),
        verdict_class=integrity.verdict if integrity.verdict in _VERDICTS else "",
        timeline=_timeline(found),
        denied=_rules(found.top_restrictions(_ROWS)),
        asked=_rules(asked) + _answers(found),
        tools=_bars(found.tools, "Tools"),
        agents=_bars(found.agents, "Agents"),
        latency=_latency(found),
        footer=_shown(made),
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _shown(text: str) -> str:
    """Return text of the log for the page: escaped, and without what could reorder or hide it."""
    plain = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
    return escape(plain)


def _span(found: Statistics, which: str) -> str:
    if not found.records:
        return "There are no records. " + _shown(which)
    first, last = (text[:19].replace("T", " ") for text in (found.first, found.last))
    sessions = len(found.sessions)
    text = f"{first} to {last} UTC · {found.records:,} records · {sessions:,} sessions"
    if found.unreadable:
        text += f" · {found.unreadable:,} lines that cannot be read"
    return _shown(f"{text} · {which}" if which else text)


def _tiles(found: Statistics) -> str:
    total = found.decisions
    tiles = [f'<div class="tile"><b>{total:,}</b>decisions</div>']
    for word in VERDICTS:
        count = found.verdicts[word]
        share = f"{count * 100 / total:.1f} %" if total else "–"
        tiles.append(f'<div class="tile {word}"><b>{count:,}</b>{word} · {share}</div>')
    if found.withheld:
        tiles.append(f'<div class="tile"><b>{found.withheld:,}</b>outputs withheld</div>')
    return "".join(tiles)


def _integrity(integrity: Integrity) -> str:
    text = f"<p><b>{_shown(_VERDICTS.get(integrity.verdict, integrity.verdict))}</b></p>"
    for part in (integrity.reason, integrity.where):
        text += f"<p>{_shown(part)}</p>" if part else ""
    if integrity.verdict == "ok":
        text += (
            f'<p class="soft">{integrity.records:,} records. From the files alone it cannot be '
            "seen whether the newest ones were cut off, or all of them replaced: for that, compare "
            f"with a signed checkpoint. The newest line: <code>{_shown(integrity.head)}</code></p>"
        )
    return text


def _timeline(found: Statistics) -> str:
    slots = found.timeline(_SLOTS)
    if not slots:
        return '<p class="soft">Nothing was decided.</p>'
    legend = "".join(f"<li>{charts.swatch(word)}{word}</li>" for word in VERDICTS)
    return f'<figure>{charts.timeline(slots)}<ul class="legend">{legend}</ul></figure>'


def _rules(rules: list[Spoken]) -> str:
    if not rules:
        return '<p class="soft">Nothing.</p>'
    rows = "".join(
        f'<tr><td class="n">{each.count:,}</td>'
        f"<td>{_shown('/'.join(p for p in (each.policy, each.rule) if p))}<br>"
        f'<span class="soft">{_shown(each.message)}</span></td>'
        f"<td><code>{_shown(each.example)}</code></td></tr>"
        for each in rules
    )
    head = '<tr><th class="n">times</th><th>rule</th><th>most recently</th></tr>'
    return f"<table>{head}{rows}</table>"


def _answers(found: Statistics) -> str:
    if not found.approvals:
        return ""
    answers = ", ".join(f"{_shown(word)} {n:,}" for word, n in found.approvals.most_common())
    return f'<p class="soft">Answers: {answers}.</p>'


def _bars(table: dict[str, Counter[str]], title: str) -> str:
    if not table:
        return '<p class="soft">None.</p>'
    ranked = sorted(table.items(), key=lambda pair: (-sum(pair[1].values()), pair[0]))
    shown = {_plain(name): counts for name, counts in ranked[:_ROWS]}
    rest = f'<p class="soft">and {len(ranked) - _ROWS:,} more</p>' if len(ranked) > _ROWS else ""
    return f"<figure>{charts.bars(shown, title)}</figure>{rest}"


def _plain(name: str) -> str:
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name
    )


def _latency(found: Statistics) -> str:
    latency = found.latency()
    if latency is None:
        return '<p class="soft">Nothing was decided.</p>'
    labels = [f"< {_time(edge)}" for edge in _EDGES_US] + ["longer"]
    chart = charts.columns(found.durations(_EDGES_US), labels, "How long decisions took")
    parts = zip(("half of them", "90 %", "99 %", "all"), latency, strict=True)
    text = ", ".join(f"{what} within {_time(us)}" for what, us in parts)
    return f"<figure>{chart}<figcaption>{text}; without the disk's sync.</figcaption></figure>"


def _time(us: float) -> str:
    return f"{us:.0f} µs" if us < 1000 else f"{us / 1000:.0f} ms"
