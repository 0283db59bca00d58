"""Pass 2: what becomes of each row of a card partition (docs/clearing-rules.md §4–§7).

Pure: rows and standing transactions in, decided rows out. Everything row-local was done in pass 1; here rows meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Service
from clearing import grouping, replay
from clearing.config import Settings
from clearing.content import RowHashes, hash_rows, root_text
from clearing.history import CardStates, by_card, competitors_of, is_load
from clearing.posting import choose_templates, pay_bills
from clearing.records import CONTENT_FIELDS, Rows
from clearing.replay import Competitors
from clearing.status import ClearingStatus, Direction, Disposition

Ints = npt.NDArray[np.int64]

CREDIT_SERVICES: Final = (Service.LOAD, Service.BENEFIT)


@dataclass(frozen=True, slots=True)
class Grants:
    """Accepted benefit grants, sorted by ``key`` (benefit and card): what a pick-up must match."""

    key: npt.NDArray[np.uint64]
    amount: Ints
    received_window: npt.NDArray[np.int32]
    fund: Ints

    @classmethod
    def empty(cls) -> Grants:
        """No grants."""
        none = np.empty(0, np.int64)
        return cls(np.empty(0, np.uint64), none, np.empty(0, np.int32), none)

    @classmethod
    def of(cls, rows: Rows) -> Grants:
        """The accepted rows of the benefit service."""
        kept = np.flatnonzero(rows["disposition"] == Disposition.ACCEPTED)
        key = _benefit_keys(rows)[kept]
        order = np.argsort(key, kind="stable")
        at = kept[order]
        return cls(
            key[order], rows["granted"][at], rows["received_window"][at], rows["merchant_id"][at].astype(np.int64)
        )

    def joined(self, other: Grants) -> Grants:
        """Both sets."""
        columns = [np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__]
        order = np.argsort(columns[0], kind="stable")
        return Grants(*(column[order] for column in columns))

    def fund_of(self, loads: Rows) -> Ints:
        """int64[n] granting fund of each pick-up: 0 = an ordinary load, −1 = no grant matches."""
        pick_up = loads["benefit_id"] != NULL
        fund = np.where(pick_up, -1, 0)
        if len(self.key) and pick_up.any():
            key = _benefit_keys(loads)
            at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
            matches = pick_up & (self.key[at] == key) & (self.amount[at] == loads["amount"])
            matches &= self.received_window[at] <= loads["received_window"]
            fund = np.where(matches, self.fund[at], fund)
        return np.asarray(fund, np.int64)


def _benefit_keys(rows: Rows) -> npt.NDArray[np.uint64]:
    """uint64[n] one key per (benefit, card)."""
    return hash_rows([rows["benefit_id"], rows["card_id"]], len(rows)).lo


@dataclass
class Decided:
    """One partition after pass 2, before utility bills are paid.

    ``standing`` (sorted by card) and ``standing_is_load`` are the transactions that stand or conflict now;
    ``reopened`` are rows of the same received window that earlier runs decided otherwise: (txn_id, new status,
    linked txn_id).
    """

    rows: dict[Service, Rows]
    standing: Competitors
    standing_is_load: npt.NDArray[np.bool_]
    reopened: list[tuple[int, int, int]] = field(default_factory=list)
    grants: Grants = field(default_factory=Grants.empty)


def decide_partition(
    rows: dict[Service, Rows],
    states: CardStates,
    standing_of: Any,
    grants: Grants,
    settings: Settings,
    *,
    disabled: frozenset[str] = frozenset(),
) -> Decided:
    """Decide all rows of one partition.

    Args:
        rows: laddered and priced rows by service; all rows of a card are here.
        states: card states before this batch.
        standing_of: sorted unique card ids → standing :class:`Competitors` of earlier runs, or None.
        grants: accepted benefit grants of earlier batches.
        settings: dispositions and limits.
        disabled: statuses left out, for the tests that prove each matters.
    """
    services = sorted(rows)
    batch = replay.join([competitors_of(rows[service]) for service in services])
    competing = np.concatenate([rows[service]["status_early"] == 0 for service in services])
    load = np.concatenate([is_load(rows[service]) for service in services])
    order = by_card(batch)
    looking_back = competing & ~states.surely_new(batch, load, order)
    earlier = standing_of(np.unique(batch.card_id[looking_back])) if looking_back.any() else None
    n = len(batch)
    if earlier is None:
        standing = replay.decide(batch, competing)
    else:
        everybody = np.concatenate([competing, np.ones(len(earlier), bool)])
        standing = replay.decide(replay.join([batch, earlier]), everybody)
    status = standing.status.copy()
    for name in ("DUPLICATE", "REPLAY", "CONFLICT"):
        if name in disabled:
            status[status == ClearingStatus[name]] = 0
    stands = competing & np.isin(status[:n], (0, ClearingStatus.CONFLICT))
    kept = order[stands[order]]
    now_standing = batch.take(kept)
    now_standing.stood[:] = status[:n][kept]
    decided = Decided(dict(rows), now_standing, load[kept])
    if earlier is not None:
        decided.reopened = _reopened(batch, earlier, status[n:], standing.linked_txn_id[n:])
    offset = 0
    for service in services:
        part = slice(offset, offset + len(rows[service]))
        decided.rows[service] = rows[service].with_columns(
            status_replay=status[part], linked_txn_id=standing.linked_txn_id[part]
        )
        offset = part.stop
    _settle_statuses(decided, grants, settings, disabled)
    return decided


def _reopened(
    batch: Competitors, earlier: Competitors, status: npt.NDArray[np.int16], linked: Ints
) -> list[tuple[int, int, int]]:
    """Earlier decisions of a received window that still takes rows, where the new rows change them.

    A conflict once found stays held until a person resolves it, even if its opponent yields to another row.
    """
    open_windows = grouping.distinct(batch.received_window)
    changed = np.flatnonzero(
        (status != earlier.stood) & (status != 0) & np.isin(earlier.received_window, open_windows)
    )
    return [(int(earlier.txn_id[i]), int(status[i]), int(linked[i])) for i in changed]


def _settle_statuses(decided: Decided, grants: Grants, settings: Settings, disabled: frozenset[str]) -> None:
    """Final status, disposition and template per row; grants first, so that pick-ups can match them."""
    order = sorted(decided.rows, key=lambda service: service is not Service.BENEFIT)
    for service in order:
        rows = decided.rows[service]
        unmatched = np.zeros(len(rows), bool)
        if service is Service.LOAD:
            fund = grants.joined(decided.grants).fund_of(rows)
            unmatched = (fund < 0) & ("BENEFIT_UNMATCHED" not in disabled)
            rows = rows.with_columns(fund=np.maximum(fund, 0))
        rows = finish(rows, unmatched, settings)
        if service is Service.BENEFIT:
            decided.grants = Grants.of(rows)
        decided.rows[service] = rows


def finish(rows: Rows, unmatched: npt.NDArray[np.bool_], settings: Settings) -> Rows:
    """Rows with status, disposition, template and the remaining decided columns (first failure decides)."""
    status = rows["status_early"].copy()
    rungs = (
        rows["status_replay"],
        rows["status_card"],
        np.where(unmatched, ClearingStatus.BENEFIT_UNMATCHED, 0),
        rows["status_limits"],
        np.full(len(rows), ClearingStatus.ACCEPTED),
    )
    for rung in rungs:
        status = np.where(status == 0, rung, status).astype(np.int16)
    disposition = dispositions(rows.service, status, settings)
    accepted = disposition == Disposition.ACCEPTED
    money = {
        name: np.where(accepted, rows[name], 0)
        for name in ("gross", "card_paid", "overcharge", "fund", "fund_paid", "operator_borne")
    }
    n = len(rows)
    rows = rows.with_columns(
        status=status,
        disposition=disposition,
        **money,
        cardholder_suspense=np.zeros(n, np.int64),
        sign=np.ones(n, np.int8),
        event=np.zeros(n, np.uint8),
    )
    return rows.with_columns(posting_template=choose_templates(rows, disposition))


def dispositions(service: Service, status: npt.NDArray[np.int16], settings: Settings) -> npt.NDArray[np.uint8]:
    """uint8[n] :class:`Disposition` of each status for the service's direction, policy included."""
    direction = Direction.CREDIT if service in CREDIT_SERVICES else Direction.DEBIT
    table = np.zeros(max(ClearingStatus) + 1, np.uint8)
    for each in ClearingStatus:
        table[each] = settings.disposition(each, direction)
    return table[status]


