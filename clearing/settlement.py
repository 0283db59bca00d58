"""Closing a window: fees, net positions, claims, payment proposal, findings (docs/clearing-rules.md §9).

The figures are pure functions of what the journal sealed; closing again is refused, closing later gives the same.
A proposal is a list, nothing leaves the centre here: two persons approve it (``clearing.payments.approve``).
"""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearing import calendar
from clearing.accounts import MEMO_KINDS
from clearing.batch import Batch
from clearing.centre import Centre
from clearing.config import Settings
from clearing.engine import clear_pending, declared_now, opened, project
from clearing.errors import ClearingError, RefusedError
from clearing.fees import fee_postings, fees_at_close, takings_of
from clearing.interchange import write_after_run, write_at_close
from clearing.ledger.projection import Projection
from clearing.ledger.views import of_window
from clearing.payments.book import PAYMENT_KINDS, PaymentBook, cumulative, explains_bank_lines
from clearing.payments.due import due_at_close, hold_backs
from clearing.people import Signature, digest_of, load_key, sign
from clearing.posting import AccountKey
from clearing.proposal import write_proposal
from clearing.recompute import finding_totals, kept_findings, recompute_window, uncovered_totals
from clearing.reconcile.day_switch import Override, refuse_day_switch
from clearing.run_summary import Progress, RunSummary
from clearing.store import Store


@dataclass
class CloseSummary:
    """What closing did; JSON-able."""

    window: str
    entry: int
    run: RunSummary
    fees: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    unpaid: list[dict[str, Any]]
    over_cap: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    recomputed: list[dict[str, Any]]
    uncovered: list[dict[str, Any]]
    finding_totals: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    proposal: str


@dataclass(frozen=True, slots=True)
class Proposer:
    """Who proposes the payments of a close, with the key to say so; they cannot approve them."""

    person: str
    key: Path


def close_window(
    directory: Path,
    date: datetime.date,
    *,
    passphrase: str,
    now: int | None = None,
    wait: float = 60.0,
    progress: Progress | None = None,
    proposer: Proposer | None = None,
    override: str | None = None,
) -> CloseSummary:
    """Close business date ``date``: drain what was received before its cut-off, then net.

    Raises:
        RefusedError: before the cut-off, when the window is closed already, or an earlier one is open; when a check
            that blocks fails and ``proposer`` gives no reason in ``override``.
        ConfigError: a pay day falls into a year whose holidays are not official.
    """
    with opened(directory, passphrase, wait=wait, purpose="clearing close") as (centre, projection):
        at = declared_now(centre, now)
        window = calendar.day_number(date)
        _refuse_early(centre, window, at)
        try:
            run = clear_pending(centre, projection, at, progress=progress, publish=False)
            _refuse_gap(centre, window)
            Batch(centre, run).decide_grey(window, at)
            project(centre, projection, run, publish=False)
            newest = centre.journal.entries[-1]
            if newest.kind == "batch" and not newest.body["files"]:
                # What was decided of grey rows goes to their issuers like any other decision.
                write_after_run(centre, newest, {})
            overriding = Override(proposer.person, proposer.key, override) if proposer and override else None
            refuse_day_switch(centre, projection.store, window, at, overriding)
            body = close_body(centre, projection, window)
            if proposer is not None:
                body["proposer"] = _signed_by(proposer, body, centre.settings, at).as_json()
        except ClearingError:
            # Who is refused looks into the published ledger: what was cleared by then stands there.
            projection.publish(centre.journal)
            raise
        entry = centre.journal.append("close", body, at=at, key=centre.signing)
        project(centre, projection, run)
        path = write_proposal(directory, entry, centre.settings)
        write_at_close(centre, projection.store, entry)
    shown = (
        "fees", "positions", "payments", "unpaid", "over_cap", "claims",
        "recomputed", "uncovered", "finding_totals", "findings",
    )  # fmt: skip
    return CloseSummary(
        window=date.isoformat(),
        entry=entry.sequence,
        run=run,
        proposal=str(path.relative_to(directory)),
        **{name: body[name] for name in shown},
    )


