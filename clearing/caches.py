"""Everything a run remembers of earlier ones, private to ``work/cache`` and rebuilt from the segments when lost.

Card states and standing transactions (:mod:`clearing.history`), accepted benefit grants, and bills already paid.
A batch stages what it adds and saves it after the commit point; the mark says up to which entry a cache is true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from card_io.records import Service
from clearing import grouping
from clearing.centre import Centre
from clearing.decide import Decided, Grants
from clearing.history import History, by_card, competitors_of, is_load
from clearing.identity import identities_of
from clearing.ledger.journal import Entry
from clearing.ledger.segments import read_segment
from clearing.records import Rows, concatenate
from clearing.replay import Competitors
from clearing.status import ClearingStatus


@dataclass
class Caches:
    """The caches of one centre during one run."""

    history: History
    grants: Grants
    bills: set[tuple[int, int]]
    _standing: dict[str, tuple[Competitors, Any]] = field(default_factory=dict)
    _new_grants: list[Grants] = field(default_factory=list)
    _new_bills: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def open(cls, centre: Centre) -> Caches:
        """The caches as of the newest batch entry; rebuilt from segments when they are not."""
        batches = list(centre.journal.of_kind("batch"))
        history = History(centre.directory / "work" / "cache", batches[-1].sequence if batches else 0)
        caches = cls(history, Grants.empty(), set())
        if history.stale:
            caches._rebuild(centre, batches)
        caches._load_small(centre, batches)
        return caches

    def stage(self, partition: int, decided: Decided) -> None:
        """Remember what stands of one decided partition."""
        self._standing[f"{partition:04d}"] = (decided.standing, decided.standing_is_load)
        self._new_grants.append(decided.grants)

    def stage_bills(self, paid: list[tuple[int, int]]) -> None:
        """Remember bills paid now."""
        self._new_bills += paid

    def stage_reopened(self, standing: Competitors) -> None:
        """Remember what became of transactions an earlier run had decided otherwise."""
        self._standing["events"] = (standing.take(by_card(standing)), np.zeros(len(standing), bool))

    def save(self, batch: int) -> None:
        """Write what the committed batch added."""
        states = self.history.states
        for name, (standing, load) in self._standing.items():
            self.history.add(f"{batch:08d}-{name}", standing)
            if name != "events":
                states = states.advanced(standing, load)
        self.history.advance(states, batch)
        self._standing = {}

    def _load_small(self, centre: Centre, batches: list[Entry]) -> None:
        """Grants and paid bills are few: read from their segments, which also keeps them honest."""
        grants, paid = [], Counter[tuple[int, int]]()
        for entry in batches:
            for rows in batch_rows(centre, entry, (Service.BENEFIT, Service.UTILITY)):
                if rows.service is Service.BENEFIT:
                    grants.append(rows)
                    continue
                parent = rows.bills["bill_row"].astype(np.int64)
                sign = rows["sign"][parent] * rows.bills["bill_paid"].astype(np.int64)
                for utility, bill, change in zip(rows.bills["utility_id"], rows.bills["bill_id"], sign, strict=True):
                    paid[int(utility), int(bill)] += int(change)
        self.bills = {bill for bill, times in paid.items() if times > 0}
        if grants:
            self.grants = Grants.of(newest_decisions(concatenate(grants)))

    def _rebuild(self, centre: Centre, batches: list[Entry]) -> None:
        """Card states and standing transactions from the segments, batch by batch."""
        self.history.clear()
        for entry in batches:
            for number, rows in enumerate(batch_rows(centre, entry, tuple(Service))):
                standing = standing_of(rows)
                competitors = competitors_of(standing)
                competitors.stood[:] = np.where(
                    standing["status"] == ClearingStatus.CONFLICT, ClearingStatus.CONFLICT, 0
                )
                order = by_card(competitors)
                self.history.add(f"{entry.sequence:08d}-{number:04d}", competitors.take(order))
                states = self.history.states.advanced(competitors.take(order), is_load(standing)[order])
                self.history.advance(states, entry.sequence)


def batch_rows(centre: Centre, entry: Entry, services: tuple[Service, ...]) -> Iterator[Rows]:
    """The segments of a batch entry, of some services, with the identities that segments do not store."""
    folder = centre.directory / "segments"
    names = [segment["name"] for segment in entry.body["segments"]]
    wanted = {service.name.lower() for service in services}
    for name in names:
        service, file = name.split("/")
        if service in wanted:
            bills = f"bill/{file}" if service == Service.UTILITY.name.lower() else None
            yield with_identities(centre, read_segment(folder, name, bills=bills))


def with_identities(centre: Centre, rows: Rows) -> Rows:
    """Rows of a segment with the hash columns of :func:`clearing.resolve.resolve`, computed again."""
    rules = {entry.body["file_no"]: entry.body for entry in centre.journal.of_kind("intake")}
    files, position = grouping.dense(rows["txn_id"] >> 32)
    whole = np.array([rules[int(file_no)]["whole_row"] for file_no in files], bool)[position]
    multiplicity = np.array([rules[int(file_no)]["multiplicity"] for file_no in files], np.uint8)[position]
    found = identities_of(rows.service, rows.columns, rows.bills, whole_row=False)
    by_row = identities_of(rows.service, rows.columns, rows.bills, whole_row=True) if whole.any() else found
    return rows.with_columns(
        content_lo=found.content.lo,
        content_hi=found.content.hi,
        identity_lo=np.where(whole, by_row.identity.lo, found.identity.lo),
        identity_hi=np.where(whole, by_row.identity.hi, found.identity.hi),
        variant=found.variant,
        counter_key=found.counter_key,
        service_key=found.service_key,
        multiplicity=multiplicity,
    )


def newest_decisions(rows: Rows) -> Rows:
    """The last decision of each transaction, of rows in the order they were written; reversals are gone."""
    decisions = np.flatnonzero(rows["sign"] > 0)[::-1]
    newest = decisions[np.unique(rows["txn_id"][decisions], return_index=True)[1]]
    return rows.take(np.sort(newest))


_NEVER_COMPETED = tuple(
    int(s) for s in ClearingStatus if s < ClearingStatus.DUPLICATE and s is not ClearingStatus.ACCEPTED
)


def standing_of(rows: Rows) -> Rows:
    """Rows of a segment that stand or conflict: those that competed and are no repeats."""
    status = rows["status"]
    competed = ~np.isin(status, _NEVER_COMPETED)
    repeats = np.isin(status, (ClearingStatus.DUPLICATE, ClearingStatus.REPLAY)) & (rows["event"] == 0)
    return rows.take(np.flatnonzero(competed & ~repeats & (rows["sign"] > 0)))
