"""Grey rows at the close of each window (rules §5): what contradicts or replaces them. Chains take a month."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.model import Row
from auditor.replay import Identity, Memory, exclusive_keys, identity


def decide(rows: list[Row], memory: Memory, last: int) -> list[Row]:
    """Give grey rows their later status and the window it posts in (``moved_to``); returns them.

    ``rows`` are all rows in the order received; ``last`` is the last window that is closed.
    """
    told: dict[Identity, int] = {}
    decided = []
    for row in rows:
        if row.status != "GREY_RECORD" or row.value["card_counter"] is None:
            continue
        who = identity(row)
        stood = [one.received_window for one in _standing(who, memory)]
        stood += [told[who]] if who in told else []
        taken = [one.received_window for one in _at_its_counter(row, memory)]
        for window in range(row.received_window, last + 1):
            status = _status(row, stood, taken, window)
            if status:
                row.later_status, row.moved_to = status, max(row.window, window)
                decided.append(row)
                break
        # Told twice, a grey record is decided by the first telling, too.
        told[who] = min(row.received_window, told.get(who, row.received_window))
    return decided


def _standing(who: Identity, memory: Memory) -> Iterator[Row]:
    """The rows of an identity that stand."""
    for representatives in memory.variants.get(who, {}).values():
        yield from (one for one in representatives if one.status != "CONFLICT")


def _at_its_counter(row: Row, memory: Memory) -> Iterator[Row]:
    """The rows that stand with the grey row's counter."""
    for key in exclusive_keys(row):
        if key[0] == "counter":
            holding = (one for who in memory.holders.get(key, ()) for one in _standing(who, memory))
            yield from (one for one in holding if key in exclusive_keys(one))


def _status(row: Row, stood: list[int], taken: list[int], window: int) -> str:
    """By what was received up to a window; ``stood`` and ``taken``: when its identity and its counter were."""
    if min(stood, default=window + 1) <= window:
        return "REPLAY"
    is_taken = min(taken, default=window + 1) <= window
    return "GREY_DISPROVEN" if is_taken and row.tac_verdict != "VERIFIED" else ""
