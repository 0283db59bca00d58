"""Puts the parts of an explanation together, and records whoever unmasks a card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from card_io.records import RecordBlock, UnreadableRow
from clearing import calendar, pricing
from clearing.centre import Centre
from clearing.engine import opened
from clearing.errors import ClearingError, EvidenceError, RefusedError
from clearing.explain.amends import corrections_of
from clearing.explain.checks import ladder_of, ladder_of_unreadable, register_facts, tac_proof
from clearing.explain.evidence import (
    ROWS_MAX,
    Evidence,
    Stored,
    centre_of_batch,
    intake_of,
    party_of,
    reference_of,
    sealed_entry,
    sealed_segment,
    txn_id_of,
)
from clearing.explain.links import links_of
from clearing.explain.memory import remembered
from clearing.explain.model import Explanation, Language, Origin
from clearing.explain.money import decision_of, expected_of, price_of, settlement_of
from clearing.explain.source import DeliveredRow, delivered_row, source_of, unreadable_of
from clearing.explain.steps import recomputed_of
from clearing.ledger.journal import Entry
from clearing.mac import TacVerdict
from clearing.resolve import resolve
from clearing.status import ClearingStatus, Disposition


def explain(
    directory: Path,
    txn: str,
    *,
    passphrase: str,
    unmask: bool = False,
    reason: str | None = None,
    language: Language,
) -> Explanation:
    """The story of one transaction, from its delivered bytes to its payment.

    Everything is judged as its batch judged it: settings, registers and tariffs come from the archive. The key
    store is today's; where a key came later, ``tac.agrees`` or ``ladder.reproduced`` says so.

    Args:
        directory: the centre.
        txn: ``FILE_NO:ROW`` or the integer txn_id.
        passphrase: of the key store.
        unmask: show the card number; it is recorded in the journal before it is shown.
        reason: why, required to unmask.
        language: in which :func:`~clearing.explain.render_text` tells it unless told otherwise.

    Raises:
        RefusedError: ``unmask`` without a reason.
        ClearingError: no such transaction, its file was refused, or it is not cleared yet.
        EvidenceError: archive, journal or segments are not what was sealed.
    """
    why = (reason or "").strip()
    if unmask and not why:
        raise RefusedError("a card is unmasked for a reason only", remedy="give the reason; the journal keeps it")
    txn_id = txn_id_of(txn)
    centre = Centre.open(directory, passphrase)
    intake = intake_of(centre, txn_id)
    evidence = Evidence.open(centre)
    try:
        told = _told(_Case(centre, evidence, intake, txn_id, unmask, language))
    finally:
        evidence.close()
    if unmask:
        _record_unmasking(directory, passphrase, txn_id, why)
    return told


@dataclass(frozen=True, slots=True)
class _Case:
    """What is asked, and where it is looked up."""

    centre: Centre
    evidence: Evidence
    intake: Entry
    txn_id: int
    unmask: bool
    language: Language


def _told(case: _Case) -> Explanation:
    delivered = delivered_row(case.centre, case.intake, case.txn_id % ROWS_MAX)
    events = case.evidence.decisions(case.txn_id)
    listed = case.evidence.unreadable(case.txn_id)
    if events and delivered.block is not None:
        return _readable(case, events, delivered, delivered.block)
    if listed is not None and delivered.unreadable is not None:
        return _unreadable(case, *listed, delivered, delivered.unreadable)
    where = reference_of(case.txn_id)
    if events or listed:
        raise EvidenceError("archive and segments disagree on the row", where=where, remedy="run: clearing verify")
    raise ClearingError("the row is received but not cleared yet", where=where, remedy="run: clearing run")


def _unreadable(
    case: _Case, batch: Entry, segment: dict[str, Any], delivered: DeliveredRow, row: UnreadableRow
) -> Explanation:
    return Explanation(
        language=case.language,
        origin=_origin(case, delivered),
        ladder=ladder_of_unreadable(),
        batch=sealed_entry(case.centre, batch),
        segment=sealed_segment(case.centre, segment),
        unreadable=unreadable_of(row, unmask=case.unmask),
    )


def _readable(case: _Case, events: list[Stored], delivered: DeliveredRow, block: RecordBlock) -> Explanation:
    """The row judged again as its first batch judged it, beside what the segments record of it."""
    batch, stored = events[0].batch, events[-1].rows
    centre = centre_of_batch(case.centre, batch)
    context = centre.context(case.intake.body["sender"], case.intake.at)
    resolved = resolve(block, np.array([case.txn_id]), delivered.delivered, context, centre.keys)
    row = pricing.price(resolved, centre.prices)
    status, disposition = ClearingStatus(stored["status"][0]), Disposition(stored["disposition"][0])
    recorded_tac = TacVerdict(stored["tac_verdict"][0])
    as_recorded = row.with_columns(tac_verdict=np.array([recorded_tac], np.uint8))
    later = {event.batch.sequence: centre_of_batch(case.centre, event.batch) for event in events[1:]}
    decisions = tuple(decision_of(event, later.get(event.batch.sequence, centre)) for event in events)
    standing = decisions[-1]
    posted = disposition is Disposition.ACCEPTED
    expected: int | None
    if int(row["tariff"][0]) in centre.prices.remembering:
        newest = later.get(events[-1].batch.sequence, centre)
        row, expected, memory, steps = remembered(row, events, newest, case.evidence, posted=posted)
    else:
        expected, memory, steps = expected_of(row, centre), None, pricing.trace_journey(centre.prices, row)
    return Explanation(
        language=case.language,
        origin=_origin(case, delivered),
        ladder=ladder_of(as_recorded, context, status, disposition),
        batch=standing.batch,
        segment=standing.segment,
        source=source_of(block, int(row["card_id"][0]), delivered.exchange_sha256, unmask=case.unmask),
        content_hash=f"{int(stored['content_hi'][0]):016x}{int(stored['content_lo'][0]):016x}",
        tac=tac_proof(row, block, centre.keys.tac, recorded_tac),
        links=links_of(stored, case.evidence),
        register=register_facts(row, centre),
        price=price_of(row, centre, batch, expected, steps, posted=posted),
        memory=memory,
        recomputed=recomputed_of(stored, centre, case.evidence, calendar.date_of(int(stored["window"][0]))),
        legs=standing.legs,
        decisions=decisions,
        corrections=corrections_of(case.txn_id, case.centre, case.evidence),
        settlement=settlement_of(stored, standing.legs, centre, case.evidence),
    )


def _origin(case: _Case, delivered: DeliveredRow) -> Origin:
    body = case.intake.body
    return Origin(
        txn_id=case.txn_id,
        reference=reference_of(case.txn_id),
        service=body["service"],
        file_no=body["file_no"],
        file=body["file"],
        format=body["format"],
        sender=party_of(case.centre, body["sender"]),
        file_date=body["file_date"],
        sequence=body["sequence"],
        row=case.txn_id % ROWS_MAX,
        received_at=calendar.text_of(case.intake.at),
        entry=sealed_entry(case.centre, case.intake),
        delivery=delivered.file,
    )


def _record_unmasking(directory: Path, passphrase: str, txn_id: int, reason: str) -> None:
    """Seal which transaction's card was looked at, and why; a simulated clock stands at the newest entry."""
    with opened(directory, passphrase, purpose="clearing explain") as (centre, projection):
        at = centre.journal.entries[-1].at if centre.settings.centre.simulated else calendar.wall_clock()
        body = {"txn_id": txn_id, "reason": reason}
        centre.journal.append("unmask", body, at=at, key=centre.signing)
        projection.catch_up(centre.journal)
        projection.publish(centre.journal)
