"""Settlements and bills recomputed by more of the vocabulary than the demo city uses; what records lack for it."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from card_io.records import BILL_FIELDS, MEDICAL_FIELDS, NULL, Columns
from clearing.calendar import day_number
from clearing.config import Settings, load_settings
from clearing.initialise import initialise_centre
from clearing.paid_bills import bill_steps
from clearing.pricing import PriceBook
from clearing.recompute import Recomputation, medical_findings, utility_findings, years_back
from clearing.settled_visits import visit_steps

LIBRARY = Path(__file__).parents[3] / "tariffs" / "library"
DAY = day_number(datetime.date(2026, 3, 2))
EMPLOYEES, RESIDENTS, REGISTERS, PREPAID, BUSINESS = (
    "demo.employee.outpatient", "demo.resident.outpatient", "demo.electricity_tou", "demo.prepaid_electricity",
    "demo.electricity_business",
)  # fmt: skip
HOUSEHOLDS = "test.households"


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("vocabulary") / "centre"
    initialise_centre(directory, simulated=True, passphrase="x", scrypt_n=2)
    for name in (EMPLOYEES, RESIDENTS, REGISTERS, PREPAID, BUSINESS):
        shutil.copy(LIBRARY / f"{name}.yaml", directory / "tariffs")
    content = yaml.load((LIBRARY / f"{EMPLOYEES}.yaml").read_text("utf-8"), yaml.CSafeLoader)
    content |= {"id": HOUSEHOLDS, "tests": [{"name": "none", "date": datetime.date(2026, 3, 2), **_NOTHING}]}
    limit = {
        "per": "household", "period": "calendar_month", "fund": "oth_pay", "rounding": "half_up", "counted_from": 0,
        "by": [{"income_class": 1, "base": 50_000}],
    }  # fmt: skip
    content["steps"].insert(-1, {"monthly_limit": limit})
    (directory / "tariffs" / f"{HOUSEHOLDS}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    return directory


_NOTHING = {"rows": [{"insured": 999, "level": 1, "category_a": 1}], "expect": [{"priced": False}]}


@pytest.fixture(scope="module")
def book(centre: Path) -> PriceBook:
    return PriceBook.load(centre, load_settings(centre))


def with_tariff(book: PriceBook, number: int, tariff: str) -> Settings:
    changed = tuple(
        each.model_copy(update={"tariff": tariff}) if each.id == number else each
        for each in book.settings.participants
    )
    return book.settings.model_copy(update={"participants": changed})


def visits(*changes: dict[str, int]) -> Columns:
    """Settlements of 1,000.00 yuan of 甲 at a first-level institution, nothing paid by anybody but the person."""
    ordinary = {field.name: 0 for field in MEDICAL_FIELDS} | {
        **{field.name: NULL for field in MEDICAL_FIELDS if field.optional},
        "txn_id": 0, "judged": 1, "card_id": 7, "region": 310400, "day": DAY, "institution": 5,
        "institution_level": 1, "insured_type": 1, "visit_kind": 1, "amount": 0, "category_a_amt": 100_000,
        "medfee_sumamt": 100_000, "inscp_scp_amt": 100_000, "psn_cash_pay": 100_000,
    }  # fmt: skip
    rows = [{**ordinary, "txn_id": at, "settlement_id": at, **each} for at, each in enumerate(changes, 1)]
    return {name: np.array([row[name] for row in rows], np.int64) for name in ordinary}


WORKING = {
    "person_type": 11, "relation": 0, "category_b_service_amt": 0, "category_b_material_amt": 0,
}  # fmt: skip
FIRST = {**WORKING, "act_pay_dedc": 50_000, "hifp_pay": 40_000, "psn_cash_pay": 60_000}
LATER = {**WORKING, "hifp_pay": 80_000, "psn_cash_pay": 20_000}


def found(recomputed: Recomputation) -> list[tuple[int, str, str, int | None, int, int]]:
    return [
        (each.txn_id, each.field, each.mismatch, each.payer, each.delivered, each.recomputed)
        for each in recomputed.findings
    ]


def employees(book: PriceBook, *changes: dict[str, int]) -> Recomputation:
    return medical_findings(visits(*changes), with_tariff(book, 400, EMPLOYEES), book)


def test_a_year_settled_by_the_tariff_has_no_findings(book: PriceBook) -> None:
    abroad = {**WORKING, "relation": 2, "preselfpay_amt": 10_000, "inscp_scp_amt": 90_000, "hifp_pay": 57_600}
    abroad["psn_cash_pay"] = 42_400
    recomputed = employees(book, FIRST, LATER, abroad)

    assert (recomputed.bills, recomputed.covered, found(recomputed), recomputed.uncovered) == (3, 3, [], {})


def test_the_second_fund_is_compared_and_is_the_payer(book: PriceBook) -> None:
    """A million fen of 甲: cap of the basic fund 400,000; half of what is left above 200,000 by the second fund."""
    big = {**WORKING, "category_a_amt": 1_000_000, "medfee_sumamt": 1_000_000, "inscp_scp_amt": 1_000_000}
    big |= {"act_pay_dedc": 50_000, "hifp_pay": 400_000}
    right = {**big, "hifob_pay": 200_000, "psn_cash_pay": 400_000}
    assert found(employees(book, right)) == []
    assert found(employees(book, {**big, "psn_cash_pay": 600_000})) == [
        (1, "hifob_pay", "FUND_UNDERPAID", 415, 0, 200_000),
        (1, "psn_cash_pay", "OVERCHARGE", 0, 600_000, 400_000),
    ]


def test_its_counters_go_on_over_visits_and_come_back_with_a_cancellation(book: PriceBook) -> None:
    big = {**WORKING, "category_a_amt": 1_000_000, "medfee_sumamt": 1_000_000, "inscp_scp_amt": 1_000_000}
    first = {**big, "act_pay_dedc": 50_000, "hifp_pay": 400_000, "hifob_pay": 200_000, "psn_cash_pay": 400_000}
    # The basic fund is used up; the deductible of the second one too, 400,000 of its first band of a million.
    second = {**big, "hifob_pay": 540_000, "psn_cash_pay": 460_000}
    assert found(employees(book, first, second)) == []
    cancelled = {**first, "cancel": 1, "settlement_id": 1}
    assert found(employees(book, first, cancelled, first)) == []
    assert {name for _, name, *_ in found(employees(book, first, cancelled, second))} >= {"hifob_pay", "hifp_pay"}


def test_accounts_are_compared_where_the_tariff_lets_them_pay(book: PriceBook) -> None:
    """Residents have no account of their own, and a family's pays only for what is in scope."""
    person = {"insured_type": 2, "aid": 0, "relation": 0, "visit_kind": 0, "category_c_amt": 10_000}
    person |= {"medfee_sumamt": 110_000, "fulamt_ownpay_amt": 10_000, "hifp_pay": 60_000}
    paid = {**person, "acct_mulaid_pay": 45_000, "psn_cash_pay": 5_000}
    recomputed = medical_findings(visits(paid), with_tariff(book, 400, RESIDENTS), book)

    assert found(recomputed) == [
        (1, "acct_mulaid_pay", "ACCOUNT_OVERPAID", 400, 45_000, 40_000),
        (1, "psn_cash_pay", "UNDERCHARGE", 0, 5_000, 10_000),
    ]


