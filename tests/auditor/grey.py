"""Grey rows at the close of each window (rules §5): what contradicts or replaces them. Chains take a month."""

from __future__ import annotations

from auditor.model import Row
from auditor.replay import Memory, exclusive_keys, identity


def decide(rows: list[Row], memory: Memory) -> list[Row]:
    """Give grey rows their later status and the window it posts in (``moved_to``); returns them.

    ``rows`` are all rows in the order received; every window up to the last one that anything posts in is closed.
    """
    standing = [
        row
        for variants in memory.variants.values()
        for representatives in variants.values()
        for row in representatives
        if row.status != "CONFLICT"
    ]
    grey = [row for row in rows if row.status == "GREY_RECORD" and row.value["card_counter"] is not None]
    last = max((row.window for row in rows), default=0)
    decided = []
    for at, row in enumerate(grey):
        for window in range(row.received_window, last + 1):
            known = [one for one in standing if one.received_window <= window]
            earlier = [one for one in grey[:at] if one.received_window <= window]
            status = _status(row, known, earlier)
            if status:
                row.later_status, row.moved_to = status, max(row.window, window)
                decided.append(row)
                break
    return decided


def _status(row: Row, standing: list[Row], earlier_grey: list[Row]) -> str:
    who = identity(row)
    if any(identity(one) == who for one in (*standing, *earlier_grey)):
        return "REPLAY"
    counter = next((key for key in exclusive_keys(row) if key[0] == "counter"), None)  # type: ignore[index]
    taken = counter is not None and any(counter in exclusive_keys(one) for one in standing)
    return "GREY_DISPROVEN" if taken and row.tac_verdict != "VERIFIED" else ""
