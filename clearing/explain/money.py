"""The money of one row: tariff and amounts per payer, decisions with their legs, and the close that settles them."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearing import pricing
from clearing.accounts import MEMO_KINDS
from clearing.calendar import date_of
from clearing.centre import Centre
from clearing.checks import AMOUNT_MAX
from clearing.content import root_text
from clearing.decide import decision_roots
from clearing.explain.evidence import Evidence, Stored, money_source, party_of, sealed_entry, sealed_segment
from clearing.explain.model import BankEntry, Decision, Fee, Leg, Payment, Position, Price, SealedFile, Settlement
from clearing.explain.steps import shown_steps
from clearing.ledger.journal import Entry
from clearing.posting import PostingTemplate, post
from clearing.pricing import StepTaken
from clearing.records import Rows
from clearing.status import ClearingStatus, Disposition, PriceVerdict
from clearing.store import Store


def expected_of(row: Rows, centre: Centre) -> int:
    """What the tariff asks of the card: charged more than any fare, a row's card_paid is all of it."""
    ceiling = pricing.price(row.with_columns(amount=np.full(1, AMOUNT_MAX, np.int64)), centre.prices)
    return int(ceiling["card_paid"][0])


def price_of(
    row: Rows, centre: Centre, batch: Entry, expected: int | None, steps: tuple[StepTaken, ...], *, posted: bool
) -> Price:
    """Tariff, rule and amounts of one priced row.

    Args:
        row: the row after :func:`clearing.pricing.price`.
        centre: with the tariffs of the batch.
        batch: whose archived configuration names the tariff file.
        expected: what the tariff asks of the card, fen.
        steps: how it comes to that.
        posted: whether the row was accepted.
    """
    priced = bool(row["priced"][0])
    value = {name: int(row[name][0]) if priced else 0 for name in _PRICE_COLUMNS}
    tariff = segment = rule = first = last = file = None
    if value["tariff"]:
        tariff, segment = centre.prices.ids[value["tariff"] - 1], value["segment"]
        compiled = centre.prices.compiled(tariff, segment)
        rule = compiled.rule_names[value["rule"]]
        first, last = compiled.first_day.isoformat(), compiled.last_day.isoformat()
        loaded = centre.prices.book[tariff]
        archived = batch.body["configuration"][f"tariffs/{loaded.file.name}"]
        file = SealedFile(f"tariffs/{loaded.file.name}", archived, archived == loaded.sha256)
    return Price(
        tariff=tariff,
        file=file,
        segment=segment,
        first_day=first,
        last_day=last,
        rule=rule,
        charged=int(row["amount"][0]),
        expected=expected if tariff is not None else None,
        tolerance=centre.prices.tolerance(row["merchant_id"][0]) if tariff is not None else 0,
        gross=value["gross"],
        card_paid=value["card_paid"],
        overcharge=value["overcharge"],
        fund=party_of(centre, value["fund"]) if value["fund"] else None,
        fund_paid=value["fund_paid"],
        operator_borne=value["operator_borne"],
        verdict=PriceVerdict(value["price_verdict"]).name,
        posted=posted,
        steps=shown_steps(steps),
    )


_PRICE_COLUMNS = (
    "tariff", "segment", "rule", "gross", "card_paid", "overcharge", "fund", "fund_paid",
    "operator_borne", "price_verdict",
)  # fmt: skip


def legs_of(row: Rows, centre: Centre) -> tuple[Leg, ...]:
    """What one stored row posts by the templates, debits first; equal accounts are netted."""
    party = centre.registers.parties.position(row["merchant_id"]).astype(np.int32)
    legs = [
        Leg(
            account=kind,
            participant=party_of(centre, owner),
            source=money_source(centre, source),
            debit=max(-fen, 0),
            credit=max(fen, 0),
            memo=kind in MEMO_KINDS,
        )
        for (_, kind, owner, source), fen in post([row.with_columns(party=party)], centre.chart).items()
    ]
    assert sum(leg.credit - leg.debit for leg in legs) == 0, "every template sums to zero"
    return tuple(sorted(legs, key=lambda leg: (leg.memo, leg.credit > 0, leg.account, leg.participant.number)))


