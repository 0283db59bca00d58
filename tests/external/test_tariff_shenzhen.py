"""Amounts debited from 19,495 real Shenzhen Tong cards, predicted by the rules from the gross fare.

The data carries no card type, so rows that are not adult are told apart here, by the published class rules and
not by the tariff: their class is a sidecar input, and then the arithmetic must hold on every row.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import tariffs
from tariffs import CardClass, TransitJourneys, TransitPrices, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

LIBRARY = Path(tariffs.__file__).parent / "library"
TRANSFER_DISCOUNT = 40


@dataclass(frozen=True)
class Record:
    """A paid row: which rule file prices it, what the terminal saw and what the card paid, in fen."""

    tariff: str
    day: date
    gross: int
    debited: int
    transfer: bool


@pytest.fixture
def records(shared_data: Path) -> list[Record]:
    """Rows with a gross fare, of both files."""
    rows: list[dict[str, str]] = []
    for name in ("szt_10000.csv", "szt_25000.csv"):
        with (shared_data / "shenzhen-tong" / name).open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return [
        Record(
            tariff="shenzhen.bus" if row["deal_type"] == "巴士" else "shenzhen.metro",
            day=date.fromisoformat(row["deal_date"][:10]),
            gross=int(row["deal_value"]),
            debited=int(row["deal_money"]),
            transfer=row["conn_mark"] == "1",
        )
        for row in rows
        if int(row["deal_value"]) > 0
    ]


def price(records: list[Record], classes: list[CardClass], transfers: list[bool]) -> np.ndarray:
    """What the library's rules let each card pay, int64 fen."""
    paid = np.full(len(records), -1)
    for tariff_id in ("shenzhen.bus", "shenzhen.metro"):
        tariff = load_tariff(LIBRARY / f"{tariff_id}.yaml")
        rows = np.array([i for i, record in enumerate(records) if record.tariff == tariff_id])
        days = {records[i].day for i in rows}
        assert {tariff.segment_on(day) for day in days} == {0}
        journeys = TransitJourneys.of(
            len(rows),
            gross_fare=[records[i].gross for i in rows],
            card_class=[classes[i] for i in rows],
            transfer=[transfers[i] for i in rows],
        )
        prices: TransitPrices = price_transit(compile_tariff(tariff, min(days)), journeys)
        assert prices.priced.all()
        assert (prices.card_pays + prices.operator_bears == prices.gross).all()
        paid[rows] = prices.card_pays
    return paid


def sidecar(record: Record, adult_without_transfer: int) -> tuple[str, CardClass, bool]:
    """Kind of an exceptional row from its amounts, with the class and transfer flag that go with it."""
    if record.debited == 0:
        return "free", CardClass.FREE, record.transfer
    if 2 * record.debited == record.gross:
        return "half", CardClass.HALF, record.transfer
    if record.debited == record.gross:
        return "none", CardClass.NONE, record.transfer
    assert not record.transfer
    assert record.debited == adult_without_transfer - TRANSFER_DISCOUNT, record
    return "unflagged transfer", CardClass.ADULT, True


def test_rules_predict_the_debited_amounts(records: list[Record], answered: Callable[[int], None]) -> None:
    debited = np.array([record.debited for record in records])
    classes = [CardClass.ADULT] * len(records)
    transfers = [record.transfer for record in records]
    adult = price(records, classes, transfers)
    exact = adult == debited
    assert (len(records), int(exact.sum())) == (19_495, 17_614)

    kinds: Counter[str] = Counter()
    for row in np.flatnonzero(~exact):
        kind, classes[row], transfers[row] = sidecar(records[row], int(adult[row]))
        kinds[kind] += 1
    assert kinds == {"half": 1_034, "free": 558, "none": 86, "unflagged transfer": 203}
    np.testing.assert_array_equal(price(records, classes, transfers), debited)
    answered(len(records))
