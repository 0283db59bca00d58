"""Replay and conflict: which of several records stands (docs/clearing-rules.md §5).

A pure function of the competing rows and of the representatives that already stand; it looks only at rows that share
an identity or an exclusive key with another, so its cost is that of one look at each key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from card_io.records import NULL
from clearing import kernels
from clearing.identity import NO_KEY
from clearing.status import ClearingStatus

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

COMPETITOR_COLUMNS = (
    "txn_id", "card_id", "identity_lo", "identity_hi", "variant", "content", "counter_key", "service_key",
    "received_window", "card_counter", "txn_time", "multiplicity", "stood",
)  # fmt: skip


REPEATS = (ClearingStatus.DUPLICATE, ClearingStatus.REPLAY)
"""What a row is that yields to another."""


@dataclass(frozen=True, slots=True)
class Competitors:
    """Rows that compete for identity, as columns of one length."""

    txn_id: Ints
    card_id: Keys
    identity_lo: Keys
    identity_hi: Keys
    variant: Keys
    content: Keys
    counter_key: Keys
    service_key: Keys
    received_window: npt.NDArray[np.int32]
    card_counter: Ints
    txn_time: Ints
    multiplicity: npt.NDArray[np.uint8]
    stood: npt.NDArray[np.int16]
    """What an earlier run made of the row: 0 stood, or its status; 0 for rows decided for the first time."""

    def __len__(self) -> int:
        return len(self.txn_id)

    def take(self, rows: Ints | npt.NDArray[np.bool_]) -> Competitors:
        """The competitors at the given positions."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Competitors(*(getattr(self, name).take(at) for name in COMPETITOR_COLUMNS))


def join(parts: list[Competitors]) -> Competitors:
    """Competitors of all parts, in order (one part is itself)."""
    if len(parts) == 1:
        return parts[0]
    return Competitors(*(np.concatenate([getattr(part, name) for part in parts]) for name in COMPETITOR_COLUMNS))


@dataclass(frozen=True, slots=True)
class Standing:
    """What competition made of each row: 0 (stands), DUPLICATE, REPLAY or CONFLICT; and the row it yields to."""

    status: npt.NDArray[np.int16]
    linked_txn_id: Ints


def decide(rows: Competitors) -> Standing:
    """Decide all rows of one set; every row that could meet another must be in it.

    Rows known from earlier runs take part with their ``txn_id``; what is decided for them is for the caller to
    compare with what is recorded.

    Args:
        rows: n rows.
    """
    status = np.zeros(len(rows), np.int16)
    linked = np.full(len(rows), -1, np.int64)
    shared = _shared(rows.identity_lo) | _shared(rows.counter_key) | _shared(rows.service_key)
    meeting = np.flatnonzero(shared)
    if len(meeting):
        chosen = _decide_meeting(rows.take(meeting))
        status[meeting], linked[meeting] = chosen.status, chosen.linked_txn_id
    return Standing(status, linked)


def _shared(keys: Keys) -> npt.NDArray[np.bool_]:
    """bool[n]: another row has the same key (0 is no key)."""
    shared = np.zeros(len(keys), bool)
    if keys.any():
        kernels.mark_shared(
            np.ascontiguousarray(keys), np.full(1 << (2 * len(keys)).bit_length(), -1, np.int32), shared
        )
    return shared


def _decide_meeting(rows: Competitors) -> Standing:
    identity = _dense(rows.identity_lo, rows.identity_hi)
    variant = _dense(identity.astype(np.uint64), rows.variant)
    status, linked = _set_repeats_aside(rows, variant)
    standing = np.flatnonzero(status == 0)
    conflict = np.zeros(len(rows), bool)
    window = rows.received_window.astype(np.int64)
    conflict[standing] |= _meets_other(_key(identity)[standing], _key(variant)[standing], window[standing])
    for keys in (rows.counter_key, rows.service_key):
        conflict[standing] |= _meets_other(keys[standing], _key(identity)[standing], window[standing])
    status[conflict] = ClearingStatus.CONFLICT
    return Standing(status, linked)


def _set_repeats_aside(rows: Competitors, variant: Ints) -> tuple[npt.NDArray[np.int16], Ints]:
    """Per variant one row stands (or ``multiplicity`` of one file); the others are DUPLICATE or REPLAY of it."""
    counter = np.where(rows.card_counter == NULL, -1, rows.card_counter)
    order = np.lexsort((rows.txn_id, rows.content, counter, rows.received_window, variant))
    ordered = variant[order]
    first = np.ones(len(order), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    group = np.cumsum(first) - 1
    stands = order[first][group]
    rank = np.arange(len(order)) - np.flatnonzero(first)[group]
    same_file = (rows.txn_id[order] >> 32) == (rows.txn_id[stands] >> 32)
    repeats = (rank > 0) & ~((rank < rows.multiplicity[order]) & same_file)
    status = np.zeros(len(order), np.int16)
    linked = np.full(len(order), -1, np.int64)
    at, of = order[repeats], stands[repeats]
    equal = rows.content[at] == rows.content[of]
    status[at] = np.where(equal, ClearingStatus.DUPLICATE, ClearingStatus.REPLAY)
    linked[at] = rows.txn_id[of]
    return status, linked


def _meets_other(key: Keys, owner: Keys, window: Ints) -> npt.NDArray[np.bool_]:
    """bool[n]: some row with the same key and another owner was received no later.

    Per key only the earliest window of each of its two earliest owners matters.
    """
    conflict = np.zeros(len(key), bool)
    keyed = np.flatnonzero(key != NO_KEY)
    order = keyed[np.lexsort((window[keyed], owner[keyed], key[keyed]))]
    if not len(order):
        return conflict
    new_owner = np.ones(len(order), bool)
    new_owner[1:] = (key[order][1:] != key[order][:-1]) | (owner[order][1:] != owner[order][:-1])
    earliest = order[new_owner]
    by_window = earliest[np.lexsort((window[earliest], key[earliest]))]
    first = np.ones(len(by_window), bool)
    first[1:] = key[by_window][1:] != key[by_window][:-1]
    start = np.flatnonzero(first)
    second = np.minimum(start + 1, len(by_window) - 1)
    has_second = (second > start) & (key[by_window[second]] == key[by_window[start]])
    group = np.searchsorted(key[by_window[start]], key[keyed])
    first_row, second_row = by_window[start][group], by_window[second][group]
    other = np.where(owner[keyed] == owner[first_row], second_row, first_row)
    exists = has_second[group]
    conflict[keyed] = exists & (owner[other] != owner[keyed]) & (window[other] <= window[keyed])
    return conflict


def _key(dense: Ints) -> Keys:
    """Dense numbers as keys: 0 stays "no key"."""
    return dense.astype(np.uint64) + np.uint64(1)


def _dense(first: Keys, second: Keys) -> Ints:
    """int64[n] equal exactly where both keys are equal."""
    order = np.lexsort((second, first))
    new = np.ones(len(order), bool)
    new[1:] = (first[order][1:] != first[order][:-1]) | (second[order][1:] != second[order][:-1])
    dense = np.empty(len(order), np.int64)
    dense[order] = np.cumsum(new) - 1
    return dense
