"""Closing a window: fees, net positions, claims, payment proposal, findings (docs/clearing-rules.md §9).

The figures are pure functions of what the journal sealed for the window; closing again is refused, closing later
gives the same. Bank files come with the settlement issue: a proposal is a list, nothing leaves the centre here.
"""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clearing import calendar
from clearing.accounts import MEMO_KINDS, SETTLED_KINDS
from clearing.batch import Batch
from clearing.centre import Centre
from clearing.config import RESERVE, FeeSchedule, Participant, Settings
from clearing.engine import clear_pending, declared_now, opened, project
from clearing.errors import RefusedError
from clearing.interchange import write_after_run, write_at_close
from clearing.posting import AccountKey
from clearing.proposal import write_proposal
from clearing.recompute import finding_totals, kept_findings, recompute_window, uncovered_totals
from clearing.run_summary import Progress, RunSummary
from clearing.store import Store, sql_text


@dataclass(frozen=True, slots=True)
class Takings:
    """What one merchant took from the cards of one issuer in a window: Σ over accepted rows, fen."""

    merchant: int
    issuer: int
    gross: int
    card_paid: int
    fund_paid: int


@dataclass
class CloseSummary:
    """What closing did; JSON-able."""

    window: str
    entry: int
    run: RunSummary
    fees: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    recomputed: list[dict[str, Any]]
    uncovered: list[dict[str, Any]]
    finding_totals: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    proposal: str


def close_window(
    directory: Path,
    date: datetime.date,
    *,
    passphrase: str,
    now: int | None = None,
    wait: float = 60.0,
    progress: Progress | None = None,
) -> CloseSummary:
    """Close business date ``date``: drain what was received before its cut-off, then net.

    Raises:
        RefusedError: before the cut-off, when the window is closed already, or an earlier one is open.
    """
    with opened(directory, passphrase, wait=wait, purpose="clearing close") as (centre, projection):
        at = declared_now(centre, now)
        window = calendar.day_number(date)
        _refuse_early(centre, window, at)
        run = clear_pending(centre, projection, at, progress=progress)
        _refuse_gap(centre, window)
        Batch(centre, run).decide_grey(window, at)
        project(centre, projection, run)
        newest = centre.journal.entries[-1]
        if newest.kind == "batch" and not newest.body["files"]:
            # What was decided of grey rows goes to their issuers like any other decision.
            write_after_run(centre, newest, {})
        takings = takings_of(projection.store, date)
        sealed = sealed_postings(centre, window)
        fees = fee_rows(takings, centre.settings)
        postings = fee_postings(fees, window)
        # Counter's own + would drop negative balances.
        balances = sealed.copy()
        balances.update(postings)
        recomputed = recompute_window(projection.store, date, centre.settings, centre.prices)
        body: dict[str, Any] = {
            "window": window,
            "fees": fees,
            "postings": [[*account, fen] for account, fen in sorted(postings.items())],
            "positions": net_positions(balances),
            "payments": proposal(balances, date),
            "claims": claims_of(projection.store, date),
            "recomputed": [each.totals() for each in recomputed],
            "uncovered": uncovered_totals(recomputed),
            "finding_totals": finding_totals(recomputed),
            "findings": kept_findings(recomputed),
        }
        entry = centre.journal.append("close", body, at=at, key=centre.signing)
        project(centre, projection, run)
        path = write_proposal(directory, entry, centre.settings)
        write_at_close(centre, projection.store, entry)
    return CloseSummary(
        date.isoformat(),
        entry.sequence,
        run,
        body["fees"],
        body["positions"],
        body["payments"],
        body["claims"],
        body["recomputed"],
        body["uncovered"],
        body["finding_totals"],
        body["findings"],
        str(path.relative_to(directory)),
    )


def _refuse_early(centre: Centre, window: int, now: int) -> None:
    date = calendar.date_of(window)
    cut_off = calendar.cut_off_of(window, centre.settings.calendar)
    if now < cut_off:
        raise RefusedError(
            f"window {date} takes receipts until {calendar.text_of(cut_off)}", remedy="close after the cut-off"
        )
    closed = {entry.body["window"] for entry in centre.journal.of_kind("close")}
    if window in closed:
        raise RefusedError(f"window {date} is closed already", remedy="corrections are new entries in an open window")


def _refuse_gap(centre: Centre, window: int) -> None:
    """Windows close in order: an earlier one with postings must not stay open."""
    closed = {entry.body["window"] for entry in centre.journal.of_kind("close")}
    posted = {posting[0] for entry in centre.journal.of_kind("batch") for posting in entry.body["postings"]}
    earlier = sorted(day for day in posted - closed if day < window)
    if earlier:
        raise RefusedError(
            f"window {calendar.date_of(earlier[0])} is still open",
            remedy=f"close {calendar.date_of(earlier[0])} first",
        )


def sealed_postings(centre: Centre, window: int) -> Counter[AccountKey]:
    """Balances that the sealed batches posted in a window."""
    balances: Counter[AccountKey] = Counter()
    for entry in centre.journal.of_kind("batch"):
        for day, kind, participant, source, fen in entry.body["postings"]:
            if day == window:
                balances[day, kind, participant, source] += fen
    return balances


