"""Replay and conflict (rules §5): which of the competing rows stand, received window by received window."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from auditor.columns import MONEY
from auditor.model import Row, RowKey

Identity = Hashable

Groups = dict[tuple[Identity, Hashable], list[Row]]
"""Rows by identity and money columns; the latter are None where no other row has the identity."""


@dataclass
class Memory:
    """What earlier received windows left behind."""

    variants: dict[Identity, dict[Hashable, list[Row]]] = field(default_factory=lambda: defaultdict(dict))
    """identity → money columns → the representatives."""
    holders: dict[Hashable, set[Identity]] = field(default_factory=lambda: defaultdict(set))
    """exclusive key → identities of the representatives that have it."""
    interchangeable: list[frozenset[RowKey]] = field(default_factory=list)


def decide(competing: list[Row]) -> Memory:
    """Set DUPLICATE, REPLAY or CONFLICT on the rows they apply to; rows arrive in txn_id order."""
    identified = [(row, identity(row)) for row in competing]
    sharing = Counter(who for _, who in identified)
    by_window: dict[int, Groups] = defaultdict(lambda: defaultdict(list))
    for row, who in identified:
        # Money tells rows of one identity apart; most rows are alone with theirs.
        amounts = money(row) if sharing[who] > 1 else None
        by_window[row.received_window][who, amounts].append(row)
    memory = Memory()
    for window in sorted(by_window):
        _decide_window(by_window[window], memory)
    return memory


def _decide_window(groups: Groups, memory: Memory) -> None:
    representatives: list[tuple[Row, Identity, list[tuple[Any, ...]]]] = []
    for (who, amounts), variant in groups.items():
        standing = memory.variants[who].get(amounts)
        if standing is None:
            standing = _representatives(variant, memory)
            memory.variants[who][amounts] = standing
            representatives += [(row, who, exclusive_keys(row)) for row in standing]
        _mark_repeats(variant, standing)
    for _, who, keys in representatives:
        for key in keys:
            memory.holders[key].add(who)
    for row, who, keys in representatives:
        other_variant = len(memory.variants[who]) > 1
        other_identity = any(len(memory.holders[key]) > 1 for key in keys)
        if other_variant or other_identity:
            row.status = "CONFLICT"


def _representatives(variant: list[Row], memory: Memory) -> list[Row]:
    """The lowest row; of a whole-row profile the first n of the file that has most, up to its multiplicity."""
    if len(variant) == 1:
        return variant
    if variant[0].multiplicity:
        per_file: dict[str, list[Row]] = defaultdict(list)
        for row in variant:
            per_file[row.file].append(row)
        most = max(per_file.values(), key=len)
        return most[: most[0].multiplicity]
    ordered = sorted(variant, key=lambda row: (_counter(row), content(row)))
    lowest = [row for row in ordered if _counter(row) == _counter(ordered[0])]
    if any(content(row) != content(lowest[0]) for row in lowest):
        memory.interchangeable.append(frozenset(row.key for row in lowest))
    return ordered[:1]


def _mark_repeats(variant: list[Row], standing: list[Row]) -> None:
    for row in variant:
        if not any(row is one for one in standing):
            row.status = "DUPLICATE" if content(row) == content(standing[0]) else "REPLAY"


def _counter(row: Row) -> int:
    """The card counter; a missing one comes first."""
    counter = row.value["card_counter"]
    return -1 if counter is None else counter


def identity(row: Row) -> Identity:
    """What makes two rows the same transaction; a row with a missing identity column is like no other."""
    if row.multiplicity:
        return ("whole row", content(row))
    v = row.value
    parts: tuple[Any, ...]
    if row.has_purse and row.direction == "debit":
        names = ("issuer_id", "purse_kind", "txn_type", "terminal_id", "terminal_counter")
        parts = (row.card_id, *(v[name] for name in (*names, "date4", "time3", "amount")))
        kind = "purchase"
    elif row.has_purse:
        parts = (row.card_id, v["issuer_id"], v["purse_kind"], v["card_counter"])
        kind = "load"
    elif row.service == "medical":
        parts = (row.card_id, v["region"], v["institution"], v["settlement_id"], v["cancel"])
        kind = "medical"
    else:
        parts = (row.card_id, v["merchant_id"], v["list_id"], v["list_line"])
        kind = "benefit"
    return ("alone", row.key) if None in parts else (kind, *parts)


def money(row: Row) -> Hashable:
    """The money columns; those a service does not have count as missing."""
    return (*(row.value.get(name) for name in MONEY), _bills(row))


def content(row: Row) -> tuple[Any, ...]:
    """All content columns in a fixed order, comparable between rows of one identity; missing values first."""
    values = map(_comparable, sorted(row.value.items(), key=lambda column: column[0]))
    return (row.service, row.card_id, _bills(row), *values)


def _bills(row: Row) -> tuple[Any, ...]:
    """The bills as a set: their order in the row says nothing."""
    return tuple(sorted(tuple(sorted(map(_comparable, bill.items()))) for bill in row.bills))


def _comparable(column: tuple[str, int | None]) -> tuple[str, bool, int]:
    """A column in a form that sorts, missing values first."""
    name, value = column
    return name, value is not None, value or 0


def exclusive_keys(row: Row) -> list[tuple[Any, ...]]:
    """Keys that only one transaction may have."""
    v = row.value
    keys: list[tuple[Any, ...]] = []
    if row.has_purse:
        keys.append(("counter", v["issuer_id"], row.card_id, v["purse_kind"], row.direction, v["card_counter"]))
    if row.service == "medical":
        keys.append(("settlement", v["institution"], v["settlement_id"], v["cancel"], row.card_id))
    if row.service in ("load", "benefit"):
        keys.append((f"benefit {row.service}", v["benefit_id"], row.card_id))
    return [key for key in keys if None not in key]
