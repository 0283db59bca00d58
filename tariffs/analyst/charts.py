"""Bars of money that moved, to the right when more is paid and to the left when less: as SVG and as text.

Colours are Okabe and Ito's, told apart by all kinds of colour vision; the sign is written with every figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

MORE: Final = "#D55E00"
LESS: Final = "#0072B2"

_LABEL, _HALF, _FIGURE, _PITCH, _TOP = 170, 180, 90, 22, 30


def moved_svg(title: str, bars: Sequence[tuple[str, int]], show: Callable[[int], str]) -> str:
    """A drawing that stands alone; ``bars`` are (label, fen), ``show`` writes the figure beside each."""
    highest = max((abs(fen) for _, fen in bars), default=0) or 1
    width, height = _LABEL + 2 * (_HALF + _FIGURE), _TOP + _PITCH * len(bars) + 8
    zero = _LABEL + _FIGURE + _HALF
    parts = [f'<text x="8" y="18" font-weight="bold">{escape(title)}</text>']
    for number, (label, fen) in enumerate(bars):
        y, long = _TOP + number * _PITCH, _HALF * abs(fen) // highest
        left = zero if fen >= 0 else zero - long
        at, anchor = (left + long + 5, "start") if fen >= 0 else (left - 5, "end")
        colour = MORE if fen >= 0 else LESS
        parts.append(f'<text x="{_LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{long}" height="16" fill="{colour}"/>')
        parts.append(f'<text x="{at}" y="{y + 13}" text-anchor="{anchor}">{escape(show(fen))}</text>')
    parts.append(f'<line x1="{zero}" y1="{_TOP - 4}" x2="{zero}" y2="{height - 4}" stroke="#444"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img"><title>{escape(title)}</title>{"".join(parts)}</svg>\n'
    )


def moved_text(fen: int, highest: int, half: int = 12) -> str:
    """One bar of ``2 · half + 1`` characters around a middle line; any movement shows at least one block."""
    long = 0 if not fen else max(half * abs(fen) // max(highest, 1), 1)
    block = "█" * long
    return f"{' ' * half}│{block:<{half}}" if fen >= 0 else f"{block:>{half}}│{' ' * half}"
