"""LD, CR and BP of a closed window, for each partner: what was processed, how it cleared, what is paid.

Their layouts are this project's own (no public source has them), the figures are those of the close entry and of the
takings that its fees were computed from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from card_io.delivery.jtt978_records import RECORDS, Value
from clearing.calendar import date_of, received_window
from clearing.centre import Centre
from clearing.config import Participant
from clearing.interchange.after_run import clearing_totals
from clearing.interchange.outbox import first_part, partners, send
from clearing.ledger.journal import Entry
from clearing.ledger.views import of_window
from clearing.status import Disposition
from clearing.store import Store

_KINDS = ("LD", "CR", "BP")
_Row = dict[str, Value]


def write_at_close(centre: Centre, store: Store, entry: Entry) -> None:
    """Write the LD, CR and BP files of a close entry that are not there yet."""
    date = date_of(entry.body["window"])
    for partner in partners(centre):
        for kind in _KINDS:
            if first_part(centre, partner.id, entry.sequence, kind).exists():
                continue
            if kind == "LD":
                rows = processed_files(centre, entry.body["window"], partner)
            elif kind == "CR":
                rows = clearing_results(centre, store, entry, partner)
            else:
                rows = receipts_and_payments(centre, entry, partner)
            record = RECORDS[kind]
            columns: dict[str, Sequence[Value]] = {f.name: [row[f.name] for row in rows] for f in record.fields}
            send(centre, partner.id, entry.sequence, kind, record.encode(columns), date, record.length)


def processed_files(centre: Centre, window: int, partner: Participant) -> list[_Row]:
    """LD: the files a partner sent before the window's cut-off, and the CL files it got."""
    calendar = centre.settings.calendar
    batches = list(centre.journal.of_kind("batch"))
    results = {file["file_no"]: file["results"] for batch in batches for file in batch.body["files"]}
    rows = [
        _received(entry, results.get(entry.body["file_no"], []))
        for entry in centre.journal.of_kind("intake")
        if entry.body.get("sender") == partner.id and received_window(entry.at, calendar) == window
    ]
    if partner.kind in ("issuer", "counterparty"):
        for batch in batches:
            if received_window(batch.at, calendar) == window:
                path = first_part(centre, partner.id, batch.sequence, "CL")
                rows.append(_issued(centre, batch, partner, path.name))
    return rows


def _received(entry: Entry, results: list[list[Any]]) -> _Row:
    count: Counter[int] = Counter()
    fen: Counter[int] = Counter()
    for _, disposition, rows, amount in results:
        count[disposition] += rows
        fen[disposition] += amount or 0
    tallies = {f"{each.name.lower()}_rows": count[each] for each in Disposition if each is not Disposition.NONE}
    return {
        "direction": "IN",
        "file_no": entry.body["file_no"],
        "file_name": entry.body["file"][-64:],
        "party": str(entry.body["sender"]),
        "accept_date": int(entry.body["file_date"].replace("-", ""), 16),
        "outcome": entry.body["outcome"],
        "rows": sum(count.values()),
        **tallies,
        "amount": sum(fen.values()),
        "accepted_amount": fen[Disposition.ACCEPTED],
    }


def _issued(centre: Centre, batch: Entry, partner: Participant, name: str) -> _Row:
    count, fen = clearing_totals(centre, batch, partner.id)
    date = date_of(received_window(batch.at, centre.settings.calendar))
    tallies = {f"{each.name.lower()}_rows": 0 for each in Disposition if each is not Disposition.NONE}
    return {
        "direction": "CL",
        "file_no": batch.sequence,
        "file_name": name,
        "party": str(partner.id),
        "accept_date": int(f"{date:%Y%m%d}", 16),
        "outcome": "cleared",
        "rows": count,
        **tallies,
        "accepted_rows": count,
        "amount": fen,
        "accepted_amount": fen,
    }


def clearing_results(centre: Centre, store: Store, entry: Entry, partner: Participant) -> list[_Row]:
    """CR: takings per merchant and issuer that concern a partner, and the fee shares of its merchants and its own."""
    mine = _belonging(centre, partner)
    rows: list[_Row] = []
    window = date_of(entry.body["window"])
    for merchant, issuer, gross, card_paid, fund_paid in store.run(
        of_window(store, "settlement/takings", window), {"window": window}
    ):
        if merchant in mine or issuer == partner.id:
            figures = {"gross": gross, "card_paid": card_paid, "fund_paid": fund_paid, "base": 0, "fee": 0, "fen": 0}
            rows.append(_result("T", merchant, issuer, "", figures))
    for fee in entry.body["fees"]:
        if fee["merchant"] in mine or fee["participant"] == partner.id:
            figures = {
                "base": fee["base"],
                "fee": fee["fee"],
                "fen": fee["fen"],
                "gross": 0,
                "card_paid": 0,
                "fund_paid": 0,
            }
            rows.append(_result("F", fee["merchant"], fee["participant"], fee["share"], figures))
    return rows


def _result(kind: str, merchant: int, counterpart: int, share: str, figures: dict[str, int]) -> _Row:
    return {
        "record_kind": kind,
        "acquirer_id": str(merchant),
        "counterpart": str(counterpart),
        "share": share,
        **figures,
    }


def receipts_and_payments(centre: Centre, entry: Entry, partner: Participant) -> list[_Row]:
    """BP: net positions of a partner and its merchants, and the payments and collections that settle them."""
    mine = _belonging(centre, partner)
    rows: list[_Row] = [
        _line("P", row, "credit" if row["fen"] >= 0 else "debit", "", "")
        for row in entry.body["positions"]
        if row["participant"] in mine
    ]
    rows += [
        _line("N", row, row["direction"], row.get("state", "proposed"), row["payment"])
        for row in entry.body["payments"]
        if row["participant"] in mine
    ]
    return rows + [
        _line("N", row, "pay" if row["fen"] > 0 else "collect", row["reason"], "")
        for row in entry.body.get("unpaid", ())
        if row["participant"] in mine
    ]


def _line(kind: str, row: dict[str, Any], direction: str, state: str, payment: str) -> _Row:
    return {
        "record_kind": kind,
        "participant": str(row["participant"]),
        "source": str(row["source"]),
        "direction": direction,
        "amount": abs(row["fen"]),
        "state": state,
        "payment": payment,
    }


def _belonging(centre: Centre, partner: Participant) -> frozenset[int]:
    """A partner and the merchants whose files it sends."""
    return frozenset({partner.id, *(each.id for each in centre.settings.participants if each.sender == partner.id)})
