"""Rules §5 word for word, one row at a time: which of several records stands."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

STANDS, DUPLICATE, REPLAY, CONFLICT = 0, 40, 41, 42


@dataclass(frozen=True)
class Record:
    """One competing row. Keys: exclusive keys, those it lacks left out; ``counter`` None = missing."""

    txn_id: int
    window: int
    identity: int
    variant: int
    content: int
    counter: int | None
    keys: frozenset[tuple[str, int]]
    multiplicity: int = 1

    @property
    def file(self) -> int:
        return self.txn_id >> 32

    @property
    def rank(self) -> tuple[int, int, int]:
        return (-1 if self.counter is None else self.counter, self.content, self.txn_id)


def decide(records: list[Record]) -> dict[int, tuple[int, int]]:
    """(status, txn_id of the row it yields to or −1) by txn_id; received windows in ascending order."""
    decided: dict[int, tuple[int, int]] = {}
    standing: list[Record] = []
    for _, rows in groupby(sorted(records, key=lambda r: r.window), key=lambda r: r.window):
        fresh = _representatives(list(rows), standing, decided)
        for record in fresh:
            decided[record.txn_id] = (CONFLICT if _in_conflict(record, [*standing, *fresh]) else STANDS, -1)
        standing += fresh
    return decided


def _representatives(rows: list[Record], standing: list[Record], decided: dict[int, tuple[int, int]]) -> list[Record]:
    """Rules 1 and 2: per variant one row represents it (or some equal ones of its file); the others repeat it."""
    fresh: list[Record] = []
    for record in sorted(rows, key=lambda r: r.rank):
        same = (record.identity, record.variant)
        before = [r for r in standing if (r.identity, r.variant) == same]
        now = [r for r in fresh if (r.identity, r.variant) == same]
        allowed = not now or (len(now) < record.multiplicity and record.file == now[0].file)
        if allowed and not before:
            fresh.append(record)
        else:
            of = (before or now)[0]
            decided[record.txn_id] = (DUPLICATE if record.content == of.content else REPLAY, of.txn_id)
    return fresh


def _in_conflict(record: Record, others: list[Record]) -> bool:
    """Rules 3 and 4: another variant of its identity, or an exclusive key shared with another identity."""
    return any(
        (other.identity == record.identity and other.variant != record.variant)
        or (other.identity != record.identity and bool(other.keys & record.keys))
        for other in others
    )