def test_a_household_shares_its_month(book: PriceBook) -> None:
    """500.00 yuan a month for all members together: what is above falls to the limit's fund."""
    settings = with_tariff(book, 400, HOUSEHOLDS)
    family = {**FIRST, "household": 3, "income_class": 1}
    one = {**family, "oth_pay": 10_000, "psn_cash_pay": 50_000}
    other = {**family, "card_id": 8, "oth_pay": 60_000, "psn_cash_pay": 0}
    assert found(medical_findings(visits(one, other), settings, book)) == []
    stranger = {**one, "card_id": 8, "household": 4}
    assert found(medical_findings(visits(one, stranger), settings, book)) == []
    april = {**other, "day": DAY + 31, "oth_pay": 10_000, "psn_cash_pay": 50_000}
    assert found(medical_findings(visits(one, april), settings, book)) == []
    assert {row for row, *_ in found(medical_findings(visits(one, {**other, "household": 4}), settings, book))} == {2}


@pytest.mark.parametrize("column", ["person_type", "relation", "category_b_service_amt", "category_b_material_amt"])
def test_a_column_that_lacks_is_named_and_what_lies_behind_is_not_judged(book: PriceBook, column: str) -> None:
    recomputed = employees(
        book, {**FIRST, column: NULL, "hifp_pay": 1}, {**LATER, "hifp_pay": 2}, {**FIRST, "card_id": 9}
    )

    assert (recomputed.bills, recomputed.covered, recomputed.findings) == (3, 1, ())
    assert recomputed.uncovered == {(400, "lacks", column): 1, (400, "behind", ""): 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"insured_type": 2}, (400, "no_terms", "")),
        ({"day": day_number(datetime.date(2028, 1, 1))}, (400, "outside", "")),
        ({"region": 1}, (0, "no_tariff", "")),
    ],
)
def test_other_reasons_not_to_compare(book: PriceBook, change: dict[str, int], reason: tuple[int, str, str]) -> None:
    assert employees(book, {**FIRST, **change}).uncovered == {reason: 1}


