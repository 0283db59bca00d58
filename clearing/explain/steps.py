"""How tariffs get to their answers for one row: the journey as priced, the settlement or bills as recomputed."""

from __future__ import annotations

import datetime

import numpy as np

from card_io.records import Columns, Service
from clearing import paid_bills, pricing, recompute, settled_visits
from clearing.centre import Centre
from clearing.config import Participant
from clearing.explain.evidence import Evidence, party_of
from clearing.explain.model import Difference, Recomputed, Step, StepChange, Text
from clearing.pricing import StepTaken
from clearing.recomputed import StepsTaken, Uncovered
from clearing.records import Rows


def shown_steps(taken: tuple[StepTaken, ...]) -> tuple[Step, ...]:
    """Steps of a tariff with the amounts each of them changed."""
    return tuple(
        Step(
            step=each.step,
            rule=each.rule,
            priced=each.priced,
            changes=tuple(
                StepChange(
                    column=name,
                    name=Text(*pricing.column_names(name)),
                    before=each.before.get(name, 0),
                    after=each.after[name],
                    money=pricing.counts_fen(name),
                )
                for name in each.changed
            ),
        )
        for each in taken
    )


def recomputed_of(row: Rows, centre: Centre, evidence: Evidence, date: datetime.date) -> tuple[Recomputed, ...]:
    """What tariffs say of an accepted settlement, or of each bill of a payment; nothing for other rows.

    Args:
        row: the decided row.
        centre: with the tariffs of its batch; those of the close may be newer.
        evidence: where the years of its person or accounts are read.
        date: window of the row.
    """
    txn_id = int(row["txn_id"][0])
    if row.service is Service.MEDICAL and row["cancel"][0] == 0:
        return tuple(_visit(txn_id, int(row["card_id"][0]), centre, evidence, date))
    if row.service is Service.UTILITY:
        return tuple(_bills(txn_id, centre, evidence, date))
    return ()


def _visit(txn_id: int, card: int, centre: Centre, evidence: Evidence, date: datetime.date) -> list[Recomputed]:
    rows = _judging(recompute.medical_years(evidence.store, date, centre.prices, card), txn_id)
    if not rows["judged"].any():
        return []
    own = int(np.flatnonzero(rows["judged"])[0])
    insurers = [p for p in centre.settings.participants if p.kind == "insurer" and p.region == rows["region"][own]]
    found = recompute.medical_findings(rows, centre.settings, centre.prices)
    if not insurers or insurers[0].tariff is None:
        return [_without_tariff(None, insurers[0].id if insurers else 0, centre)]
    of_region = np.flatnonzero(rows["region"] == rows["region"][own])
    place = int(np.searchsorted(of_region, own))
    taken = settled_visits.visit_steps(_at(rows, of_region), centre.prices, insurers[0].tariff, place)
    return [_recomputed(None, insurers[0], taken, found, centre)]


def _bills(txn_id: int, centre: Centre, evidence: Evidence, date: datetime.date) -> list[Recomputed]:
    rows = _judging(recompute.utility_years(evidence.store, date, centre.prices, txn_id), txn_id)
    found = recompute.utility_findings(rows, centre.settings, centre.prices)
    told = []
    for own in sorted(np.flatnonzero(rows["judged"]).tolist(), key=lambda at: int(rows["bill_no"][at])):
        bill_no, number = int(rows["bill_no"][own]), int(rows["utility_id"][own])
        utility = next((p for p in centre.settings.participants if p.id == number), None)
        if utility is None or utility.tariff is None:
            told.append(_without_tariff(bill_no, number, centre))
            continue
        of_utility = np.flatnonzero(rows["utility_id"] == number)
        place = int(np.searchsorted(of_utility, own))
        taken = paid_bills.bill_steps(_at(rows, of_utility), centre.prices, utility.tariff, place)
        told.append(_recomputed(bill_no, utility, taken, found, centre))
    return told


def _judging(rows: Columns, txn_id: int) -> Columns:
    """The rows with only one transaction to be judged."""
    return {**rows, "judged": (rows["txn_id"] == txn_id).astype(np.int64)}


def _at(rows: Columns, places: np.ndarray) -> Columns:
    return {name: column[places] for name, column in rows.items()}


def _without_tariff(bill_no: int | None, number: int, centre: Centre) -> Recomputed:
    return Recomputed(bill_no, party_of(centre, number), None, None, None, str(Uncovered.NO_TARIFF), (), ())


def _recomputed(
    bill_no: int | None, participant: Participant, taken: StepsTaken, found: recompute.Recomputation, centre: Centre
) -> Recomputed:
    dated = centre.prices.book[taken.tariff].segments[taken.segment] if taken.segment >= 0 else None
    return Recomputed(
        bill_no=bill_no,
        participant=party_of(centre, participant.id),
        tariff=taken.tariff,
        segment=f"{taken.segment}: {dated.first} – {dated.last}" if dated is not None else None,
        rule=taken.rule or None,
        uncovered=taken.uncovered or None,
        steps=shown_steps(taken.steps),
        differences=tuple(
            Difference(each.field, each.mismatch, each.delivered, each.recomputed)
            for each in found.findings
            if each.bill_no == bill_no
        ),
    )