def settle_bills(rows: Rows, already_paid: set[tuple[int, int]]) -> tuple[Rows, list[tuple[int, int]]]:
    """Pay the bills of accepted utility rows, first payment first; returns rows and the bills paid now.

    Args:
        rows: all decided utility rows of a batch.
        already_paid: (utility, bill) pairs paid by earlier batches.
    """
    parent = rows.bills["bill_row"].astype(np.int64)
    order = np.lexsort(
        tuple(
            rows[name][parent]
            for name in (
                "content_lo", "terminal_counter", "terminal_id", "card_counter", "txn_time", "received_window"
            )
        )
    )  # fmt: skip
    paid_before = np.ones(len(parent), bool)
    accepted = rows["disposition"][parent] == Disposition.ACCEPTED
    known, now = set(already_paid), []
    for at in order[accepted[order]]:
        bill = (int(rows.bills["utility_id"][at]), int(rows.bills["bill_id"][at]))
        if bill not in known:
            known.add(bill)
            now.append(bill)
            paid_before[at] = False
    return pay_bills(rows, paid_before), now


def decision_roots(rows: Rows) -> dict[int, int]:
    """Content root of decided rows per window (signed: a reversal subtracts)."""
    content = RowHashes(rows["content_lo"], rows["content_hi"])
    hashes = hash_rows([rows[f.name] for f in CONTENT_FIELDS], len(rows), start=content)
    roots: dict[int, int] = {}
    for window in grouping.distinct(rows["window"]):
        here = rows["window"] == window
        added, removed = hashes.root(here & (rows["sign"] > 0)), hashes.root(here & (rows["sign"] < 0))
        roots[int(window)] = (added - removed) % 2**128
    return roots


def merge_roots(*parts: dict[int, int]) -> dict[int, int]:
    """Roots per window added up."""
    merged: dict[int, int] = {}
    for part in parts:
        for window, root in part.items():
            merged[window] = (merged.get(window, 0) + root) % 2**128
    return merged


def roots_text(roots: dict[int, int]) -> dict[str, str]:
    """Roots as the journal writes them: hex by window day."""
    return {str(window): root_text(root) for window, root in sorted(roots.items())}
