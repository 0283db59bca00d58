"""Decisions whose price later receipts change: linked reversals and new decisions (docs/clearing-rules.md §6).

Only the price moves: placing, status and purse leg stay, so a row decided by an earlier run is taken from its segment
as it is and nothing is read from the archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from card_io.records import Service
from clearing.caches import with_identities
from clearing.centre import Centre
from clearing.ledger.journal import Entry
from clearing.ledger.segments import read_segment, segment_fields
from clearing.records import Rows, concatenate, newest_decisions
from clearing.remembering import Step
from clearing.status import Disposition

Ints = npt.NDArray[np.int64]

_KEPT = [*(f.name for f in segment_fields(Service.TRANSIT)), "content_lo", "content_hi", "party"]
"""What is posted, hashed and written of a row."""


def decided_before(centre: Centre, txn_id: Ints) -> Rows | None:
    """The newest decisions of transit rows of earlier batches by txn_id (ascending), from their segments."""
    found = []
    for name in _segments_about(centre, txn_id):
        path = centre.directory / "segments" / name
        listed = pq.read_table(path, columns=["txn_id"], memory_map=True).column("txn_id").to_numpy()
        at = np.flatnonzero(np.isin(listed, txn_id))
        if len(at):
            found.append(read_segment(centre.directory / "segments", name).take(at))
    if not found:
        return None
    rows = newest_decisions(concatenate(found))
    party = centre.registers.parties.position(rows["merchant_id"]).astype(np.int32)
    return with_identities(centre, rows).with_columns(party=party)


def _segments_about(centre: Centre, txn_id: Ints) -> Iterator[str]:
    """Segments of the batches that decided the rows' files, and all later events, in the order written."""
    files = set(np.unique(txn_id >> 32).tolist())
    for entry in centre.journal.of_kind("batch"):
        decided = any(file["file_no"] in files for file in entry.body["files"])
        yield from (name for name in transit_segments(entry) if decided or "events" in name)


def transit_segments(entry: Entry) -> list[str]:
    """The transit segments of a batch: those of its rows, then those of events."""
    names = [str(segment["name"]) for segment in entry.body["segments"]]
    return [name for name in names if name.startswith("transit/")]


class Corrections:
    """The rows of one batch that its steps change, and the events that follow."""

    def __init__(self, centre: Centre, steps: list[Step]) -> None:
        """For the steps that a batch's fares give."""
        self._centre, self._steps = centre, steps
        self.changing = np.unique(np.concatenate([np.empty(0, np.int64), *(step.txn_id for step in steps)]))
        self._current: list[Rows] = []

    def keep(self, rows: Rows | None) -> None:
        """Note those of some rows, as they are decided now, that the steps change; before any event is made."""
        if rows is None or rows.service is not Service.TRANSIT or not len(rows) or not len(self.changing):
            return
        txn_id = rows["txn_id"]
        # A block's handles lie close together, so few changes can be of its rows.
        near = self.changing[slice(*np.searchsorted(self.changing, (txn_id.min(), txn_id.max() + 1)))]
        here = np.flatnonzero(np.isin(txn_id, near)) if len(near) else near
        if len(here):
            self._current.append(rows.only(_KEPT).take(here))

    def events(self) -> list[Rows]:
        """Reversals and new decisions, window after window."""
        if not len(self.changing):
            return []
        known = np.concatenate([np.empty(0, np.int64), *(rows["txn_id"] for rows in self._current)])
        self.keep(decided_before(self._centre, np.setdiff1d(self.changing, known)))
        current = concatenate(self._current)
        current = current.take(np.argsort(current["txn_id"]))
        assert np.array_equal(current["txn_id"], self.changing), "every row whose price changes was decided"
        events: list[Rows] = []
        for step in self._steps:
            at = np.searchsorted(self.changing, step.txn_id)
            before = current.take(at)
            assert np.all(before["disposition"] == Disposition.ACCEPTED), "only accepted journeys count"
            window = np.where(step.own, before["window"], np.maximum(before["window"], step.window))
            event = before.with_columns(event=before["event"] + np.uint8(1), window=window.astype(np.int32))
            after = event.with_columns(**_as_stored(step.prices, before))
            events += [event.with_columns(sign=np.full(len(at), -1, np.int8)), after]
            current = _put(current, at, after)
        return events


def _as_stored(prices: dict[str, npt.NDArray[Any]], rows: Rows) -> dict[str, npt.NDArray[Any]]:
    return {name: column.astype(rows[name].dtype) for name, column in prices.items()}


def _put(rows: Rows, at: Ints, changed: Rows) -> Rows:
    columns = {}
    for name, column in rows.columns.items():
        columns[name] = column.copy()
        columns[name][at] = changed[name]
    return rows.with_columns(**columns)
