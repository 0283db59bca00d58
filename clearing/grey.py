"""Grey records, decided at each close by what the card did elsewhere (docs/clearing-rules.md §5).

A terminal that could not learn what became of a torn debit delivers it as grey; it is held, and open. Later verified
records of the same card decide it by linked events: another transaction at its counter disproves it, its own
resolved record replaces it, and, once no record can come any more that would claim its counter, an unbroken chain of
counters and balances proves it. A proved one moves to the suspense account of its merchant: the card has paid, no
TAC says whom. What nothing decides stays open for a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from card_io.records import LOAD_TYPES, NULL, Service
from clearing import posting
from clearing.caches import with_identities
from clearing.calendar import received_window
from clearing.centre import Centre
from clearing.decide import CREDIT_SERVICES, dispositions
from clearing.history import History
from clearing.identity import NO_KEY
from clearing.ledger.journal import Entry
from clearing.ledger.segments import read_segment
from clearing.mac import TacVerdict
from clearing.records import Rows, concatenate, newest_decisions
from clearing.replay import REPEATS, Competitors
from clearing.status import ClearingStatus

Ints = npt.NDArray[np.int64]

SEGMENT: Final = "events-grey"
"""Ending of the names of segments that hold these events."""

LOOKED_AT: Final = 7
"""Days for which an expired row is looked at again: its witness may come a little later."""

_OPEN: Final = (ClearingStatus.GREY_RECORD, ClearingStatus.GREY_PROVEN)
_PURSE_SERVICES: Final = tuple(service for service in Service if service is not Service.BENEFIT)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a grey row becomes: row position, new status, transaction that decides it."""

    at: int
    status: ClearingStatus
    witness: int


def grey_events(centre: Centre, history: History, window: int) -> Iterator[list[Rows]]:
    """(reversals, new decisions) of grey rows of each service that the close of ``window`` decides.

    Rows and evidence are those received up to the window, so the number of runs changes nothing; events post in the
    window, or later with their row.
    """
    calendar = centre.settings.calendar
    last = max((entry.body["window"] for entry in centre.journal.of_kind("close")), default=window)
    horizon = window - 2 * calendar.late_days_max - 2
    batches = [
        entry for entry in centre.journal.of_kind("batch") if int(received_window(entry.at, calendar)) >= horizon
    ]
    for service in Service:
        rows = _open_rows(centre, batches, service, window)
        if rows is None:
            continue
        standing = history.standing(np.unique(rows["card_id"]))
        if standing is not None:
            standing = standing.take((standing.stood == 0) & (standing.received_window <= window))
        found = _decided_at_once(rows, standing)
        decided = {decision.at for decision in found}
        deadline = rows["received_window"].astype(np.int64) + calendar.late_days_max
        due = (deadline < window) & (deadline >= last - LOOKED_AT) & (rows["status"] == ClearingStatus.GREY_RECORD)
        expired = [int(at) for at in np.flatnonzero(due) if int(at) not in decided]
        if expired and service not in CREDIT_SERVICES:
            found += _proved_by_chain(centre, batches, rows, expired, window)
        if found:
            yield _events(centre, rows, found, window)


def _events(centre: Centre, rows: Rows, found: list[Decision], window: int) -> list[Rows]:
    found = sorted(found, key=lambda decision: decision.at)
    before = rows.take(np.array([decision.at for decision in found], np.int64))
    moved = np.maximum(before["window"], window).astype(np.int32)
    before = before.with_columns(event=before["event"] + np.uint8(1), window=moved)
    status = np.array([decision.status for decision in found], np.int16)
    disposition = dispositions(before.service, status, centre.settings)
    after = before.with_columns(
        status=status,
        disposition=disposition,
        linked_txn_id=np.array([decision.witness for decision in found], np.int64),
    )
    after = after.with_columns(posting_template=posting.choose_templates(after, disposition))
    return [before.with_columns(sign=np.full(len(before), -1, np.int8)), after]


def _open_rows(centre: Centre, batches: list[Entry], service: Service, until: int) -> Rows | None:
    """Newest decisions of rows that were grey at first and are not decided against, in order of txn_id."""
    folder, name = centre.directory / "segments", service.name.lower()
    found = []
    for entry in batches:
        results = {result[0] for file in entry.body["files"] for result in file["results"]}
        for segment in (str(each["name"]) for each in entry.body["segments"]):
            if segment.split("/")[0] != name or not (ClearingStatus.GREY_RECORD in results or SEGMENT in segment):
                continue
            bills = f"bill/{segment.split('/')[1]}" if service is Service.UTILITY else None
            rows = read_segment(folder, segment, bills=bills)
            wanted = np.isin(rows["status"], _OPEN) | np.full(len(rows), SEGMENT in segment)
            if wanted.any():
                found.append(rows.take(np.flatnonzero(wanted)))
    if not found:
        return None
    newest = newest_decisions(concatenate(found))
    still_open = np.isin(newest["status"], _OPEN) & (newest["card_counter"] != NULL)
    newest = newest.take(np.flatnonzero(still_open & (newest["received_window"] <= until)))
    if not len(newest):
        return None
    party = centre.registers.parties.position(newest["merchant_id"]).astype(np.int32)
    return with_identities(centre, newest.with_columns(party=party))


