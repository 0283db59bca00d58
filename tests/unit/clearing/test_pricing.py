"""Journeys priced by the tariffs of a centre: amounts are exact, the verdict knows the operator's tolerance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from price_cases import TOLERATED_PRICES

from card_io.records import NULL, Mode, Service, fields_of
from clearing.calendar import seconds_of
from clearing.config import parse_settings
from clearing.initialise import initialise_centre
from clearing.pricing import PriceBook, price
from clearing.records import Rows, empty_bills
from clearing.status import PriceVerdict

NOON = seconds_of("2026-03-02T12:00:00")
BUS = 211


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pricing") / "centre"
    initialise_centre(directory, simulated=True, passphrase="pricing", scrypt_n=2)
    return directory


def book_with(centre: Path, tolerance: int) -> PriceBook:
    document = yaml.load((centre / "centre.yaml").read_text("utf-8"), yaml.CSafeLoader)
    for each in document["participants"]:
        if each["id"] == BUS:
            each["price_tolerance"] = tolerance
    return PriceBook.load(centre, parse_settings(yaml.safe_dump(document, allow_unicode=True), "centre.yaml"))


def journey(**changes: int) -> Rows:
    """One bus journey of an adult as pass 1 has resolved it."""
    columns = {
        field.name: np.full(1, NULL if field.nullable else 0, field.dtype) for field in fields_of(Service.TRANSIT)
    }
    columns |= {
        "merchant_id": np.array([BUS], np.uint32),
        "mode": np.array([Mode.BUS], np.uint8),
        "txn_time": np.array([NOON], np.int64),
        "operating_day": np.array([NOON // 86_400], np.int32),
        "register_class": np.zeros(1, np.uint8),
        "unflagged_transfer": np.zeros(1, np.uint8),
        "card_id": np.ones(1, np.uint64),
    }
    columns |= {name: np.array([value], columns[name].dtype) for name, value in changes.items()}
    return Rows(Service.TRANSIT, columns, empty_bills())


@pytest.mark.parametrize(("tolerance", "changes", "expected"), TOLERATED_PRICES)
def test_a_tolerance_is_for_the_verdict_and_moves_no_fen(
    centre: Path, tolerance: int, changes: dict[str, int], expected: tuple[object, ...]
) -> None:
    priced = price(journey(**changes), book_with(centre, tolerance))

    found = [int(priced[name][0]) for name in ("card_paid", "overcharge", "operator_borne")]
    assert (PriceVerdict(priced["price_verdict"][0]).name, *found) == expected
    assert priced["gross"][0] == priced["card_paid"][0] + priced["fund_paid"][0] + priced["operator_borne"][0]
