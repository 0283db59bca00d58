"""Blacklist hits: uses of listed cards by terminal, before and after it had to have the list (rules §16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clearing.config import load_settings
from clearing.ledger.projection import PRIVATE_NAME
from clearing.registers import load_registers
from clearing.status import Disposition
from clearing.store import Store, sql_text


def blacklist_hits(directory: Path) -> list[dict[str, Any]]:
    """Uses of cards between publication and removal, from the published ledger.

    Each row: merchant, terminal (12 hex), ``within_grace``, disposition, uses, cards, fen, first and last use.
    """
    settings = load_settings(directory)
    entries = list(load_registers(directory, settings).blacklist.every_entry())
    if not entries:
        return []
    cards, published, removed = (list(column) for column in zip(*entries, strict=True))
    wanted = {"cards": cards, "published": published, "removed": removed, "grace": settings.blacklist_grace_seconds}
    with Store(directory / PRIVATE_NAME, directory, read_only=True, threads=settings.centre.threads) as ledger:
        rows = ledger.records(sql_text("corrections/blacklist_hits"), wanted)
    return [
        {
            **row,
            "terminal_id": f"{row['terminal_id']:012x}",
            "disposition": Disposition(row["disposition"]).name.lower(),
            "first_use": row["first_use"].isoformat(),
            "last_use": row["last_use"].isoformat(),
        }
        for row in rows
    ]
