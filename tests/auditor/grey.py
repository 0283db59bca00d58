"""Grey rows at the close of each window (rules §5): what contradicts or replaces them. Chains take a month."""

from __future__ import annotations

from auditor.model import Row
from auditor.replay import Memory, exclusive_keys, identity


def decide(rows: list[Row], memory: Memory, last: int) -> list[Row]:
    """Give grey rows their later status and the window it posts in (``moved_to``); returns them.

    ``rows`` are all rows in the order received; ``last`` is the last window that is closed.
    """
    stood: dict[object, int] = {}
    taken: dict[object, int] = {}
    for variants in memory.variants.values():
        for representatives in variants.values():
            for one in representatives:
                if one.status != "CONFLICT":
                    _first(stood, identity(one), one.received_window)
                    for key in exclusive_keys(one):
                        _first(taken, key, one.received_window)
    decided = []
    for row in rows:
        if row.status != "GREY_RECORD" or row.value["card_counter"] is None:
            continue
        for window in range(row.received_window, last + 1):
            status = _status(row, stood, taken, window)
            if status:
                row.later_status, row.moved_to = status, max(row.window, window)
                decided.append(row)
                break
        # Told twice, a grey record is decided by the first telling, too.
        _first(stood, identity(row), row.received_window)
    return decided


def _first(since: dict[object, int], key: object, window: int) -> None:
    since[key] = min(window, since.get(key, window))


def _status(row: Row, stood: dict[object, int], taken: dict[object, int], window: int) -> str:
    """By what was received up to a window; ``stood`` and ``taken``: since which window each identity and key is."""
    if stood.get(identity(row), window + 1) <= window:
        return "REPLAY"
    counter = next((key for key in exclusive_keys(row) if key[0] == "counter"), None)  # type: ignore[index]
    is_taken = counter is not None and taken.get(counter, window + 1) <= window
    return "GREY_DISPROVEN" if is_taken and row.tac_verdict != "VERIFIED" else ""
