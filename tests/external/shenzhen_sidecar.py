"""The fare-class sidecar of the Shenzhen records, written from the published class rules alone.

The data has no card type. A row whose amount is not the adult fare of its gross fare must be one of four kinds, told
apart here by arithmetic of its own; nothing of ``tariffs`` is called or imported.
"""

from __future__ import annotations

import hashlib

TRANSFER = 40
"""Fen off the discounted fare of an adult's second leg."""

_BUS_BANDS = ((300, 80), (600, 75), (None, 65))
"""Bus discount inside one fare: up to fen, percent."""


def sidecar_of(records: list[dict[str, str]], data: bytes) -> bytes:
    """``file_sha256,row,class`` lines of the rows that are not charged as an adult's.

    Args:
        records: all rows of the data file, in order.
        data: the file's bytes; the sidecar belongs to them alone.
    """
    digest = hashlib.sha256(data).hexdigest()
    lines = ["file_sha256,row,class"]
    for row, record in enumerate(records, 1):
        kind = kind_of(record)
        if kind is not None:
            lines.append(f"{digest},{row},{kind}")
    return ("\n".join(lines) + "\n").encode("ascii")


def kind_of(record: dict[str, str]) -> str | None:
    """The class of one source row: half, free, none, unflagged_transfer; None where the adult rules hold."""
    gross, charged = int(record["deal_value"]), int(record["deal_money"])
    transfer = TRANSFER if record["conn_mark"] == "1" else 0
    adult = adult_fare(gross, bus=record["deal_type"] == "巴士")
    if charged == max(adult - transfer, 0):
        return None
    if charged == 0:
        return "free"
    if 2 * charged == gross:
        return "half"
    if charged == gross:
        return "none"
    assert not transfer, record
    assert charged == adult - TRANSFER, record
    return "unflagged_transfer"


def adult_fare(gross: int, *, bus: bool) -> int:
    """Fen an adult pays for one leg without a transfer, half up."""
    if not bus:
        return (gross * 95 + 50) // 100
    hundredths, below = 0, 0
    for up_to, percent in _BUS_BANDS:
        top = gross if up_to is None else min(gross, up_to)
        hundredths += max(top - below, 0) * percent
        below = max(below, top)
    return (hundredths + 50) // 100
