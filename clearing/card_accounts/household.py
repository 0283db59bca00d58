"""The combined household bill (合并缴费): the bills of one household over all commodities, month by month.

A household is the cards whose memory the register keeps under one owner (rules §1). Its bills are those that payments
of these cards paid; the number of another card is never told.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from card_io.records import Commodity
from clearing.registers import Registers
from clearing.store import Store, sql_text


def household_cards(registers: Registers, card_id: int, day: int) -> list[int]:
    """The cards of a card's household on a day, the card among them, ascending."""
    card = np.array([card_id], np.uint64)
    owner = registers.owner_of(card, np.array([day], np.int32))[0]
    return sorted({card_id, *registers.cards_of(owner).tolist()})


def household_months(store: Store, cards: list[int], card_id: int) -> list[dict[str, Any]]:
    """Per billing period: each paid bill, the total of each commodity, and the month's total; fen, oldest first."""
    bills = store.records(sql_text("corrections/household_bills"), {"cards": cards, "card": card_id})
    months = []
    for period, listed in groupby(bills, key=lambda bill: bill["period"]):
        rows = list(listed)
        commodities: dict[str, int] = {}
        for row in rows:
            name = Commodity(row["commodity"]).name.lower()
            row["commodity"] = name
            row["paid_at"] = None if row["paid_at"] is None else row["paid_at"].isoformat()
            commodities[name] = commodities.get(name, 0) + row["fen"]
        months.append(
            {
                "period": f"{period // 100:04d}-{period % 100:02d}",
                "bills": [{name: value for name, value in row.items() if name != "period"} for row in rows],
                "commodities": commodities,
                "total_fen": sum(commodities.values()),
            }
        )
    return months
