"""Settled medical bills and utility bills, computed again by tariff: differences are findings and move no money.

Posted is what the insurer settled and the utility billed (docs/clearing-rules.md §7); here the close asks what the
tariff would have said (§9). The year of a person or account goes on from the figures as delivered, because those
were paid: a wrong bill is one finding and no echo in all the later ones.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Columns, Service
from clearing.calendar import NO_DAY
from clearing.config import Participant, Settings
from clearing.pricing import Answer, PriceBook, price_usages, settle_visits
from clearing.store import Store, sql_text

Ints = npt.NDArray[np.int64]

INSURED_CODES: Final = {1: 310, 2: 390}
"""``insured_type`` of a record (employee, resident) → the national code that tariffs name."""

FINDINGS_KEPT: Final = 10_000
"""Most findings a close lists; the totals count all of them."""

_OTHER_PAYERS: Final = (
    "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay", "hosp_part_amt",
)  # fmt: skip
"""Parts of a bill that the basic fund's tariff does not know: taken as settled."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One amount that the tariff gives otherwise, fen; ``bill_no`` as in the view ``bills``, None for medical."""

    txn_id: int
    bill_no: int | None
    service: str
    field: str
    delivered: int
    recomputed: int
    tariff: str
    rule: str


@dataclass(frozen=True, slots=True)
class Recomputation:
    """One service of a window: bills in it, those that a tariff covers, and what was found.

    ``tolerated`` counts amounts that differ by no more than the ``price_tolerance`` of who settled or billed.
    """

    service: Service
    bills: int
    covered: int
    tolerated: int
    findings: tuple[Finding, ...]

    def totals(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return {
            "service": self.service.name.lower(),
            "bills": self.bills,
            "covered": self.covered,
            "tolerated": self.tolerated,
            "findings": len(self.findings),
        }


def recompute_window(store: Store, date: datetime.date, settings: Settings, book: PriceBook) -> list[Recomputation]:
    """Recompute the accepted settlements and paid bills of a window, after what their years had before."""
    window = {"window": date}
    return [
        medical_findings(store.columns(sql_text("settlement/medical_years"), window), settings, book),
        utility_findings(store.columns(sql_text("settlement/utility_years"), window), settings, book),
    ]


def kept_findings(recomputed: list[Recomputation]) -> list[dict[str, Any]]:
    """The first findings of all services as JSON values, :data:`FINDINGS_KEPT` at most."""
    found = [finding for each in recomputed for finding in each.findings]
    return [asdict(finding) for finding in found[:FINDINGS_KEPT]]


def medical_findings(rows: Columns, settings: Settings, book: PriceBook) -> Recomputation:
    """Compare settlements with the tariff of the insurer of their region.

    Args:
        rows: int64[n] columns of ``settlement/medical_years.sql``: whole years of persons (a card stands for the
            insured person) in settlement order. A cancellation gives back what its settlement consumed, for all
            later ones, and is not judged itself.
        settings: insurers, their regions and tariffs.
        book: the centre's tariffs.
    """
    sign = np.where(rows["cancel"] == 1, -1, 1)
    person_year = (rows["region"], rows["card_id"], rows["year"])
    visits = {
        "day": rows["day"],
        "year": rows["year"],
        "insured": _codes(rows["insured_type"], INSURED_CODES),
        "level": rows["institution_level"],
        "category_a": rows["category_a_amt"],
        "category_b": rows["category_b_amt"],
        "category_c": rows["category_c_amt"],
        "over_limit": rows["overlmt_selfpay"],
        "account_available": rows["acct_pay"] + rows["acct_mulaid_pay"],
        "purse_available": rows["amount"],
        "deductible_consumed": consumed_before(person_year, sign * rows["act_pay_dedc"]),
        "fund_consumed": consumed_before(person_year, sign * rows["hifp_pay"]),
    }
    other_payers = np.add.reduce([rows[name] for name in _OTHER_PAYERS])
    judged = (rows["judged"] == 1) & (rows["cancel"] == 0)

    def ask(tariff_id: str, at: Ints) -> tuple[Answer, Columns]:
        answer = settle_visits(book, tariff_id, _take(visits, at))
        return answer, {**answer.amounts, "psn_cash_pay": answer.amounts["psn_cash_pay"] - other_payers[at]}

    insurers = {p.region: p for p in settings.participants if p.kind == "insurer" and p.region is not None}
    return _recomputed(Service.MEDICAL, rows, judged, rows["region"], insurers, ask)


def utility_findings(bills: Columns, settings: Settings, book: PriceBook) -> Recomputation:
    """Compare bills with the tariff of the utility that issued them.

    Args:
        bills: int64[n] columns of ``settlement/utility_years.sql``: whole years of accounts, by period.
        settings: utilities and their tariffs.
        book: the centre's tariffs.
    """
    account_year = (bills["utility_id"], bills["account"], bills["year"])
    usages = {
        "day": _first_days(bills["period"]),
        "year": bills["year"],
        "usage_milli": bills["usage"],
        "household": bills["household_size"],
        "usage_before": consumed_before(account_year, bills["usage"]),
    }

    def ask(tariff_id: str, at: Ints) -> tuple[Answer, Columns]:
        answer = price_usages(book, tariff_id, _take(usages, at))
        return answer, {"bill_amount": answer.amounts["gross"]}

    utilities = {p.id: p for p in settings.participants if p.kind == "utility"}
    return _recomputed(Service.UTILITY, bills, bills["judged"] == 1, bills["utility_id"], utilities, ask)


def consumed_before(owner: tuple[Ints, ...], amount: Ints) -> Ints:
    """int64[n] what each row's owner has consumed in the rows before it, never less than nothing.

    Args:
        owner: columns that name the owner together.
        amount: what each row consumes, negative where it gives back.
    """
    order = np.lexsort(owner)  # stable: an owner's rows keep their order
    running = np.cumsum(amount[order]) - amount[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = np.logical_or.reduce([np.diff(column[order]) != 0 for column in owner])
    before = np.empty(len(order), np.int64)
    before[order] = running - running[begins][np.cumsum(begins) - 1]
    return np.maximum(before, 0)


_AskTariff = Callable[[str, Ints], tuple[Answer, Columns]]
"""(tariff id, positions) → the tariff's answer and the amounts to compare, by the delivered field."""


def _recomputed(
    service: Service,
    rows: Columns,
    judged: npt.NDArray[np.bool_],
    party: Ints,
    parties: Mapping[int, Participant],
    ask: _AskTariff,
) -> Recomputation:
    """Ask each party's tariff for its judged rows and collect what differs by more than it may, by transaction."""
    covered, tolerated, findings = 0, 0, list[Finding]()
    for number, participant in parties.items():
        at = np.flatnonzero(judged & (party == number))
        if participant.tariff is None or not len(at):
            continue
        answer, amounts = ask(participant.tariff, at)
        delivered = _take(rows, at)
        covered += int(answer.covered.sum())
        tolerated += _tolerated(delivered, answer, amounts, participant.price_tolerance)
        findings += _differences(service, delivered, answer, amounts, participant)
    findings.sort(key=lambda finding: (finding.txn_id, finding.bill_no or 0))
    return Recomputation(service, int(judged.sum()), covered, tolerated, tuple(findings))


def _tolerated(rows: Columns, answer: Answer, amounts: Columns, tolerance: int) -> int:
    """Amounts that differ, but by no more than the tolerance."""
    differ = [np.abs(rows[name] - recomputed)[answer.covered] for name, recomputed in amounts.items()]
    return sum(int(np.count_nonzero((each > 0) & (each <= tolerance))) for each in differ)


def _differences(
    service: Service, rows: Columns, answer: Answer, amounts: Columns, participant: Participant
) -> Iterator[Finding]:
    assert participant.tariff is not None
    for name, recomputed in amounts.items():
        beyond = np.abs(rows[name] - recomputed) > participant.price_tolerance
        for at in np.flatnonzero(answer.covered & beyond):
            yield Finding(
                txn_id=int(rows["txn_id"][at]),
                bill_no=int(rows["bill_no"][at]) if "bill_no" in rows else None,
                service=service.name.lower(),
                field=name,
                delivered=int(rows[name][at]),
                recomputed=int(recomputed[at]),
                tariff=participant.tariff,
                rule=str(answer.rule[at]),
            )


def _take(columns: Columns, at: Ints) -> Columns:
    return {name: column[at] for name, column in columns.items()}


def _codes(values: Ints, codes: Mapping[int, int]) -> Ints:
    """Each value's code, :data:`NULL` for values without one."""
    return np.select([values == value for value in codes], list(codes.values()), NULL)


def _first_days(period: Ints) -> npt.NDArray[np.int32]:
    """First day of each YYYYMM; :data:`NO_DAY` where it is no month of the calendar."""
    year, month = period // 100, period % 100
    possible = (year >= 1970) & (year <= 9999) & (month >= 1) & (month <= 12)
    months = np.where(possible, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64)
    return np.where(possible, days, NO_DAY).astype(np.int32)