def takings_of(store: Store, date: datetime.date) -> list[Takings]:
    """Accepted money per merchant and issuer of a window, from the segments."""
    rows = store.run(sql_text("settlement/takings"), {"window": date})
    return [Takings(*row) for row in rows]


def claims_of(store: Store, date: datetime.date) -> list[dict[str, Any]]:
    """What each fund owes for the window, per merchant, with the number of rows that prove it."""
    names = ("fund", "merchant", "rows", "fen")
    rows = store.run(sql_text("settlement/claims"), {"window": date})
    return [dict(zip(names, row, strict=True)) for row in rows]


def fee_rows(takings: list[Takings], settings: Settings) -> list[dict[str, Any]]:
    """Fees of every merchant with a schedule, one row per share and participant; shares sum to the fee exactly."""
    rows: list[dict[str, Any]] = []
    for merchant in sorted({taking.merchant for taking in takings}):
        participant = settings.participant(merchant)
        if participant.fee is None:
            continue
        schedule = settings.agreements.fees[participant.fee]
        mine = [taking for taking in takings if taking.merchant == merchant]
        base = sum(_base(taking, schedule) for taking in mine)
        fee = max(schedule.minimum, (base * schedule.bps + 5000) // 10000) if base > 0 else 0
        for share, owner, fen in _shares(fee, schedule, participant, mine, settings):
            rows.append(
                {"merchant": merchant, "base": base, "fee": fee, "share": share, "participant": owner, "fen": fen}
            )
    return rows


def _base(taking: Takings, schedule: FeeSchedule) -> int:
    return {
        "card_paid": taking.card_paid,
        "gross": taking.gross,
        "card_paid_and_fund_paid": taking.card_paid + taking.fund_paid,
    }[schedule.base]


def _shares(
    fee: int, schedule: FeeSchedule, merchant: Participant, takings: list[Takings], settings: Settings
) -> list[tuple[str, int, int]]:
    order: tuple[Literal["issuer", "acquirer", "centre"], ...] = ("issuer", "acquirer", "centre")
    parts = largest_remainder(fee, [schedule.shares.get(name, 0) for name in order])
    issuers = sorted({taking.issuer for taking in takings})
    # What corrections of earlier windows take back can outweigh the day's rides of an issuer.
    weights = [max(sum(t.card_paid for t in takings if t.issuer == issuer), 0) for issuer in issuers]
    rows = [("issuer", *each) for each in zip(issuers, largest_remainder(parts[0], weights), strict=True)]
    acquirer = settings.centre.id if merchant.acquirer is None else merchant.acquirer
    rows += [("acquirer", acquirer, parts[1]), ("centre", settings.centre.id, parts[2])]
    return [row for row in rows if row[2]]


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    """Split ``total`` fen by weights into parts that sum to it; leftover fen go to the largest remainders.

    Ties go to the earlier part; without any weight the first part takes all.
    """
    whole = sum(weights)
    if whole == 0:
        return [total if at == 0 else 0 for at in range(len(weights))]
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    for at in sorted(range(len(weights)), key=lambda i: (-remainders[i], i))[: total - sum(parts)]:
        parts[at] += 1
    return parts


def fee_postings(fees: list[dict[str, Any]], window: int) -> Counter[AccountKey]:
    """merchant_payable → fee_income, out of the reserve until swept."""
    balances: Counter[AccountKey] = Counter()
    for row in fees:
        balances[window, "merchant_payable", row["merchant"], RESERVE] -= row["fen"]
        balances[window, "fee_income", row["participant"], RESERVE] += row["fen"]
    return balances


def net_positions(balances: Counter[AccountKey]) -> list[dict[str, Any]]:
    """Σ credits − Σ debits per (participant, source), memo accounts left out; all of them sum to zero."""
    net: Counter[tuple[int, int]] = Counter()
    for (_, kind, participant, source), fen in balances.items():
        if kind not in MEMO_KINDS:
            net[participant, source] += fen
    assert sum(net.values()) == 0, "balanced postings net to zero"
    return [
        {"participant": participant, "source": source, "fen": fen}
        for (participant, source), fen in sorted(net.items())
    ]


def proposal(balances: Counter[AccountKey], date: datetime.date) -> list[dict[str, Any]]:
    """Payments to creditors and collections from debtors; a fund's share waits until the fund has paid.

    Only settled claims are paid: what is in suspense stays in suspense.
    """
    owed: Counter[tuple[int, int]] = Counter()
    for (_, kind, participant, source), fen in balances.items():
        if kind in SETTLED_KINDS:
            owed[participant, source] += fen
    return [
        {
            "payment": f"{date:%Y%m%d}-{participant}-{source}",
            "participant": participant,
            "source": source,
            "direction": "pay" if fen > 0 else "collect",
            "fen": abs(fen),
            "state": "awaiting_fund" if fen > 0 and source != RESERVE else "proposed",
        }
        for (participant, source), fen in sorted(owed.items())
        if fen
    ]
