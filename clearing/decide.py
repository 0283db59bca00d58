"""Pass 2: who stands among the rows of a card partition, and what becomes of each row (docs/clearing-rules.md §4–§7).

Pure: rows and standing transactions in, decided rows out. Everything row-local was done in pass 1; here rows meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Columns, Service
from clearing import grouping, replay
from clearing.config import Settings
from clearing.content import RowHashes, hash_rows, root_text
from clearing.history import CardStates, by_card, competitors_of, is_load
from clearing.posting import choose_templates, pay_bills
from clearing.records import CONTENT_FIELDS, NO_LINK, Rows
from clearing.replay import COMPETITOR_COLUMNS, Competitors
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
        key = benefit_keys(rows)[kept]
        order = np.argsort(key, kind="stable")
        at = kept[order]
        return cls(
            key[order], rows["granted"][at], rows["received_window"][at], rows["merchant_id"][at].astype(np.int64)
        )

    @classmethod
    def joined(cls, parts: list[Grants]) -> Grants:
        """All of several sets (at least one)."""
        if len(parts) == 1:
            return parts[0]
        columns = [np.concatenate([getattr(part, n) for part in parts]) for n in cls.__slots__]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    def without(self, keys: npt.NDArray[np.uint64]) -> Grants:
        """The grants whose keys are not among the given ones."""
        kept = ~np.isin(self.key, keys)
        return Grants(*(getattr(self, name)[kept] for name in self.__slots__))

    def fund_of(self, loads: Rows) -> Ints:
        """int64[n] granting fund of each pick-up: 0 = an ordinary load, −1 = no grant matches."""
        pick_up = loads["benefit_id"] != NULL
        fund = np.where(pick_up, -1, 0)
        if len(self.key) and pick_up.any():
            key = benefit_keys(loads)
            at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
            matches = pick_up & (self.key[at] == key) & (self.amount[at] == loads["amount"])
            matches &= self.received_window[at] <= loads["received_window"]
            fund = np.where(matches, self.fund[at], fund)
        return np.asarray(fund, np.int64)


def benefit_keys(rows: Rows) -> npt.NDArray[np.uint64]:
    """uint64[n] one key per (benefit, card)."""
    return hash_rows([rows["benefit_id"], rows["card_id"]], len(rows)).lo


@dataclass(frozen=True, slots=True)
class Contest:
    """The rows of a batch that compete for identity (status 0 so far): what they are compared by.

    ``load`` bool[n] tells rows that moved the online counter, ``position`` int64[n] where each stands in the batch.
    """

    rows: Competitors
    load: npt.NDArray[np.bool_]
    position: Ints

    @classmethod
    def of(cls, rows: Rows, order: Callable[[npt.NDArray[np.uint64]], Ints]) -> Contest:
        """The competing rows of one laddered block in the order asked of their cards; positions count within it."""
        competing = np.flatnonzero(rows["status_early"] == 0)
        position = competing[order(rows["card_id"][competing])]
        return cls(competitors_of(rows).take(position), is_load(rows)[position], position)

    def columns(self) -> Columns:
        """As columns to part and gather."""
        competing = {name: getattr(self.rows, name) for name in COMPETITOR_COLUMNS}
        return {**competing, "load": self.load.astype(np.uint8), "position": self.position}

    @classmethod
    def of_columns(cls, columns: Columns) -> Contest:
        """From gathered columns."""
        rows = Competitors(*(columns[name] for name in COMPETITOR_COLUMNS))
        return cls(rows, columns["load"].astype(bool), columns["position"])


COMPARED_ONLY: Final = ("identity_lo", "identity_hi", "variant", "counter_key", "service_key", "multiplicity")
"""Columns of a resolved row that only its contest needs."""


@dataclass(frozen=True, slots=True)
class Competed:
    """One partition after pass 2: what became of each row of its contest.

    ``rows.stood`` is the status competition gave (0 stands), ``order`` sorts the rows by card; ``placings`` are rows
    of the same received window that earlier runs placed otherwise: (txn_id, status or 0, linked txn_id).
    """

    rows: Competitors
    load: npt.NDArray[np.bool_]
    order: Ints
    linked_txn_id: Ints
    placings: list[tuple[int, int, int]]


def compete(
    contest: Contest, states: CardStates, standing_of: Any, *, disabled: frozenset[str] = frozenset()
) -> Competed:
    """Decide who stands among the rows of one partition.

    Args:
        contest: all competing rows of the partition's cards.
        states: card states before this batch.
        standing_of: sorted unique card ids → standing :class:`Competitors` of earlier runs, or None.
        disabled: statuses left out, for the tests that prove each matters.
    """
    batch, n = contest.rows, len(contest.rows)
    order = by_card(batch)
    looking_back = ~states.surely_new(batch, contest.load, order)
    earlier = standing_of(np.unique(batch.card_id[looking_back])) if looking_back.any() else None
    placed = replay.decide(batch if earlier is None else replay.join([batch, earlier]))
    status = placed.status.copy()
    for name in ("DUPLICATE", "REPLAY", "CONFLICT"):
        if name in disabled:
            status[status == ClearingStatus[name]] = 0
    return Competed(
        replace(batch, stood=status[:n]),
        contest.load,
        order,
        placed.linked_txn_id[:n],
        [] if earlier is None else _placed_otherwise(batch, earlier, status[n:], placed.linked_txn_id[n:]),
    )


def _placed_otherwise(
    batch: Competitors, earlier: Competitors, status: npt.NDArray[np.int16], linked: Ints
) -> list[tuple[int, int, int]]:
    """Earlier rows of a received window that still takes rows, where the new rows place them otherwise."""
    open_windows = grouping.distinct(batch.received_window)
    changed = np.flatnonzero((status != earlier.stood) & np.isin(earlier.received_window, open_windows))
    return [(int(earlier.txn_id[i]), int(status[i]), int(linked[i])) for i in changed]


class Placings:
    """What competition made of each row of a batch, by position: partitions note it, blocks ask for theirs.

    A partition's positions ascend: rows are gathered in the order of arrival.
    """

    def __init__(self, rows: int) -> None:
        """Nobody has met anybody yet."""
        self._status = np.zeros(rows, np.int16)
        self._links: list[tuple[Ints, Ints]] = []

    def note(self, contest: Contest, competed: Competed) -> None:
        """Take one partition's placings; from any thread, since no two partitions share a position."""
        self._status[contest.position] = competed.rows.stood
        linked = np.flatnonzero(competed.linked_txn_id != NO_LINK)
        self._links.append((contest.position[linked], competed.linked_txn_id[linked]))

    def stand(self, position: Ints) -> npt.NDArray[np.bool_]:
        """bool[n]: the rows at some positions met nobody, or stand among those they met."""
        return np.asarray(self._status[position] == 0)

    def placed(self, rows: Rows, offset: int) -> Rows:
        """A block's rows with ``status_replay`` and ``linked_txn_id``; its first row is row ``offset``."""
        stop = offset + len(rows)
        linked = np.full(len(rows), NO_LINK, np.int64)
        for position, txn_id in self._links:
            here = slice(*np.searchsorted(position, (offset, stop)))
            linked[position[here] - offset] = txn_id[here]
        return rows.with_columns(status_replay=self._status[offset:stop], linked_txn_id=linked)


