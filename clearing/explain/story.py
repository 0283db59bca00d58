"""Puts the parts of an explanation together, and records whoever unmasks a card."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from card_io.records import RecordBlock
from clearing import calendar, pricing
from clearing.centre import Centre
from clearing.engine import opened
from clearing.errors import ClearingError, RefusedError
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
from clearing.explain.model import Explanation, Language, Origin
from clearing.explain.money import decision_of, price_of, settlement_of
from clearing.explain.source import DeliveredRow, delivered_row, source_of, unreadable_of
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
        told = _told(centre, evidence, intake, txn_id, unmask=unmask, language=language)
    finally:
        evidence.close()
    if unmask:
        _record_unmasking(directory, passphrase, txn_id, why)
    return told


def _told(
    centre: Centre, evidence: Evidence, intake: Entry, txn_id: int, *, unmask: bool, language: Language
) -> Explanation:
    decisions = evidence.decisions(txn_id)
    delivered = delivered_row(centre, intake, txn_id % ROWS_MAX)
    if decisions and delivered.block is not None:
        return _readable(centre, evidence, intake, decisions, delivered, delivered.block, unmask, language)
    listed = evidence.unreadable(txn_id)
    if listed is None or delivered.unreadable is None:
        raise ClearingError(
            "the row is received but not cleared yet", where=reference_of(txn_id), remedy="run: clearing run"
        )
    batch, segment = listed
    return Explanation(
        language=language,
        origin=_origin(centre, intake, txn_id, delivered),
        ladder=ladder_of_unreadable(),
        batch=sealed_entry(centre, batch),
        segment=sealed_segment(centre, segment),
        unreadable=unreadable_of(delivered.unreadable, unmask=unmask),
    )


def _readable(
    today: Centre,
    evidence: Evidence,
    intake: Entry,
    events: list[Stored],
    delivered: DeliveredRow,
    block: RecordBlock,
    unmask: bool,
    language: Language,
) -> Explanation:
    batch, stored = events[0].batch, events[-1].rows
    centre = centre_of_batch(today, batch)
    context = centre.context(intake.body["sender"], intake.at)
    row = pricing.price(resolve(block, delivered.delivered, context, centre.keys), centre.prices)
    status, disposition = ClearingStatus(stored["status"][0]), Disposition(stored["disposition"][0])
    recorded_tac = TacVerdict(stored["tac_verdict"][0])
    as_recorded = row.with_columns(tac_verdict=np.array([recorded_tac], np.uint8))
    decisions = tuple(decision_of(event, centre) for event in events)
    legs = decisions[-1].legs
    return Explanation(
        language=language,
        origin=_origin(centre, intake, int(stored["txn_id"][0]), delivered),
        ladder=ladder_of(as_recorded, context, status, disposition),
        batch=decisions[-1].batch,
        segment=decisions[-1].segment,
        source=source_of(block, int(row["card_id"][0]), unmask=unmask),
        content_hash=f"{int(stored['content_hi'][0]):016x}{int(stored['content_lo'][0]):016x}",
        tac=tac_proof(row, block, centre.keys.tac, recorded_tac),
        links=links_of(stored, evidence),
        register=register_facts(row, centre),
        price=price_of(row, centre, batch, posted=disposition is Disposition.ACCEPTED),
        legs=legs,
        decisions=decisions,
        settlement=settlement_of(stored, legs, centre, evidence),
    )


def _origin(centre: Centre, intake: Entry, txn_id: int, delivered: DeliveredRow) -> Origin:
    body = intake.body
    return Origin(
        txn_id=txn_id,
        reference=reference_of(txn_id),
        service=body["service"],
        file_no=body["file_no"],
        file=body["file"],
        format=body["format"],
        sender=party_of(centre, body["sender"]),
        file_date=body["file_date"],
        sequence=body["sequence"],
        row=txn_id % ROWS_MAX,
        received_at=calendar.text_of(intake.at),
        entry=sealed_entry(centre, intake),
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
