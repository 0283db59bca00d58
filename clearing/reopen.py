"""Earlier decisions of a window that still takes rows, decided again by what came later (rules §5).

Several runs of one window end like one run: rows that a new batch touches (through identity, a grant or a bill) are
read again from the raw archive and settled anew. Where that differs, the original row stays as it was decided; a
reversal of it and a new decision are written, both linked by txn_id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Service
from clearing import grouping
from clearing.caches import with_identities
from clearing.calendar import received_window
from clearing.centre import Centre
from clearing.decide import Bills, Grants, benefit_keys, settle_statuses
from clearing.history import competitors_of
from clearing.ledger.journal import Entry
from clearing.ledger.segments import read_segment
from clearing.prepare import prepare_again
from clearing.records import CONTENT_FIELDS, Rows, concatenate, newest_decisions
from clearing.remembering import Fares, Moved
from clearing.replay import REPEATS, Competitors
from clearing.status import ClearingStatus

Mask = npt.NDArray[np.bool_]

_PLACED = (*REPEATS, ClearingStatus.CONFLICT)


@dataclass(frozen=True, slots=True)
class Redecided:
    """Rows as they stand in segments and as they are settled now, in the same order."""

    before: Rows
    after: Rows

    def changed(self) -> Mask:
        """bool[n]: the new decision says something else."""
        names = [f.name for f in CONTENT_FIELDS] + ["linked_txn_id"]
        changed = np.logical_or.reduce([self.before[name] != self.after[name] for name in names])
        if self.before.service is Service.UTILITY:
            bills = self.before.bills["bill_paid"] != self.after.bills["bill_paid"]
            changed[self.before.bills["bill_row"][bills].astype(np.int64)] = True
        return np.asarray(changed)

    def decided(self) -> Rows:
        """All rows as they stand decided once :meth:`events` are written."""
        changed = self.changed().astype(np.uint8)
        return self.after.with_columns(event=self.before["event"] + changed)

    def events(self) -> tuple[Rows, Rows] | None:
        """(reversals, new decisions) of the rows that changed; None when none did."""
        rows = np.flatnonzero(self.changed())
        if not len(rows):
            return None
        before, after = self.before.take(rows), self.after.take(rows)
        event = before["event"] + np.uint8(1)
        reversal = before.with_columns(sign=np.full(len(rows), -1, np.int8), event=event)
        return reversal, after.with_columns(event=event)


class Reopening:
    """The earlier rows that one batch may change: those received in the windows its own rows were received in."""

    def __init__(self, centre: Centre, received: Iterable[int], placings: list[tuple[int, int, int]]) -> None:
        """For a batch with rows received at some times (wall seconds).

        Args:
            centre: the centre.
            received: receipt times of the batch's files.
            placings: (txn_id, status or 0, linked txn_id) of earlier rows that competition now places otherwise.
        """
        self._centre = centre
        calendar = centre.settings.calendar
        self.windows = sorted({int(received_window(at, calendar)) for at in received})
        self._txn_id, self._status, self._linked = np.array(sorted(placings), np.int64).reshape(-1, 3).T
        self._intake = {entry.body["file_no"]: entry for entry in centre.journal.of_kind("intake")}
        self._services = {self._intake[int(file_no)].body["service"] for file_no in np.unique(self._txn_id >> 32)}
        self._batches = [
            entry
            for entry in centre.journal.of_kind("batch")
            if int(received_window(entry.at, calendar)) >= self.windows[0]
        ]

    def moved_journeys(self) -> Moved:
        """Transit rows placed otherwise, for tariffs that remember: what yields now, and what stands now."""
        transit = [no for no, entry in self._intake.items() if entry.body.get("service") == "transit"]
        of_transit = np.isin(self._txn_id >> 32, transit)
        stand = self._txn_id[of_transit & (self._status == 0)]
        since = self._batches[0].sequence if self._batches else 0
        gone = self._txn_id[of_transit & (self._status != 0)]
        return Moved(gone, self._archived(stand) if self._centre.prices.remembering else [], since)

    def grants(self) -> Redecided | None:
        """Benefit rows placed otherwise."""
        if not self._touches(Service.BENEFIT):
            return None
        return self._again(self._earlier(Service.BENEFIT, self._placed), Grants.empty())

    def others(
        self, service: Service, grants: Grants, changed_keys: npt.NDArray[np.uint64], fares: Fares
    ) -> Redecided | None:
        """Rows of a service placed otherwise, and loads whose grant came, went or changed."""

        def touched(rows: Rows) -> Mask:
            mask = self._placed(rows)
            if service is Service.LOAD:
                mask |= (rows["benefit_id"] != NULL) & np.isin(benefit_keys(rows), changed_keys)
            return mask

        if not self._touches(service) and not (service is Service.LOAD and len(changed_keys)):
            return None
        return self._again(self._earlier(service, touched), grants, fares)

    def payments(self, fresh: list[Rows]) -> Redecided | None:
        """Utility payments placed otherwise, and those of bills that they or new payments are about."""
        if not fresh and not self._touches(Service.UTILITY):
            return None
        rows = self._earlier(Service.UTILITY, lambda rows: np.ones(len(rows), bool))
        if rows is None:
            return None
        mask = self._placed(rows)
        about = Bills.joined([Bills.listed(part) for part in (*fresh, rows.take(np.flatnonzero(mask)))])
        mask[rows.bills["bill_row"][Bills.listed(rows).among(about)].astype(np.int64)] = True
        return self._again(rows.take(np.flatnonzero(mask)) if mask.any() else None, Grants.empty())

    def competitors(self, after: Rows) -> Competitors:
        """What competition remembers of new decisions: who stands, who is in conflict, who yields."""
        placed, _ = self._placing(after)
        standing = competitors_of(after)
        standing.stood[:] = placed
        return standing

    def _touches(self, service: Service) -> bool:
        return service.name.lower() in self._services

    def _placed(self, rows: Rows) -> Mask:
        return np.isin(rows["txn_id"], self._txn_id)

    def _earlier(self, service: Service, wanted: Callable[[Rows], Mask]) -> Rows | None:
        """Newest decisions of a service's wanted rows of the open windows; None when there are none."""
        folder, found = self._centre.directory / "segments", []
        for entry in self._batches:
            for name in _segments_of(entry, service):
                bills = f"bill/{name.split('/')[1]}" if service is Service.UTILITY else None
                rows = read_segment(folder, name, bills=bills)
                mask = np.isin(rows["received_window"], self.windows) & wanted(rows)
                if mask.any():
                    found.append(rows.take(np.flatnonzero(mask)))
        return newest_decisions(concatenate(found)) if found else None

    def _again(self, before: Rows | None, grants: Grants, fares: Fares | None = None) -> Redecided | None:
        """Settle rows again, from the archive and with what is known now."""
        if before is None:
            return None
        centre = self._centre
        party = centre.registers.parties.position(before["merchant_id"]).astype(np.int32)
        before = with_identities(centre, before.with_columns(party=party))
        fresh = concatenate(self._archived(before["txn_id"]))
        assert np.array_equal(fresh["txn_id"], before["txn_id"]), "files and rows come in the order of txn_id"
        if fares is not None and fresh.service is Service.TRANSIT:
            fresh = fares.priced(fresh)
        status, linked = self._placing(before)
        fresh = fresh.with_columns(status_replay=status, linked_txn_id=linked)
        return Redecided(before, settle_statuses(fresh, grants, centre.settings, disabled=centre.disabled))

    def _placing(self, rows: Rows) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]:
        """How competition places rows: anew where it changed its mind, else as their decision says."""
        kept = np.isin(rows["status"], _PLACED)
        status, linked = np.where(kept, rows["status"], 0).astype(np.int16), rows["linked_txn_id"].copy()
        anew = np.flatnonzero(self._placed(rows))
        placing = np.searchsorted(self._txn_id, rows["txn_id"][anew])
        status[anew], linked[anew] = self._status[placing], self._linked[placing]
        return status, linked

    def _archived(self, txn_id: npt.NDArray[np.int64]) -> list[Rows]:
        """Rows by txn_id (ascending), decoded, resolved, laddered and priced again, in the same order."""
        parts = []
        for file_no in grouping.distinct(txn_id >> 32):
            for block in prepare_again(self._centre, self._intake[int(file_no)]).judged:
                wanted = np.flatnonzero(np.isin(block.rows["txn_id"], txn_id))
                if len(wanted):
                    parts.append(block.rows.take(wanted))
        return parts


def _segments_of(entry: Entry, service: Service) -> list[str]:
    names = [segment["name"] for segment in entry.body["segments"]]
    return [name for name in names if name.split("/")[0] == service.name.lower()]
