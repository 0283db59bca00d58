"""Settled medical bills and utility bills, computed again by tariff: differences are findings and move no money.

Posted is what the insurer settled and the utility billed (docs/clearing-rules.md §7); here the close asks what the
tariff would have said (§9). The year of a person or account goes on from the figures as delivered, because those
were paid: a wrong bill is one finding and no echo in all the later ones.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import Columns, Service
from clearing import paid_bills, settled_visits
from clearing.config import Participant, Settings
from clearing.ledger.views import over_segments, segments_of_window
from clearing.pricing import PriceBook, months_back
from clearing.recomputed import Found, Uncovered
from clearing.status import Mismatch
from clearing.store import Store, sql_text

Ints = npt.NDArray[np.int64]

FINDINGS_KEPT: Final = 10_000
"""Most findings a close lists; the totals count all of them."""

_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """One amount that the tariff gives otherwise, fen (usage: thousandths).

    ``bill_no`` as in the view ``bills``, None for medical; ``participant`` settled or billed, ``payer`` is the
    participant that paid the amount, 0 for the person, None for amounts that nobody pays.
    """

    txn_id: int
    bill_no: int | None
    service: str
    participant: int
    field: str
    mismatch: str
    payer: int | None
    delivered: int
    recomputed: int
    tariff: str
    rule: str


@dataclass(frozen=True, slots=True)
class Recomputation:
    """One service of a window: bills in it, those that a tariff covers, and what was found.

    ``tolerated`` counts amounts that differ by no more than the ``price_tolerance`` of who settled or billed;
    ``uncovered`` counts bills by (participant, reason, column).
    """

    service: Service
    bills: int
    covered: int
    tolerated: int
    findings: tuple[Finding, ...]
    uncovered: Mapping[tuple[int, str, str], int]

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
    return [
        medical_findings(medical_years(store, date, book), settings, book),
        utility_findings(utility_years(store, date, book), settings, book),
    ]


def medical_years(store: Store, date: datetime.date, book: PriceBook, card: int | None = None) -> Columns:
    """Rows of ``settlement/medical_years.sql`` up to a window: of all its persons, or of one card."""
    asked = {"window": date, "years_back": years_back(book), "card": card}
    return store.columns(_where_any(store, "settlement/medical_years", "medical", date), asked)


def utility_years(store: Store, date: datetime.date, book: PriceBook, payment: int | None = None) -> Columns:
    """Rows of ``settlement/utility_years.sql`` up to a window: of all its accounts, or of those of one payment."""
    asked = {"window": date, "years_back": years_back(book), "txn": payment}
    return store.columns(_where_any(store, "settlement/utility_years", "bill", date), asked)


def _where_any(store: Store, name: str, folder: str, date: datetime.date) -> str:
    """An SQL file that goes into the years before a window's rows of a kind; over nothing where it has none."""
    text = sql_text(name)
    found = any(segment.startswith(f"{folder}/") for segment in segments_of_window(store, date))
    return text if found else over_segments(text, ())


