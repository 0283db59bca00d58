"""Medical rows as a tariff reads them: persons, settlement order, cancellations, and what a row lacks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Columns
from clearing.pricing import Answer, Asked, PriceBook, asked_by, resettle, segments_of, trace_visit
from clearing.recomputed import Found, Lacking, StepsTaken

Ints = npt.NDArray[np.int64]

INSURED_CODES: Final = {1: 310, 2: 390}
"""``insured_type`` of a record (employee, resident) → the national code that tariffs name."""

FUNDS: Final = ("hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")
ACCOUNTS: Final = ("acct_pay", "acct_mulaid_pay")
_PAYERS: Final = (*FUNDS, *ACCOUNTS)
BILL_FIELDS: Final = ("medfee_sumamt", "fulamt_ownpay_amt", "preselfpay_amt", "inscp_scp_amt")
COMPARED: Final = (*BILL_FIELDS, "act_pay_dedc", *_PAYERS, "psn_cash_pay")
"""Amounts that are compared, in the order of a settlement; a payer only where the tariff decides what it pays."""

_COLUMN_OF: Final[Mapping[str, str]] = {
    "level": "institution_level",
    "visit_kind": "visit_kind",
    "person_type": "person_type",
    "relation": "relation",
    "aid": "aid",
    "category_b_service": "category_b_service_amt",
    "category_b_material": "category_b_material_amt",
    "household": "household",
    "program": "program",
    "program_limit": "program_limit",
    "income_class": "income_class",
    "income": "income",
    "income_exempt": "income_exempt",
}
"""Column of a visit as tariffs name it → column of the record."""

_ALWAYS: Final = ("category_a_amt", "category_b_amt", "category_c_amt")


@dataclass(frozen=True, slots=True)
class Visits:
    """The medical rows of one region as its tariff reads them."""

    rows: Columns
    visits: Columns
    paid: Columns
    lacking: Lacking
    asked: list[Asked]
    segment: Ints


def visits_of(rows: Columns, book: PriceBook, tariff_id: str) -> Visits:
    """Read rows of ``settlement/medical_years.sql``, whole years of persons of one region in settlement order."""
    asked, segment = asked_by(book, tariff_id), segments_of(book, tariff_id, rows["day"])
    lacking = Lacking.of(len(rows["day"]))
    for name in _ALWAYS:
        lacking.note(rows[name] == NULL, name)
    for index, each in enumerate(asked):
        for name in sorted(each.columns & _COLUMN_OF.keys()):
            lacking.note((segment == index) & (rows[_COLUMN_OF[name]] == NULL), _COLUMN_OF[name])
    optional = {name: rows[column] for name, column in _COLUMN_OF.items()}
    visits = {
        "person": rows["card_id"],
        "sequence": np.arange(len(rows["day"])),
        "settle_day": rows["day"].astype(np.int32),
        "insured": _codes(rows["insured_type"], INSURED_CODES),
        "category_a": rows["category_a_amt"],
        "category_b": rows["category_b_amt"],
        "category_c": rows["category_c_amt"],
        "over_limit": rows["overlmt_selfpay"],
        "account_available": rows["acct_pay"],
        "family_available": rows["acct_mulaid_pay"],
        "purse_available": rows["amount"],
        "cancels": cancelled_rows(rows),
        **{name: np.where(column == NULL, 0, column) for name, column in optional.items() if name != "household"},
        "household": rows["household"],
    }
    paid = {
        "deductible": rows["act_pay_dedc"],
        "scope": rows["inscp_scp_amt"] - rows["act_pay_dedc"],
        **{name: rows[name] for name in FUNDS},
    }
    return Visits(rows, visits, paid, lacking, asked, segment)


def cancelled_rows(rows: Columns) -> Ints:
    """int64[n] row of the settlement that each row takes back: the one of its number before it.

    −1 for settlements; a cancellation whose settlement is not among the rows names itself, which takes back nothing.
    """
    names = ("card_id", "region", "institution", "settlement_id")
    _, number = np.unique(np.stack([rows[name] for name in names]), axis=1, return_inverse=True)
    number = number.reshape(-1)
    count, places = int(number.max(initial=-1)) + 1, np.arange(len(number))
    settlement = np.full(count, -1, np.int64)
    settles = rows["cancel"] == 0
    # The first of a number stands; later rows of it would be conflicts and are not among the accepted.
    settlement[number[settles][::-1]] = places[settles][::-1]
    named = np.logical_and.reduce([rows[name] != NULL for name in names])
    found = np.where(named & (settlement[number] >= 0), settlement[number], places)
    return np.where(settles, -1, found)


def recompute_visits(rows: Columns, book: PriceBook, tariff_id: str) -> Found:
    """What the tariff says of each settlement; rows as in :func:`visits_of`."""
    read = visits_of(rows, book, tariff_id)
    answer = resettle(book, tariff_id, read.visits, read.paid, ~read.lacking.rows)
    lacking = read.lacking.with_answer(answer)
    return Found(_compared(read, answer), answer.rule, lacking)


def _compared(read: Visits, answer: Answer) -> Columns:
    """The amounts to compare; what the tariff does not decide stands as settled, and cash pays the rest."""
    rows, amounts = read.rows, {name: answer.amounts[name] for name in (*BILL_FIELDS, "act_pay_dedc")}
    rest = answer.amounts["medfee_sumamt"] - rows["hosp_part_amt"]
    for name in _PAYERS:
        decides = np.array([name in each.payers for each in read.asked] + [False])[read.segment]
        amounts[name] = np.where(decides, answer.amounts[name], rows[name])
        rest = rest - amounts[name]
    return {**amounts, "psn_cash_pay": rest}


def visit_steps(rows: Columns, book: PriceBook, tariff_id: str, row: int) -> StepsTaken:
    """How the tariff settles one of the rows, step by step; nothing where it cannot, with the reason."""
    read = visits_of(rows, book, tariff_id)
    answer = resettle(book, tariff_id, read.visits, read.paid, ~read.lacking.rows)
    lacking = read.lacking.with_answer(answer)
    steps: tuple[Any, ...] = ()
    if not lacking.rows[row]:
        steps = trace_visit(book, tariff_id, read.visits, read.paid, ~read.lacking.rows, row)
    return StepsTaken(tariff_id, int(read.segment[row]), str(answer.rule[row]), steps, lacking.reason_of(row))


def _codes(values: Ints, codes: Mapping[int, int]) -> Ints:
    """Each value's code, :data:`NULL` for values without one."""
    return np.select([values == value for value in codes], list(codes.values()), NULL)