def settle_statuses(rows: Rows, grants: Grants, settings: Settings, *, disabled: frozenset[str]) -> Rows:
    """Rows with their final status, disposition, money and template (first failure decides).

    Args:
        rows: laddered, priced and placed rows of one block.
        grants: all accepted benefit grants that a pick-up may match, this batch's included.
        settings: dispositions.
        disabled: statuses left out.
    """
    unmatched = np.zeros(len(rows), bool)
    if rows.service is Service.LOAD:
        fund = grants.fund_of(rows)
        unmatched = (fund < 0) & ("BENEFIT_UNMATCHED" not in disabled)
        rows = rows.with_columns(fund=np.maximum(fund, 0))
    return _finish(rows, unmatched, settings)


def _finish(rows: Rows, unmatched: npt.NDArray[np.bool_], settings: Settings) -> Rows:
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


@dataclass(frozen=True, slots=True)
class Bills:
    """Bills as int64 columns of one length: number of the utility and of its bill."""

    utility_id: Ints
    bill_id: Ints

    @classmethod
    def listed(cls, rows: Rows) -> Bills:
        """The bills of payments, in the order of their child table."""
        return cls(rows.bills["utility_id"].astype(np.int64), rows.bills["bill_id"].astype(np.int64))

    @classmethod
    def paid(cls, parts: list[Rows]) -> Bills:
        """What is paid after the rows of segments: payments less reversals of payments, each bill once."""
        listed = cls.joined([cls.listed(rows) for rows in parts])
        change = np.concatenate([np.empty(0, np.int64), *(_signed_payments(rows) for rows in parts)])
        group = listed.groups()
        times = np.bincount(group, weights=change, minlength=0) if len(group) else np.empty(0)
        first = np.unique(group, return_index=True)[1]
        return listed.take(first[times > 0])

    @classmethod
    def joined(cls, parts: list[Bills]) -> Bills:
        """The bills of all parts in order."""
        none = np.empty(0, np.int64)
        return cls(
            np.concatenate([none, *(part.utility_id for part in parts)]),
            np.concatenate([none, *(part.bill_id for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.bill_id)

    def take(self, rows: Ints | npt.NDArray[np.bool_]) -> Bills:
        """The bills at the given positions."""
        return Bills(self.utility_id[rows], self.bill_id[rows])

    def groups(self) -> Ints:
        """int64[n] equal numbers for equal bills."""
        order = np.lexsort((self.bill_id, self.utility_id))
        utility, bill = self.utility_id[order], self.bill_id[order]
        new = np.ones(len(order), bool)
        new[1:] = (utility[1:] != utility[:-1]) | (bill[1:] != bill[:-1])
        group = np.empty(len(order), np.int64)
        group[order] = np.cumsum(new) - 1
        return group

    def among(self, others: Bills) -> npt.NDArray[np.bool_]:
        """bool[n]: the bill is one of ``others``."""
        group = Bills.joined([others, self]).groups()
        return np.isin(group[len(others) :], group[: len(others)])


def _signed_payments(rows: Rows) -> Ints:
    """int64[bills]: +1 paid, −1 a payment reversed, 0 not paid."""
    sign = rows["sign"][rows.bills["bill_row"].astype(np.int64)].astype(np.int64)
    return np.asarray(sign * rows.bills["bill_paid"])


def settle_bills(rows: Rows, already_paid: Bills) -> Rows:
    """Pay the bills of accepted utility rows, first payment first.

    Args:
        rows: all decided utility rows of a batch.
        already_paid: bills paid by payments that are not among ``rows``.
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
    order = order[rows["disposition"][parent[order]] == Disposition.ACCEPTED]
    # What was paid before stands in front: the first entry of each bill has paid it.
    group = Bills.joined([already_paid, Bills.listed(rows).take(order)]).groups()
    first = np.unique(group, return_index=True)[1]
    paid_before = np.ones(len(parent), bool)
    paid_before[order[first[first >= len(already_paid)] - len(already_paid)]] = False
    return pay_bills(rows, paid_before)


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
