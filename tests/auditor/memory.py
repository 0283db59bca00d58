"""Tariffs that remember (rules §6): the journeys of one owner priced in their order, window of receipt by window."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from auditor.centre import Centre
from auditor.fares import Memory, Price, Tariff
from auditor.model import Row
from auditor.posting import charge
from auditor.times import DAY_SECONDS


@dataclass(frozen=True)
class Counted:
    """A journey, its own day by the tariff's clock, and when it counts; None = never."""

    row: Row
    day: int
    at: int | None


def tariff_of(row: Row, centre: Centre, tariffs: dict[str, Tariff]) -> str:
    """The tariff of a transit row that remembers; empty for any other."""
    merchant = centre.participants.get(row.value["merchant_id"])
    tariff_id = merchant.tariffs.get(row.value["mode"], "") if merchant and row.operating_day is not None else ""
    return tariff_id if tariff_id in tariffs and tariffs[tariff_id].remembers else ""


def covered(row: Row, centre: Centre, tariff: Tariff) -> bool:
    """Whether the tariff prices the row as the first journey of a card."""
    return _alone(_counted(row, tariff), centre, tariff) is not None


def settle(rows: list[Row], centre: Centre, tariffs: dict[str, Tariff]) -> None:
    """Price the accepted rows of all tariffs that remember; ``history`` of each row tells what changed later."""
    owners: dict[tuple[str, int], list[Counted]] = defaultdict(list)
    for row in rows:
        tariff_id = tariff_of(row, centre, tariffs)
        journey = _counted(row, tariffs[tariff_id])
        if journey.at is None:
            price = _alone(journey, centre, tariffs[tariff_id])
            assert price is not None
            _decide(row, price, row.received_window, centre)
        else:
            owners[tariff_id, centre.owner(row.card_id, row.operating_day)].append(journey)
    for (tariff_id, _), journeys in owners.items():
        for window in sorted({journey.row.received_window for journey in journeys}):
            received = [journey for journey in journeys if journey.row.received_window <= window]
            memory = Memory()
            for journey in sorted(received, key=_order):
                price = _price(journey, centre, tariffs[tariff_id], memory)
                assert price is not None
                _decide(journey.row, price, window, centre)


def _counted(row: Row, tariff: Tariff) -> Counted:
    """Late receipt by the tariff's policy."""
    time = row.value["entry_time"] if row.value["entry_time"] is not None else row.txn_time
    day = (time - tariff.day_starts) // DAY_SECONDS
    late = tariff.content["late"]
    if row.received_window <= day + late["grace_days"] or late["after_grace"] == "reprice":
        return Counted(row, day, time)
    if late["after_grace"] == "forward":
        return Counted(row, day, row.received_window * DAY_SECONDS + tariff.day_starts)
    return Counted(row, day, None)


def _order(journey: Counted) -> tuple[int, ...]:
    value = journey.row.value
    ties = (value["card_counter"], value["terminal_id"], value["terminal_counter"], journey.row.card_id)
    assert journey.at is not None
    return (journey.at, *(-1 if tie is None else tie for tie in ties), value["amount"])


def _alone(journey: Counted, centre: Centre, tariff: Tariff) -> Price | None:
    return _price(journey, centre, tariff, Memory())


def _price(journey: Counted, centre: Centre, tariff: Tariff, memory: Memory) -> Price | None:
    row = journey.row
    memory.now, memory.carried = journey.at or 0, journey.at != _own_time(row)
    card_class = register_class(row, centre)
    flagged = row.value["transfer_flag"] != 0
    taps = {**row.value, "txn_time": row.txn_time}
    return tariff.price(taps, journey.day, card_class, transfer=flagged, memory=memory)


def _own_time(row: Row) -> int | None:
    entry: int | None = row.value["entry_time"]
    return row.txn_time if entry is None else entry


def register_class(row: Row, centre: Centre) -> int:
    """The class of the register on the operating day."""
    if centre.issuers[row.value["issuer_id"]].cards != "register":
        return 0
    return centre.card_class(row.card_id, row.operating_day) or 0


def _decide(row: Row, price: Price, window: int, centre: Centre) -> None:
    """The first decision in the row's own window, later ones where the price is another."""
    charge(row, price, centre)
    if row.price_verdict != "MATCH" and row.value["card_class"] != register_class(row, centre):
        row.price_verdict = "CLASS_MISMATCH"
    row.rule = price.rule
    if not row.history or row.payers() != row.history[-1][1]:
        row.history.append((max(window, row.window) if row.history else row.window, row.payers()))