def years_back(book: PriceBook) -> int:
    """Calendar years before that of a bill which a tariff of the centre may look at."""
    return -(-months_back(book) // _MONTHS)


def kept_findings(recomputed: list[Recomputation]) -> list[dict[str, Any]]:
    """The first findings of all services as JSON values, :data:`FINDINGS_KEPT` at most."""
    found = [finding for each in recomputed for finding in each.findings]
    return [asdict(finding) for finding in found[:FINDINGS_KEPT]]


def finding_totals(recomputed: list[Recomputation]) -> list[dict[str, Any]]:
    """All findings by service, participant, class and amount: how many, and fen too much and too little."""
    totals: dict[tuple[str, int, str, str], Counter[str]] = {}
    for finding in (finding for each in recomputed for finding in each.findings):
        key = (finding.service, finding.participant, finding.mismatch, finding.field)
        difference = finding.delivered - finding.recomputed
        sums = totals.setdefault(key, Counter())
        sums.update(amounts=1, over=max(difference, 0), under=max(-difference, 0))
    names = ("service", "participant", "mismatch", "field")
    return [
        dict(zip(names, key, strict=True)) | {name: sums[name] for name in ("amounts", "over", "under")}
        for key, sums in sorted(totals.items())
    ]


def uncovered_totals(recomputed: list[Recomputation]) -> list[dict[str, Any]]:
    """Bills that were not compared, by service, participant, reason and the record column they lack."""
    return [
        {
            "service": each.service.name.lower(),
            "participant": participant,
            "reason": reason,
            "column": column,
            "bills": bills,
        }
        for each in recomputed
        for (participant, reason, column), bills in sorted(each.uncovered.items())
    ]


def medical_findings(rows: Columns, settings: Settings, book: PriceBook) -> Recomputation:
    """Compare settlements with the tariff of the insurer of their region.

    Args:
        rows: int64[n] columns of ``settlement/medical_years.sql``: whole years of persons (a card stands for the
            insured person) in settlement order. A cancellation gives back what its settlement consumed, for all
            later ones, and is not judged itself.
        settings: insurers, their regions and tariffs.
        book: the centre's tariffs.
    """
    judged = (rows["judged"] == 1) & (rows["cancel"] == 0)
    insurers = {p.region: p for p in settings.participants if p.kind == "insurer" and p.region is not None}
    return _recomputed(_MEDICAL, rows, judged, rows["region"], insurers, book)


def utility_findings(bills: Columns, settings: Settings, book: PriceBook) -> Recomputation:
    """Compare bills with the tariff of the utility that issued them.

    Args:
        bills: int64[n] columns of ``settlement/utility_years.sql``: whole years of accounts, by period.
        settings: utilities and their tariffs.
        book: the centre's tariffs.
    """
    utilities = {p.id: p for p in settings.participants if p.kind == "utility"}
    return _recomputed(_UTILITY, bills, bills["judged"] == 1, bills["utility_id"], utilities, book)


def compared_fields(service: Service) -> tuple[str, ...]:
    """Amounts of a bill that a recomputation compares."""
    return {Service.MEDICAL: settled_visits.COMPARED, Service.UTILITY: paid_bills.COMPARED}[service]


def mismatch_of(field: str, difference: int) -> Mismatch:
    """Class of a finding: which amount differs (delivered less recomputed), and for whom it is too much."""
    if field in settled_visits.FUNDS:
        return Mismatch.FUND_OVERPAID if difference > 0 else Mismatch.FUND_UNDERPAID
    if field in settled_visits.ACCOUNTS:
        return Mismatch.ACCOUNT_OVERPAID if difference > 0 else Mismatch.ACCOUNT_UNDERPAID
    if field in ("psn_cash_pay", "bill_amount"):
        return Mismatch.OVERCHARGE if difference > 0 else Mismatch.UNDERCHARGE
    if field == "act_pay_dedc":
        return Mismatch.DEDUCTIBLE
    return Mismatch.USAGE if field == "usage" else Mismatch.SCOPE


def payer_of(field: str, participant: Participant) -> int | None:
    """Participant that pays an amount: 0 the person, None for amounts that are parts of a bill and no payment."""
    if field in settled_visits.FUNDS:
        return next((fund for name, fund in participant.funds.items() if name == field), participant.id)
    if field in settled_visits.ACCOUNTS:
        return participant.id
    return 0 if field in ("psn_cash_pay", "bill_amount") else None


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the rows of a service are asked for: (rows of one party, book, tariff id) → what the tariff says."""

    service: Service
    ask: Callable[[Columns, PriceBook, str], Found]


_MEDICAL: Final = _Kind(Service.MEDICAL, settled_visits.recompute_visits)
_UTILITY: Final = _Kind(Service.UTILITY, paid_bills.recompute_bills)


def _recomputed(
    kind: _Kind,
    rows: Columns,
    judged: npt.NDArray[np.bool_],
    party: Ints,
    parties: Mapping[int, Participant],
    book: PriceBook,
) -> Recomputation:
    """Ask each party's tariff for its judged rows and collect what differs by more than it may, by transaction."""
    covered, tolerated, findings = 0, 0, list[Finding]()
    uncovered: Counter[tuple[int, str, str]] = Counter()
    unasked = judged.copy()
    for number, participant in parties.items():
        at = np.flatnonzero(party == number)
        if participant.tariff is None or participant.tariff not in book.book or not judged[at].any():
            continue
        own = {name: column[at] for name, column in rows.items()}
        found = kind.ask(own, book, participant.tariff)
        unasked[at] = False
        lacking = found.lacking.rows
        for row in np.flatnonzero(judged[at] & lacking).tolist():
            uncovered[participant.id, str(found.lacking.reason[row]), str(found.lacking.column[row])] += 1
        compared = np.flatnonzero(judged[at] & ~lacking)
        covered += len(compared)
        tolerated += _tolerated(kind.service, own, found, compared, participant)
        findings += _differences(kind.service, own, found, compared, participant)
    for number in party[unasked].tolist():
        known = parties.get(number)
        uncovered[known.id if known is not None else 0, str(Uncovered.NO_TARIFF), ""] += 1
    findings.sort(key=lambda finding: (finding.txn_id, finding.bill_no or 0))
    return Recomputation(kind.service, int(judged.sum()), covered, tolerated, tuple(findings), uncovered)


def _tolerated(service: Service, rows: Columns, found: Found, compared: Ints, participant: Participant) -> int:
    """Amounts that differ, but by no more than the tolerance."""
    differ = [np.abs(rows[name] - found.amounts[name])[compared] for name in _in_fen(service)]
    return sum(int(np.count_nonzero((each > 0) & (each <= participant.price_tolerance))) for each in differ)


def _in_fen(service: Service) -> list[str]:
    return [name for name in compared_fields(service) if name != "usage"]


def _differences(
    service: Service, rows: Columns, found: Found, compared: Ints, participant: Participant
) -> Iterator[Finding]:
    assert participant.tariff is not None
    for name in compared_fields(service):
        difference = rows[name] - found.amounts[name]
        most = 0 if name == "usage" else participant.price_tolerance
        for at in compared[np.abs(difference[compared]) > most].tolist():
            yield Finding(
                txn_id=int(rows["txn_id"][at]),
                bill_no=int(rows["bill_no"][at]) if "bill_no" in rows else None,
                service=service.name.lower(),
                participant=participant.id,
                field=name,
                mismatch=str(mismatch_of(name, int(difference[at]))),
                payer=payer_of(name, participant),
                delivered=int(rows[name][at]),
                recomputed=int(found.amounts[name][at]),
                tariff=participant.tariff,
                rule=str(found.rule[at]),
            )