def _decided_at_once(rows: Rows, standing: Competitors | None) -> list[Decision]:
    """Rows whose own record stands by now, or at whose counter another transaction does; and rows told twice."""
    found: list[Decision] = []
    first: dict[tuple[int, int], int] = {}
    by_identity: dict[tuple[int, int], int] = {}
    by_counter: dict[int, int] = {}
    if standing is not None:
        for at in range(len(standing)):
            txn_id = int(standing.txn_id[at])
            by_identity[int(standing.identity_lo[at]), int(standing.identity_hi[at])] = txn_id
            by_counter[int(standing.counter_key[at])] = txn_id
    for at in range(len(rows)):
        identity = int(rows["identity_lo"][at]), int(rows["identity_hi"][at])
        counter = int(rows["counter_key"][at])
        if identity in by_identity:
            found.append(Decision(at, ClearingStatus.REPLAY, by_identity[identity]))
        elif identity in first:
            found.append(Decision(at, ClearingStatus.REPLAY, first[identity]))
        elif counter in by_counter and counter != NO_KEY and rows["tac_verdict"][at] != TacVerdict.VERIFIED:
            found.append(Decision(at, ClearingStatus.GREY_DISPROVEN, by_counter[counter]))
        first.setdefault(identity, int(rows["txn_id"][at]))
    return found


@dataclass(frozen=True, slots=True)
class _Spend:
    """A debit at its counter: what it took, what stood before, when; ``txn_id`` of a verified one."""

    amount: int
    balance_before: int
    time: int
    txn_id: int | None


def _proved_by_chain(
    centre: Centre, batches: list[Entry], rows: Rows, expired: list[int], until: int
) -> list[Decision]:
    """Rows from which an unbroken run of counters leads to a verified debit whose balance adds up."""
    cards = {int(rows["card_id"][at]) for at in expired}
    debits, loads = _witnesses(centre, batches, cards, until)
    for at in range(len(rows)):
        place = int(rows["card_id"][at]), int(rows["purse_kind"][at]), int(rows["card_counter"][at])
        debits.setdefault(place, _spend_of(rows.columns, at, verified=False))
    found = []
    for at in expired:
        card, purse, counter = (int(rows[name][at]) for name in ("card_id", "purse_kind", "card_counter"))
        balance, start = int(rows["balance_before"][at]), int(rows["txn_time"][at])
        spend = debits.get((card, purse, counter))
        while spend is not None and spend.txn_id is None and balance != NULL:
            balance -= spend.amount
            counter += 1
            spend = debits.get((card, purse, counter))
        if spend is None or balance == NULL or spend.balance_before == NULL:
            continue
        loaded = sum(amount for time, amount in loads.get((card, purse), ()) if start < time <= spend.time)
        if spend.txn_id is not None and spend.balance_before == balance + loaded:
            found.append(Decision(at, ClearingStatus.GREY_PROVEN, spend.txn_id))
    return found


def _witnesses(
    centre: Centre, batches: list[Entry], cards: set[int], until: int
) -> tuple[dict[tuple[int, int, int], _Spend], dict[tuple[int, int], list[tuple[int, int]]]]:
    """Verified debits by (card, purse, counter) and loads (time, fen) by (card, purse) of some cards."""
    debits: dict[tuple[int, int, int], _Spend] = {}
    loads: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for service in _PURSE_SERVICES:
        rows = _rows_of(centre, batches, service, np.array(sorted(cards), np.uint64))
        if rows is None:
            continue
        verified = (rows["tac_verdict"] == TacVerdict.VERIFIED) & (rows["card_counter"] != NULL)
        verified &= (rows["received_window"] <= until) & ~np.isin(rows["status"], (*REPEATS, ClearingStatus.CONFLICT))
        for at in np.flatnonzero(verified).tolist():
            card, purse, counter = (int(rows[name][at]) for name in ("card_id", "purse_kind", "card_counter"))
            if rows["txn_type"][at] in LOAD_TYPES:
                loads.setdefault((card, purse), []).append((int(rows["txn_time"][at]), int(rows["amount"][at])))
            else:
                debits[card, purse, counter] = _spend_of(rows.columns, at, verified=True)
    return debits, loads


def _rows_of(centre: Centre, batches: list[Entry], service: Service, cards: npt.NDArray[np.uint64]) -> Rows | None:
    """Newest decisions of a service's rows of some cards; only segments that have one are read whole."""
    folder, found = centre.directory / "segments", []
    for entry in batches:
        for name in (str(each["name"]) for each in entry.body["segments"]):
            if name.split("/")[0] != service.name.lower():
                continue
            listed = pq.read_table(folder / name, columns=["card_id"], memory_map=True).column("card_id").to_numpy()
            here = np.flatnonzero(np.isin(listed, cards))
            if len(here):
                found.append(read_segment(folder, name).take(here))
    return newest_decisions(concatenate(found)) if found else None


def _spend_of(columns: dict[str, npt.NDArray[Any]], at: int, *, verified: bool) -> _Spend:
    amount, before, time, txn_id = (
        int(columns[name][at]) for name in ("amount", "balance_before", "txn_time", "txn_id")
    )
    return _Spend(amount, before, time, txn_id if verified else None)