def close_body(centre: Centre, projection: Projection, window: int) -> dict[str, Any]:
    """What the close entry of a window says; reads the journal, the segments, settings and calendar."""
    date, settings = calendar.date_of(window), centre.settings
    closes = list(centre.journal.of_kind("close"))
    earlier = max([entry.body["window"] for entry in closes], default=window - 1)
    takings = takings_of(projection.store, date, settings)
    fees = fees_at_close(takings, (entry.body for entry in closes), settings, window, earlier)
    # Counter's own + would drop negative balances.
    balances = sealed_postings(centre, window)
    postings = fee_postings(fees.rows, window)
    balances.update(postings)
    kept, released = hold_backs(
        _payables(balances),
        [row for entry in closes for row in entry.body.get("held", ())],
        settings,
        window=window,
        after=earlier,
    )
    postings.update(held_postings(kept, released, window))
    owed = cumulative(centre.journal, window)
    for (_, *account), fen in postings.items():
        owed[tuple(account)] += fen  # type: ignore[index]
    due = due_at_close(
        owed,
        PaymentBook(centre.journal),
        settings,
        calendar.load_business_days(centre.directory),
        window=window,
        earlier=earlier,
    )
    recomputed = recompute_window(projection.store, date, settings, centre.prices)
    return {
        "window": window,
        "fees": fees.rows,
        "accrued": fees.accrued,
        "months": fees.months,
        "held": kept,
        "released": released,
        "postings": [[*account, fen] for account, fen in sorted(postings.items()) if fen],
        "positions": net_positions(balances),
        "payments": due.payments,
        "unpaid": due.unpaid,
        "over_cap": due.over_cap,
        "claims": claims_of(projection.store, date),
        "recomputed": [each.totals() for each in recomputed],
        "uncovered": uncovered_totals(recomputed),
        "finding_totals": finding_totals(recomputed),
        "findings": kept_findings(recomputed),
        "configuration": centre.archive_agreements(),
    }


def _signed_by(proposer: Proposer, body: dict[str, Any], settings: Settings, at: int) -> Signature:
    return sign(
        settings,
        load_key(proposer.key),
        person=proposer.person,
        role="reconciler",
        subject="proposal",
        digest=digest_of(body["payments"]),
        on=calendar.date_of(at // calendar.SECONDS_PER_DAY),
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
    if closed and window < max(closed):
        raise RefusedError(
            f"window {calendar.date_of(max(closed))} is closed already, and windows close in order",
            remedy=f"nothing was posted in {date}: it needs no close",
        )


def _refuse_gap(centre: Centre, window: int) -> None:
    """Windows close in order: an earlier one with postings must not stay open."""
    closed = {entry.body["window"] for entry in centre.journal.of_kind("close")}
    posted = {posting[0] for entry in centre.journal for posting in entry.body.get("postings", ())}
    earlier = sorted(day for day in posted - closed if day < window)
    if earlier:
        raise RefusedError(
            f"window {calendar.date_of(earlier[0])} is still open",
            remedy=f"close {calendar.date_of(earlier[0])} first",
        )


def sealed_postings(centre: Centre, window: int) -> Counter[AccountKey]:
    """Balances that transactions and their corrections posted in a window; payments and bank lines are no part."""
    balances: Counter[AccountKey] = Counter()
    for entry in centre.journal:
        if entry.kind in PAYMENT_KINDS or explains_bank_lines(entry):
            continue
        for day, kind, participant, source, fen in entry.body.get("postings", ()):
            if day == window:
                balances[day, kind, participant, source] += fen
    return balances


def _payables(balances: Counter[AccountKey]) -> Counter[tuple[int, int]]:
    """What a window adds to what payees are owed, per (participant, source)."""
    net: Counter[tuple[int, int]] = Counter()
    for (_, kind, participant, source), fen in balances.items():
        if kind == "merchant_payable":
            net[participant, source] += fen
    return net


def held_postings(kept: list[dict[str, Any]], released: list[dict[str, Any]], window: int) -> Counter[AccountKey]:
    """merchant_payable → held_back for what is kept, back for what is released."""
    balances: Counter[AccountKey] = Counter()
    for sign_of, rows in ((1, kept), (-1, released)):
        for row in rows:
            who, source, fen = row["participant"], row["source"], sign_of * row["fen"]
            balances[window, "merchant_payable", who, source] -= fen
            balances[window, "held_back", who, source] += fen
    return balances


def claims_of(store: Store, date: datetime.date) -> list[dict[str, Any]]:
    """What each fund owes for the window, per merchant, with the number of rows that prove it."""
    names = ("fund", "merchant", "rows", "fen")
    rows = store.run(of_window(store, "settlement/claims", date), {"window": date})
    return [dict(zip(names, row, strict=True)) for row in rows]


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
