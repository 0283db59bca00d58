"""Open data: how many rides, purchases and loads by hour, with small cells left out (CSV)."""

from __future__ import annotations

import csv
from typing import Final, TextIO

from clearing.payments.money_text import yuan_of
from clearing.store import Store, sql_text

SMALLEST_CELL: Final = 10
"""Cards that must be in a cell before it is published."""

COLUMNS: Final = ("operating_day", "service", "participant", "name_zh", "name_en", "hour", "rows", "amount_yuan")


def write(store: Store, out: TextIO) -> None:
    """Write the cells that :data:`SMALLEST_CELL` cards or more share; neither totals nor what is missing is told."""
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in store.records(sql_text("export/open_data"), {"cards": SMALLEST_CELL}):
        writer.writerow({**{name: row[name] for name in COLUMNS[:-1]}, "amount_yuan": yuan_of(row["fen"])})
