"""What a card's memory was when its journey was priced, computed again from the owner's journeys in the segments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from card_io.records import Service
from clearing.calendar import text_of
from clearing.centre import Centre
from clearing.explain.evidence import Evidence, Stored
from clearing.explain.model import Holding, Memory, Remembered
from clearing.journeys import Journeys, Told, journeys_of, told
from clearing.pricing import PRICE_COLUMNS, StepTaken
from clearing.records import Rows, concatenate, newest_decisions
from clearing.status import Disposition


def remembered(
    row: Rows, events: list[Stored], centre: Centre, evidence: Evidence, *, posted: bool
) -> tuple[Rows, int | None, Memory | None, tuple[StepTaken, ...]]:
    """The row priced as its newest decision says, what the tariff asks of the card, the memory behind it, the steps.

    Args:
        row: one row of a tariff that remembers, resolved again.
        events: its recorded decisions, oldest first.
        centre: as the batch of the newest decision knew it.
        evidence: where the owner's other journeys are.
        posted: whether the row is accepted; only those have a price.
    """
    if not posted:
        return row.with_columns(priced=np.zeros(1, np.uint8)), None, None, ()
    newest = events[-1]
    tariff_id = newest.batch.body["tariffs"][int(newest.rows["tariff"][0]) - 1]
    owner = centre.registers.owner_of(row["card_id"], row["operating_day"])
    journeys = _journeys(events, tariff_id, owner, centre, evidence)
    found = told(centre.prices, tariff_id, journeys, int(row["txn_id"][0]))
    stored = {name: newest.rows[name] for name in PRICE_COLUMNS}
    memory = Memory(
        owner=f"{int(owner[0]):016x}",
        counts=found.counts,
        journeys_before=found.journeys_before,
        accumulators=_accumulators(found, centre.prices.accumulators(tariff_id)),
        agrees=all(found.prices[name][0] == stored[name][0] for name in PRICE_COLUMNS),
    )
    return row.with_columns(**stored), found.card_pays, memory, found.steps


def _journeys(
    events: list[Stored], tariff_id: str, owner: npt.NDArray[np.uint64], centre: Centre, evidence: Evidence
) -> Journeys:
    """The owner's counting journeys as the newest decision knew them: what was received up to its window."""
    first, newest = events[0].rows, events[-1]
    moved = newest.rows["window"][0] != first["window"][0]
    window = int((newest.rows["window"] if moved else first["received_window"])[0])
    found = []
    for card in centre.registers.cards_of(owner[0]).tolist():
        for stored in evidence.rows("card_id", card):
            if stored.rows.service is Service.TRANSIT and stored.batch.sequence <= newest.batch.sequence:
                ids = ["", *stored.batch.body["tariffs"]]
                of_tariff = [ids[number] == tariff_id for number in stored.rows["tariff"].tolist()]
                found.append(stored.rows.take(np.flatnonzero(of_tariff)))
    rows = newest_decisions(concatenate(found))
    counting = (rows["disposition"] == Disposition.ACCEPTED) & (rows["received_window"] <= window)
    journeys = journeys_of(rows, np.flatnonzero(counting), centre.registers)
    return journeys.take(journeys["owner"] == owner)


def _accumulators(found: Told, numbers: dict[str, int]) -> tuple[Remembered, ...]:
    return tuple(
        Remembered(name, _held(found, number, before=True), _held(found, number, before=False))
        for name, number in numbers.items()
        if found.counts
    )


def _held(found: Told, accumulator: int, *, before: bool) -> Holding | None:
    memory = found.before if before else found.after
    rows = memory.take(memory.accumulator == accumulator)
    if not len(rows):
        return None
    return Holding(text_of(int(rows.since[0])), int(rows.value[0]), int(rows.count[0]))