# --- bills ----------------------------------------------------------------------------------


def bills(*changes: dict[str, int]) -> Columns:
    """Bills of one electricity account of three persons, 1,000 kWh."""
    ordinary = {field.name: NULL if field.optional else 0 for field in BILL_FIELDS} | {
        "txn_id": 0, "bill_no": 0, "judged": 1, "utility_id": 612, "account": 5, "period": 202601,
        "household_size": 3, "usage": 1_000_000,
    }  # fmt: skip
    rows = [{**ordinary, "txn_id": at, "bill_no": at, **each} for at, each in enumerate(changes, 1)]
    names = [name for name in ordinary if name not in ("bill_id", "commodity")]
    return {name: np.array([row[name] for row in rows], np.int64) for name in names}


PEAK, VALLEY = 700_000, 300_000
READ = {"usage_register_1": PEAK, "usage_register_2": VALLEY, "days": 31, "days_overdue": 0}
FAIR = 700 * 5583 // 100 + 300 * 3583 // 100


def by(book: PriceBook, tariff: str, *changes: dict[str, int]) -> Recomputation:
    return utility_findings(bills(*changes), with_tariff(book, 612, tariff), book)


def test_registers_tiers_and_late_fees(book: PriceBook) -> None:
    """Two bills in the first tier of 2,880 kWh; the third crosses it with the valley register; ten days cost 1 %."""
    second = {**READ, "period": 202602, "bill_amount": FAIR}
    crossing = {**READ, "period": 202603, "usage_register_1": PEAK, "bill_amount": 0}
    crossing["bill_amount"] = 700 * 5583 // 100 + 180 * 3583 // 100 + -(-120 * 4083 // 100)
    late = {**READ, "account": 6, "days_overdue": 10, "bill_amount": FAIR + (FAIR + 50) // 100}
    recomputed = by(book, REGISTERS, {**READ, "bill_amount": FAIR}, second, crossing, late)

    assert (recomputed.covered, found(recomputed)) == (4, [])
    without = by(book, REGISTERS, {**READ, "days_overdue": 10, "bill_amount": FAIR})
    assert found(without) == [(1, "bill_amount", "UNDERCHARGE", 0, FAIR, FAIR + (FAIR + 50) // 100)]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"usage_register_2": VALLEY + 1}, "usage_register"),
        ({"usage_register_1": NULL, "usage_register_2": NULL}, "usage_register"),
        ({"days": NULL}, "days"),
        ({"days_overdue": NULL}, "days_overdue"),
        ({"period": 202613}, "period"),
    ],
)
def test_a_bill_that_lacks_something_is_named_and_later_ones_are_behind_it(
    book: PriceBook, change: dict[str, int], column: str
) -> None:
    later = {**READ, "period": 202614 if column == "period" else 202602, "bill_amount": 1}
    recomputed = by(
        book, REGISTERS, {**READ, **change, "bill_amount": 1}, {**later, "account": 6, "period": 202602}, later
    )

    reasons = dict(recomputed.uncovered)
    assert reasons.pop((612, "lacks", column)) == (2 if column == "period" else 1)
    assert reasons == ({} if column == "period" else {(612, "behind", ""): 1})
    assert {each.txn_id for each in recomputed.findings} == {2}


def test_demand_by_the_clock_is_beyond_a_bill(book: PriceBook) -> None:
    recomputed = by(book, BUSINESS, {**READ, "demand": 50_000, "customer_class": 1, "bill_amount": 1})

    assert (recomputed.covered, recomputed.findings) == (0, ())
    assert {reason for _, reason, _ in recomputed.uncovered} == {"lacks"}


def test_a_prepaid_purchase_is_checked_by_what_it_buys(book: PriceBook) -> None:
    bought = {"usage": 204_790, "bill_amount": 10_000}
    assert found(by(book, PREPAID, bought)) == []
    assert found(by(book, PREPAID, {**bought, "usage": 204_800})) == [(1, "usage", "USAGE", None, 204_800, 204_790)]
    # An earlier purchase counts with the usage it was delivered for.
    earlier = {"judged": 0, "usage": 2_880_000, "bill_amount": 1}
    again = by(book, PREPAID, earlier, {"period": 202602, "usage": 100_000, "bill_amount": 5_383})
    assert found(again) == []


def test_how_far_back_a_tariff_looks(book: PriceBook, centre: Path) -> None:
    assert years_back(book) == (1 if "ratchet" in (LIBRARY / f"{BUSINESS}.yaml").read_text("utf-8") else 0)


# --- steps ----------------------------------------------------------------------------------


def test_steps_of_a_visit_end_with_what_is_compared(book: PriceBook) -> None:
    rows = visits(FIRST, LATER)
    taken = visit_steps(rows, book, EMPLOYEES, 1)

    assert (taken.uncovered, taken.rule) == ("", "share")
    assert [each.step for each in taken.steps] == [
        "prepay + out_of_region", "deductible", "share", "annual_cap", "supplement (hifob_pay)", "waterfall"
    ]  # fmt: skip
    assert [each.changed for each in taken.steps[1:]] == [
        (), ("hifp_pay", "fund_pay_sumamt", "psn_part_amt", "psn_cash_pay"), (), (), ()
    ]  # fmt: skip
    assert taken.steps[-1].after["hifp_pay"] == LATER["hifp_pay"]
    first = visit_steps(rows, book, EMPLOYEES, 0)
    assert first.steps[1].after["act_pay_dedc"] == 50_000
    lacking = visit_steps(visits({**FIRST, "relation": NULL}), book, EMPLOYEES, 0)
    assert (lacking.uncovered, lacking.steps) == ("lacks relation", ())


def test_steps_of_a_bill_end_with_its_price(book: PriceBook) -> None:
    rows = bills({**READ, "bill_amount": FAIR}, {**READ, "period": 202602, "days_overdue": 10, "bill_amount": FAIR})
    taken = bill_steps(rows, book, REGISTERS, 1)

    assert [each.step for each in taken.steps] == ["time_of_use + household + tiers (tiers)", "late_fee"]
    assert [each.after["gross"] for each in taken.steps] == [FAIR, FAIR + (FAIR + 50) // 100]
    assert bill_steps(bills({**READ, "days": NULL}), book, REGISTERS, 0).uncovered == "lacks days"
