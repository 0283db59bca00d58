"""Priced transactions → balanced double entry (docs/clearing-rules.md §7).

The templates are data (``posting_templates.csv``): the numpy summation here and the SQL view over the segments read
the same table, and ``verify`` compares their sums. Credits are positive, debits negative; every row sums to zero.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import Columns, Service
from clearing import grouping
from clearing.checks import MEDICAL_FUND_COLUMNS, bill_totals, is_purse
from clearing.config import RESERVE, Settings
from clearing.mac import TacVerdict
from clearing.records import Rows, concatenate
from clearing.status import ClearingStatus, Disposition

Ints = npt.NDArray[np.int64]

AccountKey = tuple[int, str, int, int]
"""(window day, account kind, participant, source of money)."""

Balances = Counter[AccountKey]
"""Σ credits − Σ debits in fen per account and window."""


class PostingTemplate(IntEnum):
    """Which legs a row posts; the numbers are stored in segments."""

    NONE = 0
    PURCHASE = 1
    UTILITY = 2
    MEDICAL = 3
    LOAD = 4
    BENEFIT_GRANT = 5
    BENEFIT_PICKUP = 6
    HELD_DEBIT = 7
    HELD_CREDIT = 8
    MEMO_HELD = 9
    MEMO_REJECTED = 10


@dataclass(frozen=True, slots=True)
class Leg:
    """One line of a template: which account, whose, from which source of money, which amount, which side."""

    template: PostingTemplate
    kind: str
    party: str
    source: str
    amount: str
    credit: bool


def load_legs() -> tuple[Leg, ...]:
    """The posting templates in file order."""
    with files("clearing").joinpath("posting_templates.csv").open(encoding="utf-8") as file:
        return tuple(
            Leg(
                PostingTemplate[row["template"]],
                row["kind"],
                row["party"],
                row["source"],
                row["amount"],
                row["side"] == "credit",
            )
            for row in csv.DictReader(file)
        )


LEGS: Final = load_legs()


def choose_templates(rows: Rows, disposition: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8[n] :class:`PostingTemplate` of each row by service, disposition and proof."""
    accepted, held = disposition == Disposition.ACCEPTED, disposition == Disposition.HELD
    template = np.zeros(len(rows), np.uint8)
    template[accepted] = _ACCEPTED[rows.service]
    if rows.service is Service.LOAD:
        template[accepted & (rows["fund"] > 0)] = PostingTemplate.BENEFIT_PICKUP
        template[held] = PostingTemplate.HELD_CREDIT
    else:
        proven = (rows["tac_verdict"] == TacVerdict.VERIFIED) | (rows["status"] == ClearingStatus.GREY_PROVEN)
        template[held] = np.where(proven, PostingTemplate.HELD_DEBIT, PostingTemplate.MEMO_HELD)[held]
    template[disposition == Disposition.REJECTED] = PostingTemplate.MEMO_REJECTED
    moves_nothing = (rows["amount"] == 0) | ~is_purse(rows) | (rows["test_flag"] == 1)
    template[~accepted & moves_nothing] = PostingTemplate.NONE
    return template