def decision_of(stored: Stored, centre: Centre) -> Decision:
    """One recorded event of a transaction, posted in the centre as its batch knew it."""
    row = stored.rows
    decided = row.with_columns(sign=np.ones(1, np.int8))
    (root,) = decision_roots(decided).values()
    return Decision(
        event=int(row["event"][0]),
        sign=int(row["sign"][0]),
        status=ClearingStatus(row["status"][0]).name,
        disposition=Disposition(row["disposition"][0]).name,
        template=PostingTemplate(row["posting_template"][0]).name,
        window=date_of(int(row["window"][0])).isoformat(),
        batch=sealed_entry(centre, stored.batch),
        segment=sealed_segment(centre, stored.segment),
        decision_hash=root_text(root),
        legs=legs_of(row, centre),
    )


def settlement_of(row: Rows, legs: tuple[Leg, ...], centre: Centre, evidence: Evidence) -> Settlement:
    """The window of a decided row; once it is closed, fees, positions and payments of those who settle this row.

    A payment is the first from this window on: what waits for a cycle or a fund is carried by a later one. Those who
    settle are the payees of the legs and the party that delivered the row; held memo rows settle with nobody.
    """
    window = date_of(int(row["window"][0]))
    merchant = int(row["merchant_id"][0])
    settling = [
        leg.participant.number
        for leg in legs
        if not leg.memo and (leg.account == "merchant_payable" or leg.participant.number == merchant)
    ]
    wanted = {"window": window, "parties": sorted(set(settling))}
    store = evidence.store
    closed = store.run('SELECT entry, closed_at FROM windows WHERE "window" = $window', {"window": window})
    entry = closed_at = None
    if closed:
        entry = sealed_entry(centre, centre.journal.entries[closed[0][0] - 1])
        closed_at = closed[0][1].isoformat()
    fees = store.run(f"SELECT DISTINCT merchant, base, fee FROM fees {_OF_WINDOW.format('merchant')}", wanted)
    positions = store.run(
        f"SELECT participant, source, fen FROM positions {_OF_WINDOW.format('participant')}", wanted
    )
    payments = store.run(
        "SELECT payment, participant, source, direction, fen, status, purpose, pay_date::VARCHAR FROM payment_status"
        ' WHERE "window" >= $window AND list_contains($parties, participant)'
        ' QUALIFY "window" = MIN("window") OVER (PARTITION BY participant, source) ORDER BY ALL',
        wanted,
    )
    return Settlement(
        window=window.isoformat(),
        received_window=date_of(int(row["received_window"][0])).isoformat(),
        closed_at=closed_at,
        entry=entry,
        fees=tuple(Fee(party_of(centre, who), base, fee) for who, base, fee in fees),
        positions=tuple(
            Position(party_of(centre, who), money_source(centre, source), fen) for who, source, fen in positions
        ),
        payments=tuple(_payment_of(store, centre, row) for row in payments),
    )


def _payment_of(store: Store, centre: Centre, row: tuple[Any, ...]) -> Payment:
    """A row of ``payment_status`` with the message that ordered it last and every line a bank has sent about it."""
    name, who, source, direction, fen, state, purpose, pay_date = row
    wanted = {"payment": name}
    ordered = store.run(
        "SELECT reference FROM payment_events WHERE payment = $payment AND event = 'ordered' ORDER BY entry DESC",
        wanted,
    )
    lines = store.run(
        "SELECT l.outcome, l.fen, l.reference, l.booked::VARCHAR, f.format, f.sha256, l.entry FROM bank_lines l"
        " JOIN bank_files f USING (entry) WHERE l.payment = $payment ORDER BY l.entry, l.line",
        wanted,
    )
    entries = centre.journal.entries
    return Payment(
        payment=name,
        participant=party_of(centre, who),
        source=money_source(centre, source),
        direction=direction,
        fen=fen,
        state=state,
        purpose=purpose,
        pay_date=pay_date,
        order=ordered[0][0] if ordered else None,
        bank=tuple(
            BankEntry(outcome, moved, reference, booked, form, sha256, sealed_entry(centre, entries[entry - 1]))
            for outcome, moved, reference, booked, form, sha256, entry in lines
        ),
    )


_OF_WINDOW = 'WHERE "window" = $window AND list_contains($parties, {}) ORDER BY ALL'
