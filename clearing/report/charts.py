"""Inline SVG charts: pure functions from integers to markup, readable on paper, in grey and by screen readers.

Colours are Okabe and Ito's, told apart by all kinds of colour vision; every mark carries its figure as a tooltip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#8a8f98"

TICKS: Final = 4
"""Steps of an axis, at most."""

Format = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one colour; ``values[i]`` belongs to the chart's label i and is not negative."""

    name: str
    colour: str
    values: Sequence[int]


def nice_step(maximum: int, unit: int = 1) -> int:
    """The smallest of 1, 2, 5 · 10ⁿ units that reaches ``maximum`` in at most :data:`TICKS` steps."""
    power = unit
    while True:
        for digit in (1, 2, 5):
            if digit * power * TICKS >= maximum:
                return digit * power
        power *= 10


def column_chart(title: str, labels: Sequence[str], series: Sequence[Series], show: Format, unit: int = 1) -> Markup:
    """Stacked columns over labels, as for the hours of a day.

    Args:
        title: what the chart shows, with its unit.
        labels: one per column.
        series: stacked from below in this order.
        show: writes a value in a tooltip.
        unit: what the axis counts in: 1, or 100 fen for whole yuan.
    """
    left, top, width, height = 64, 34, 590, 130
    totals = [sum(each.values[at] for each in series) for at in range(len(labels))]
    step = nice_step(max(totals, default=0), unit)
    ticks = max(-(-max(totals, default=0) // step), 1)
    highest = step * ticks
    parts = [_legend(series, left, 14)]
    for tick in range(ticks + 1):
        y = top + height - height * tick // ticks
        parts.append(_line(left, y, left + width))
        parts.append(_text(left - 6, y + 4, f"{step * tick // unit:,}", "end"))
    pitch = width // max(len(labels), 1)
    for at, label in enumerate(labels):
        x, base = left + at * pitch + 3, top + height
        for each in series:
            tall = height * each.values[at] // highest
            base -= tall
            tip = f"{label} {each.name}: {show(each.values[at])}"
            parts.append(_bar(x, base, pitch - 6, tall, each.colour, tip))
        parts.append(_text(x + (pitch - 6) // 2, top + height + 15, label, "middle"))
    return _figure(title, left + width + 10, top + height + 22, parts)


def bar_chart(title: str, labels: Sequence[str], series: Sequence[Series], show: Format) -> Markup:
    """Horizontal stacked bars, one per label, with the total written behind each."""
    left, top, width, pitch = 170, 26, 400, 20
    totals = [sum(each.values[at] for each in series) for at in range(len(labels))]
    highest = max([*totals, 1])
    parts = [_legend(series, left, 12)]
    for at, label in enumerate(labels):
        x, y = left, top + at * pitch
        parts.append(_text(left - 8, y + 11, label, "end"))
        for each in series:
            long = width * each.values[at] // highest
            parts.append(_bar(x, y, long, 14, each.colour, f"{label} {each.name}: {show(each.values[at])}"))
            x += long
        parts.append(_text(x + 6, y + 11, show(totals[at]), "start"))
    return _figure(title, 664, top + len(labels) * pitch + 4, parts)


def share_bar(title: str, shares: Sequence[Series], show: Format) -> Markup:
    """One bar split into shares (first value of each series); a share that is not zero stays visible."""
    width, x = 644, 10
    total = max(sum(share.values[0] for share in shares), 1)
    parts = [_legend(shares, 10, 12, show)]
    visible = [max(width * share.values[0] // total, 3 if share.values[0] else 0) for share in shares]
    if visible:
        visible[0] -= sum(visible) - width if sum(visible) > width else 0
    for share, long in zip(shares, visible, strict=True):
        parts.append(_bar(x, 24, long, 22, share.colour, f"{share.name}: {show(share.values[0])}"))
        x += long
    return _figure(title, 664, 52, parts)


def _legend(series: Sequence[Series], x: int, y: int, show: Format | None = None) -> Markup:
    """Names in one line, each behind a square of its colour; the first value with it when ``show`` is given."""
    parts = []
    for each in series:
        name = each.name if show is None else f"{each.name} {show(each.values[0])}"
        parts.append(_bar(x, y - 9, 10, 10, each.colour, name))
        parts.append(_text(x + 14, y, name, "start"))
        x += 26 + sum(12 if ord(letter) > 0x2E7F else 7 for letter in name)
    return Markup("").join(parts)


def _figure(title: str, width: int, height: int, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<figure><figcaption>{0}</figcaption><svg viewBox="0 0 {1} {2}" role="img" aria-label="{0}">'
        "<title>{0}</title>{3}</svg></figure>"
    ).format(title, width, height, Markup("").join(parts))


def _bar(x: int, y: int, width: int, height: int, colour: str, tip: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}"><title>{}</title></rect>').format(
        x, y, width, height, colour, tip
    )


def _line(x: int, y: int, to: int) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}"/>').format(x, y, to, y)


def _text(x: int, y: int, text: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, escape(text))
