"""Charts as SVG: sizes in the units of their own view, colours by class. Pure.

MUST escape every text: names in a log were chosen by agents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from rampart.audit.statistics import VERDICTS, Slot

_WIDTH: Final = 920
_HALF_WIDTH: Final = 440
_HEIGHT: Final = 220
_LEFT: Final = 56
_BOTTOM: Final = 24
_TOP: Final = 10
_ROW: Final = 26
_NAME_WIDTH: Final = 150
_NAME_CHARACTERS: Final = 22
_GRID_LINES: Final = 4
_LABEL_WIDTH: Final = 70
_COLUMN_MAX: Final = 48  # one wide column would be a wall


def timeline(slots: Sequence[Slot]) -> str:
    """Return stacked columns: what was decided in each stretch of time."""
    high = _round_up(max(sum(slot.counts) for slot in slots))
    wide = min((_WIDTH - _LEFT) / len(slots), _COLUMN_MAX)
    parts = [_grid(high, _WIDTH)]
    for place, slot in enumerate(slots):
        parts.append(_column(slot, _LEFT + place * wide, max(wide - 1, 0.5), high))
    every = max(1, len(slots) // 6, math.ceil(_LABEL_WIDTH / wide))
    long = (slots[-1].start - slots[0].start).days > 2
    for place in range(0, len(slots), every):
        x = _LEFT + place * wide
        if x < _WIDTH - _LABEL_WIDTH:
            text = f"{slots[place].start:{'%Y-%m-%d' if long else '%m-%d %H:%M'}}"
            parts.append(_text(x, _HEIGHT - 6, text))
    return _svg(_WIDTH, _HEIGHT, "Decisions over time", parts)


def columns(counts: Sequence[int], labels: Sequence[str], title: str) -> str:
    """Return plain columns with a label below each."""
    high = _round_up(max(counts))
    wide = (_WIDTH - _LEFT) / len(counts)
    parts = [_grid(high, _WIDTH)]
    for place, (count, label) in enumerate(zip(counts, labels, strict=True)):
        x, tall = _LEFT + place * wide, _tall(count, high)
        parts.append(_rect("bar", x + 2, _HEIGHT - _BOTTOM - tall, (wide - 4, tall), label, count))
        parts.append(_text(x + wide / 2, _HEIGHT - 6, label, "middle"))
    return _svg(_WIDTH, _HEIGHT, title, parts)


def bars(rows: Mapping[str, Mapping[str, int]], title: str) -> str:
    """Return one stacked bar for each name."""
    most = max((sum(counts.values()) for counts in rows.values()), default=0) or 1
    parts = []
    room = _HALF_WIDTH - _NAME_WIDTH - 60
    for place, (name, counts) in enumerate(rows.items()):
        y, x = place * _ROW, float(_NAME_WIDTH)
        shown = name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"
        parts.append(_text(_NAME_WIDTH - 8, y + 17, shown or "(no name)", "end name"))
        for word in VERDICTS:
            count = counts.get(word, 0)
            wide = count * room / most
            if count:
                parts.append(_rect(word, x, y + 5, (wide, _ROW - 10), f"{name} {word}", count))
            x += wide
        parts.append(_text(x + 6, y + 17, f"{sum(counts.values()):,}"))
    return _svg(_HALF_WIDTH, max(1, len(rows)) * _ROW, title, parts)


def swatch(word: str) -> str:
    """Return a small square in the colour of a verdict."""
    square = f'<rect class="{word}" width="10" height="10" rx="2"/>'
    return f'<svg viewBox="0 0 10 10" aria-hidden="true">{square}</svg>'


def _column(slot: Slot, x: float, wide: float, high: int) -> str:
    parts, y = [], float(_HEIGHT - _BOTTOM)
    for word, count in zip(VERDICTS, slot.counts, strict=True):
        if count:
            tall = _tall(count, high)
            y -= tall
            parts.append(
                _rect(word, x, y, (wide, tall), f"{slot.start:%Y-%m-%d %H:%M} {word}", count)
            )
    return "".join(parts)


def _tall(count: int, high: int) -> float:
    return count * (_HEIGHT - _BOTTOM - _TOP) / high


def _round_up(most: int) -> int:
    step = 10 ** max(0, len(str(most)) - 1)
    return next(n * step for n in (1, 2, 4, 5, 8, 10) if n * step >= most) if most else _GRID_LINES


def _grid(high: int, width: int) -> str:
    parts = []
    for line in range(_GRID_LINES + 1):
        value = high * line / _GRID_LINES
        y = _HEIGHT - _BOTTOM - _tall(high, high) * line / _GRID_LINES
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if value == int(value):
            parts.append(_text(_LEFT - 8, y + 4, f"{int(value):,}", "end"))
    return "".join(parts)


def _rect(kind: str, x: float, y: float, size: tuple[float, float], label: str, count: int) -> str:
    wide, tall = size
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}">'
        f"<title>{escape(label)}: {count:,}</title></rect>"
    )


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    return head + "".join(parts) + "</svg>"