_ACCEPTED: Final = {
    Service.TRANSIT: PostingTemplate.PURCHASE,
    Service.RETAIL: PostingTemplate.PURCHASE,
    Service.MEDICAL: PostingTemplate.MEDICAL,
    Service.UTILITY: PostingTemplate.UTILITY,
    Service.LOAD: PostingTemplate.LOAD,
    Service.BENEFIT: PostingTemplate.BENEFIT_GRANT,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """What the accounts of a centre need to know of its participants."""

    centre: int
    own_issuers: frozenset[int]
    insurer_by_region: dict[int, int]
    medical_fund: dict[tuple[int, str], int]

    @classmethod
    def of(cls, settings: Settings) -> Chart:
        """The chart of a centre's settings."""
        insurers = [p for p in settings.participants if p.kind == "insurer" and p.region is not None]
        return cls(
            centre=settings.centre.id,
            own_issuers=frozenset(p.id for p in settings.participants if p.kind == "issuer"),
            insurer_by_region={p.region: p.id for p in insurers if p.region is not None},
            medical_fund={(p.id, name): p.funds.get(name, p.id) for p in insurers for name in MEDICAL_FUND_COLUMNS},
        )

    def kind(self, kind: str, participant: int) -> str:
        """The account kind proper: the card's side depends on whose card it is."""
        if kind == "card_side":
            return "stored_value" if participant in self.own_issuers else "counterparty_receivable"
        if kind == "card_side_load":
            return "stored_value" if participant in self.own_issuers else "counterparty_payable"
        return kind


def post(parts: list[Rows], chart: Chart, *, disabled: frozenset[str] = frozenset()) -> Balances:
    """Balances that decided rows post.

    Args:
        parts: decided rows of one service with ``posting_template``, ``window`` and ``sign``; one block or several
            (what is said per group of rows is said less often of more rows).
        chart: the centre's chart of accounts.
        disabled: template names left out: the tests prove with it that every template matters.
    """
    balances: Balances = Counter()
    rows = concatenate([part.only(_looked_at(part.service)) for part in parts])
    posted = [leg for leg in LEGS if leg.template.name not in disabled]
    _post_rows(rows, [leg for leg in posted if leg.party != "bill_utility"], chart, balances)
    if rows.service is Service.UTILITY:
        _post_bills(rows, [leg for leg in posted if leg.party == "bill_utility"], chart, balances)
    return Counter({account: amount for account, amount in balances.items() if amount})


def _looked_at(service: Service) -> list[str]:
    """The columns posting reads: copying the others would cost more than the sums."""
    names = ["card_id", "posting_template", "window", "sign", "party", "issuer", "merchant_id", "fund", "disposition"]
    names += ["amount", "card_paid", "overcharge", "fund_paid", "operator_borne", "cardholder_suspense"]
    if service is Service.BENEFIT:
        names.append("granted")
    if service is Service.MEDICAL:
        names += ["cancel", "region", "acct_pay", "acct_mulaid_pay", *MEDICAL_FUND_COLUMNS]
    return names


def _post_rows(rows: Rows, legs: list[Leg], chart: Chart, balances: Balances) -> None:
    """Sum each leg over groups of rows that share template, window and parties; groups are few, rows are many."""
    columns = _account_columns(rows, chart)
    parties = sorted({name for leg in legs for name in (leg.party, leg.source)} & columns.keys())
    group, members = _groups([rows["posting_template"], rows["window"], *(columns[name] for name in parties)])
    sums: dict[str, Ints] = {}
    for leg in legs:
        of_template = [(at, member) for at, member in enumerate(members) if member[0] == leg.template]
        for kind, party, source, amount in _expand(leg, chart) if of_template else ():
            if amount not in sums:
                _, sums[amount] = grouping.sums(group, len(members), columns[amount] * rows["sign"])
            for at, (_, window, *values) in of_template:
                named = dict(zip(parties, values, strict=True))
                owner = _party(party, named, chart)
                money = _party(source, named, chart)
                balances[window, chart.kind(kind, owner), owner, money] += int(sums[amount][at]) * (
                    1 if leg.credit else -1
                )


def _expand(leg: Leg, chart: Chart) -> list[tuple[str, str, str, str]]:
    """A medical fund leg stands for one leg per fund column."""
    if leg.amount != "medical_fund_pay":
        return [(leg.kind, leg.party, leg.source, leg.amount)]
    return [
        (leg.kind, leg.party.replace("medical_fund", name), leg.source.replace("medical_fund", name), name)
        for name in MEDICAL_FUND_COLUMNS
    ]


def _party(name: str, named: dict[str, int], chart: Chart) -> int:
    if name == "reserve":
        return RESERVE
    if name == "centre":
        return chart.centre
    if name in MEDICAL_FUND_COLUMNS:
        return chart.medical_fund.get((named["insurer"], name), named["insurer"])
    return named[name]


def _account_columns(rows: Rows, chart: Chart) -> Columns:
    """Parties and amounts the legs name, as int64[n]; an unregistered payee is participant 0."""
    known = rows["party"] >= 0
    columns: Columns = {
        "issuer": rows["issuer"],
        "merchant_id": np.where(known, rows["merchant_id"], 0).astype(np.int64),
        "fund": rows["fund"],
    }
    for name in ("amount", "card_paid", "overcharge", "fund_paid", "operator_borne", "cardholder_suspense"):
        columns[name] = rows[name]
    if rows.service is Service.BENEFIT:
        columns["granted"] = rows["granted"]
    if rows.service is Service.MEDICAL:
        sign = np.where(rows["cancel"] == 1, -1, 1)
        insurers = [(rows["region"] == region, number) for region, number in chart.insurer_by_region.items()]
        columns["insurer"] = np.select([of for of, _ in insurers], [number for _, number in insurers], 0)
        columns["account_pay"] = (rows["acct_pay"] + rows["acct_mulaid_pay"]) * sign
        columns |= {name: rows[name] * sign for name in MEDICAL_FUND_COLUMNS}
        accepted = rows["disposition"] == Disposition.ACCEPTED
        columns["amount"] = np.where(accepted, rows["amount"] * sign, rows["amount"])
    return columns


def _post_bills(rows: Rows, legs: list[Leg], chart: Chart, balances: Balances) -> None:
    """Bills that this payment paid go to their utility; the rest is in ``cardholder_suspense`` already."""
    parent = rows.bills["bill_row"].astype(np.int64)
    paid = np.where(rows.bills["bill_paid"] == 1, rows.bills["bill_amount"], 0)
    template, window = rows["posting_template"][parent], rows["window"][parent]
    group, members = _groups([template, window, rows.bills["utility_id"].astype(np.int64)])
    _, sums = grouping.sums(group, len(members), paid * rows["sign"][parent])
    for leg in legs:
        for at, (of, day, owner) in enumerate(members):
            if of == leg.template:
                balances[day, leg.kind, owner, RESERVE] += int(sums[at]) * (1 if leg.credit else -1)


def _groups(columns: list[npt.NDArray[Any]]) -> tuple[Ints, list[tuple[int, ...]]]:
    """Dense group of each row by what it has in the columns, and what each group stands for."""
    code = np.zeros(len(columns[0]), np.int64)
    levels = []
    for column in columns:
        values, position = grouping.dense(column)
        code = code * len(values) + position
        levels.append(values)
    present, group = grouping.dense(code)
    members = []
    for each in present:
        rest, member = int(each), []
        for values in reversed(levels):
            rest, at = divmod(rest, len(values))
            member.append(int(values[at]))
        members.append(tuple(reversed(member)))
    return group, members


def pay_bills(rows: Rows, paid_before: npt.NDArray[np.bool_]) -> Rows:
    """Utility rows with ``bill_paid`` on their bills and the rest of each payment as ``cardholder_suspense``.

    Args:
        rows: decided utility rows.
        paid_before: bool[bills], another payment has paid the bill already.
    """
    paid = (~paid_before).astype(np.uint8)
    owed = np.zeros(len(rows), np.int64)
    np.add.at(owed, rows.bills["bill_row"].astype(np.int64), np.where(paid == 1, rows.bills["bill_amount"], 0))
    accepted = rows["disposition"] == Disposition.ACCEPTED
    assert np.all(bill_totals(rows)[accepted] <= rows["amount"][accepted]), "the ladder lets no short payment pass"
    suspense = np.where(accepted, rows["amount"] - owed, 0)
    return Rows(
        rows.service,
        {**rows.columns, "cardholder_suspense": suspense},
        {**rows.bills, "bill_paid": paid},
    )
