"""Everything a run remembers of earlier ones, private to ``work/cache`` and rebuilt from the segments when lost.

Card states and standing transactions (:mod:`clearing.history`), accepted benefit grants, and bills already paid.
A batch stages what it adds and saves it after the commit point; the mark says up to which entry a cache is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from card_io.records import Service
from clearing import grouping
from clearing.cache_files import ALL, KeyRange
from clearing.centre import Centre
from clearing.decide import Bills, Competed, Grants
from clearing.history import CardStates, History, by_card, competitors_of, is_load, stands
from clearing.identity import identities_of
from clearing.ledger.journal import Entry
from clearing.ledger.segments import read_segment
from clearing.records import Rows, concatenate, newest_decisions
from clearing.replay import REPEATS, Competitors
from clearing.status import ClearingStatus


@dataclass
class Caches:
    """The caches of one centre during one run."""

    history: History
    grants: Grants
    bills: Bills

    @classmethod
    def open(cls, centre: Centre) -> Caches:
        """The caches as of the newest batch entry; rebuilt from segments when they are not."""
        batches = list(centre.journal.of_kind("batch"))
        folder, last = centre.directory / "work" / "cache", batches[-1].sequence if batches else 0
        history = History(folder, last, centre.disk)
        caches = cls(history, Grants.empty(), Bills.paid([]))
        if history.stale:
            caches._rebuild(centre, batches)
        caches._load_small(centre, batches)
        return caches

    def stage(self, key_range: KeyRange, states: CardStates, competed: Competed) -> None:
        """Remember what stands of one decided partition, and the states of its cards; from any thread."""
        rows, order = competed.rows, competed.order
        self.history.stage(key_range.name, rows, order)
        fresh = CardStates.of(rows, competed.load, order[stands(rows.stood)[order]])
        self.history.stage_states(key_range, states.advanced(fresh))

    def stage_reopened(self, service: Service, standing: Competitors) -> None:
        """Remember what became of a service's transactions that an earlier run had decided otherwise."""
        self.history.stage(f"events-{service.name.lower()}", standing, by_card(standing))

    def save(self, batch: int) -> None:
        """Take over what the committed batch staged."""
        self.history.take_over(batch)

    def _load_small(self, centre: Centre, batches: list[Entry]) -> None:
        """Grants and paid bills are few: read from their segments, which also keeps them honest."""
        found: dict[Service, list[Rows]] = {Service.BENEFIT: [], Service.UTILITY: []}
        for entry in batches:
            for rows in batch_rows(centre, entry, tuple(found)):
                found[rows.service].append(rows)
        self.bills = Bills.paid(found[Service.UTILITY])
        grants = found[Service.BENEFIT]
        if grants:
            self.grants = Grants.of(newest_decisions(concatenate(grants)))

    def _rebuild(self, centre: Centre, batches: list[Entry]) -> None:
        """Card states and standing transactions from the segments, batch by batch."""
        self.history.clear()
        states = CardStates.empty()
        for entry in batches:
            for number, rows in enumerate(batch_rows(centre, entry, tuple(Service))):
                standing = standing_of(rows)
                competitors = competitors_of(standing)
                placed = np.isin(standing["status"], (*REPEATS, ClearingStatus.CONFLICT))
                competitors.stood[:] = np.where(placed, standing["status"], 0)
                order = by_card(competitors)
                self.history.stage(f"{number:04d}", competitors, order)
                states = states.advanced(CardStates.of(competitors, is_load(standing), order))
            self.history.stage_states(ALL, states)
            self.history.take_over(entry.sequence)


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


_NEVER_COMPETED = tuple(
    int(s) for s in ClearingStatus if s < ClearingStatus.DUPLICATE and s is not ClearingStatus.ACCEPTED
)


def standing_of(rows: Rows) -> Rows:
    """Rows of a segment that stand or conflict: those that competed and are no repeats."""
    status = rows["status"]
    competed = ~np.isin(status, _NEVER_COMPETED)
    repeats = np.isin(status, REPEATS) & (rows["event"] == 0)
    return rows.take(np.flatnonzero(competed & ~repeats & (rows["sign"] > 0)))
